"""The three outcomes of a condition as formulas about the unknown entity: `ir/outcomes.py` over formulas."""

from __future__ import annotations

from policyengine.ir import outcomes
from policyengine.ir.outcomes import Algebra, KnownOutcome, LazyOutcome, WantedTruth
from policyengine.partial.atoms import size
from policyengine.partial.formula import FALSE, TRUE, Formula
from policyengine.partial.logic import conj, disj

# Above this many atoms, evaluation is cheaper than a query.
MAX_ATOMS = 2_000

Outcome = outcomes.Outcome[Formula]
FORMULAS: Algebra[Formula] = Algebra(TRUE, FALSE, conj, disj)
ALWAYS, NEVER, ERRS = FORMULAS.always, FORMULAS.never, FORMULAS.errs
both, either, negation, choice = FORMULAS.both, FORMULAS.either, FORMULAS.negation, FORMULAS.choice


def bounded(of: Outcome, instead: Outcome) -> Outcome:
    """The outcome; propositions of it that are too large are replaced by those of `instead`."""
    if isinstance(of, KnownOutcome):
        return of

    def when(wanted: WantedTruth) -> Formula:
        formula = of.when(wanted)
        return formula if size(formula) <= MAX_ATOMS else instead.when(wanted)

    return LazyOutcome(when)
