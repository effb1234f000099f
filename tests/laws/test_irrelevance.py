"""Attributes that nothing declares change nothing; where the entity source speaks, the request does not count.

decide(q + undeclared) = decide(q)
decide(q with other values for what the source knows) = decide(q)
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from policyengine.diagnostics.codes import CONTRADICTION
from tests.support.evaluators import fast_decide
from tests.support.examples import half
from tests.support.requests import hostile_values
from tests.support.scenarios import Scenario, scenarios

# Names that no generated schema declares. What is not JSON may be there as well: nobody reads it.
UNDECLARED = st.dictionaries(st.sampled_from(("zz", "Type", "tenancy", "__class__", "")), hostile_values, min_size=1)


@half
@given(scenarios(("well-typed", "well-typed", "hostile")), UNDECLARED)
def test_what_nothing_declares_changes_nothing(scenario: Scenario, extra: dict[str, Any]) -> None:
    fast = scenario.engine()
    for asked in scenario.requests:
        more = dict(asked)
        for place in ("principal", "resource", "context", "action"):
            if type(asked[place]) is dict and asked[place]:
                more[place] = {**extra, **asked[place]}
        context = more["context"]
        if type(context) is dict:
            # The order of members is irrelevant too, and so is what entities in the context carry. Provenance is none,
            # even where an argument is called `id`: all of its members are read.
            more["context"] = {
                k: {**v, **extra} if type(v) is dict and "id" in v and "zz" not in v and k != "provenance" else v
                for k, v in reversed(context.items())
            }
        assert fast.decide(**more) == fast.decide(**asked)


@half
@given(scenarios(("well-typed",) * 3), st.data())
def test_the_source_wins(scenario: Scenario, data: st.DataObject) -> None:
    snapshot = scenario.snapshot()
    for asked in scenario.requests:
        lying = dict(asked)
        for place in ("principal", "resource"):
            known = snapshot.world.records.get(asked[place]["type"], {}).get(asked[place]["id"], {})
            lies = {name: data.draw(hostile_values) for name in known}
            lying[place] = {**asked[place], **lies}
        expected = fast_decide(snapshot, asked)
        # What a value says of another entity counts as said: a request that says two things of one stops doing so.
        if not any(error.code == CONTRADICTION.id for error in expected.errors):
            assert fast_decide(snapshot, lying) == expected


@half
@given(scenarios(("well-typed",) * 3))
def test_what_the_source_knows_need_not_be_sent(scenario: Scenario) -> None:
    snapshot = scenario.snapshot()
    for asked in scenario.requests:
        short = dict(asked)
        for place in ("principal", "resource"):
            known = snapshot.world.records.get(asked[place]["type"], {}).get(asked[place]["id"], {})
            short[place] = {name: each for name, each in asked[place].items() if name not in known}
        assert fast_decide(snapshot, short) == fast_decide(snapshot, asked)


@half
@given(scenarios(("well-typed",) * 2))
def test_no_request_overrides_a_fact_of_a_tool(scenario: Scenario) -> None:
    snapshot = scenario.snapshot()
    for asked in scenario.requests:
        honest = {"type": "Tool", "id": "send", "args": {}}
        lying = {**honest, "sends_outside": False, "reads_untrusted": not asked}
        ask = {**asked, "action": "call"}
        assert fast_decide(snapshot, {**ask, "resource": lying}) == fast_decide(snapshot, {**ask, "resource": honest})
