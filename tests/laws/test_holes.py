"""Lowering with holes and filling them is lowering with the values: `fill(lower(p, holes), v)` is `lower(p, v)`."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from policyengine import Engine
from policyengine.ir.nodes import Rule
from policyengine.model.request import request
from policyengine.model.values import as_entity
from policyengine.partial.formula import Formula
from policyengine.partial.formula_skeleton import Lowered, fill
from policyengine.partial.gap import Gap, Reads
from policyengine.partial.gap_caller import GapCaller
from policyengine.partial.hierarchy import Hierarchy
from policyengine.partial.holes import Holes
from policyengine.partial.logic import conj
from policyengine.partial.lowering import Lowering
from policyengine.partial.rules import allows
from policyengine.partial.satisfies import satisfies
from tests.laws.test_callers import SOURCED, callers, documents, policies


def lowered_with_values(rules: tuple[Rule, ...], gap: Gap, caller: GapCaller) -> Formula:
    lowering = Lowering(gap, Holes(caller), lambda hole: hole.found(caller)[0])
    return fill(conj(*(allows(rule, lowering) for rule in rules)), caller)


@given(
    policies(),
    st.lists(callers, min_size=2, max_size=5),
    st.lists(documents, min_size=2, max_size=4),
    st.sampled_from(((), ("redact",))),
)
def test_filled_holes_are_values(
    text: str, asking: list[Any], found: list[Any], fulfilled: tuple[str, ...]
) -> None:  # fmt: skip
    snapshot = Engine.from_text(text, entities=SOURCED).snapshot
    world, rules, holes = snapshot.world, snapshot.policies.rules, Holes()
    gap = Gap("resource", "User", "Doc", frozenset(), world, Hierarchy(world), Reads())
    lowered = Lowered(lambda ask: conj(*(allows(rule, Lowering(gap, holes, ask)) for rule in rules)))
    for principal in (*asking, *asking):
        asked = request(principal, "read", {"type": "Doc", "id": ""}, {"place": "a"})
        caller, again = (GapCaller(asked, world, fulfilled) for _ in range(2))
        filled = fill(lowered.of(caller), caller)
        expected = lowered_with_values(rules, gap, again)
        for document in found:
            thing = as_entity(document)
            assert satisfies(filled, thing, world) is satisfies(expected, thing, world), (filled, expected)
