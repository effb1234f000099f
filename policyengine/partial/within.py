"""Hierarchies: what is in what, where one of the two is the unknown entity or what it refers to."""

from __future__ import annotations

from typing import Any

from policyengine.diagnostics.source import Source
from policyengine.ir.nodes import Const, Root, Within
from policyengine.model.entities import PARENTS
from policyengine.model.types import BOOL, STRING, EntityT, SetT, element_of
from policyengine.model.values import Entity, Fault, Uid
from policyengine.partial.asking import Asking
from policyengine.partial.atoms import WELL_FORMED, holds, one_of, there
from policyengine.partial.formula import ID, TRUE, Below, Inside
from policyengine.partial.logic import conj, disj
from policyengine.partial.outcome import ALWAYS, ERRS, NEVER, Outcome, Told, opaque
from policyengine.partial.reading import Erring, Itself, Known, Read, reading


def hierarchy(expr: Within, asking: Asking) -> Outcome | None:
    """`entity in target`."""
    entity, target = reading(expr.entity, asking), reading(expr.target, asking)
    if isinstance(entity, Erring) or isinstance(target, Erring):
        return ERRS
    match entity, target:
        case Known(value=value), Read(path=path, type=EntityT(names) as type_):
            over = above(value, asking)
            if over is None:
                return ERRS
            usable = [e for e in over if e.uid.type in names]
            return Told(one_of(path, type_, usable), one_of(path, type_, usable, True), there(path, type_))
        case Known(value=value), Read(path=path, type=type_) if isinstance(element_of(type_), EntityT):
            over = above(value, asking)
            if over is None:
                return ERRS
            return Told(holds(path, type_, "any", over), holds(path, type_, "none", over), there(path, type_))
        case Read(path=path, type=EntityT() as type_), Known(value=value) if asking.hierarchy.bounded:
            targets = _uids(value)
            closed = asking.hierarchy.closed(targets)
            inside, outside = Below(path, type_, targets, closed), Below(path, type_, targets, closed, True)
            return Told(inside, outside, disj(inside, outside))
        case Itself(), Known(value=value):
            return inside_of(_uids(value), asking, itself_first=False)
    return None


def inside_of(targets: frozenset[Uid], asking: Asking, itself_first: bool) -> Outcome:
    """Whether the unknown entity is one of the targets or below one. With `itself_first` its parents do not matter if
    it is one of them; otherwise they have to be well formed even then."""
    is_one = among(targets, asking)
    below = _below(targets, asking)
    if itself_first:
        true = disj(is_one.true, below.true)
        return Told(true, conj(is_one.false, below.false), disj(is_one.true, below.defined))
    return Told(
        disj(below.true, conj(is_one.true, below.defined)), conj(is_one.false, below.false), below.defined
    )  # fmt: skip


def among(targets: frozenset[Uid], asking: Asking) -> Outcome:
    """Whether the unknown entity is one of these."""
    ids = sorted(uid.id for uid in targets if uid.type == asking.type)
    if "id" in asking.known:
        return ALWAYS if asking.known["id"] in ids else NEVER
    return Told(one_of(ID, STRING, ids), one_of(ID, STRING, ids, True), TRUE) if ids else NEVER


def _below(targets: frozenset[Uid], asking: Asking) -> Outcome:
    if PARENTS in asking.known:
        try:
            return NEVER if targets.isdisjoint(asking.world.ancestors(asking.entity)) else ALWAYS
        except Fault:
            return ERRS
    if not asking.hierarchy.bounded:
        return _evaluated(targets, asking)
    closed = asking.hierarchy.closed(targets)
    return Told(Inside(targets, closed), Inside(targets, closed, True), WELL_FORMED)


def _evaluated(targets: frozenset[Uid], asking: Asking) -> Outcome:
    """The same as an expression, for a source so large that only following the parents tells."""
    text = f"{asking.type.lower()} in [{', '.join(map(str, sorted(targets)))}]"
    span = Source("", text).span(0, len(text))
    names = frozenset(uid.type for uid in targets)
    entity = Root(name=asking.unknown, type=EntityT(frozenset({asking.type})), span=span)  # type: ignore[arg-type]
    target = Const(value=tuple(Entity(uid) for uid in sorted(targets)), type=SetT(EntityT(names)), span=span)
    return opaque(Within(entity=entity, target=target, type=BOOL, span=span), asking)


def above(entity: Any, asking: Asking) -> list[Entity] | None:
    """A known entity and all that is above it; None if that cannot be told."""
    try:
        return [Entity(uid) for uid in sorted({entity.uid, *asking.world.ancestors(entity)})]
    except Fault:
        return None


def _uids(target: Any) -> frozenset[Uid]:
    return frozenset({target.uid} if target.__class__ is Entity else {t.uid for t in target})
