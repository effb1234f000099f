"""Weakens conditions that are too large for a store to conditions that it can express. These are true of the same
documents, and of more.

Formulas may be deeper than any stack, so nothing here recurses without a bound.
"""

from __future__ import annotations

from collections.abc import Iterator

from policyengine.filters.backend import StoreLimits
from policyengine.partial.formula import TRUE, All, Atom, Formula, Some, Truth


def fits(formula: Formula, limits: StoreLimits) -> bool:
    """Whether the store takes the formula as it is."""
    deepest = count = 0
    left: list[tuple[Formula, int]] = [(formula, 0)]
    while left:
        each, depth = left.pop()
        if isinstance(each, All | Some):
            left += [(item, depth + 1) for item in each.items]
        else:
            count, deepest = count + 1, max(deepest, depth)
    return deepest <= limits.depth and count <= limits.conditions


def atoms(formula: Formula) -> Iterator[Atom]:
    """The atoms of a formula, each as often as it is written."""
    left = [formula]
    while left:
        each = left.pop()
        if isinstance(each, All | Some):
            left += reversed(each.items)
        elif not isinstance(each, Truth):
            yield each


def wider(formula: Formula, limits: StoreLimits) -> Formula:
    """A formula that fits and is true wherever this one is true."""
    shallow = _shallow(formula, max(limits.depth - 2, 0))
    return shallow if fits(shallow, limits) else _within_limit(shallow, limits.conditions)


def _shallow(formula: Formula, depth: int) -> Formula:
    if not isinstance(formula, All | Some):
        return formula
    if depth == 0:
        return _alternatives(formula)
    items = tuple(_shallow(item, depth - 1) for item in formula.items)
    return All(items) if isinstance(formula, All) else Some(items)


def _alternatives(formula: Formula) -> Formula:
    """The innermost alternatives, without the conditions around them. Of conditions that must all hold only one is
    kept: one that contains alternatives, if there is one."""
    options: list[Formula] = []
    left = [formula]
    while left:
        each = left.pop()
        if isinstance(each, Some):
            left += reversed(each.items)
            continue
        inner = [item for item in each.items if isinstance(item, All | Some)] if isinstance(each, All) else []
        if inner:
            left.append(inner[-1])
        else:
            options.append(each)
    return options[0] if len(options) == 1 else Some(tuple(options))


def _within_limit(formula: Formula, most: int) -> Formula:
    """Of conditions that must all hold, as many as the store takes. Alternatives cannot be left out."""
    if not isinstance(formula, All):
        return TRUE
    kept: list[Formula] = []
    for item in formula.items:
        size = sum(1 for _ in atoms(item))
        if size <= most:
            kept.append(item)
            most -= size
    return All(tuple(kept)) if len(kept) > 1 else kept[0] if kept else TRUE
