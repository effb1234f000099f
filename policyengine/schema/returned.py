"""What a tool returns, as its declaration says: the type, and which values in it are to be trusted.

In: the type as it is written behind `returns`. Out: the same without the word `trusted`, and the ways to the places
where that stood. `trusted_places` goes these ways in a result: a value that is not what its place declares is nobody's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from policyengine.model.refined import fits
from policyengine.model.types import Type
from policyengine.syntax import ast

Steps = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Returned:
    """`type` is what comes back. `trusted` has the way to each trusted place, None for every element of a list, and the
    type of what stands there."""

    type: Type
    trusted: tuple[tuple[Steps, Type], ...] = ()


def marks(expr: ast.TypeExpr, most: int) -> Iterator[tuple[Steps, ast.TypeExpr]]:
    """The trusted places in a written type. Those more than `most` steps away are left out: they are not trusted."""
    todo: list[tuple[Steps, ast.TypeExpr]] = [((), expr)]
    while todo:
        steps, node = todo.pop()
        if len(steps) > most:
            continue
        match node:
            case ast.TrustedType(type=inner):
                yield steps, unmarked(inner, most)
            case ast.GenericType(argument=argument):
                todo.append(((*steps, None), argument))
            case ast.RecordType(fields=declared):
                todo += (((*steps, one.name.text), one.type) for one in declared if not isinstance(one, ast.Rest))
            case ast.UnionType(members=members):
                todo += ((steps, member) for member in members)


def unmarked(expr: ast.TypeExpr, most: int) -> ast.TypeExpr:
    """The type without the word. What is nested deeper than that stays as it is."""
    if most < 0:
        return expr
    match expr:
        case ast.TrustedType(type=inner):
            return unmarked(inner, most - 1)
        case ast.GenericType(argument=argument):
            return replace(expr, argument=unmarked(argument, most - 1))
        case ast.RecordType(fields=declared):
            return replace(expr, fields=tuple(replace(one, type=unmarked(one.type, most - 1)) for one in declared))
        case ast.UnionType(members=members):
            return replace(expr, members=tuple(unmarked(member, most - 1) for member in members))
    return expr


def trusted_places(returned: Returned, result: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """The trusted values in a result, each with the way to it. One that is not of its declared type is left out."""
    for steps, type_ in returned.trusted:
        found: list[tuple[tuple[str | int, ...], Any]] = [((), result)]
        for step in steps:
            found = [(((*way, at)), item) for way, value in found for at, item in _below(value, step)]
        yield from ((way, value) for way, value in found if fits(value, type_))


def _below(value: Any, step: str | None) -> Iterator[tuple[str | int, Any]]:
    if step is None:
        if type(value) in (list, tuple):
            yield from enumerate(value)
    elif type(value) is dict and step in value:
        yield step, value[step]


def is_open(decls: tuple[ast.FieldDecl, ...]) -> bool:
    """Whether fields end in `...`: there may be others."""
    return any(isinstance(decl, ast.Rest) for decl in decls)
