"""Combining formulas, and simplifying them without changing what they are true of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from policyengine.model.types import Type, element_of
from policyengine.partial.atoms import (
    FOLLOWED,
    WELL_FORMED,
    comparable,
    elements,
    identities,
    identity,
    is_scalar,
    needs,
    one_of,
)
from policyengine.partial.formula import (
    FALSE,
    TRUE,
    All,
    Deferred,
    Elements,
    Formula,
    Hole,
    Inside,
    Missing,
    OfType,
    OneOf,
    Opaque,
    Path,
    Present,
    Relation,
    Some,
    Sourced,
    Truth,
    TwoFields,
)

# Formulas with more parts than this are not simplified a second time.
MAX_WEIGHT = 64
# The most similar formulas that a further one is compared with.
MAX_ALIKE = 16
_CHOICES = ("==", "!=")
# The formulas that are not about one value.
_NOWHERE = (Truth, Inside, Opaque, Sourced, Deferred)
# The formulas that other atoms may imply.
_IMPLIED = (OfType, Present, Inside)


def conj(*items: Formula) -> Formula:
    """The conjunction."""
    parts = [item for item in items if item is not TRUE]
    if len(parts) < 2:
        return parts[0] if parts else TRUE
    if FALSE in parts:
        return FALSE
    kept = _without_implied(_unrepeated(_intersected(_flat(All, parts))))
    if FALSE in kept:
        return FALSE
    return TRUE if not kept else kept[0] if len(kept) == 1 else All(tuple(kept))


def disj(*items: Formula) -> Formula:
    """The disjunction."""
    parts = [item for item in items if item is not FALSE]
    if len(parts) < 2:
        return parts[0] if parts else FALSE
    if TRUE in parts:
        return TRUE
    kept = _absorbed(_united(_flat(Some, parts)))
    return FALSE if not kept else kept[0] if len(kept) == 1 else Some(tuple(kept))


def beside(kind: type[All] | type[Some], one: Formula, other: Formula) -> Formula:
    """`conj` or `disj` of two formulas; if one is large, without simplifying it again."""
    if isinstance(one, Truth) or isinstance(other, Truth) or max(weight(one), weight(other)) <= MAX_WEIGHT:
        return conj(one, other) if kind is All else disj(one, other)
    return kind((one, other))


def weight(formula: Formula) -> int:
    """Roughly the number of parts that would have to be examined."""
    if isinstance(formula, All | Some):
        return len(formula.items) if len(formula.items) > MAX_WEIGHT else sum(map(weight, formula.items))
    return len(formula.values) if isinstance(formula, OneOf | Elements) else 1


def _flat(kind: type[All] | type[Some], items: Iterable[Formula]) -> list[Formula]:
    """The items, and those of items of the same kind, each once. Of items that are only partly equal, few are
    compared."""
    flat: list[Formula] = []
    seen: dict[Any, list[Formula]] = {}
    for item in items:
        for part in item.items if item.__class__ is kind else (item,):
            likeness = _likeness(part)
            alike = seen.get(likeness)
            if alike is None:
                seen[likeness] = [part]
            elif _is_among(part, alike):
                continue
            elif len(alike) < MAX_ALIKE:
                alike.append(part)
            flat.append(part)
    return flat


def _likeness(part: Any) -> Any:
    """A cheap key that equal formulas share."""
    kind = part.__class__
    if kind is Relation:
        return part.path if part.value.__class__ is not str else (part.path, part.value)
    if kind is All or kind is Some:
        return (kind, len(part.items))
    return kind if kind in _NOWHERE else part.path


def _is_among(part: Formula, others: Iterable[Formula]) -> bool:
    for other in others:
        if other is part:
            return True
        if other.__class__ is part.__class__ and other == part and comparable(part):
            return True
    return False


def _intersected(items: list[Formula]) -> list[Formula]:
    """Merges the conditions on the same value into one."""
    kept: list[Formula] = []
    by_path: dict[Path, list[Formula]] = {}
    for item in items:
        # What fills a hole is not known yet.
        if _is_choice(item) and not _has_hole(item):
            by_path.setdefault(item.path, []).append(item)  # type: ignore[union-attr]
        else:
            kept.append(item)
    for same in by_path.values():
        if len(same) == 1:
            kept += same
            continue
        kept += map(_combined_choices, _by_type(same))
    return kept


def _by_type(items: list[Formula]) -> Iterable[list[OneOf]]:
    by_type: dict[Type, list[OneOf]] = {}
    for item in items:
        choice = _choice(item)
        if choice is not None:
            by_type.setdefault(choice.type, []).append(choice)
    return by_type.values()


def _unrepeated(items: list[Formula]) -> list[Formula]:
    """Removes from alternatives what all items say anyway."""
    by_likeness: dict[Any, list[Formula]] = {}
    some = False
    for item in items:
        if item.__class__ is Some:
            some = True
        else:
            by_likeness.setdefault(_likeness(item), []).append(item)
    if not some or not by_likeness:
        return items
    kept: list[Formula] = []
    for item in items:
        reduced = _less(item, by_likeness) if item.__class__ is Some else item
        if reduced.__class__ is All:
            kept += reduced.items
        elif reduced is not TRUE:
            kept.append(reduced)
    return kept


def _less(formula: Some, by_likeness: dict[Any, list[Formula]]) -> Formula:
    """What the alternatives add."""
    alternatives: list[Formula] = []
    changed = False
    for alternative in formula.items:
        parts: tuple[Formula, ...] = alternative.items if alternative.__class__ is All else (alternative,)
        rest = []
        for part in parts:
            alike = by_likeness.get(_likeness(part))
            if alike is None or not _is_among(part, alike):
                rest.append(part)
        if len(rest) == len(parts):
            alternatives.append(alternative)
        elif not rest:
            return TRUE
        else:
            changed = True
            alternatives.append(rest[0] if len(rest) == 1 else All(tuple(rest)))
    return disj(*alternatives) if changed else formula


def _combined_choices(choices: list[OneOf]) -> Formula:
    """The value is in all of these sets, and in none of those."""
    first = choices[0]
    if len(choices) == 1:
        return one_of(first.path, first.type, first.values, first.negated)
    wanted = [choice.values for choice in choices if not choice.negated]
    unwanted = {identity(value) for choice in choices if choice.negated for value in choice.values}
    if not wanted:
        return one_of(first.path, first.type, (v for choice in choices for v in choice.values), negated=True)
    everywhere = [set(identities(values)) for values in wanted[1:]]
    return one_of(
        first.path,
        first.type,
        [
            value
            for value in wanted[0]
            if (called := identity(value)) not in unwanted and all(called in others for others in everywhere)
        ],
    )


def _united(items: list[Formula]) -> list[Formula]:
    """Merges alternatives for the same value into one."""
    kept: list[Formula] = []
    by_value: dict[tuple[Path, type], list[Formula]] = {}
    item: Any
    for item in items:
        kind = item.__class__
        if _is_choice(item) and not _is_negated(item):
            by_value.setdefault((item.path, OneOf), []).append(item)
        elif kind is Elements and item.kind == "any" and is_scalar(element_of(item.type) or item.type):
            by_value.setdefault((item.path, Elements), []).append(item)
        else:
            kept.append(item)
    united: list[Formula] = []
    for alike in by_value.values():
        if len(alike) == 1:
            united += alike
            continue
        merged = _union(alike)
        if merged is None:
            kept += alike
            continue
        united.append(merged)
    return [*united, *kept]


def _union(same: Sequence[Any]) -> Formula | None:
    """One atom for alternatives about the same value; None if they give it different types."""
    first = same[0]
    if any(item.type != first.type for item in same):
        return None
    values = [value for item in same for value in ((item.value,) if item.__class__ is Relation else item.values)]
    return (
        elements(first.path, first.type, "any", values)
        if first.__class__ is Elements
        else one_of(first.path, first.type, values)
    )


def _without_implied(items: list[Formula]) -> list[Formula]:
    """Removes items that the others imply: that a value is there."""
    implied = [item for item in items if item.__class__ in _IMPLIED]
    if not implied:
        return items
    if len(implied) == 1:
        # The usual case, for which few values have to be examined.
        return [item for item in items if item is not implied[0]] if _is_implied(implied[0], items) else items
    counts = Counter(need for item in items for need in needs(item))
    prefixes = {path[:length] for path, _ in counts for length in range(1, len(path) + 1)}
    kept: list[Formula] = []
    for item in items:
        if isinstance(item, OfType) and counts[item.path, item.type] > 1:
            counts[item.path, item.type] -= 1
        elif item == WELL_FORMED and counts[FOLLOWED] > 1:
            counts[FOLLOWED] -= 1
        elif not (isinstance(item, Present) and item.path in prefixes):
            kept.append(item)
    return kept


def _is_implied(item: Formula, items: list[Formula]) -> bool:
    """Whether one of the others implies the item."""
    if isinstance(item, Present):
        return any(path[: len(item.path)] == item.path for other in items for path, _ in needs(other))
    if isinstance(item, OfType):
        return any(_needs(other, item) for other in items if other is not item)
    return item == WELL_FORMED and any(FOLLOWED in needs(other) for other in items if other is not item)


def _needs(formula: Any, typed: OfType) -> bool:
    """Whether the value is certainly there and of the type if the formula is true."""
    kind = formula.__class__
    if kind is All:
        return any(_needs(item, typed) for item in formula.items)
    if kind is Some:
        return all(_needs(item, typed) for item in formula.items)
    if kind is TwoFields or kind in _NOWHERE or kind is Present or kind is Missing:
        return (typed.path, typed.type) in needs(formula)
    return formula.path == typed.path and formula.type == typed.type  # type: ignore[no-any-return]


def _absorbed(items: list[Formula]) -> list[Formula]:
    """Removes alternatives that are covered by one which requires only that values are there."""
    bare = [(item, needs(item)) for item in items if _says_only_typed(item)]
    if not bare:
        return items
    return [item for item in items if not any(item is not other and asked <= needs(item) for other, asked in bare)]


def _says_only_typed(item: Formula) -> bool:
    parts: tuple[Formula, ...] = item.items if item.__class__ is All else (item,)
    return parts[0].__class__ in _IMPLIED and all(isinstance(part, OfType) or part == WELL_FORMED for part in parts)


def _is_choice(item: Formula) -> bool:
    """Whether it tests that a value is, or is not, one of some constants."""
    kind = item.__class__
    return (kind is OneOf or (kind is Relation and item.op in _CHOICES)) and is_scalar(item.type)  # type: ignore[union-attr]


def _has_hole(item: Any) -> bool:
    values = (item.value,) if item.__class__ is Relation else item.values
    return any(value.__class__ is Hole for value in values)


def _is_negated(item: Any) -> bool:
    return bool(item.negated if item.__class__ is OneOf else item.op == "!=")


def _choice(item: Formula) -> OneOf | None:
    """An atom that tests whether a value is one of some constants, or none of them, as OneOf."""
    match item:
        case Relation(path=path, type=type_, op="==" | "!=" as op, value=value) if is_scalar(type_):
            return OneOf(path, type_, (value,), op == "!=")
        case OneOf(type=type_) if is_scalar(type_):
            return item
    return None
