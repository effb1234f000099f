"""The Python code that answers for a rule, for people to read.

In: the policies of a snapshot, and a rule. Out: the generated functions that evaluate the rule, line by line, each with
its relation to the rule. The same code generates these functions and those that decide, from the same rules; these are
not run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from policyengine.compile.actors import Actors
from policyengine.compile.bucket import Bucket
from policyengine.compile.call_site import CallSite
from policyengine.compile.derived_decisions import Derived
from policyengine.compile.index import Index
from policyengine.compile.mention_check import look, read_through
from policyengine.compile.pytree import place
from policyengine.compile.vetted_names import VettedNames
from policyengine.diagnostics.source import Span
from policyengine.ir.nodes import Rule
from policyengine.model.entities import World
from policyengine.schema.schema import Schema

# A principal type, an action and a resource type.
RequestTypes = tuple[str, str, str]
# `rule` lines were made for this rule alone; `shared` ones read what this rule needs, and other rules may need too.
Mark = Literal["rule", "shared", ""]


@dataclass(frozen=True, slots=True)
class ListedLine:
    """One line of Python, and what it has to do with the rule."""

    text: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class ListedFunction:
    """A generated function. `rules` is how many rules it evaluates; `constants` are the values of the names in the
    lines that were made for the rule."""

    name: str
    rules: int
    lines: tuple[ListedLine, ...]
    constants: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CodeListing:
    """The functions that a request of these types goes through to ask a rule, the way in first."""

    rule: Rule
    request_types: RequestTypes
    functions: tuple[ListedFunction, ...]


def request_types_of(rule: Rule, schema: Schema) -> tuple[RequestTypes, ...]:
    """The types of the requests that can concern a rule, in order."""
    actions = schema.actions if rule.head.actions is None else rule.head.actions
    return tuple(
        (principal, action, resource)
        for action in sorted(actions)
        for resource in sorted(_admitted(rule.head.resource.types, schema.resources_of(action)))
        for principal in sorted(_admitted(rule.head.principal.types, schema.principals_of(action)))
    )


def _admitted(wanted: frozenset[str] | None, known: frozenset[str]) -> frozenset[str]:
    return known if wanted is None else known & wanted


def list_rule(
    rule: Rule, rules: Collection[Rule], schema: Schema, world: World, request_types: RequestTypes
) -> CodeListing:
    """The functions that evaluate one rule of `rules` for requests of these types, which are one of
    `request_types_of`."""
    index, vetted_names = Index(rules, schema), VettedNames(schema)
    looks = look(schema, vetted_names, request_types[1], read_through(index.about(request_types[1], request_types[2])))
    actors = Actors(request_types[1], {}, schema, world, Derived(), vetted_names, looks)
    bucket = Bucket(index.plan(*request_types), CallSite(*request_types, frozenset(world.records)), actors, "")
    made = bucket.trees(rule)
    return CodeListing(rule, request_types, tuple(_function(rule, count, tree, names) for count, tree, names in made))


def _function(rule: Rule, rules: int, tree: ast.Module, constants: Mapping[str, Any]) -> ListedFunction:
    (function,) = tree.body
    assert isinstance(function, ast.FunctionDef)
    head = ast.FunctionDef(function.name, function.args, [], [], lineno=1, col_offset=0)
    lines = [ListedLine(text, "") for text in ast.unparse(head).split("\n") if text]
    deep = list(_flat(rule, function.body, 1))
    body = [statement for _, _, statement in deep]
    marks = _marks(rule, body)
    for (depth, text, _), mark in zip(deep, marks, strict=True):
        lines += [ListedLine("    " * depth + line, mark) for line in text.split("\n")]
    used = _names(*(statement for statement, mark in zip(body, marks, strict=True) if mark))
    shown = {name: value for name, value in constants.items() if name in used}
    return ListedFunction(function.name, rules, tuple(lines), shown)


def _flat(rule: Rule, body: Iterable[ast.stmt], depth: int) -> Iterator[tuple[int, str, ast.stmt]]:
    """The statements with their depth and text. A branch for several rules is taken apart; its test belongs to the rule
    if any statement in it does."""
    for statement in body:
        if not isinstance(statement, ast.If) or _span(statement) is not None or not _is_for_rules(statement):
            yield depth, ast.unparse(statement), statement
            continue
        head = ast.If(statement.test, [], [])
        if any(_is_of(rule, each) for each in _all([statement])):
            place(head, rule.span)
        yield depth, ast.unparse(head), head
        yield from _flat(rule, statement.body, depth + 1)
        if statement.orelse:
            yield depth, "else:", ast.Pass()
            yield from _flat(rule, statement.orelse, depth + 1)


def _is_for_rules(statement: ast.stmt) -> bool:
    return any(_span(each) is not None for each in _all([statement]))


def _all(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements, and all statements within them."""
    return (node for one in body for node in ast.walk(one) if isinstance(node, ast.stmt))


def _marks(rule: Rule, body: list[ast.stmt]) -> list[Mark]:
    """The mark of each statement. It is marked if it has a place in the rule's text, or if it belongs to no other rule
    and is about a value that such a statement reads. If no statement has a place there, the statements that look the
    rule up are marked."""
    own = [_is_of(rule, statement) for statement in body]
    read = _names(*(statement for statement, is_own in zip(body, own, strict=True) if is_own))
    assigned = {name for statement in body for name in _assigned(statement)}
    values = {name for name in assigned & read if _is_value(name)} if any(own) else assigned & _LOOKUP
    return [
        "rule" if is_own else "shared" if _span(s) is None and values & (_names(s) | _assigned(s)) else ""
        for s, is_own in zip(body, own, strict=True)
    ]


# The name that collects what a table lookup finds and what the rules found there answer.
_LOOKUP = {"h"}


def _is_of(rule: Rule, statement: ast.stmt) -> bool:
    span = _span(statement)
    return span is not None and span.source is rule.span.source and rule.span.start <= span.start < rule.span.end


def _span(statement: ast.stmt) -> Span | None:
    """The policy text that a statement was made for, if there is one."""
    return getattr(statement, "span", None)


def _is_value(name: str) -> bool:
    """Whether a name stands for a value that was read for the rules, rather than for a part of the request."""
    return re.fullmatch(r"above_\w+|v\d+|(principal|resource)_\d+", name) is not None


def _assigned(statement: ast.stmt) -> set[str]:
    return {node.id for node in _all_names(statement) if isinstance(node.ctx, ast.Store)}


def _names(*statements: ast.stmt) -> set[str]:
    return {node.id for statement in statements for node in _all_names(statement) if isinstance(node.ctx, ast.Load)}


def _all_names(statement: ast.stmt) -> Iterator[ast.Name]:
    return (node for node in ast.walk(statement) if isinstance(node, ast.Name))
