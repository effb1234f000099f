"""A filter decides about a document with all that the request says of it and of what it mentions, wherever that stands:
`matches` says of it what the interpreter decides.
"""

from __future__ import annotations

import re
from copy import deepcopy
from functools import cache
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from policyengine import Engine
from tests.support.evaluators import reference

_ATTRIBUTES = """
  text?: String, count?: Int, number?: Number, flag?: Bool, texts?: Set<String>, names?: List<String>, any?: Json,
  owner?: User, owners?: Set<User>, within?: { text?: String, other?: Thing }, other?: Thing,
"""
SCHEMA = f"""
entity Group in Group {{}}
entity User in Group {{ level?: Int }}
entity Thing in Group {{{_ATTRIBUTES}}}
entity Strict in Group {{ kind: String, text: String, other: Thing, same?: Strict, count?: Int, flag?: Bool }}
entity Memo in Group {{{_ATTRIBUTES} kind?: String}}
context about: Thing
action read on Thing, Memo for User
action keep on Strict for User
"""
# One or more for each way in which generated code tests a value.
CONDITIONS = (
    'thing.text == "a"', 'thing.text != "a"', 'thing.text in ["a", "b"]', 'not (thing.text in ["a"])',
    "thing has text", "not (thing has text)", 'thing.text like "a*"', 'not (thing.text like "*a")',
    "thing.count <= 1", "thing.count == 1", "thing.count != 1", "thing.number < 1.5", "thing.number >= 1",
    "thing.flag", "not thing.flag", '"a" in thing.texts', 'not ("a" in thing.texts)',
    'contains_all(thing.texts, ["a", "b"])', 'not contains_all(thing.texts, ["a", "b"])',
    'contains_any(thing.texts, ["b", "c"])', "size(thing.names) > 0", 'thing.any == "a"', "thing has any",
    'thing.owner == User::"u"', "thing.owner.level == 1", "thing.owner.level != 1", 'User::"u" in thing.owners',
    "any each in thing.owners: (each has level and each.level == 1)", 'thing.within.text == "a"',
    'thing.within.other.text == "a"',
    'thing.other.text == "a"', 'thing.other.other.text == "a"', 'thing.other == Thing::"t"', "thing has other",
    'thing in Group::"g"', 'not (thing in Group::"g")', 'thing.owner in Group::"g"', "thing.other.text == thing.text",
)  # fmt: skip
# Of a type whose attributes are expected to be there.
STRICT = (
    'strict.kind == "a" and strict.text == "a"', 'strict.kind != "a" and strict.other.text == "a"',
    'strict.text in ["a", "b"]', "strict.count == 1 or strict.flag",
    "strict.flag and not (strict.count > 1)", 'strict.kind == "a" and not (strict in Group::"g")',
    'strict.other == Thing::"t"',
)  # fmt: skip


class Text(str):
    __slots__ = ()


GROUP, USER = {"type": "Group", "id": "g"}, {"type": "User", "id": "u"}
# What conditions ask for, mostly, and what else a document may have there.
VALUES: dict[str, list[Any]] = {
    "text": ["a", "b", None, 1, Text("a")],
    "kind": ["a", "b", None, 1, Text("a")],
    "count": [1, 2, 1.0, True, 2**70, None, "1"],
    "number": [1, 1.0, 2.5, None, "1", float("nan")],
    "flag": [True, False, None, 1],
    "texts": [["a", "b"], ["b", "a"], ["b"], [], None, ("a",), [1], "a"],
    "names": [["a", "b"], ["b", "a"], [], None, ("a",)],
    "any": ["a", None, {"a": "a"}, ["a"], 1],
    "owner": [USER, {**USER, "level": 1}, {**USER, "id": "v"}, {**USER, "parents": [GROUP]}, {**USER, "level": 2}, "u"],
    "owners": [[{**USER, "level": 1}], [USER], [USER, {**USER, "id": "v", "level": 2}], [], None, ["u"]],
    "within": [{"text": "a"}, {"text": None}, {}, {"other": {"type": "Thing", "id": "t", "text": "a"}}, 1],
    "parents": [[GROUP], [{"type": "Group", "id": "h", "parents": [GROUP]}], [{"type": "Group", "id": "h"}], [], ["g"]],
}
# Where a value is said: in the document, in what it says of itself elsewhere, in what the caller says of it.
WHERE = [(0,), (0,), (0,), (1,), (2,), (0, 1), (0, 2), ()]


def _value(random: Random, name: str) -> Any:
    return deepcopy(VALUES[name][0] if random.random() < 0.7 else random.choice(VALUES[name]))


def _said(random: Random, type_: str) -> list[dict[str, Any]]:
    """What is said of one thing, in three places."""
    said: list[dict[str, Any]] = [{"type": type_, "id": "t"} for _ in range(3)]
    for name in VALUES:
        for place in random.choice(WHERE):
            said[place][name] = _value(random, name)
    return said


def _document(random: Random, said: list[dict[str, Any]]) -> dict[str, Any]:
    document = dict(said[0])
    # What has one value is as it is in most documents.
    few = random.choice((1, 3, 20))
    for name in random.sample(sorted(document), max(0, len(document) - few)):
        if name not in ("type", "id"):
            del document[name]
    match random.randrange(8):
        case 0 | 1:
            document["same" if said[1]["type"] == "Strict" else "other"] = said[1]
        case 2:
            document["other"] = {"type": "Thing", "id": "s", "other": said[1]}
        case 3:
            document["within"] = {"other": said[1]}
        case 4:
            document["other"] = {"type": "Thing", "id": random.choice("ts")}
    if random.random() < 0.1:
        document[random.choice(("parent", "tekst", "type_", "anything"))] = 1
    if random.random() < 0.3:
        document["type"] = random.choice(("Memo", "Thing", "Strict", Text(document["type"]), 1))
    for name, share in (("type", 0.5), ("id", 0.05)):
        if random.random() < share:
            del document[name]
    return document


def _asked(random: Random, type_: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A request without a resource, and documents."""
    said = _said(random, type_)
    about = random.choice((said[2], {"type": type_, "id": "s", "other": said[2]}, None, None, None, None))
    principal = random.choice((USER, {**USER, "level": 1}, {**USER, "level": 1}, {**USER, "parents": [GROUP]}))
    documents = [_document(random, random.choice((said, said, _said(random, type_)))) for _ in range(10)]
    return {"principal": principal, "context": {} if about is None else {"about": about}}, documents


def _guarded(condition: str) -> str:
    """The condition, where everything that it reads is there."""
    guards: dict[str, None] = {}
    for path in re.findall(r"(?:thing|strict)(?:\.\w+)+", condition):
        first, *names = path.split(".")
        for name in names:
            if first != "strict" or name in ("count", "flag"):
                guards[f"{first} has {name}"] = None
            first = f"{first}.{name}"
    return " and ".join([*guards, f"({condition})"])


@cache
def _engine(condition: str, forbidden: str) -> Engine:
    head = "keep on Strict" if condition in STRICT else "read on Thing"
    rules = [f"permit p: {head}\n  when {_guarded(condition)}\n"]
    if forbidden:
        rules.append(f"forbid f: {head}\n  when {_guarded(forbidden)}\n")
    return Engine.from_text(SCHEMA + "".join(rules))


def _agree(engine: Engine, action: str, type_: str, request: dict[str, Any], documents: list[dict[str, Any]]) -> None:
    found = engine.filter(**request, action=action, resource_type=type_)
    wholes = [{**request, "action": action, "resource": {"type": type_, **document}} for document in documents]
    expected = [reference(engine.snapshot, whole).allowed for whole in wholes]
    assert list(map(found.matches, documents)) == expected
    assert found.recheck(documents) == [each for each, allowed in zip(documents, expected, strict=True) if allowed]


RANDOM = st.randoms(use_true_random=False)


@given(st.sampled_from(CONDITIONS), st.sampled_from(("", "", *CONDITIONS)), RANDOM)
def test_a_document_is_looked_at_with_all_that_is_said_of_it(condition: str, forbidden: str, random: Random) -> None:
    _agree(_engine(condition, forbidden), "read", "Thing", *_asked(random, "Thing"))


@given(st.sampled_from(STRICT), st.sampled_from(("", "", *STRICT)), RANDOM)
def test_so_is_one_whose_attributes_are_expected(condition: str, forbidden: str, random: Random) -> None:
    _agree(_engine(condition, forbidden), "keep", "Strict", *_asked(random, "Strict"))
