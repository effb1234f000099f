"""Mentions of one entity in one request are one entity: in which order they come changes nothing, what the principal or
the context say of an entity holds at each mention, and what a resource says adds nothing to the principal.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from policyengine import Engine
from policyengine.model.entities import ABSENT
from policyengine.model.request import request
from policyengine.model.values import Entity, Fault
from policyengine.schema.mentions import Mentions, united
from tests.support.evaluators import FAST, evaluator, reference

POLICIES = """
entity Group in Group { open?: Bool }
entity User in Group { level?: Int, tags?: Set<String>, boss?: User, peers?: Set<User>, home?: { of: User } }
entity Doc in Group { owner?: User, readers?: Set<User>, level?: Int, note?: Json }
action read on Doc for User
action meet on User for User
context host: User
context place: { of: User }
permit low: any on any when principal has level and principal.level <= 1
permit owner: read on Doc when doc has owner and (doc.owner == principal or doc.owner in Group::"g0")
permit boss: meet on User when user has boss and user.boss has level and user.boss.level == 1
forbid group: any on any for User in Group::"g1"
forbid owned: read on Doc when doc has owner and doc.owner in Group::"g1"
forbid tagged: read on Doc when doc has readers and any r in doc.readers: (r has tags and "t0" in r.tags)
forbid host: any on any when context has host and context.host has boss and context.host.boss in Group::"g2"
forbid home: any on any when context has place and context.place.of has level and context.place.of.level > 1
forbid placed: read on Doc in Group::"g1"
require note: any on any when principal has boss and principal.boss has level and principal.boss.level > 1
  tell(of: principal.boss)
obligation tell(of: User)
"""

IDS = ("u0", "u1", "u2")


ENGINE = Engine.from_text(POLICIES, entities=[{"type": "User", "id": "u2", "level": 1}, {"type": "Group", "id": "g2"}])
SNAPSHOT = ENGINE.snapshot


@st.composite
def groups(draw: Any, depth: int = 2) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "Group", "id": draw(st.sampled_from(("g0", "g1", "g2", "h", "h")))}
    if depth and draw(st.booleans()):
        made["parents"] = draw(st.lists(groups(depth - 1), max_size=2))
    return made


@st.composite
def users(draw: Any, depth: int = 2) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "User", "id": draw(st.sampled_from(IDS))}
    some = draw(st.sets(st.sampled_from(("level", "tags", "boss", "peers", "home", "parents")), max_size=2))
    for name in sorted(some) if depth else ():
        match name:
            case "level":
                made[name] = draw(st.sampled_from((1, 1, 2, True, "1")))
            case "tags":
                made[name] = draw(st.permutations(["t0", "t1"]) | st.just([]))
            case "boss":
                made[name] = draw(users(depth - 1))
            case "peers":
                made[name] = draw(st.lists(users(depth - 1), max_size=2))
            case "home":
                made[name] = {"of": draw(users(depth - 1))}
            case _:
                made[name] = draw(st.lists(groups(), max_size=2))
    return made


@st.composite
def asked(draw: Any) -> dict[str, Any]:
    context: dict[str, Any] = {}
    if draw(st.booleans()):
        context["host"] = draw(users())
    if draw(st.integers(0, 3)) == 0:
        context["place"] = {"of": draw(users())}
    if draw(st.integers(0, 2)) == 0:
        return {"principal": draw(users()), "action": "meet", "resource": draw(users()), "context": context}
    doc: dict[str, Any] = {"type": "Doc", "id": "d"}
    if draw(st.booleans()):
        doc["owner"] = draw(users())
    if draw(st.booleans()):
        doc["readers"] = draw(st.lists(users(1), max_size=2))
    if draw(st.booleans()):
        doc["parents"] = draw(st.lists(groups(), max_size=2))
    if draw(st.booleans()):
        doc["note"] = draw(users())
    return {"principal": draw(users()), "action": "read", "resource": doc, "context": context}


@given(st.lists(asked(), min_size=3, max_size=5))
def test_generated_code_is_the_interpreter(requests: list[dict[str, Any]]) -> None:
    expected = [reference(SNAPSHOT, one) for one in requests]
    for fast in [evaluator(SNAPSHOT, kind) for kind in FAST] * 2:
        assert [fast.decide(**one) for one in requests] == expected


@given(asked(), st.randoms(use_true_random=False))
def test_the_order_of_mentions_changes_nothing(one: dict[str, Any], random: Any) -> None:
    assert reference(SNAPSHOT, _shuffled(deepcopy(one), random)) == reference(SNAPSHOT, one)


def _shuffled(value: Any, random: Any) -> Any:
    """The same request with its members, and the elements of its sets and parents, in another order. `readers` stay:
    a quantifier tries elements in the order of the request, and which of them errs first is told in the answer.
    """
    if isinstance(value, list):
        made = [_shuffled(item, random) for item in value]
        random.shuffle(made)
        return made
    if isinstance(value, dict):
        names = list(value)
        random.shuffle(names)
        return {
            name: _kept(value[name], random) if name == "readers" else _shuffled(value[name], random) for name in names
        }
    return value


def _kept(elements: list[Any], random: Any) -> list[Any]:
    return [_shuffled(each, random) for each in elements]


@given(asked())
def test_what_a_resource_says_adds_nothing_to_the_principal(one: dict[str, Any]) -> None:
    """What each attribute of the principal is worth, and what is above it, is the same whatever the resource holds."""
    bare = {**one, "resource": {"type": one["resource"]["type"], "id": "another"}}
    wholes = [united(request(**each), SNAPSHOT.schema) for each in (one, bare)]
    for read in (_attributes, _above):
        assert read(wholes[0].principal) == read(wholes[1].principal)


def _attributes(entity: Entity) -> dict[str, Any]:
    found = {name: SNAPSHOT.world.find(entity, name) for name in SNAPSHOT.schema.entities["User"].attributes}
    return {name: repr(value) if name in ("level", "tags") else value is ABSENT for name, value in found.items()}


def _above(entity: Entity) -> Any:
    try:
        return SNAPSHOT.world.ancestors(entity)
    except Fault as fault:
        return fault.code


@given(asked())
def test_each_mention_has_what_the_others_have(one: dict[str, Any]) -> None:
    """Whoever is mentioned by the principal is one with whoever is mentioned by the context, and holds where the
    resource mentions it."""
    whole = united(request(**one), SNAPSHOT.schema)
    again = united(whole, SNAPSHOT.schema)
    # Nothing is left to be put together.
    assert again.contradicts or again is whole or _says(again) == _says(whole)


def _says(one: Any) -> Any:
    mentioned = Mentions(one, SNAPSHOT.schema)
    return {uid: sorted({name for each in said for name in each}) for uid, said in mentioned.own.contents.items()}


@given(asked())
def test_documents_that_a_filter_lets_pass_are_allowed(one: dict[str, Any]) -> None:
    type_ = one["resource"]["type"]
    keywords = {name: one[name] for name in ("principal", "action", "context")}
    found = ENGINE.filter(**keywords, resource_type=type_, fulfilled=["tell"])
    assert found.matches(one["resource"]) is (reference(SNAPSHOT, one).allowed_if(("tell",)))


@given(asked())
def test_a_search_finds_whom_the_request_mentions(one: dict[str, Any]) -> None:
    keywords = {name: one[name] for name in ("action", "resource", "context")}
    found = ENGINE.search_principals(**keywords, principal_type="User")
    known = {"type": "User", "id": "u2"}
    assert found == ([known] if reference(SNAPSHOT, {**one, "principal": known}).allowed else [])
