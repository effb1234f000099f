"""Hierarchies: whether one entity is in another, if one is the unknown entity or something that it refers to."""

from __future__ import annotations

from policyengine.ir.nodes import Expr, Root, Within
from policyengine.ir.outcomes import KnownOutcome
from policyengine.model.entities import PARENTS
from policyengine.model.types import BOOL, STRING, EntityT, element_of, entity
from policyengine.partial.atoms import WELL_FORMED, elements, one_of, there
from policyengine.partial.formula import ID, TRUE, Below, Hole, Inside, Opaque
from policyengine.partial.logic import conj, disj
from policyengine.partial.lowering import Lowering, put_all
from policyengine.partial.operands import Erring, GivenValue, Itself, Sought, operand
from policyengine.partial.outcome import ALWAYS, ERRS, NEVER, Outcome


def hierarchy(expr: Within, lowering: Lowering) -> Outcome | None:
    """`entity in target`."""
    gap, holes = lowering.gap, lowering.holes
    below, target = operand(expr.entity, gap), operand(expr.target, gap)
    if isinstance(below, Erring) or isinstance(target, Erring):
        return ERRS
    match below, target:
        case GivenValue(expr=given), Sought(path=path, type=EntityT(names) as type_):
            hole = holes.upwards(given, gap, names)
            answer = lowering.ask(hole)
            over = put_all(hole) if answer == "some" else ()
            outcome = KnownOutcome(one_of(path, type_, over), one_of(path, type_, over, True), there(path, type_))
            return ERRS if answer == "errs" else outcome
        case GivenValue(expr=given), Sought(path=path, type=type_) if isinstance(element_of(type_), EntityT):
            hole = holes.upwards(given, gap, None)
            if lowering.ask(hole) == "errs":
                return ERRS
            over = put_all(hole)
            return KnownOutcome(
                elements(path, type_, "any", over), elements(path, type_, "none", over), there(path, type_)
            )
        case Sought(path=path, type=EntityT() as type_), GivenValue(expr=given) if gap.hierarchy.bounded:
            hole = holes.targets(given, gap)
            if lowering.ask(hole) == "errs":
                return ERRS
            inside, outside = (Below(path, type_, *_targets(hole), negated) for negated in (False, True))
            return KnownOutcome(inside, outside, disj(inside, outside))
        case Itself(), GivenValue(expr=given):
            if lowering.ask(holes.targets(given, gap)) == "errs":
                return ERRS
            return inside_of(given, lowering, itself_first=False)
    return None


def inside_of(targets: Expr, lowering: Lowering, itself_first: bool) -> Outcome:
    """Whether the unknown entity is one of the targets or below one. With `itself_first` its parents do not matter if
    it is one of them; otherwise they must be well formed even then."""
    is_one = is_among(targets, lowering)
    below = _below(targets, lowering)
    if itself_first:
        true = disj(is_one.true, below.true)
        return KnownOutcome(true, conj(is_one.false, below.false), disj(is_one.true, below.defined))
    return KnownOutcome(
        disj(below.true, conj(is_one.true, below.defined)), conj(is_one.false, below.false), below.defined
    )  # fmt: skip


def is_among(targets: Expr, lowering: Lowering) -> Outcome:
    """Whether the unknown entity is one of these."""
    hole = lowering.holes.ids(targets, lowering.gap)
    if lowering.ask(hole) == "none":
        return NEVER
    if "id" in lowering.gap.known:
        return _caller_test(lowering.holes.is_among(hole, lowering.gap), lowering)
    ids = put_all(hole)
    return KnownOutcome(one_of(ID, STRING, ids), one_of(ID, STRING, ids, True), TRUE)


def _caller_test(hole: Hole, lowering: Lowering) -> Outcome:
    """The outcome of a test of the caller."""
    answer = lowering.ask(hole)
    return ALWAYS if answer == "true" else NEVER if answer == "false" else ERRS


def _below(targets: Expr, lowering: Lowering) -> Outcome:
    gap = lowering.gap
    if PARENTS in gap.known:
        return _caller_test(lowering.holes.is_below(targets, gap), lowering)
    if not gap.hierarchy.bounded:
        return _evaluated(targets, lowering)
    over = _targets(lowering.holes.targets(targets, gap))
    return KnownOutcome(Inside(*over), Inside(*over, True), WELL_FORMED)


def _targets(hole: Hole) -> tuple[frozenset, frozenset]:  # type: ignore[type-arg]
    """The targets and everything below them; both come from the hole."""
    if hole.fixed is not None:
        return hole.fixed[1]  # type: ignore[no-any-return]
    return hole, hole  # type: ignore[return-value]


def _evaluated(targets: Expr, lowering: Lowering) -> Outcome:
    """The same as an expression, for a source so large that only following the parents gives the result."""
    gap = lowering.gap
    unknown = Root(name=gap.unknown, type=entity(gap.type), span=targets.span)  # type: ignore[arg-type]
    expr = Within(entity=unknown, target=targets, type=BOOL, span=targets.span)
    true, false, defined = (Opaque(expr, wanted) for wanted in (True, False, None))
    return KnownOutcome(true, false, defined)
