"""The checks in C: built where they can be, equal to those in Python, and safe whatever they are given."""

from __future__ import annotations

import gc
import shutil
import sys
import sysconfig
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine import Engine
from policyengine.compile.intake import LIMIT, PARTS
from policyengine.compile.native import NATIVE
from policyengine.compile.references import functions
from policyengine.evaluate.delegation import MAX_CHAIN
from policyengine.model.entities import World
from policyengine.model.values import Fault, Uid
from tests.support.requests import HOSTILE

HEADERS = Path(sysconfig.get_paths()["include"]) / "Python.h"
RAISED = (Fault, LookupError, TypeError, ValueError, AttributeError)
needs_native = pytest.mark.skipif(NATIVE is None, reason="there was no C compiler")


def test_they_are_there_where_they_can_be_built() -> None:
    compiler = shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0])
    assert NATIVE is not None or compiler is None or not HEADERS.exists()


def echo(*given: Any) -> tuple[Any, ...]:
    return given


NO_OTHERS: Any = ({}, None, None, {}, echo)


def intake(
    *reads: tuple[int, str, str, Any], parts: bytes = bytes(range(7)), function: Any = echo, others: Any = NO_OTHERS
) -> Any:
    assert NATIVE is not None
    return NATIVE.Intake(
        (function, parts, reads),
        None,
        (None, None),
        (None, None),
        (None, None),
        {},
        others,
        NAMES,
        LOOK,
        None,
        None,
        None,
    )


# Names that need no look: in the context, in the principal, in the resource.
NAMES = ({"agent", "ip", "a", "b"}, *({"type", "id", "parents", "delegated_by", *"ablt", "bad"} for _ in range(2)))
# Everything is as it should be, and nothing mentions anything.
LOOK: Any = (lambda *_: True, {"User": (), "Document": (), "Agent": ()}, (), frozenset(), {}, False)
USER, DOCUMENT = {"type": "User", "id": "u", "a": "x"}, {"type": "Document", "id": "d"}

# ---- what passes ----


@needs_native
def test_a_request_is_passed_on_in_parts() -> None:
    given = intake((0, "a", "s", None))(USER, DOCUMENT, None)
    assert given == (USER, DOCUMENT, {}, "u", "d", {}, {}, "x")
    context = {"ip": "::1"}
    assert intake(parts=b"\2\4")(USER, DOCUMENT, context) == (context, "d")
    assert intake(parts=b"\7\10")(USER, DOCUMENT, context) == ({}, None)
    assert intake(parts=b"\7\10")(USER, DOCUMENT, None, {"name": "n"}, ["a"]) == ({"name": "n"}, ["a"])


@needs_native
@pytest.mark.parametrize(
    ("kind", "good"),
    [
        ("s", ["", "a", "é😀"]),
        ("b", [True, False]),
        ("i", [0, -1, 2**63 - 1, -(2**63)]),
        ("n", [0, 2**63 - 1, 1.5, -0.0, 1e308]),
        ("l", [[], ["a"], ["a", "b"]]),
    ],
)
def test_values_of_a_kind(kind: str, good: list[Any]) -> None:
    take = intake((0, "a", kind, None), parts=b"")
    bad = [2**63, -(2**63) - 1, float("nan"), float("inf"), ("a",), ["a", 1], [None], None, b"a", {}, object()]
    others = [value for value in ("a", True, 3, 1.5, ["a"]) if not any(type(value) is type(one) for one in good)]
    for value in good:
        assert take({**USER, "a": value}, DOCUMENT, None) == (value,)
    for value in [*bad, *others]:
        with pytest.raises(LookupError):
            take({**USER, "a": value}, DOCUMENT, None)
    with pytest.raises(LookupError):
        take({"id": "u"}, DOCUMENT, None)


@needs_native
def test_what_does_not_fit_plainly_is_left_to_python() -> None:
    take = intake((1, "a", "l", list), parts=b"")
    assert take(USER, {**DOCUMENT, "a": ("x", "y")}, None) == (["x", "y"],)
    with pytest.raises(TypeError, match="not iterable"):
        take(USER, {**DOCUMENT, "a": 5}, None)


# ---- what does not ----


class Mapping(dict[str, Any]):
    """A dict that may say something else each time it is asked."""


class Text(str):
    pass


@needs_native
@pytest.mark.parametrize("odd", [*HOSTILE, Mapping(USER), {**USER, "id": Text("u")}, {**USER, "id": 5}, {"a": "x"}])
def test_anything_unusual_raises(odd: Any) -> None:
    take = intake()
    for principal, resource in ((odd, DOCUMENT), (USER, odd)):
        if isinstance(odd, dict) and type(odd) is dict and type(odd.get("id")) is str:
            continue
        with pytest.raises(LookupError):
            take(principal, resource, None)
    for context in (Mapping(), {"agent": None}, {"agent": {"type": "User", "id": "u"}}, [], "x", 0):
        with pytest.raises(LookupError):
            take(USER, DOCUMENT, context)


@needs_native
def test_calls_and_makings_that_are_no_good() -> None:
    assert NATIVE is not None
    take = intake()
    for call in (
        lambda: take(),
        lambda: take(USER, DOCUMENT),
        lambda: take(USER, DOCUMENT, None, {}, None, None, None),
        lambda: take(USER, DOCUMENT, context=None),
    ):
        with pytest.raises(TypeError):
            call()
    none: Any = (None, None)
    bad_ways: list[Any] = [
        None, 5, (), (echo, b"", 5), (echo, b"\x09", ()), (echo, bytes(10), ()), (echo, b"", ((2, "a", "s", None),)),
        (echo, b"", ((0, 5, "s", None),)), (echo, b"", ((0, {}, "a", None),)),
        (echo, b"", (("x",),)), (echo, b"", (5,)),
        (echo, b"", tuple((0, f"a{n}", "s", None) for n in range(LIMIT + 1))),
    ]  # fmt: skip
    for way in bad_ways:
        with pytest.raises((TypeError, ValueError)):
            NATIVE.Intake(way, None, none, none, none, {}, NO_OTHERS, NAMES, LOOK, None, None, None)
    for arguments in (
        ((echo, b"", ()), 5, none, none, none, {}, NO_OTHERS, NAMES, LOOK, None, None, None),
        ((echo, b"", ()), None, (5, None), none, none, {}, NO_OTHERS, NAMES, LOOK, None, None, None),
        ((echo, b"", ()), None, none, ({}, None), none, {}, NO_OTHERS, NAMES, LOOK, None, None, None),
        ((echo, b"", ()), None, none, none, none, None, NO_OTHERS, NAMES, LOOK, None, None, None),
        ((echo, b"", ()), None, none, none, none, {}),
        ((echo, b"", ()), None, none, none, none, {}, None, NAMES, LOOK, None, None, None),
        ((echo, b"", ()), None, none, none, none, {}, NO_OTHERS),
        ((echo, b"", ()), None, none, none, none, {}, NO_OTHERS, ([], set(), set()), LOOK, None, None, None),
        (
            (echo, b"", ()),
            None,
            none,
            none,
            none,
            {},
            ({}, ["Agent"], None, {}, echo),
            NAMES,
            LOOK,
            None,
            None,
            None,
        ),
        ((echo, b"", ()), None, none, none, none, {}, ({}, None, 5, {}, echo), NAMES, LOOK, None, None, None),
        ((echo, b"", ()), None, none, none, none, {}, NO_OTHERS, NAMES),
        ((echo, b"", ()), None, none, none, none, {}, NO_OTHERS, NAMES, None, None, None),
        ((echo, b"", ()), None, none, none, none, {}, NO_OTHERS, NAMES, (echo, {}, (), set(), {}, False), None, None),
        (),
    ):
        with pytest.raises((TypeError, ValueError)):
            NATIVE.Intake(*arguments)
    for arguments in ((), (5, echo, echo, 1), ({}, echo, echo, "1")):
        with pytest.raises(TypeError):
            NATIVE.AncestorsAmong(*arguments)
    with pytest.raises(TypeError):
        NATIVE.AncestorsAmong({}, echo, echo, 1)({}, {})
    with pytest.raises(TypeError):
        NATIVE.AncestorsAmong({}, echo, echo, 1)({}, 5, {})


@needs_native
def test_an_engine_reads_any_number_of_attributes() -> None:
    """More than the checks in C take at once."""
    fields = ", ".join(f"a{n}: Int" for n in range(LIMIT + 6))
    rules = "\n".join(f"permit p{n}: retrieve on Document when document.a{n} > {n}" for n in range(LIMIT + 6))
    engine = Engine.from_text(f"use ai\nextend Document {{ {fields} }}\n{rules}")
    document = {**DOCUMENT, **{f"a{n}": 1 for n in range(LIMIT + 6)}}
    for _ in range(3):
        decision = engine.decide(principal=USER, action="retrieve", resource=document)
        assert [str(rule) for rule in decision.determining] == ["policy.p0"]
        assert decision.allowed


# ---- memory ----


class Meddling:
    """A key that, once armed, is looked at in place of another one, and empties the dict that it is in."""

    def __init__(self, name: str) -> None:
        self._hash = hash(name)
        self.target: dict[Any, Any] | None = None

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self.target is not None:
            self.target.clear()
        return False


def meddled(name: str, values: dict[str, Any]) -> dict[Any, Any]:
    key = Meddling(name)
    made: dict[Any, Any] = {key: 1, **values}
    key.target = made
    return made


def outcome(call: Callable[..., Any], *given: Any) -> Any:
    try:
        return call(*given)
    except RAISED:
        return "raises"


@needs_native
@pytest.mark.parametrize("name", ["id", "a", "b", "parents", "type"])
def test_a_dict_that_changes_while_it_is_read(name: str) -> None:
    """What is no longer there is refused, as in Python; what was taken before stays what it was."""
    take = intake((0, "a", "s", None), (0, "b", "l", None), parts=b"\3")
    wanted = {"a" * 9: {"G": frozenset({Uid("G", "a" * 9)})}}
    for _ in range(50):
        principal = meddled(name, {"type": "User", "id": "u" * 9, "a": "x" * 9, "b": ["y" * 9]})
        found = outcome(take, principal, DOCUMENT, None)
        # A key that is not plain text is refused before anything is looked for, but for who it is.
        assert (principal == {}) is (name in ("id", "type"))
        assert found == "raises"
        both = []
        for native in (NATIVE, None):
            parent = meddled(name, {"type": "G", "id": "a" * 9, "name": "n"})
            both.append(outcome(functions(World(), native)["ancestors_among"], wanted, {"parents": [parent]}, {}))
            assert (parent == {}) is (name in ("type", "id", "parents"))
        assert both[0] == both[1]


@needs_native
def test_every_reference_is_given_back() -> None:
    def fails(*_: Any) -> None:
        raise ValueError

    values = [object(), "some text " * 2, ["a text", "b text"], {"type": "G", "id": "g" * 9}]
    _, text, texts, parent = values
    user = {"type": "U", "id": "u" * 20, "t": text, "l": texts, "parents": [parent], "bad": values[0]}
    above = functions(World(), NATIVE)["ancestors_among"]
    wanted = {"g" * 9: {"G": frozenset({Uid("G", "g" * 9)})}}
    # They know from the time before where things stand.
    knowing, failing = (
        intake((0, "t", "s", None), (0, "l", "l", None)),
        intake((0, "t", "s", None), (0, "bad", "l", fails)),
    )
    calls: list[Callable[[], Any]] = [
        lambda: knowing(user, DOCUMENT, None),
        lambda: failing(user, DOCUMENT, None),
        lambda: intake((0, "t", "s", None), (0, "l", "l", None))(user, DOCUMENT, None),
        lambda: intake((0, "t", "s", None), (0, "bad", "l", None))(user, DOCUMENT, None),
        lambda: intake((0, "t", "s", None), (0, "bad", "l", fails))(user, DOCUMENT, None),
        lambda: intake((0, "t", "s", None), (0, "l", "i", list))(user, DOCUMENT, None),
        lambda: intake((0, "t", "s", None), function=fails)(user, DOCUMENT, None),
        lambda: intake((0, wanted, "a", above))(user, DOCUMENT, None),
        lambda: intake((0, wanted, "a", fails))(user, DOCUMENT, None),
        lambda: above(wanted, user, {}),
        lambda: above(wanted, {"parents": [parent, parent, parent]}, {}),
        lambda: above(wanted, {"parents": [parent, 5]}, {}),
        lambda: above({}, {**user, "parents": values}, {}),
    ]
    agents: dict[str, Any] = {"agent": {"type": "A", "id": "a" * 9, "delegated_by": {"type": "A", "id": "b" * 9}}}
    circle: dict[str, Any] = {"agent": {"type": "A", "id": "a" * 9, "delegated_by": {"type": "A", "id": "a" * 9}}}
    joined: dict[Any, Any] = {}
    types = frozenset({"A"})
    others: Any = ({}, types, types, joined, lambda decisions: decisions)
    several = intake(parts=b"", others=others)
    others[0]["A"] = several
    joined[tuple([id(())] * 3)] = ((), values[0])
    calls += [
        lambda: several(user, DOCUMENT, agents),
        lambda: several({**user, "delegated_by": agents["agent"]}, DOCUMENT, agents),
        lambda: several({**user, "delegated_by": agents["agent"]}, DOCUMENT, None),
        lambda: several({**agents["agent"], "delegated_by": agents["agent"]}, DOCUMENT, None),
        lambda: several(user, DOCUMENT, circle),
        lambda: several(user, DOCUMENT, {"agent": {"type": "A"}}),
        lambda: several(user, DOCUMENT, {"agent": {"type": "B", "id": "b"}}),
        lambda: intake(parts=b"", function=fails, others=others)(user, DOCUMENT, agents, {}, [text]),
        lambda: intake(parts=b"\0", others=others)(user, DOCUMENT, agents, {}, [text]),
    ]
    assert several(user, DOCUMENT, agents) is values[0]
    watched = [*values, user, DOCUMENT, echo, fails, wanted, *wanted.values(), agents, *others, None]

    def run() -> None:
        for call in calls:
            with suppress(*RAISED):
                call()

    run()
    gc.collect()
    before = [sys.getrefcount(one) for one in watched]
    for _ in range(200):
        run()
    gc.collect()
    after = [sys.getrefcount(one) for one in watched]
    assert all(abs(one - other) < 50 for one, other in zip(before, after, strict=True))


# ---- the law of `AncestorsAmong` ----

IDS = st.sampled_from(["a", "b", "c", "known"])
ENTITIES = st.fixed_dictionaries(
    {"type": st.sampled_from(["G", "T", "K"]), "id": IDS}, optional={"name": IDS, "parents": st.just([])}
)
PARENTS = st.lists(
    ENTITIES | st.sampled_from([*HOSTILE, {"type": "G"}, {"id": "a"}, {"type": 5, "id": "a"}]), max_size=4
)


@needs_native
@given(PARENTS | st.sampled_from([*HOSTILE, ()]), st.booleans())
def test_ancestors_among_is_that_in_python(parents: Any, stated: bool) -> None:
    world = World({"K": {"known": {"parents": [{"type": "G", "id": "a"}]}, "a": {"parents": 5}}})
    entity = {"type": "U", "id": "u", "parents": parents}
    wanted = {i: {kind: frozenset({Uid(kind, i)}) for kind in ("G", "K")} for i in "abc"}
    known = {"parents": []} if stated else {}
    answers = []
    for native in (NATIVE, None):
        try:
            answers.append(functions(world, native)["ancestors_among"](wanted, entity, known))
        except RAISED:
            answers.append("raises")
    assert answers[0] == answers[1]


def test_the_parts_are_those_that_c_knows() -> None:
    source = (Path(__file__).parents[2] / "policyengine/compile/native/intake.c").read_text()
    assert f"#define LIMIT {LIMIT}\n" in source
    assert f"#define MAX_CHAIN {MAX_CHAIN}\n" in source
    assert len(PARTS) == source.split("enum {")[1].split(", PARTS")[0].count(",") + 1
