"""A request in which what rules are looked up by has no value is decided like one in order, once it is known."""

from __future__ import annotations

from typing import Any

import pytest

from policyengine.bundle import load_text
from policyengine.compile.bucket import Bucket
from policyengine.compile.making import ONLY_MADE, Unmade
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
