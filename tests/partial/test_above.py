"""What is above a principal is what the World says, in whatever way its parents are stated."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from policyengine.model.entities import ABSENT, World, world
from policyengine.model.values import Entity, Fault, as_entity
from policyengine.partial.above import Above

_ids = st.sampled_from("abcdef")
_plain = st.fixed_dictionaries({"type": st.just("Team"), "id": _ids})
_stating = st.fixed_dictionaries({"type": st.just("Team"), "id": _ids, "parents": st.lists(_plain, max_size=2)})
_bad: st.SearchStrategy[Any] = st.sampled_from((None, "a", {}, {"type": "Team"}, {"type": 1, "id": "a"}))
_parents = st.lists(st.one_of(_plain, _plain, _plain, _stating), max_size=4)
_known = st.dictionaries(_ids, st.one_of(st.none(), _parents), max_size=6)
_stated = st.one_of(_parents, _parents, st.just(ABSENT), st.lists(_plain | _bad, max_size=3), _bad)


def said(of: Any, entity: Entity) -> object:
    try:
        return frozenset(tuple(uid) for uid in of(entity))
    except Fault as fault:
        return fault.code


@given(_known, st.lists(st.tuples(_ids, _stated), min_size=1, max_size=4))
def test_above_is_what_the_world_says(known: dict[str, Any], asked: list[tuple[str, Any]]) -> None:
    flat = [
        {"type": "Team", "id": id_, **({"parents": parents} if parents is not None else {})}
        for id_, parents in known.items()
    ]
    above, again = Above(world(flat)), world(flat)
    for id_, parents in asked:
        entity = as_entity({"type": "Team", "id": id_, **({"parents": parents} if parents is not ABSENT else {})})
        assert said(above.of, entity) == said(World(again.records).ancestors, entity)
