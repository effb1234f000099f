"""Atoms and constants as people write them in `.pol`."""

from __future__ import annotations

import json
import re
from typing import Any, assert_never

from policyengine.model.values import Entity, Uid, to_json
from policyengine.partial.formula import (
    Atom,
    Below,
    Elements,
    Inside,
    Matching,
    Missing,
    OfType,
    OneOf,
    Opaque,
    Path,
    Present,
    Relation,
    Sized,
    Sourced,
    TwoFields,
)

_MOST = 8
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def shown(atom: Atom, type_: str) -> str:
    """The atom in the words of the language. `type_` is the type of the thing, whose name in lower case it goes by."""
    root = type_.lower() if _NAME.fullmatch(type_) else "resource"
    match atom:
        case Opaque(expr=expr):
            return " ".join(expr.span.text.split())
        case Sourced(ids=ids):
            return f"{root}.id in {_list(tuple(sorted(ids)))}, as the entity source has it"
        case Inside(targets=targets, negated=negated):
            if not targets:
                return f"the parents of {root} are well formed"
            return _not(f"{root} in {_entities(targets)}", negated)
        case Present(path=path):
            return _has(root, path)
        case Missing(path=path):
            return f"not ({_has(root, path)})"
        case _:
            return _of_value(atom, dotted(root, atom.path), root)


def _of_value(
    atom: OfType | Relation | OneOf | Elements | Matching | Sized | TwoFields | Below, place: str, root: str
) -> str:
    match atom:
        case OfType(type=type_):
            return f"{place} is a {type_}"
        case Relation(op=op, value=value):
            return f"{place} {op} {literal(value)}"
        case OneOf(values=values, negated=negated):
            return _not(f"{place} in {_list(values)}", negated)
        case Elements(kind=kind, values=values):
            return _holds(kind, place, values)
        case Matching(pieces=pieces, negated=negated):
            return _not(f"{place} like {literal('*'.join(pieces))}", negated)
        case Sized(op=op, count=count):
            return f"size({place}) {op} {literal(count)}"
        case TwoFields(op=op, other=other):
            return f"{place} {op} {dotted(root, other)}"
        case Below(targets=targets, negated=negated):
            return _not(f"{place} in {_entities(targets)}", negated)
        case _:
            assert_never(atom)


def _holds(kind: str, place: str, values: tuple[Any, ...]) -> str:
    match kind, len(values):
        case (("any" | "none"), 1):
            return _not(f"{literal(values[0])} in {place}", kind == "none")
        case (("any" | "none"), _):
            return _not(f"contains_any({place}, {_list(values)})", kind == "none")
        case (("all" | "lacks"), _):
            return _not(f"contains_all({place}, {_list(values)})", kind == "lacks")
    return _not(f"contains_all({_list(values)}, {place})", kind == "other")


def dotted(root: str, path: Path) -> str:
    return ".".join([root, *(name if _NAME.fullmatch(name) else literal(name) for name in path)])


def literal(value: Any) -> str:
    """A constant as the language writes it."""
    if value.__class__ is Entity:
        type_ = value.uid.type
        return f"{type_ if _NAME.fullmatch(type_) else literal(type_)}::{literal(value.uid.id)}"
    if value.__class__ in (tuple, list):
        return f"[{', '.join(map(literal, value))}]"
    return json.dumps(to_json(value), ensure_ascii=False)


def _has(root: str, path: Path) -> str:
    *base, name = path
    return f"{dotted(root, tuple(base))} has {name if _NAME.fullmatch(name) else literal(name)}"


def _list(values: tuple[Any, ...]) -> str:
    kept = ", ".join(map(literal, values[:_MOST]))
    return f"[{kept}, ... {len(values) - _MOST:,} more]" if len(values) > _MOST else f"[{kept}]"


def _entities(uids: frozenset[Uid]) -> str:
    entities = tuple(Entity(uid) for uid in sorted(uids))
    return literal(entities[0]) if len(entities) == 1 else _list(entities)


def _not(text: str, negated: bool) -> str:
    return f"not ({text})" if negated else text
