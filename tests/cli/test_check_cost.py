"""`check --cost`: what a request costs at most, counted from the rules."""

from __future__ import annotations

import json

from policyengine import Engine
from policyengine.ir.cost import cost
from policyengine.model.quantifier_cost import MAX_LOOKS
from tests.cli.conftest import Cli

POLICIES = """module m
entity User { xs: List<String>, ys: List<String> }
entity Doc { name: String }
entity Other { name: String }
action read on Doc for User
action list on Doc for User
action read_other on Other for User
permit own: read on Doc when doc.name == principal.id
permit one: read on Doc when any x in principal.xs: x == doc.name
forbid two: read on Doc when any x in principal.xs: any y in principal.ys: x == y and y == doc.name
permit three: any on Doc when any x in ["a", "b"]: x == doc.name
permit other: read_other on Other when other.name == "x"
"""


def _steps(elements: int) -> dict[str, int]:
    rules = Engine.from_text(POLICIES).snapshot.policies.rules
    return {each.rule.name: each.steps for each in cost(rules, elements).rules}


def test_what_stands_in_a_quantifier_counts_for_each_element() -> None:
    once, twice = _steps(100), _steps(200)
    assert once.keys() == {"m.own", "m.one", "m.two", "m.three"}
    assert (twice["m.own"], twice["m.three"]) == (once["m.own"], once["m.three"])
    assert 1.9 < twice["m.one"] / once["m.one"] < 2.2
    assert 3.5 < twice["m.two"] / once["m.two"] < 4.2


def test_quantifiers_in_each_other_cost_no_more_than_their_bound() -> None:
    assert _steps(10_000)["m.two"] < 10 * MAX_LOOKS


def test_twice_as_many_rules_cost_twice_as_much() -> None:
    rules = Engine.from_text(POLICIES).snapshot.policies.rules
    once, twice = cost(rules, 10).steps, cost((*rules, *rules), 10).steps
    assert twice == 2 * once


def test_the_costliest_rules_are_named(cli: Cli) -> None:
    assert cli("check", "-", "--cost", stdin=POLICIES) == 0
    first, second, third, *_ = cli.out.splitlines()
    assert first == "ok: 5 rules, 0 tests in 1 file"
    assert second.startswith("a request costs at most ")
    assert second.endswith(
        " steps, and as many for each agent behind it: `read` on `Doc`, 4 rules, 100 elements in each collection"
    )
    assert third.split()[1:] == ["m.two", "stdin:10:1"]


def test_json(cli: Cli) -> None:
    assert cli("check", "-", "--cost", "--elements", "7", "--format", "json", stdin=POLICIES) == 0
    [found] = json.loads(cli.out)["costs"]
    assert (found["action"], found["resource"], found["rules"], found["elements"]) == ("read", "Doc", 4, 7)
    assert [each["rule"] for each in found["costliest"]][:2] == ["m.two", "m.one"]
    assert sum(each["steps"] for each in found["costliest"]) == found["steps"]
