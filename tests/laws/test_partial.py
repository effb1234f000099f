"""What must be true of a thing is true of exactly the things that the decision allows.

The formula comes from the policies and the rest of the request, before anything is known of the thing but its type;
the decision comes from the specification. All requests are asked of one snapshot, which remembers formulas.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from policyengine.bundle import Snapshot
from policyengine.model.request import Request, request
from policyengine.model.values import Entity, Fault, Uid, as_entity
from policyengine.partial.caller_mentions import Wholes
from policyengine.partial.gap import Unknown
from policyengine.partial.predicate import predicate
from policyengine.partial.satisfies import satisfies
from policyengine.schema.mentions import united
from tests.support.evaluators import reference
from tests.support.examples import half
from tests.support.scenarios import Scenario, scenarios

FULFILLED = ((), ("redact",), ("redact", "note", "step_up"))


def agree(snapshot: Snapshot, asked: dict[str, Any], unknown: Unknown, fulfilled: Collection[str]) -> None:
    try:
        whole = request(**asked)
    except Fault:
        return
    if unknown == "principal" and (
        "delegated_by" in whole.principal.attributes or united(whole, snapshot.schema) is not whole
    ):
        # A search decides about those that act for somebody else, and those that the rest of the request mentions.
        return
    thing = whole.resource if unknown == "resource" else whole.principal
    gap = Entity(Uid(thing.uid.type, ""), {})
    principal, resource = (gap, whole.resource) if unknown == "principal" else (whole.principal, gap)
    with_gap = Request(principal, whole.action, resource, whole.context)
    formula = snapshot.partial.residual(with_gap, unknown, {}, fulfilled)
    expected = reference(snapshot, asked).allowed_if(fulfilled)
    if unknown == "principal":
        assert satisfies(formula, thing, snapshot.world, unknown) is expected, formula
        return
    mentioned, names = snapshot.partial.mentions(with_gap), snapshot.evaluator.vetted_names.members(thing.uid.type)
    through = snapshot.evaluator.read_through(whole.action.name, thing.uid.type)
    together = Wholes(snapshot.schema, thing.uid.type, names, through).of(with_gap, mentioned).of
    document = together(asked["resource"])
    satisfied = document is not None and satisfies(formula, as_entity(document), snapshot.world, unknown)
    assert satisfied is expected, formula
    if document is asked["resource"]:
        assert predicate(formula, thing.uid.type, snapshot.world)(document) is expected, formula


@half
@given(scenarios(), st.sampled_from(("resource", "resource", "principal")), st.sampled_from(FULFILLED))
def test_a_formula_is_true_of_what_is_allowed(scenario: Scenario, unknown: Unknown, fulfilled: tuple[str, ...]) -> None:
    snapshot = scenario.snapshot()
    for asked in scenario.requests:
        agree(snapshot, asked, unknown, fulfilled)
        # Another caller asks for the same.
        for other in scenario.requests[:2]:
            agree(snapshot, {**asked, "principal": other["principal"], "context": other["context"]}, unknown, fulfilled)
