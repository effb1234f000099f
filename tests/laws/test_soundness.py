"""check accepts p, q is well typed for its schema  ⇒  no evaluation of p for q has a type error or misses an attribute.

What may still err is what types do not speak of: what the entity source knows, a request that says two things of one
entity, overflow, lists of different lengths side by side, and text that is not an e-mail address, URL, path or address.
Data of type Json is left out: its shape is nobody's promise.
"""

from __future__ import annotations

from hypothesis import given

from policyengine.diagnostics.codes import (
    BAD_DELEGATION,
    CONTRADICTION,
    NOT_KNOWN,
    OVERFLOW,
    UNEQUAL_LENGTHS,
    UNREADABLE_VALUE,
)
from tests.support.evaluators import reference
from tests.support.scenarios import Scenario, scenarios

ALLOWED = {code.id for code in (NOT_KNOWN, CONTRADICTION, OVERFLOW, UNEQUAL_LENGTHS, UNREADABLE_VALUE, BAD_DELEGATION)}


@given(scenarios(("well-typed",) * 4, json=False))
def test_an_accepted_policy_has_no_type_error(scenario: Scenario) -> None:
    snapshot = scenario.snapshot()
    for asked in scenario.requests:
        for error in reference(snapshot, asked).errors:
            assert error.code in ALLOWED, error
