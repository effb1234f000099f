"""A request in which an attribute has no value is decided like one in order, once it is known: wherever rules come upon
that attribute, and whatever else they ask before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from policyengine.bundle import load_text
from policyengine.compile import bucket
from policyengine.compile.bucket import Bucket
from policyengine.compile.compile_on_demand import ONLY_MADE, Unmade
from policyengine.compile.failures import RuleFailures
from policyengine.engine import Engine
from tests.compile.test_native import needs_native
from tests.support.evaluators import FAST, evaluator, reference

COUNT = 12
HEAD = """use ai
obligation watermark()
extend Document { level: Int, open: Bool }
context place: String
permit all: retrieve on Document
require noted: retrieve on Document when document.level > 5 watermark()
"""
KEYS = {
    "owner": 'document.owner == "u{n}"', "level": "document.level == {n}", "place": 'context.place == "p{n}"',
    "email": 'principal.email == "u{n}"',
}  # fmt: skip
USER = {"type": "User", "id": "ann", "tenant": "acme", "roles": [], "email": "u3"}
DOCUMENT = {"type": "Document", "id": "d", "tenant": "acme", "owner": "u1", "level": 3, "open": True}
AGENT = {"type": "Agent", "id": "bot", "tenant": "acme", "roles": []}
ODD = (None, True, 5, 1.5, "x", [], {}, {"type": "User", "id": "u"}, 2**70)


# No table helps these: one reads `tenant` first and `level` after it.
UNINDEXED = {
    "owner": 'document.owner like "u{n}*"', "level": "document.level > {n}", "place": 'context.place like "p{n}*"',
    "email": 'principal.email like "u{n}*"', "after": 'document.tenant == "acme" and document.level > {n}',
}  # fmt: skip


def _text(kind: str, keys: tuple[str, ...], conditions: dict[str, str] = KEYS, count: int = COUNT) -> str:
    rules = [
        f"{kind}{key}{n}: retrieve on Document when {conditions[key].format(n=n)}" for key in keys for n in range(count)
    ]
    return "\n".join([HEAD, *rules, ""])


def _asked() -> list[dict[str, Any]]:
    whole = {"principal": USER, "action": "retrieve", "resource": DOCUMENT, "context": {"place": "p2"}}
    found: list[dict[str, Any]] = [whole]
    for part, name in (("resource", "owner"), ("resource", "level"), ("context", "place"), ("principal", "email")):
        lacking: Any = dict(whole[part])  # type: ignore[call-overload]
        del lacking[name]
        found.append({**whole, part: lacking})
        found += [{**whole, part: {**lacking, name: odd}} for odd in ODD]
        found.append({**whole, part: lacking, "context": {**(lacking if part == "context" else {}), "agent": AGENT}})
    lacking = {name: value for name, value in DOCUMENT.items() if name not in ("owner", "level")}
    return [*found, {**whole, "resource": lacking}, {**whole, "resource": {**lacking, "level": 9}}]


@pytest.mark.parametrize("keys", [("owner",), ("level", "owner"), ("place", "email")], ids=str)
@pytest.mark.parametrize("kind", ["forbid", "permit"])
def test_what_is_known_is_what_the_interpreter_says(kind: str, keys: tuple[str, ...]) -> None:
    loaded = load_text(_text(f"{kind} ", keys))
    assert loaded.snapshot is not None, [each.message for each in loaded.diagnostics]
    for fast in [evaluator(loaded.snapshot, each) for each in FAST]:
        for one in [each for each in _asked() for _ in range(4)]:
            assert fast.decide(**one) == reference(loaded.snapshot, one), one


@pytest.mark.parametrize(
    ("keys", "count"),
    [(("owner",), 8), (("level", "owner"), 8), (("place", "email", "after"), 5), (("level", "owner"), 110)],
)
def test_what_is_known_without_tables_is_what_the_interpreter_says(keys: tuple[str, ...], count: int) -> None:
    loaded = load_text(_text("forbid ", keys, UNINDEXED, count) + _text("permit by_", keys[:1]).split(HEAD)[1])
    assert loaded.snapshot is not None, [each.message for each in loaded.diagnostics]
    for fast in [evaluator(loaded.snapshot, each) for each in FAST]:
        for one in [each for each in _asked()[:: 1 if count < 100 else 5] for _ in range(4)]:
            assert fast.decide(**one) == reference(loaded.snapshot, one), one


def _settled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each decision that is made from the beginning, from now on."""
    settled: list[int] = []
    settle = Bucket.settle

    def counted(self: Bucket, *given: Any) -> Any:
        settled.append(1)
        return settle(self, *given)

    monkeypatch.setattr(Bucket, "settle", counted)
    return settled


@needs_native
@pytest.mark.parametrize("count", [5, 110])
def test_nothing_is_found_out_again_without_tables(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    settled = _settled(monkeypatch)
    engine = Engine.from_text(_text("forbid ", ("owner", "level"), UNINDEXED, count))
    for gone in ({"owner"}, {"level"}, {"owner", "level"}):
        lacking = {name: value for name, value in DOCUMENT.items() if name not in gone}
        asked: Any = {"principal": USER, "action": "retrieve", "resource": lacking}
        first = engine.decide(**asked)
        assert first.errors
        assert engine.decide_many([asked] * 3) == [first] * 3
        settled.clear()
        assert engine.decide_many([asked] * 20) == [first] * 20
        assert not settled


@needs_native
@pytest.mark.parametrize("odd", [{}, {"owner": 5}, {"owner": None}])
def test_what_is_known_is_not_found_out_again(odd: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    settled = _settled(monkeypatch)
    engine = Engine.from_text(_text("forbid ", ("owner", "level")))
    lacking = {name: value for name, value in DOCUMENT.items() if name != "owner"} | odd
    asked: Any = {"principal": USER, "action": "retrieve", "resource": lacking}
    first = engine.decide(**asked)
    assert first.errors
    for _ in range(20):
        assert engine.decide(**asked) == first
    assert len(settled) <= 4
    assert engine.decide_many([asked] * 20) == [first] * 20
    assert len(settled) <= 4


@needs_native
def test_the_entry_is_made_where_code_is_made() -> None:
    rules = [f'forbid f{n}: retrieve on Document when document.tenant != "t{n}"' for n in range(COUNT)]
    engine = Engine.from_text(_text("forbid ", ("owner",)) + "\n".join(rules))
    lacking = {name: value for name, value in DOCUMENT.items() if name != "owner"}
    asked: Any = {"principal": USER, "action": "retrieve", "resource": lacking}
    first = engine.decide(**asked)
    for _ in range(3):
        try:
            with ONLY_MADE:
                assert engine.decide(**asked) == first
        except Unmade as unmade:
            unmade.make()
    with ONLY_MADE:
        assert engine.decide(**asked) == first


OVERFLOWS = 'document.level * {n} * 9223372036854775807 > 5 and document.owner == "u1"'
# Where rules come upon an attribute after something else, or within something.
WITHIN = {
    "after another": 'document.tenant == principal.tenant and document.owner like "u{n}*"',
    "after two": "document.level >= {n} - 3 and document.open and document.owner == principal.email",
    "unless": 'document.level < {n} + 4 unless document.owner == "u{n}"',
    "or": 'document.level == {n} or document.owner like "u{n}*"',
    "or first": 'document.owner == "u{n}" or document.level == {n}',
    "and in or": '(document.open and document.owner == "u{n}") or document.level == {n} or principal.email == "u3"',
    "or in and": '(document.level > {n} or document.owner == "u{n}") and (document.open or principal.email == "u1")',
    "not": 'not (document.open and not (document.owner == "u{n}" or document.level == {n}))',
    "twice": '(document.open and document.owner == "u{n}") or (not document.open and document.owner == "u1")',
    "both sides": "document.level > {n} - 9 and document.owner == principal.email",
    "has": 'document has note and document.note == "n{n}" and document.owner == "u1"',
    "any": 'any r in principal.roles: r == "r{n}" or document.owner == r',
    "all": 'all r in principal.roles: r != "r{n}" and document.owner != r',
    "any of it": 'document.open and any l in document.labels: l == "l{n}"',
    "any of records": 'document.open and any p in document.parts: p.a == "a{n}" and document.owner == p.a',
    "sum": "document.open and sum(p.n for p in document.parts) > document.level + {n}",
    "a call": 'document.open and lower(document.owner) == "u{n}"',
    "a set's": 'document.level > {n} - 9 and contains_any(document.labels, ["l{n}", "l"])',
    "sizes": "document.open and size(document.labels) > {n} - 2 and size(document.list) > 0",
    "if": 'if document.open then document.owner == "u{n}" else document.level == {n}',
    "if not": 'not (if document.level > {n} then document.owner == "u1" else principal.email == "u{n}")',
    "a value by if": '(if document.open then document.owner else "z") == "u{n}"',
    "a value by two": '(if document.level > 9 then "a" else if document.open then document.owner else "z") == "u{n}"',
    "values by if": '(if document.open then document.owner else "z") == (if document.level > {n} then "u1" else "z")',
    "a value by if in or": 'document.level == {n} or (if document.open then document.owner else "z") like "u{n}*"',
    "a value by if in a call": 'document.open and lower(if document.level > 0 then document.owner else "z") == "u{n}"',
    "a value by what may fail": '(if lower(document.owner) == "u1" or document.open then document.level else 1) == {n}',
    "if a value by if": 'if (if document.open then document.owner else "z") == "u1" then document.level > 1 else true',
    "a condition as a value": 'document.open == (document.level > {n} and document.owner == "u1")',
    "conditions as values": '(document.open or document.owner == "u1") == (document.level > {n} or document.level < 0)',
    "a hierarchy as a value": 'document.open == (principal in Group::"g{n}" and document.level > 1)',
    "contains": 'document.open and "l{n}" in document.labels',
    "contained": 'document.open and document.owner in principal.roles and "l{n}" in document.list',
    "an entity": "document.level > {n} - 9 and document.by == principal",
    "within": "document.level > {n} - 9 and principal in document.readers",
    "an entity's": 'document.open and document.by.email == "u{n}"',
    "an entity's first": 'document.by.boss.email == "u{n}" or document.level == {n}',
    "an entity's in any": 'any r in principal.roles: document.by.boss.email == r or document.level == {n}',
    "an entity's roles": 'document.open and any r in document.by.roles: r == "r{n}"',
    "above": 'principal in Group::"g{n}" and document.owner == "u1"',
    "a record's": 'document.open and document.meta.kind == "k{n}"',
    "data": 'document.open and document.data.k.l == "x{n}"',
    "a number in data": "document.open and document.data.n > {n}",
    "data first": 'document.data.n == {n} and document.owner == "u1"',
    "data in or": 'document.level == {n} or document.data.k.l like "x{n}*"',
    "data that is there": 'document.data has n and document.data.n > {n}',
    "data of two types": 'document.data.n == {n} or (document.open and document.data.n == "n{n}")',
    "a list in data": 'document.open and "l{n}" in document.data.list',
    "any in data": 'any x in document.data.list: x == "l{n}" or document.data.n == 2',
    "numbers in data": "document.open and any x in document.data.nums: x > {n} + document.data.n",
    "data as a condition": "document.data.flag and document.data.n > {n}",
    "if data": 'if document.data.flag then document.data.n > {n} else document.data.k.l == "x"',
    "a time": "document.open and document.at > context.time.now and document.level != {n}",
    "arithmetic": OVERFLOWS,
    "of the context": 'document.open and context.place == "p{n}" and document.owner == "u1"',
    "is": 'document.by is User and document.by.email == "u{n}" and document.owner == "u1"',
}  # fmt: skip
MORE = (
    HEAD
    + """extend Document {
  note?: String, parts: List<{ a: String, n: Int }>, list: List<String>, by: User, readers: Set<User>,
  meta: { kind: String }, data: Json, at: Time,
}
extend User { boss: User }
extend Agent { email: String }
permit group: retrieve on Document when principal in Group::"g"
"""
)
EVE: dict[str, Any] = {"type": "User", "id": "eve", "email": "u1"}
BOB: dict[str, Any] = {"type": "User", "id": "bob", "email": "u2", "roles": ["r1"], "boss": EVE}
CAROL: dict[str, Any] = {**USER, "roles": ["r2", "u1"], "parents": [{"type": "Group", "id": "g2"}]}
WHOLE: dict[str, Any] = {
    **DOCUMENT, "labels": ["l", "l2"], "list": ["l1"], "by": BOB, "readers": [{"type": "User", "id": "zoe"}],
    "parts": [{"a": "a2", "n": 2}, {"a": "u1", "n": 3}], "meta": {"kind": "k2"}, "at": "2026-01-01T00:00:00Z",
    "data": {"k": {"l": "x2"}, "n": 3, "list": ["l1"], "nums": [4, 9], "flag": True},
}  # fmt: skip
NOW: dict[str, Any] = {"place": "p2", "time": {"now": "2025-01-01T00:00:00Z"}}
MISFITS: tuple[Any, ...] = (5, "x", None, ["l", 5], {"kind": 5}, 2**70)
KNOWN: list[dict[str, Any]] = [
    {"type": "Document", "id": "known", "owner": "u2", "tenant": "acme"}, {"type": "User", "id": "ann", "email": "u1"},
]  # fmt: skip


# Rules that fail of what no attribute of the request is: each way to fail, and documents that make them.
FAILING = {
    "too large": ("document.level + {n} * document.level > 5", [{"level": 2**63 - 1}, {"level": -(2**63)}]),
    "too small": ("-document.level > {n}", [{"level": -(2**63)}]),
    "of an element": (
        "any p in document.parts: p.n > {n} and p.a != document.owner",
        [{"parts": [{"a": "a"}]}, {"parts": [{"n": 1, "a": 5}]}, {"parts": [{"a": "b", "n": "x"}]}, {"parts": [5]}],
    ),
    "of all elements": (
        "all p in document.parts: p.n < p.m + {n}",
        [{"parts": [{"n": "x"}]}, {"parts": [{"n": 1}]}, {"parts": [{"n": 1, "m": "x"}]}, {"parts": [{"m": 2}]}],
    ),
    "of somebody": (
        "any u in document.people: u.level > {n} or u.boss.level > u.level",
        [
            {"people": [{"type": "User", "id": "x"}]}, {"people": [{"type": "User", "id": "x", "level": "y"}]},
            {"people": [{"type": "User", "id": "x", "level": 0, "boss": {"type": "User", "id": "y"}}]},
            {"people": [{"type": "User", "id": "x", "level": 0, "boss": 5}]},
            {"people": [{"type": "Group", "id": "x"}]},
        ],
    ),
    "of data": (
        'document.data.k.l == "x{n}" or document.data.n > {n}',
        [{"data": {"k": {"l": 5}}}, {"data": {"k": {"l": "y"}, "n": []}}, {"data": {"k": 1}}],
    ),
    "of a name": ("document.data[document.owner] == {n}", [{"data": {}}, {"data": {"u1": "x"}}, {"data": []}]),
    "an address": (
        'email_domain(document.owner) == "x{n}"', [{"owner": ""}, {"owner": "a@b@c"}, {"owner": "a@-"}, {"owner": "@"}]
    ),
    "a time": ("time(document.owner) > context.time.now or document.level == {n}", [{"owner": "x"}, {"owner": "2026"}]),
    "a path": ('path_under(document.owner, "/x{n}")', [{"owner": "x"}, {"owner": "/.."}, {"owner": "/a%2f"}]),
    "shared": (
        'email_domain(document.owner) == "x" and document.level > {n}', [{"owner": "z"}, {"level": "x"}]
    ),
    "a sum": ("sum(p.n for p in document.parts) > {n}", [{"parts": [{"n": 2**62}] * 3}, {"parts": [{"n": 1}, {}]}]),
}  # fmt: skip
ELEMENTS = """extend Document {
  parts: List<{ a: String, n: Int, m: Int }>, data: Json, people: List<User>
}
extend User { boss: User, level: Int }
"""


@pytest.mark.parametrize("entities", [[], KNOWN], ids=["no world", "a world"])
@pytest.mark.parametrize("way", FAILING)
def test_why_else_rules_fail_is_remembered(
    way: str, entities: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    condition, odd = FAILING[way]
    kinds = ("forbid", "permit", "require", "forbid", "label", "forbid")
    ends = ("", "", " watermark()", "", "", " on match log")
    rules = [
        f"{kind} r{n}: retrieve on Document when {condition.format(n=n)}{end}"
        for n, (kind, end) in enumerate(zip(kinds, ends, strict=True))
    ]
    loaded = load_text(HEAD + ELEMENTS + "\n".join(rules), entities=entities)
    assert loaded.snapshot is not None, [each.message for each in loaded.diagnostics]
    boss = {"type": "User", "id": "b", "level": 1}
    good = {
        **DOCUMENT, "owner": "u1", "parts": [{"a": "a", "n": 1, "m": 2}], "data": {"k": {"l": "x"}, "n": 1},
        "people": [{"type": "User", "id": "p", "level": 0, "boss": boss}],
    }  # fmt: skip
    documents = [{**good, **each} for each in odd]
    documents += [{**one, **other} for one in odd for other in odd if one.keys() != other.keys()]
    documents += [{**_without(each, "level"), "id": "known"} for each in documents]
    asked: list[dict[str, Any]] = [
        {"principal": USER, "action": "retrieve", "resource": each, "context": {"place": "p", **NOW}}
        for each in (good, *documents, good)
    ]
    expected = [reference(loaded.snapshot, one) for one in asked]
    assert any(decision.errors for decision in expected)
    interpreted: list[str] = []
    holds = bucket.holds

    def counted(rule: Any, env: Any) -> bool:
        interpreted.append(rule.name)
        return holds(rule, env)

    monkeypatch.setattr(bucket, "holds", counted)
    for fast in [evaluator(loaded.snapshot, each) for each in FAST]:
        for order in (1, -1, 1, -1):
            interpreted.clear()
            for one, decision in list(zip(asked, expected, strict=True))[::order]:
                assert fast.decide(**one) == decision, one
        # Each is interpreted when it is first seen, and no more.
        assert not interpreted


# JSON that is not what some rule expects.
DATA: tuple[dict[str, Any], ...] = (
    {"n": "x"}, {"n": None, "k": {"l": 5}}, {"k": 1}, {"k": {"l": None}, "n": True, "flag": 1}, {"list": "l"},
    {"list": [1, "l2"]}, {"list": {}}, {"nums": ["x"]}, {"nums": [1, None]}, {"n": 2**70}, {"n": 1.5, "flag": None},
    {"flag": "x", "n": []}, {"k": {}},
)  # fmt: skip


def _without(part: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name not in names}


def _faulty() -> list[dict[str, Any]]:
    whole: dict[str, Any] = {"principal": CAROL, "action": "retrieve", "resource": WHOLE, "context": NOW}
    found: list[dict[str, Any]] = [whole]
    for name in sorted(WHOLE.keys() - {"type", "id"}):
        found.append({**whole, "resource": _without(WHOLE, name)})
        found += [{**whole, "resource": {**WHOLE, name: odd}} for odd in MISFITS]
        found.append({**whole, "resource": _without(WHOLE, name, "owner", "open")})
        found.append({**whole, "resource": {**_without(WHOLE, name), "id": "known", "open": False}})
    for name in ("email", "roles", "tenant", "parents"):
        found.append({**whole, "principal": _without(CAROL, name)})
        found += [{**whole, "principal": {**CAROL, name: odd}} for odd in MISFITS]
        found.append({**whole, "context": {**NOW, "agent": AGENT}, "principal": _without(CAROL, name)})
        found.append({**whole, "resource": {**WHOLE, "by": _without(BOB, name)}})
    found += [{**whole, "resource": {**WHOLE, "data": {**WHOLE["data"], **data}}} for data in DATA]
    found.append({**whole, "context": {"place": "p2"}})
    found.append({**whole, "context": {"time": {}}})
    found.append({**whole, "context": {"time": {"now": 5}, "place": 5}, "resource": _without(WHOLE, "owner")})
    found.append({**whole, "resource": _without(WHOLE, "owner"), "context": {**NOW, "agent": AGENT}})
    ann = {"type": "User", "id": "ann"}
    found.append({**whole, "resource": {**_without(WHOLE, "owner"), "by": ann, "readers": [ann, BOB]}})
    return found


@pytest.mark.parametrize("entities", [[], KNOWN], ids=["no world", "a world"])
@pytest.mark.parametrize("condition", WITHIN.values(), ids=WITHIN)
def test_wherever_it_is_come_upon_the_interpreter_says_the_same(condition: str, entities: list[dict[str, Any]]) -> None:
    kinds = ("forbid", "permit", "require", "forbid", "permit", "forbid", "label")
    ends = ("", "", " watermark()", "", "", " on match log", "")
    rules = [
        f"{kind} r{n}: retrieve on Document when {condition.format(n=n)}{end}"
        for n, (kind, end) in enumerate(zip(kinds, ends, strict=True))
    ]
    loaded = load_text(MORE + "\n".join(rules), entities=entities)
    assert loaded.snapshot is not None, [each.message for each in loaded.diagnostics]
    asked = _faulty()
    expected = [reference(loaded.snapshot, one) for one in asked]
    assert any(decision.errors for decision in expected)
    for fast in [evaluator(loaded.snapshot, each) for each in FAST]:
        for _ in range(3):
            for one, decision in zip(asked, expected, strict=True):
                assert fast.decide(**one) == decision, one


@pytest.mark.parametrize("kind", FAST)
@pytest.mark.parametrize("entities", [[], KNOWN], ids=["no world", "a world"])
@pytest.mark.parametrize("condition", WITHIN.values())
def test_wherever_it_is_come_upon_nothing_is_found_out_again(
    condition: str, entities: list[dict[str, Any]], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = [f"forbid r{n}: retrieve on Document when {condition.format(n=n)}" for n in range(1, 12)]
    loaded = load_text(MORE + "\n".join(rules), entities=entities)
    assert loaded.snapshot is not None, [each.message for each in loaded.diagnostics]
    fast = evaluator(loaded.snapshot, kind)
    settled = _settled(monkeypatch)
    found = 0
    for name in ("owner", "level", "labels", "by", "meta", "data", "at", "open", "list", "parts"):
        asked: Any = {"principal": CAROL, "action": "retrieve", "resource": _without(WHOLE, name), "context": NOW}
        first = fast.decide(**asked)
        found += bool(first.errors)
        settled.clear()
        assert fast.decide_many([asked] * 3) == [first] * 3
        assert not settled, name
    if "data" in condition:
        for data in DATA:
            resource = {**WHOLE, "data": {**WHOLE["data"], **data}}
            asked = {"principal": CAROL, "action": "retrieve", "resource": resource, "context": NOW}
            first = fast.decide(**asked)
            settled.clear()
            assert fast.decide_many([asked] * 3) == [first] * 3
            assert not settled, data
    assert found


@pytest.mark.parametrize("kind", FAST)
@pytest.mark.parametrize(
    ("condition", "data"),
    [
        ("document.data.n > {n}", {"n": "x"}), ('document.data.k.l == "x{n}"', {"k": {"l": 5}}),
        ('"l{n}" in document.data.list', {"list": "l"}), ('"l{n}" in document.data.list', {"list": [5]}),
        ("document.open and document.data.flag and document.level > {n}", {"flag": 1}),
    ],
)  # fmt: skip
def test_json_of_the_wrong_type_is_come_upon_once_and_not_by_each_rule(
    condition: str, data: dict[str, Any], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[Exception] = []
    monkeypatch.setattr(RuleFailures, "failed", lambda _, error, mask, __: raised.append(error) or mask)
    rules = [f"forbid r{n}: retrieve on Document when {condition.format(n=n)}" for n in range(1, 12)]
    loaded = load_text(MORE + "\n".join(rules))
    assert loaded.snapshot is not None
    asked = {
        "principal": CAROL, "action": "retrieve", "resource": {**WHOLE, "data": {**WHOLE["data"], **data}},
        "context": NOW,
    }  # fmt: skip
    decision = evaluator(loaded.snapshot, kind).decide(**asked)
    assert decision == reference(loaded.snapshot, asked)
    assert len(decision.errors) == len(rules)
    assert not raised
