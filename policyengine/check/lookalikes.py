"""Findings about names and texts that look the same, or differ only in case, and are never equal.

The declared names of each kind in the bundle are compared with each other. In each module, so are the texts that are
compared with the same attribute, and the ids of entities of the same type.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Iterable, Iterator

from policyengine.check.environment import Findings
from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Note
from policyengine.diagnostics.source import Span
from policyengine.ir.nodes import (
    Attribute,
    Call,
    Const,
    Contains,
    Equal,
    Expect,
    Expr,
    Identity,
    Local,
    Quantifier,
    Refine,
    Root,
    Rule,
    Sources,
)
from policyengine.ir.walk import walk
from policyengine.model.types import EntityT
from policyengine.model.values import Entity
from policyengine.schema.declare import BUILTIN, ModuleTree
from policyengine.syntax import ast

# A position, the value there, its span, and the values read beside it. A rule with both spellings means both.
_Found = tuple[Hashable, str, Span, str]


def lint_twin_names(modules: Iterable[ModuleTree], findings: Findings) -> None:
    """The names that the modules declare: entity types, actions and tools."""
    _report(_declared(modules), findings)


def lint_twin_texts(rules: Iterable[Rule], findings: Findings) -> None:
    """The constants in the conditions of the rules of one module."""
    _report((constant for rule in rules for constant in _constants(rule)), findings)


def _report(found: Iterable[_Found], findings: Findings) -> None:
    known: dict[tuple[Hashable, str], dict[str, tuple[Span, str]]] = {}
    for position, text, span, rule in found:
        spellings = known.setdefault((position, _folded(text)), {})
        if text in spellings:
            continue
        for other, (first, where) in spellings.items():
            difference = _difference(text, other)
            if difference == "case" and rule and where == rule:
                continue
            findings.report(
                codes.TWINS, span, f"`{text}` differs from another only in {difference}", "they are never equal",
                "write both the same way", Note(first, "the other one"),
            )  # fmt: skip
            break
        spellings[text] = (span, rule)


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _difference(one: str, other: str) -> str:
    for form, difference in (("NFC", "how it is encoded"), ("NFKC", "the width or form of its characters")):
        if unicodedata.normalize(form, one) == unicodedata.normalize(form, other):  # type: ignore[arg-type]
            return difference
    return "case"


def _declared(modules: Iterable[ModuleTree]) -> Iterator[_Found]:
    for module in sorted(modules, key=lambda m: m.name):
        # Policies may declare a type `user`, as other systems call it, beside the built-in `User`.
        if module.name == BUILTIN:
            continue
        for statement in module.tree.statements:
            if isinstance(statement, ast.EntityDecl | ast.ActionDecl | ast.ToolDecl):
                yield type(statement).__name__, statement.name.text, statement.name.span, ""


def _constants(rule: Rule) -> Iterator[_Found]:
    nodes = list(walk(rule.condition))
    elements = {node.slot: node.collection for node in nodes if isinstance(node, Quantifier)}
    for node in nodes:
        match node:
            case Contains(item=one, collection=other) | Equal(left=one, right=other):
                pass
            case Call(function="contains_any" | "contains_all", args=(one, other)):
                pass
            case _:
                continue
        for side, constant in ((one, other), (other, one)):
            if not isinstance(constant, Const) or (position := _position(side, elements)) is None:
                continue
            for value in _values(constant):
                if isinstance(value, str):
                    yield position, value, constant.span, rule.name
    for scope in (rule.head.resource, rule.head.principal):
        for uid in sorted({*(scope.entities or ()), *(scope.within or ())}, key=str):
            if scope.span is not None:
                yield uid.type, uid.id, scope.span, rule.name
    for node in nodes:
        if isinstance(node, Const):
            for value in _values(node):
                if isinstance(value, Entity):
                    yield value.uid.type, value.uid.id, node.span, rule.name


def _values(constant: Const) -> tuple[object, ...]:
    """The elements of a constant collection, or the one value."""
    return constant.value if isinstance(constant.value, tuple) else (constant.value,)


def _position(expr: Expr, elements: dict[int, Expr]) -> Hashable | None:
    """What an expression reads, the same for every rule that reads it: attributes, down to an entity's type."""
    names: list[str] = []
    while True:
        match expr:
            case Expect(operand=inner) | Refine(operand=inner):
                expr = inner
            case Local(slot=slot) if slot in elements and not isinstance(expr.type, EntityT):
                expr = elements[slot]
            case Attribute(base=base, name=name):
                names.append(name)
                if isinstance(base, Root) and base.name == "principal":
                    return ("principal", *names)
                if isinstance(base.type, EntityT):
                    return (base.type.names, *names)
                expr = base
            case Identity(base=base):
                types = base.type.names if isinstance(base.type, EntityT) else frozenset()
                return next(iter(types)) if len(types) == 1 else None
            case Sources():
                return "sources"
            case _:
                return ("root", *names) if names else None
