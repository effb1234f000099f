"""What a rule costs is no more than `check --cost` says: the specification takes at most so many steps.

A step is a part of a condition that is evaluated, an element that an operator goes through, an entity above another,
or a source of an argument.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from hypothesis import given

from policyengine.evaluate import interpret
from policyengine.evaluate.decide import holds
from policyengine.evaluate.delegation import actors
from policyengine.evaluate.interpret import Env, EvaluationError
from policyengine.ir.cost import cost
from policyengine.ir.nodes import Expr, Rule
from policyengine.ir.walk import gone_through, walk
from policyengine.model.argument_sources import sources
from policyengine.model.entities import World
from policyengine.model.request import request
from policyengine.model.values import Fault
from tests.support.scenarios import Scenario, scenarios

_PART, _FOUND = interpret._evaluate.__code__, (World._find_ancestors.__code__, sources.__code__)


def elements(value: Any) -> int:
    """How many elements a value has, and these have."""
    if isinstance(value, dict):
        return len(value) + sum(map(elements, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return len(value) + sum(map(elements, value))
    return 0


def conditions(rule: Rule) -> list[Expr]:
    return [rule.condition, *(expr for spec in rule.obligations for _, expr in spec.properties)]


def taken(rule: Rule, work: Callable[[], Any]) -> int:
    """The steps that are taken."""
    through = {id(part) for each in conditions(rule) for node in walk(each) for part in gone_through(node)}
    count = 1

    def called(frame: Any, event: str, value: Any) -> None:
        nonlocal count
        if frame.f_code is _PART:
            if event == "call":
                count += 1
            elif event == "return" and id(frame.f_locals["expr"]) in through:
                count += elements(value)
        elif frame.f_code in _FOUND and event == "return" and value is not None:
            count += len(value)

    sys.setprofile(called)
    try:
        work()
    except EvaluationError:
        pass
    finally:
        sys.setprofile(None)
    return count


@given(scenarios(("well-typed", "well-typed", "hostile")))
def test_a_rule_takes_no_more_steps_than_are_told(scenario: Scenario) -> None:
    snapshot = scenario.snapshot()
    rules = snapshot.policies.rules
    for asked in scenario.requests:
        try:
            everyone = actors(request(**asked), snapshot.world, snapshot.schema)
        except (Fault, TypeError):
            continue
        # As many as the largest collection of a request could have.
        most = elements(asked) + elements(scenario.entities)
        told = {one.rule.name: one.steps for rule in rules for one in cost([rule], most).rules}
        for one in everyone:
            env = Env(one, snapshot.world)
            for rule in rules:
                assert taken(rule, lambda rule=rule, env=env: holds(rule, env)) <= told[rule.name]
