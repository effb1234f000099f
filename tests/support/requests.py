"""Hypothesis strategies for requests and entity sources: well typed for a schema, or hostile.

A well-typed request carries every required attribute; what it refers to is in the entity source. Its values come from
the constants that policies use. A hostile one is a well-typed one with a few places broken, or no request at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import strategies as st

from policyengine.model.refined import fits
from policyengine.model.types import EntityT, ListT, Prim, RecordT, RefinedT, SetT, Type, unrefined
from policyengine.model.values import Entity, Uid
from policyengine.schema.schema import Schema
from tests.support.expressions import Draw
from tests.support.values import ADDRESSES, DURATIONS, IDS, INTS, KNOWN, NUMBERS, TEXTS, TIMES

Request = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Theme:
    """What most rules and most requests are about."""

    action: str
    resource: str


THEMES = (
    Theme("read", "Doc"),
    Theme("read", "Folder"),
    Theme("edit", "Doc"),
    Theme("call", "Tool"),
    Theme("ask/it", "User"),
)

_SOURCED = ("User", "Agent", "Team", "Group", "Doc", "Folder", "Tenant", "Session")
TOOLS = ("send", "find it", "undeclared")

# ---- values of a type ----

_POOLS: dict[str, tuple[Any, ...]] = {
    "Bool": (True, False), "Int": INTS, "Number": NUMBERS, "String": TEXTS,
    "Time": TIMES, "Duration": DURATIONS, "Ip": ADDRESSES,
}  # fmt: skip


# What collections of Json most often hold: values of one type.
_ALIKE: tuple[tuple[Any, ...], ...] = (
    TEXTS, TEXTS, NUMBERS, TIMES, ADDRESSES, tuple({"type": t, "id": i} for t in ("User", "Team") for i in KNOWN),
)  # fmt: skip


class Choices:
    """Where values come from: hypothesis, which can shrink them, or a seed, which is cheap."""

    __slots__ = ("_draw", "_random")

    def __init__(self, draw: Draw | None, seed: int = 0) -> None:
        self._draw = draw
        self._random = Random(seed)

    def upto(self, most: int) -> int:
        return self._random.randint(0, most) if self._draw is None else self._draw(st.integers(0, most))

    def pick(self, options: Sequence[Any]) -> Any:
        return options[self.upto(len(options) - 1)]


def value(choose: Choices, type_: Type) -> Any:
    """A plain JSON value of the type."""
    match type_:
        case RefinedT(members=members) if members:
            return value(choose, choose.pick(members))
        case Prim(name="null"):
            return None
        case RefinedT(base=base):
            made = value(choose, base)
            return made if fits(made, type_) else _SIMPLE[unrefined(base).__class__]
        case Prim(name="Json"):
            return _json(choose, 2)
        case Prim(name=name):
            return choose.pick(_POOLS[name])
        case SetT(element=Prim(name="Json")) | ListT(element=Prim(name="Json")) if choose.upto(2):
            return [choose.pick(pool) for pool in [choose.pick(_ALIKE)] for _ in range(choose.upto(3))]
        case SetT(element=element) | ListT(element=element):
            return [value(choose, element) for _ in range(choose.upto(3))]
        case RecordT(fields=fields):
            return {n: value(choose, f.type) for n, f in fields if not f.optional or choose.upto(1)}
        case EntityT(names=names):
            return reference(choose.pick(sorted(names)), choose.pick(KNOWN))


# A value within the bounds that generated types have.
_SIMPLE: dict[type, Any] = {Prim: 1, ListT: []}


def _json(choose: Choices, depth: int) -> Any:
    """Data of any shape, most often an object with the keys that policies ask for."""
    shape = choose.upto(5) if depth else 0
    if shape == 0:
        return choose.pick((None, True, False, 1.0, 2.5, *INTS, *TEXTS, *TIMES))
    if shape == 1:
        return [_json(choose, depth - 1) for _ in range(choose.upto(3))]
    if shape == 2:
        return {choose.pick(("k", "n", "a", "t")): _json(choose, depth - 1) for _ in range(choose.upto(2))}
    typed = {
        "k": choose.pick(TEXTS), "n": choose.pick(INTS[:5]), "t": choose.pick(TIMES), "flag": choose.upto(1) == 1,
        "ip": choose.pick(ADDRESSES), "u": reference("User", choose.pick(KNOWN)),
    }  # fmt: skip
    return {name: each for name, each in typed.items() if choose.upto(4)}


def reference(type_: str, id_: str) -> dict[str, Any]:
    return {"type": type_, "id": id_}


def entity(choose: Choices, schema: Schema, type_: str, id_: str) -> dict[str, Any]:
    """An entity with all that its type requires, and a place in the hierarchy."""
    declared = schema.entities[type_]
    made = reference(type_, id_)
    for name, field in declared.attributes.items():
        if name == "delegated_by" or (field.optional and not choose.upto(2)):
            continue
        made[name] = value(choose, schema.tools[id_].args if name == "args" and id_ in schema.tools else field.type)
    above = sorted(declared.parents)
    if above and choose.upto(3):
        made["parents"] = [reference(choose.pick(above), choose.pick(KNOWN)) for _ in range(choose.upto(2))]
    return made


@st.composite
def sources(draw: Draw, schema: Schema) -> list[dict[str, Any]]:
    """What an entity source knows. An agent in four acts for another, or for itself: a chain that comes back."""
    choose = Choices(None, draw(st.integers(0, 2**32)))
    made = [entity(choose, schema, type_, id_) for type_ in _SOURCED for id_ in KNOWN]
    for each in made:
        if each["type"] == "Agent" and choose.upto(3) == 0:
            each["delegated_by"] = reference("Agent", choose.pick(KNOWN))
    return made


# ---- well-typed requests ----


@st.composite
def requests(draw: Draw, schema: Schema, theme: Theme, agents: bool = True) -> Request:
    """The keywords of `Engine.decide`, most often about what the policies are about. Without `agents` there is no
    delegation."""
    choose = Choices(draw)
    action, type_ = theme.action, theme.resource
    if choose.upto(9) == 9 or type_ not in schema.resources_of(action):
        action = choose.pick(("read", "edit", "call", "ask/it"))
        type_ = choose.pick(sorted(schema.resources_of(action) & {"Doc", "Folder", "Tool", "User"}))
    who = "User" if choose.upto(3) else "Agent"
    attributes = {
        n: value(choose, f.type)
        for n, f in schema.actions[action].attributes.items()
        if not f.optional or choose.upto(1)
    }
    principal = entity(choose, schema, who, choose.pick(IDS))
    if agents and who == "Agent" and not choose.upto(2):
        principal["delegated_by"] = entity(choose, schema, "Agent", choose.pick(("e2", "e3", *KNOWN)))
    resource = entity(choose, schema, type_, choose.pick(TOOLS if type_ == "Tool" else IDS))
    context = _context(draw, schema, agents)
    if "provenance" in context:
        # What speaks of an argument that is not there is an error of the request: hostile ones bring it back.
        stated = context["provenance"].items()
        context["provenance"] = {path: said for path, said in stated if _is_there(path, resource.get("args", {}))}
    return {
        "principal": principal,
        "action": {**attributes, "name": action} if attributes or choose.upto(1) else action,
        "resource": resource,
        "context": context,
    }


def _is_there(path: str, args: Any) -> bool:
    """Whether an argument path of `_paths` leads to something: a name, or a JSON Pointer of one or two names."""
    here = args
    for name in path[1:].split("/") if path.startswith("/") else [path] if path else []:
        if isinstance(here, list) and name.isdigit() and int(name) < len(here):
            here = here[int(name)]
        elif isinstance(here, dict) and name in here:
            here = here[name]
        else:
            return False
    return True


def _context(draw: Draw, schema: Schema, agents: bool) -> dict[str, Any]:
    choose = Choices(None, draw(st.integers(0, 2**32)))
    made: dict[str, Any] = {}
    for name, root in schema.context.items():
        if name == "agent" or (root.field.optional and not choose.upto(1)):
            continue
        if isinstance(root.field.type, EntityT):
            made[name] = entity(choose, schema, choose.pick(sorted(root.field.type.names)), choose.pick(IDS))
        else:
            made[name] = value(choose, root.field.type)
    if agents and draw(st.integers(0, 3)) == 3:
        made["agent"] = draw(chains(schema))
    if draw(st.integers(0, 3)) == 3:
        made["provenance"] = draw(_provenance)
    return made


@st.composite
def chains(draw: Draw, schema: Schema) -> dict[str, Any]:
    """An agent, often with the agents it acts for."""
    choose = Choices(draw)
    agent = entity(choose, schema, "Agent", choose.pick(("e2", *KNOWN)))
    if choose.upto(2) == 2:
        agent["delegated_by"] = entity(choose, schema, "Agent", choose.pick(("e3", "e4", *KNOWN)))
    return agent


_paths = st.sampled_from(("n", "s", "data", "rec", "/rec/a", "/list/0", "/odd name", "tags", "", "/"))
_origins = st.lists(
    st.sampled_from(("user", "system", "model", "send"))
    | st.fixed_dictionaries({"source": st.sampled_from(("model", "find it")), "trusted": st.booleans()}),
    min_size=1,
    max_size=2,
)
_provenance = st.dictionaries(_paths, _origins, max_size=3)


@st.composite
def named(draw: Draw, schema: Schema, theme: Theme) -> Request:
    """A request that does no more than name its principal, its resource or both, most often ones that are known."""
    asked: Request = dict(draw(requests(schema, theme)))
    for root in draw(
        st.sampled_from((("principal", "resource"), ("principal", "resource"), ("principal",), ("resource",)))
    ):
        type_ = asked[root]["type"]
        asked[root] = reference(type_, draw(st.sampled_from(TOOLS if type_ == "Tool" else (*KNOWN, *KNOWN, "e2"))))
    return asked


# ---- hostile requests ----


class Text(str):
    """Text that is not a plain `str`."""

    __slots__ = ()


class Bomb:
    """Raises at every touch that is not an identity test."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("compared")

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise RuntimeError("tested")


def _nested(depth: int, wrap: Any) -> Any:
    made: Any = 1
    for _ in range(depth):
        made = wrap(made)
    return made


HOSTILE: tuple[Any, ...] = (
    "5", 5, 5.0, "true", True, False, 1, 1.0, None, float("nan"), float("inf"), float("-inf"), 2**63, -(2**63) - 1,
    10**400, -(10**400), 1e308, -0.0, "", "abc", "\ud800", "e0", "User", [], {}, [[]], [None], ["a", "a"], [1, "1",
    True],
    (1, 2), ("a",), {1, 2}, frozenset({"a"}), {"a", None}, b"a", Text("a"), Text("User"), {1: 2}, {None: {}},
    {Text("id"): 1},
    {"type": "User"}, {"type": "User", "id": 5}, {"type": Text("User"), "id": "e0"}, {"type": "Nope", "id": "e0"},
    {"type": "User", "id": "e0"}, {"type": "Agent", "id": "e0"}, {"type": "Folder", "id": "e1", "parents": "e0"},
    {"type": "Team", "id": "e9", "parents": [5]}, {"type": "Team", "id": "e9", "parents": {"type": "Team", "id": "e0"}},
    {"type": "Folder", "id": "e9", "parents": [{"type": "Folder", "id": "e8", "parents": [None]}]},
    {"type": "Agent", "id": "e9", "delegated_by": {"type": "Agent", "id": "e9"}}, {"type": "Agent", "id": "\ud800"},
    {"type": "Agent", "id": "e9", "delegated_by": "e0"}, {"user": ["user"]}, {"n": "user"}, {"n": []},
    {"n": [{"source": 1}]},
    {"n": [{"source": "model", "trusted": "yes"}]}, {1: ["user"]}, {"/n": [Text("user")]},
    _nested(100, lambda x: [x]), _nested(100, lambda x: {"k": x}),
    _nested(40, lambda x: {"type": "Agent", "id": "e9", "delegated_by": x}), Decimal(5), 5j,
    datetime(2026, 1, 31, tzinfo=UTC), range(3), object(), Bomb(), Entity(Uid("User", "e0"), {"n": "5"}),
    Entity(Uid("Agent", "e9"), {"delegated_by": 5}),
)  # fmt: skip

# By place, as what is nested a hundred deep is too much for `repr`; copies, as requests are broken further.
hostile_values = st.integers(0, len(HOSTILE) - 1).map(lambda i: deepcopy(HOSTILE[i]))
_plain_atoms = [x for x in HOSTILE if type(x) in (str, int, float, bool, type(None))]
_anything = hostile_values | st.recursive(
    st.sampled_from(_plain_atoms) | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
_extra_names = st.sampled_from(
    ("parents", "agent", "provenance", "delegated_by", "args", "n", "s", "extra", "id", "type")
)


@st.composite
def hostile(draw: Draw, schema: Schema, theme: Theme) -> Request:
    """A request with one to four places replaced, taken away or added."""
    if draw(st.integers(0, 31)) == 31:
        return {name: draw(_anything) for name in ("principal", "action", "resource", "context")}
    asked: Request = deepcopy(draw(requests(schema, theme)))
    if draw(st.integers(0, 7)) == 7:
        asked["context"]["provenance"] = draw(_provenance)
    for _ in range(draw(st.sampled_from((1, 1, 2, 4)))):
        _break(draw, asked)
    return asked


def _break(draw: Draw, asked: Request) -> None:
    """Breaks one place, most often an attribute of something that rules read."""
    here: Any = asked
    key: Any = draw(st.sampled_from(("principal", "resource", "context") * 3 + ("action",)))
    while type(here[key]) in (dict, list) and here[key]:
        if draw(st.integers(0, 11)) == 11:
            break
        here = here[key]
        # What an entity is called is left alone more often than what it is like.
        keys = list(here) if type(here) is dict else list(range(len(here)))
        keys = [k for k in keys if k not in ("type", "id", "name")] or keys
        key = draw(st.sampled_from(keys))
        if draw(st.integers(0, 1)) == 1:
            break
    match draw(st.sampled_from(("replace", "replace", "replace", "remove", "add"))):
        case "remove" if here is not asked:
            del here[key]
        case "add" if type(here) is dict and here is not asked:
            here[draw(_extra_names)] = draw(_anything)
        case _:
            here[key] = draw(_anything)
