"""Putting formulas together, and making them smaller without changing what they are true of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from policyengine.model.types import BOOL, INT, JSON, NUMBER, STRING, EntityT, ListT, Type, element_of
from policyengine.model.values import Entity
from policyengine.partial.formula import (
    FALSE,
    ID,
    TRUE,
    All,
    Fields,
    Formula,
    Holds,
    Inside,
    Kind,
    Missing,
    OneOf,
    Opaque,
    Path,
    Present,
    Relation,
    Some,
    Sourced,
    Truth,
    Typed,
)

Need = tuple[Path, Type]

# What has more parts than this is not simplified a second time.
MAX_WEIGHT = 64
# What everything implies that is said of the place of a thing in a hierarchy: its parents can be followed.
WELL_FORMED = Inside(frozenset(), frozenset(), True)
_FOLLOWED: Need = (("parents",), ListT(JSON))


def conj(*items: Formula) -> Formula:
    """All of them."""
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
    """At least one of them."""
    parts = [item for item in items if item is not FALSE]
    if len(parts) < 2:
        return parts[0] if parts else FALSE
    if TRUE in parts:
        return TRUE
    kept = _absorbed(_united(_flat(Some, parts)))
    return FALSE if not kept else kept[0] if len(kept) == 1 else Some(tuple(kept))


def beside(kind: type[All] | type[Some], large: Formula, other: Formula) -> Formula:
    """`conj` or `disj` of two formulas; where the first is large, without looking into it again."""
    if isinstance(large, Truth) or isinstance(other, Truth) or _weight(large) <= MAX_WEIGHT:
        return conj(large, other) if kind is All else disj(large, other)
    return kind((large, other))


def _weight(formula: Formula) -> int:
    if isinstance(formula, All | Some):
        return len(formula.items) if len(formula.items) > MAX_WEIGHT else sum(map(_weight, formula.items))
    return len(formula.values) if isinstance(formula, OneOf | Holds) else 1


def there(path: Path, type_: Type) -> Formula:
    """That a value is there and of its type. A thing without a textual id is none, so its id always is."""
    return TRUE if path == ID else Typed(path, type_)


def one_of(path: Path, type_: Type, values: Iterable[Any], negated: bool = False) -> Formula:
    """OneOf in its smallest form."""
    unique = _unique(values)
    if not unique:
        return there(path, type_) if negated else FALSE
    if len(unique) == 1:
        return Relation(path, type_, "!=" if negated else "==", unique[0])
    return OneOf(path, type_, unique, negated)


def holds(path: Path, type_: Type, kind: Kind, values: Iterable[Any]) -> Formula:
    """Holds in its smallest form."""
    unique = _unique(values)
    if not unique and kind in ("any", "lacks"):
        return FALSE
    if not unique and kind in ("all", "none"):
        return there(path, type_)
    if len(unique) == 1 and kind in ("all", "lacks"):
        kind = "any" if kind == "all" else "none"
    return Holds(path, type_, kind, unique)


def needs(formula: Formula) -> frozenset[Need]:
    """The values that are certainly there and of a type, of whatever the formula is true of."""
    match formula:
        case All(items=items):
            return frozenset[Need]().union(*(needs(item) for item in items))
        case Some(items=items):
            return frozenset[Need].intersection(*(needs(item) for item in items))
        case Fields(path=path, type=type_, other=other, other_type=other_type):
            return frozenset({(path, type_), (other, other_type)})
        case Inside():
            return frozenset({_FOLLOWED})
        case Truth() | Present() | Missing() | Opaque() | Sourced():
            return frozenset()
    return frozenset({(formula.path, formula.type)})


def size(formula: Formula) -> int:
    """The number of atoms, counted as often as they are written."""
    return sum(map(size, formula.items)) if isinstance(formula, All | Some) else 1


def plain(type_: Type) -> bool:
    """Whether Python's `==` on values of the type is the language's: nothing in it can be a number in disguise."""
    return type_ in (STRING, INT, NUMBER, BOOL) or isinstance(type_, EntityT)


def _flat(kind: type[All] | type[Some], items: Iterable[Formula]) -> list[Formula]:
    """The items, and those of items of the same kind, each once."""
    flat: list[Formula] = []
    seen: set[Formula] = set()
    for item in items:
        for part in item.items if isinstance(item, kind) else (item,):
            if _comparable(part):
                if part in seen:
                    continue
                seen.add(part)
            flat.append(part)
    return flat


def _comparable(formula: Formula) -> bool:
    """Whether equal formulas say the same: constants of type Json could be `1` and `true`."""
    match formula:
        case All(items=items) | Some(items=items):
            return all(_comparable(item) for item in items)
        case Relation(type=type_) | OneOf(type=type_):
            return plain(type_)
        case Holds(type=type_):
            return plain(element_of(type_) or type_)
    return True


def _intersected(items: list[Formula]) -> list[Formula]:
    """What is said of the same value, said once."""
    kept: list[Formula] = []
    said: dict[Need, list[OneOf]] = {}
    for item in items:
        choice = _choice(item)
        if choice is None:
            kept.append(item)
        else:
            said.setdefault((choice.path, choice.type), []).append(choice)
    return [*kept, *map(_together, said.values())]


def _unrepeated(items: list[Formula]) -> list[Formula]:
    """Without what an alternative says and all of them say anyway."""
    said: set[Formula] = {item for item in items if not isinstance(item, All | Some) and _comparable(item)}
    if not said or not any(isinstance(item, Some) for item in items):
        return items
    kept = [_less(item, said) if isinstance(item, Some) else item for item in items]
    return [part for item in kept if item != TRUE for part in (item.items if isinstance(item, All) else (item,))]


def _less(formula: Some, said: set[Formula]) -> Formula:
    """What the alternatives say besides."""
    alternatives: list[Formula] = []
    for alternative in formula.items:
        parts = alternative.items if isinstance(alternative, All) else (alternative,)
        rest = tuple(part for part in parts if not (_comparable(part) and part in said))
        if not rest:
            return TRUE
        alternatives.append(alternative if len(rest) == len(parts) else rest[0] if len(rest) == 1 else All(rest))
    return disj(*alternatives)


def _together(choices: list[OneOf]) -> Formula:
    """A value is one of these, and of these, and none of those."""
    first = choices[0]
    if len(choices) == 1:
        return one_of(first.path, first.type, first.values, first.negated)
    wanted = [choice.values for choice in choices if not choice.negated]
    unwanted = {_identity(value) for choice in choices if choice.negated for value in choice.values}
    if not wanted:
        return one_of(first.path, first.type, (v for choice in choices for v in choice.values), negated=True)
    everywhere = [set(_identities(values)) for values in wanted[1:]]
    return one_of(
        first.path,
        first.type,
        [
            value
            for value in wanted[0]
            if (identity := _identity(value)) not in unwanted and all(identity in others for others in everywhere)
        ],
    )


def _united(items: list[Formula]) -> list[Formula]:
    """Alternatives for the same value, as one."""
    kept: list[Formula] = []
    choices: dict[Need, list[Any]] = {}
    collections: dict[Need, list[Any]] = {}
    for item in items:
        choice = _choice(item)
        if choice is not None and not choice.negated:
            choices.setdefault((choice.path, choice.type), []).extend(choice.values)
        elif isinstance(item, Holds) and item.kind == "any" and plain(element_of(item.type) or item.type):
            collections.setdefault((item.path, item.type), []).extend(item.values)
        else:
            kept.append(item)
    return [
        *(one_of(path, type_, values) for (path, type_), values in choices.items()),
        *(holds(path, type_, "any", values) for (path, type_), values in collections.items()),
        *kept,
    ]


def _without_implied(items: list[Formula]) -> list[Formula]:
    """Without what the other items already say: that a value is there."""
    times = Counter(need for item in items for need in needs(item))
    there = {path[:length] for path, _ in times for length in range(1, len(path) + 1)}
    kept: list[Formula] = []
    for item in items:
        if isinstance(item, Typed) and times[item.path, item.type] > 1:
            times[item.path, item.type] -= 1
        elif item == WELL_FORMED and times[_FOLLOWED] > 1:
            times[_FOLLOWED] -= 1
        elif not (isinstance(item, Present) and item.path in there):
            kept.append(item)
    return kept


def _absorbed(items: list[Formula]) -> list[Formula]:
    """Without alternatives that are covered by one which says only that values are there."""
    bare = [(item, needs(item)) for item in items if _says_only_typed(item)]
    if not bare:
        return items
    return [item for item in items if not any(item is not other and asked <= needs(item) for other, asked in bare)]


def _says_only_typed(item: Formula) -> bool:
    return all(
        isinstance(part, Typed) or part == WELL_FORMED for part in (item.items if isinstance(item, All) else (item,))
    )


def _choice(item: Formula) -> OneOf | None:
    """An atom that a value is, or is not, one of some constants, as OneOf."""
    match item:
        case Relation(path=path, type=type_, op="==" | "!=" as op, value=value) if plain(type_):
            return OneOf(path, type_, (value,), op == "!=")
        case OneOf(type=type_) if plain(type_):
            return item
    return None


def _unique(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple({_identity(value): value for value in values}.values())


def _identities(values: Iterable[Any]) -> list[Any]:
    return [_identity(value) for value in values]


def _identity(value: Any) -> Any:
    """A hashable stand-in for a constant; two that differ only in kind, such as `1` and `true`, stay two."""
    if value.__class__ is Entity:
        return (Entity, value.uid)
    if value.__class__ in (list, tuple):
        return (list, tuple(_identities(value)))
    if value.__class__ is dict:
        return (dict, frozenset((k, _identity(v)) for k, v in value.items()))
    return (bool, value) if value.__class__ is bool else value
