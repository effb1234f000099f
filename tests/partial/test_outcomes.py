"""`and`, `or`, `not` and `if` over outcomes, with booleans for propositions: what the interpreter makes of a condition
whose parts are known to be true, to be false or to err."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from policyengine import Engine
from policyengine.diagnostics.source import Source
from policyengine.evaluate.interpret import Env, EvaluationError, evaluate
from policyengine.ir.nodes import And, Attribute, Expr, If, Not, Or, Root
from policyengine.ir.outcomes import Algebra, KnownOutcome, Outcome
from policyengine.model.request import request
from policyengine.model.types import BOOL, EntityT

BOOLEANS: Algebra[bool] = Algebra(True, False, lambda *all_: all(all_), lambda *any_: any(any_))
WORTH = {"yes": BOOLEANS.always, "no": BOOLEANS.never, "odd": BOOLEANS.errs}
SNAPSHOT = Engine.from_text("entity User { yes: Bool, no: Bool, odd: Bool }\naction read on User for User\n").snapshot
SPAN = Source("", "-").span(0, 1)
USER = Root(name="principal", type=EntityT(frozenset({"User"})), span=SPAN)
PARTS = [Attribute(base=USER, name=name, owners=None, type=BOOL, span=SPAN) for name in WORTH]
ASKED = request({"type": "User", "id": "u", "yes": True, "no": False, "odd": 5}, "read", {"type": "User", "id": "v"})
ENV = Env(ASKED, SNAPSHOT.world)


def outcome(expr: Expr) -> Outcome[bool]:
    match expr:
        case Not(operand=operand):
            return BOOLEANS.negation(outcome(operand))
        case And(items=items):
            return BOOLEANS.both([outcome(item) for item in items])
        case Or(items=items):
            return BOOLEANS.either([outcome(item) for item in items])
        case If(condition=condition, then=then, otherwise=otherwise):
            return BOOLEANS.choice(outcome(condition), outcome(then), outcome(otherwise))
        case Attribute(name=name):
            return WORTH[name]
    raise AssertionError(expr)


def conditions(depth: int) -> list[Expr]:
    if depth == 0:
        return list(PARTS)
    below = conditions(depth - 1)
    made: list[Expr] = [Not(operand=one, type=BOOL, span=SPAN) for one in below]
    for items in product(below, repeat=2):
        made += [And(items=items, type=BOOL, span=SPAN), Or(items=items, type=BOOL, span=SPAN)]
    for test, then, otherwise in product(below, PARTS, PARTS):
        made.append(If(condition=test, then=then, otherwise=otherwise, type=BOOL, span=SPAN))
    return [*PARTS, *made]


def test_outcomes_are_what_the_interpreter_says() -> None:
    for expr in conditions(2):
        found = outcome(expr)
        try:
            expected: Any = evaluate(expr, ENV)
        except EvaluationError:
            expected = None
        assert (found.true, found.false, found.defined) == (expected is True, expected is False, expected is not None)


@pytest.mark.parametrize("worth", sorted(WORTH))
@pytest.mark.parametrize("at", [0, 15, 16, 17, 299])
def test_long_chains_stop_where_short_ones_do(worth: str, at: int) -> None:
    """Put together in parts of which nobody sees anything."""
    before: list[Outcome[bool]] = [KnownOutcome(True, False, True) for _ in range(at)]
    after = [KnownOutcome(False, False, False) for _ in range(300 - at)]
    items = [*before, WORTH[worth], *after]
    found = BOOLEANS.both(items)
    stops = worth == "no"
    assert (found.true, found.false, found.defined) == (False, stops, stops)
