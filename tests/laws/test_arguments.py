"""A call of a declared tool carries what the tool declares, and nothing else.

decide(call + undeclared argument) = deny, at every depth, with the rules named that denied before
decide(call - required argument) = deny
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from policyengine.model.types import RecordT, Type
from tests.support.evaluators import fast_decide, reference
from tests.support.scenarios import Scenario, scenarios


def _records(value: Any, type_: Type) -> Iterator[tuple[dict[str, Any], RecordT]]:
    """The objects among the arguments whose fields are declared."""
    if isinstance(type_, RecordT):
        yield value, type_
        for name, field in type_.fields:
            if name in value:
                yield from _records(value[name], field.type)


def _calls(scenario: Scenario) -> Iterator[tuple[dict[str, Any], RecordT]]:
    tools = scenario.snapshot().schema.tools
    for asked in scenario.requests:
        if asked["action"] in ("call", {"name": "call"}) and asked["resource"]["id"] in tools:
            yield deepcopy(asked), tools[asked["resource"]["id"]].args


@given(scenarios(("well-typed",) * 4), st.data())
def test_what_a_tool_does_not_declare_is_denied(scenario: Scenario, data: st.DataObject) -> None:
    for asked, declared in _calls(scenario):
        if "args" not in asked["resource"]:
            continue
        before = reference(scenario.snapshot(), asked)
        place, _ = data.draw(st.sampled_from(list(_records(asked["resource"]["args"], declared))))
        place["zz"] = "eve@evil.example"
        after = fast_decide(scenario.snapshot(), asked)
        assert after == reference(scenario.snapshot(), asked)
        assert after.decision == "deny"
        if not any(error.rule == "" for error in before.errors):
            assert "POL228" in {error.code for error in after.errors}
        # A requirement denies only what would be allowed: where it cannot be told what is owed. One that demands an
        # approval of an agent is not named if its delegator is denied in any case; now both are.
        owing = {rule.name for rule in scenario.snapshot().policies.rules if rule.kind == "require"}
        if before.decision == "deny" and owing.isdisjoint({*before.determining, *after.determining}):
            assert after.determining == before.determining


@given(scenarios(("well-typed",) * 4), st.data())
def test_what_a_tool_requires_has_to_be_there(scenario: Scenario, data: st.DataObject) -> None:
    for asked, declared in _calls(scenario):
        required = [
            (place, name)
            for place, type_ in _records(asked["resource"].get("args", {}), declared)
            for name, field in type_.fields
            if not field.optional and name in place
        ]
        if required:
            place, name = data.draw(st.sampled_from(required))
            del place[name]
            after = fast_decide(scenario.snapshot(), asked)
            assert after == reference(scenario.snapshot(), asked)
            assert after.decision == "deny"
