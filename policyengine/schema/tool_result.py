"""A tool's result as it is declared: the type, which values in it are trusted, and which of them name its readers.

In: the type after `returns`. Out: the same without the words `trusted` and `readers`, and the paths to the places with
these words. `trusted_places` and `read_by` follow these paths in a result: a value that does not have the type of its
place is not trusted, and names no readers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from policyengine.model.refined import fits
from policyengine.model.types import Type
from policyengine.syntax import ast

MarkPath = tuple[str | None, ...]
ValuePath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Returned:
    """`type` is the type of the result. `trusted` and `readers` have the path to each marked place, with None for every
    element of a list, and the type of the value there."""

    type: Type
    trusted: tuple[tuple[MarkPath, Type], ...] = ()
    readers: tuple[tuple[MarkPath, Type], ...] = ()


def marks(expr: ast.TypeExpr, most: int) -> Iterator[tuple[tuple[str, ...], MarkPath, ast.TypeExpr]]:
    """The marked places in a written type. Those more than `most` steps away are left out: they are not trusted."""
    todo: list[tuple[MarkPath, ast.TypeExpr]] = [((), expr)]
    while todo:
        steps, node = todo.pop()
        if len(steps) > most:
            continue
        match node:
            case ast.MarkedType(type=inner, marks=words):
                yield words, steps, unmarked(inner, most)
                todo.append((steps, inner))
            case ast.GenericType(argument=argument):
                todo.append(((*steps, None), argument))
            case ast.RecordType(fields=declared):
                todo += (((*steps, one.name.text), one.type) for one in declared if not isinstance(one, ast.Rest))
            case ast.UnionType(members=members):
                todo += ((steps, member) for member in members)


def unmarked(expr: ast.TypeExpr, most: int) -> ast.TypeExpr:
    """The type without the words. Parts that are nested more deeply stay as they are."""
    if most < 0:
        return expr
    match expr:
        case ast.MarkedType(type=inner):
            return unmarked(inner, most - 1)
        case ast.GenericType(argument=argument):
            return replace(expr, argument=unmarked(argument, most - 1))
        case ast.RecordType(fields=declared):
            return replace(expr, fields=tuple(replace(one, type=unmarked(one.type, most - 1)) for one in declared))
        case ast.UnionType(members=members):
            return replace(expr, members=tuple(unmarked(member, most - 1) for member in members))
    return expr


def trusted_places(returned: Returned, result: Any) -> Iterator[tuple[ValuePath, Any]]:
    """The trusted values in a result, each with its path. A value that is not of its declared type is left out."""
    for steps, type_ in returned.trusted:
        yield from ((way, value) for way, value in _places(result, steps) if fits(value, type_))


def read_by(returned: Returned, result: Any) -> dict[ValuePath, tuple[str, ...]]:
    """Who may see those records of a result that name their readers, by path. Everyone who is named anywhere in the
    record may see all of it; if a value that names readers is not of its declared type, nobody may."""
    readers: dict[ValuePath, set[str]] = {}
    broken: set[ValuePath] = set()
    for steps, type_ in returned.readers:
        name = max((at for at, step in enumerate(steps) if step is not None), default=0)
        for around, holder in _places(result, steps[:name]):
            named = readers.setdefault(around, set())
            if type(holder) not in (dict, list, tuple) and name:
                broken.add(around)
            for _, value in _places(holder, steps[name:]):
                if fits(value, type_):
                    named.update(_texts(value))
                else:
                    broken.add(around)
    return {way: () if way in broken else tuple(sorted(named)) for way, named in readers.items()}


def _places(result: Any, steps: MarkPath) -> list[tuple[ValuePath, Any]]:
    values: list[tuple[ValuePath, Any]] = [((), result)]
    for step in steps:
        values = [((*way, at), item) for way, value in values for at, item in _below(value, step)]
    return values


def _texts(value: Any) -> Iterator[str]:
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            todo += one.values()
        elif isinstance(one, list | tuple):
            todo += one


def _below(value: Any, step: str | None) -> Iterator[tuple[str | int, Any]]:
    if step is None:
        if type(value) in (list, tuple):
            yield from enumerate(value)
    elif type(value) is dict and step in value:
        yield step, value[step]


def is_open(decls: tuple[ast.FieldDecl, ...]) -> bool:
    """Whether fields end in `...`: there may be others."""
    return any(isinstance(decl, ast.Rest) for decl in decls)
