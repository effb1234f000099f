"""Declarations to schema.

In: the parsed modules of a bundle, including the built-in ones. Out: a Declared with the schema and the findings; a
declaration with errors is left out of the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Diagnostic, Note
from policyengine.diagnostics.suggest import did_you_mean, one_of
from policyengine.model.entities import PARENTS
from policyengine.model.types import JSON, PRIMITIVES, ListT, RecordField, SetT, Type, entity, record
from policyengine.model.values import Fault, guard
from policyengine.schema.constants import constant_record
from policyengine.schema.refinements import bounded, constant_type, union
from policyengine.schema.schema import (
    ActionType,
    ContextRoot,
    EntityType,
    NamedType,
    ObligationType,
    Schema,
    ToolType,
    either,
)
from policyengine.schema.tool_result import Returned, is_open, marks, unmarked
from policyengine.syntax import ast
from policyengine.syntax.ast_types import MARKS

BUILTIN = "ai"
RESERVED_ATTRIBUTES = frozenset({"id", "type", "parents"})
MAX_TYPE_DEPTH = 32
# The possible sources besides the names of tools.
SOURCES = ("user", "system", "model", "composed", "unknown", "untrusted")
RESERVED_ROOTS = frozenset({"principal", "action", "resource", "context"})


@dataclass(frozen=True, slots=True)
class ModuleTree:
    """A module's name, what it may refer to (itself and what it uses), and its tree."""

    name: str
    visible: frozenset[str]
    tree: ast.Module


@dataclass(frozen=True, slots=True)
class Declared:
    schema: Schema
    diagnostics: tuple[Diagnostic, ...]


def declare(modules: Iterable[ModuleTree]) -> Declared:
    """The schema of all modules together."""
    work = _Declaring()
    # The built-in module comes first, because others extend it.
    ordered = sorted(modules, key=lambda m: (m.name != BUILTIN, m.name))
    # Types come first, then what uses them: declarations may be in any order.
    passes: tuple[tuple[type[ast.Declaration], Callable[[ModuleTree, Any], None]], ...] = (
        (ast.EntityDecl, work.entity_name),
        (ast.TypeDecl, work.type_name),
        (ast.TypeDecl, work.type_body),
        (ast.EntityDecl, work.entity_body),
        (ast.ExtendDecl, work.entity_body),
        (ast.ActionDecl, work.action),
        (ast.ContextDecl, work.context),
        (ast.ContextClosed, work.context_closed),
        (ast.ObligationDecl, work.obligation),
        (ast.ToolDecl, work.tool),
        (ast.FactsDecl, work.facts),
    )
    for kind, declare_one in passes:
        for module in ordered:
            for statement in module.tree.statements:
                if isinstance(statement, kind):
                    declare_one(module, statement)
    return Declared(work.schema(), tuple(work.diagnostics))


class _Declaring:
    """The declarations seen so far. Lives only during `declare`."""

    def __init__(self) -> None:
        self.entities: dict[str, EntityType] = {}
        self.actions: dict[str, ActionType] = {}
        self.tools: dict[str, ToolType] = {}
        self.roots: dict[str, ContextRoot] = {}
        self.obligations: dict[str, ObligationType] = {}
        self.stated: dict[tuple[str, str], ast.Entry] = {}
        self.named: dict[str, NamedType] = {}
        # Declarations of types that have not been read yet, and those that are being read.
        self.unread: dict[str, tuple[ModuleTree, ast.TypeDecl]] = {}
        self.in_progress: set[str] = set()
        self.restated: set[tuple[str, str]] = set()
        self.closed_context = False
        self.diagnostics: list[Diagnostic] = []

    def schema(self) -> Schema:
        return Schema(
            self.entities, self.actions, self.tools, self.roots, self.obligations, self.named, self.closed_context
        )

    def report(self, code: Any, at: ast.Node, message: str, label: str = "", help: str = "", *notes: Note) -> None:
        self.diagnostics.append(Diagnostic(code, at.span, message, label, help, notes))

    # ---- entities ----

    def entity_name(self, module: ModuleTree, decl: ast.EntityDecl) -> None:
        name = decl.name.text
        if name in PRIMITIVES or name in ("Set", "List"):
            self.report(codes.RESERVED, decl.name, f"`{name}` is a built-in type", "", "choose another name")
        elif name in self.entities:
            other = self.entities[name]
            use = "" if other.module == module.name else f"`use {other.module}` and "
            help_ = f"{use}`extend {name}` to add attributes"
            self._duplicate(decl.name, "entity type", other.span, help_)
        else:
            self.entities[name] = EntityType(name, module.name, decl.name.span)

    def type_name(self, module: ModuleTree, decl: ast.TypeDecl) -> None:
        name = decl.name.text
        if name in PRIMITIVES or name in ("Set", "List"):
            self.report(codes.RESERVED, decl.name, f"`{name}` is a built-in type", "", "choose another name")
        elif name in self.unread or name in self.entities:
            first = self.unread[name][1].name.span if name in self.unread else self.entities[name].span
            self._duplicate(decl.name, "type", first)
        else:
            self.unread[name] = (module, decl)

    def type_body(self, module: ModuleTree, decl: ast.TypeDecl) -> None:
        if self.unread.get(decl.name.text, (None, None))[1] is decl:
            self._named(decl.name.text)

    def _named(self, name: str) -> Type:
        """The type of this name. Types may be declared in any order, and must not contain themselves."""
        if name in self.named:
            return self.named[name].type
        module, decl = self.unread[name]
        if name in self.in_progress:
            self.report(codes.RECURSIVE, decl.name, f"`{name}` contains itself", "", "types cannot be recursive")
            return JSON
        self.in_progress.add(name)
        type_: Type = JSON
        if nesting(decl.type) > MAX_TYPE_DEPTH or len(self.in_progress) > MAX_TYPE_DEPTH:
            self.report(codes.TOO_DEEP, decl.name, f"its type is nested deeper than {MAX_TYPE_DEPTH}")
        else:
            type_ = self.type(module, decl.type)
        self.in_progress.discard(name)
        self.named[name] = NamedType(name, module.name, decl.name.span, type_)
        return type_

    def entity_body(self, module: ModuleTree, decl: ast.EntityDecl | ast.ExtendDecl) -> None:
        if isinstance(decl, ast.EntityDecl):
            declared = self.entities.get(decl.name.text)
            if declared is None or declared.span != decl.name.span:
                return
        elif not self._visible_type(module, decl.name):
            return
        entity_type = self.entities[decl.name.text]
        parents = {p.text for p in decl.parents if self._visible_type(module, p)}
        attributes = dict(entity_type.attributes)
        for name, field in self._fields(module, decl.fields, RESERVED_ATTRIBUTES).items():
            if name in attributes and attributes[name] != field and not self._may_restate(module, entity_type, name):
                at = next(f.name for f in decl.fields if f.name.text == name)
                self.report(
                    codes.DUPLICATE, at, f"attribute `{name}` of `{decl.name.text}` has two types",
                    f"elsewhere it is {attributes[name].type}",
                )  # fmt: skip
                continue
            attributes[name] = field
        sourced = {field.name.text for field in decl.fields} | ({PARENTS} if decl.parents else set())
        self.entities[decl.name.text] = replace(
            entity_type,
            attributes=attributes,
            parents=entity_type.parents | parents,
            sourced=entity_type.sourced | (sourced if decl.sourced else set()),
        )

    def _may_restate(self, module: ModuleTree, entity_type: EntityType, name: str) -> bool:
        """A bundle may give a standard attribute of the built-in schema a type of its own, once."""
        key = (entity_type.name, name)
        first = key not in self.restated
        self.restated.add(key)
        return first and entity_type.module == BUILTIN and module.name != BUILTIN

    # ---- actions, tools, context, obligations ----

    def action(self, module: ModuleTree, decl: ast.ActionDecl) -> None:
        name = decl.name.text
        attributes = self._fields(module, decl.params, frozenset({"name"}))
        resources = self._types(module, decl.resources)
        principals = self._types(module, decl.principals)
        known = self.actions.get(name)
        if known is None:
            modules = frozenset({module.name})
            self.actions[name] = ActionType(name, modules, decl.name.span, attributes, resources, principals)
            return
        # An action may be declared for several resources, in one module or many.
        if attributes and known.attributes and attributes != known.attributes:
            self._duplicate(decl.name, "action", known.span, "an action has one set of attributes")
            return
        self.actions[name] = replace(
            known,
            modules=known.modules | {module.name},
            attributes=known.attributes or attributes,
            resources=either(known.resources, resources),
            principals=either(known.principals, principals),
        )

    def context(self, module: ModuleTree, decl: ast.ContextDecl) -> None:
        name = decl.name.text
        if name in RESERVED_ROOTS:
            self.report(codes.RESERVED, decl.name, f"`{name}` is a root of every request")
        elif name in self.roots:
            self._duplicate(decl.name, "context root", self.roots[name].span)
        elif nesting(decl.type) > MAX_TYPE_DEPTH:
            self.report(codes.TOO_DEEP, decl.name, f"its type is nested deeper than {MAX_TYPE_DEPTH}")
        else:
            field = RecordField(self.type(module, decl.type), decl.optional)
            self.roots[name] = ContextRoot(name, module.name, decl.name.span, field)

    def context_closed(self, module: ModuleTree, decl: ast.ContextClosed) -> None:
        self.closed_context = True

    def obligation(self, module: ModuleTree, decl: ast.ObligationDecl) -> None:
        name = decl.name.text
        if name == "nothing":
            self.report(codes.RESERVED, decl.name, "`owing nothing` owes no obligations", "", "choose another name")
        elif name in self.obligations:
            self._duplicate(decl.name, "obligation", self.obligations[name].span)
        else:
            fields = self._fields(module, decl.params, frozenset())
            params = tuple((p.name.text, fields[p.name.text]) for p in decl.params if p.name.text in fields)
            self.obligations[name] = ObligationType(name, module.name, decl.name.span, params)

    def tool(self, module: ModuleTree, decl: ast.ToolDecl) -> None:
        name = decl.name.text
        if "Tool" not in self.entities or self.entities["Tool"].module not in module.visible:
            self.report(codes.UNKNOWN_TYPE, decl.name, "tools need the entity type `Tool`", "", "add `use ai`")
        elif name in SOURCES:
            help_ = "in `sources`, a tool with this name would look like it; choose another name"
            self.report(codes.RESERVED, decl.name, f"`{name}` names a source of arguments", "", help_)
        elif name in self.tools:
            self._duplicate(decl.name, "tool", self.tools[name].span)
        else:
            args = record(self._fields(module, decl.params, frozenset(), True), is_open(decl.params))
            facts, returns = self._facts(name, decl.facts), self._returned(module, decl.returns)
            self.tools[name] = ToolType(name, module.name, decl.name.span, args, facts, returns)

    def _returned(self, module: ModuleTree, expr: ast.TypeExpr | None) -> Returned | None:
        if expr is None:
            return None
        whole, parts = self.type(module, unmarked(expr, MAX_TYPE_DEPTH)), len(self.diagnostics)
        marked = [(words, steps, self.type(module, one)) for words, steps, one in marks(expr, MAX_TYPE_DEPTH)]
        del self.diagnostics[parts:]  # errors in a part were reported with the whole
        return Returned(whole, *(tuple((at, one) for words, at, one in marked if mark in words) for mark in MARKS))

    def facts(self, module: ModuleTree, decl: ast.FactsDecl) -> None:
        """Facts in a statement of their own: each is stated once, wherever it is."""
        tool = self.tools.get(decl.name.text)
        if tool is None or tool.module not in module.visible:
            seen = [name for name, known in self.tools.items() if known.module in module.visible]
            help_ = (
                f"add `use {tool.module}`" if tool else did_you_mean(decl.name.text, seen) or "declare it with `tool`"
            )
            self.report(codes.UNKNOWN_TOOL, decl.name, f"unknown tool `{decl.name.text}`", "not declared", help_)
            return
        self.tools[tool.name] = replace(tool, facts={**self._facts(tool.name, decl.facts), **tool.facts})

    def _facts(self, tool: str, stated: ast.RecordLit | None) -> dict[str, Any]:
        facts = constant_record(stated, self.diagnostics)
        for entry in stated.entries if stated is not None else ():
            first = self.stated.setdefault((tool, entry.key.text), entry)
            if stated is not None and not any(first is one for one in stated.entries):
                note = Note(first.span, "first stated here")
                message = f"`{entry.key.text}` of the tool `{tool}` is stated twice"
                self.report(codes.DUPLICATE, entry.key, message, "", "leave one of them out", note)
            self._check_fact(entry, facts)
        return facts

    def _check_fact(self, entry: ast.Entry, facts: Mapping[str, Any]) -> None:
        attributes = self.entities["Tool"].attributes
        name = entry.key.text
        if name == "args" or name not in attributes:
            known = attributes.keys() - {"args"}
            self.report(
                codes.UNKNOWN_ATTRIBUTE, entry.key, f"unknown attribute `{name}` on entity type `Tool`",
                "not declared in the schema", did_you_mean(name, known) or f"known: {one_of(known)}",
            )  # fmt: skip
            return
        try:
            guard(facts.get(name), attributes[name].type)
        except Fault as fault:
            if facts.get(name) is None and not isinstance(entry.value, ast.Literal):
                return  # not a constant, as was reported
            self.report(codes.WRONG_TYPE, entry.value, f"`{name}` should be {attributes[name].type}", fault.message)

    # ---- types ----

    def type(self, module: ModuleTree, expr: ast.TypeExpr) -> Type:
        """The type of the expression; Json, with a finding, if there is none."""
        match expr:
            case ast.NamedType(bounds=bounds) | ast.GenericType(bounds=bounds) if bounds:
                return bounded(self.type(module, replace(expr, bounds=())), bounds, self.diagnostics)
            case ast.NamedType(name=name) if name in PRIMITIVES:
                return PRIMITIVES[name]
            case ast.NamedType(name=name) if name in self.unread and self.unread[name][0].name in module.visible:
                return self._named(name)
            case ast.NamedType(name=name):
                written = ast.Name(text=name, span=expr.span)
                return entity(name) if self._visible_type(module, written) else JSON
            case ast.MarkedType(type=inner):
                self.report(codes.WRONG_TYPE, expr, f"`{expr.marks[0]}` is only for what a tool returns")
                return self.type(module, inner)
            case ast.EntityType(name=quoted):
                return entity(quoted.text) if self._visible_type(module, quoted) else JSON
            case ast.LiteralType(value=value):
                return union([constant_type(value)])
            case ast.UnionType(members=members):
                return union(
                    [
                        constant_type(m.value) if isinstance(m, ast.LiteralType) else self.type(module, m)
                        for m in members
                    ]
                )
            case ast.GenericType(name=name, argument=argument):
                element = self.type(module, argument)
                if name.text == "Set":
                    return SetT(element)
                if name.text == "List":
                    return ListT(element)
                self.report(
                    codes.UNKNOWN_TYPE, name, f"unknown type `{name.text}<...>`", "", "use `Set<T>` or `List<T>`"
                )
                return JSON
            case ast.RecordType(fields=fields):
                return record(self._fields(module, fields, frozenset(), True), is_open(fields))

    def _fields(
        self, module: ModuleTree, decls: tuple[ast.FieldDecl, ...], reserved: frozenset[str], open_: bool = False
    ) -> dict[str, RecordField]:
        """The fields by name. Only a record and the arguments of a tool may be `open_`."""
        fields: dict[str, RecordField] = {}
        for decl in decls:
            name = decl.name.text
            if isinstance(decl, ast.Rest):
                if not open_:
                    help_ = "it is for records and the arguments of tools"
                    self.report(codes.WRONG_TYPE, decl, "`...` is not allowed here", "", help_)
            elif nesting(decl.type) > MAX_TYPE_DEPTH:
                self.report(codes.TOO_DEEP, decl.name, f"its type is nested deeper than {MAX_TYPE_DEPTH}")
            elif name in reserved:
                self.report(codes.RESERVED, decl.name, f"`{name}` is reserved", "", "choose another name")
            elif name in fields:
                self.report(codes.DUPLICATE, decl.name, f"`{name}` is declared twice")
            else:
                fields[name] = RecordField(self.type(module, decl.type), decl.optional)
        return fields

    def _types(self, module: ModuleTree, names: tuple[ast.Name, ...]) -> frozenset[str] | None:
        if not names:
            return None
        return frozenset(n.text for n in names if self._visible_type(module, n))

    def _visible_type(self, module: ModuleTree, name: ast.Name) -> bool:
        declared = self.entities.get(name.text)
        if declared is not None and declared.module in module.visible:
            return True
        self.diagnostics.append(unknown_type(name, self.entities, module.visible))
        return False

    def _duplicate(self, at: ast.Name, what: str, other: Any, help_: str = "") -> None:
        note = Note(other, "first declared here")
        self.report(codes.DUPLICATE, at, f"{what} `{at.text}` is declared twice", "", help_, note)


def unknown_type(name: ast.Name, entities: Mapping[str, EntityType], visible: frozenset[str]) -> Diagnostic:
    """The finding for a type name that the module cannot see."""
    hidden = entities.get(name.text)
    seen = [n for n, e in entities.items() if e.module in visible]
    help_ = f"add `use {hidden.module}`" if hidden else did_you_mean(name.text, [*seen, *PRIMITIVES])
    return Diagnostic(codes.UNKNOWN_TYPE, name.span, f"unknown type `{name.text}`", "not declared in the schema", help_)


def nesting(expr: ast.TypeExpr) -> int:
    """How many `Set<...>` and `List<...>` are nested. Does not recurse, because the text may nest without limit."""
    depth = 0
    while isinstance(expr, ast.GenericType | ast.MarkedType):
        expr, depth = expr.type if isinstance(expr, ast.MarkedType) else expr.argument, depth + 1
    return depth


__all__ = ["BUILTIN", "RESERVED_ATTRIBUTES", "Declared", "ModuleTree", "declare", "unknown_type"]
