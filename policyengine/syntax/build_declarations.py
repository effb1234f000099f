"""Grammar productions of types and declarations to tree nodes, and what all productions share."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, assert_never

from lark import Token, Transformer

from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.diagnostics.source import Source, Span
from policyengine.model.values import INT_MAX
from policyengine.syntax import ast
from policyengine.syntax.ast_types import MARKS


@dataclass(frozen=True, slots=True)
class Part:
    """A finished piece that is not a node of its own."""

    value: Any
    span: Span


@dataclass(frozen=True, slots=True)
class Parents(Part):
    """What an entity is in, or what entities of its type can be in; before or after its attributes."""


class BuildDeclarations(Transformer[Token, Any]):
    """Builds the tree of one text. `offset` is added to every position: a text may be parsed from its middle."""

    def __init__(self) -> None:
        super().__init__()
        self.begin(Source("", ""), 0)

    def begin(self, source: Source, offset: int) -> None:
        self.source = source
        self.offset = offset
        self.diagnostics: list[Diagnostic] = []

    # ---- helpers ----

    def _span(self, parts: list[Any]) -> Span:
        known = [part for part in parts if part is not None]
        return Span(self.source, self._start(known[0]), self._end(known[-1]))

    def _start(self, part: Any) -> int:
        return int(part.start_pos or 0) + self.offset if isinstance(part, Token) else int(part.span.start)

    def _end(self, part: Any) -> int:
        return int(part.end_pos or 0) + self.offset if isinstance(part, Token) else int(part.span.end)

    def _report(self, code: Any, span: Span, message: str, help: str = "", label: str = "") -> None:
        self.diagnostics.append(Diagnostic(code, span, message, label, help))

    def number(self, parts: list[Any]) -> ast.Literal:
        span, text = self._span(parts), str(parts[0])
        value: int | float
        try:
            value = float(text) if re.search(r"[.eE]", text) else int(text)
        except ValueError:
            value = INT_MAX + 2
        if value == float("inf") or (isinstance(value, int) and value > INT_MAX + 1):
            self._report(codes.BAD_NUMBER, span, "number out of range", "an Int has 64 bits, a Number is a double")
            value = 0
        return ast.Literal(value=value, kind="number", text=text, span=span)

    # ---- types and declarations ----

    def named_type(self, parts: list[Any]) -> ast.NamedType:
        return ast.NamedType(name=parts[0].text, bounds=value_of(parts[1]), span=self._span(parts))

    def generic_type(self, parts: list[Any]) -> ast.GenericType:
        return ast.GenericType(name=parts[0], argument=parts[2], bounds=value_of(parts[4]), span=self._span(parts))

    def entity_type(self, parts: list[Any]) -> ast.EntityType:
        name = ast.Name(text=str(parts[1].value), span=parts[1].span)
        return ast.EntityType(name=name, span=self._span(parts))

    def with_marks(self, parts: list[Any]) -> ast.MarkedType:
        type_, *words = parts
        for number, word in enumerate(words):
            if word.text not in MARKS or word.text in {one.text for one in words[:number]}:
                known = " and ".join(f"`{mark}`" for mark in MARKS)
                self._report(
                    codes.SYNTAX, word.span, f"unexpected `{word.text}`", f"{known} are allowed here, once each"
                )
                # One finding covers any number of words.
                words = words[:number]
                break
        return ast.MarkedType(type=type_, marks=tuple(word.text for word in words), span=self._span(parts))

    def type_word(self, parts: list[Any]) -> ast.Name:
        return ast.Name(text=str(parts[0]), span=self._span(parts))

    def literal_type(self, parts: list[Any]) -> ast.LiteralType:
        return ast.LiteralType(value=self._constant(parts), span=self._span(parts))

    def union_type(self, parts: list[Any]) -> ast.UnionType:
        return ast.UnionType(members=tuple(nodes(parts)), span=self._span(parts))

    def bound(self, parts: list[Any]) -> ast.Bound:
        name = ast.Name(text=str(parts[0]), span=self._span(parts[:1]))
        return ast.Bound(name=name, value=self._constant(parts[2:]), span=self._span(parts))

    def _constant(self, parts: list[Any]) -> ast.Literal:
        """A constant as it is written in a type."""
        first, *rest = parts
        if isinstance(first, ast.Literal):
            return first
        match first.type:
            case "TRUE" | "FALSE":
                return ast.Literal(value=first.type == "TRUE", kind="bool", span=self._span(parts))
            case "NULL":
                return ast.Literal(value=None, kind="null", span=self._span(parts))
        number = self.number(rest or parts)
        if not rest:
            return number
        return replace(number, value=-number.value, text=f"-{number.text}", span=self._span(parts))  # type: ignore[operator]

    def rest(self, parts: list[Any]) -> ast.Rest:
        span = self._span(parts)
        name, json = ast.Name(text="...", span=span), ast.NamedType(name="Json", span=span)
        return ast.Rest(name=name, optional=True, type=json, span=span)

    def type_decl(self, parts: list[Any]) -> ast.TypeDecl:
        return ast.TypeDecl(name=parts[1], type=parts[3], span=self._span(parts))

    def record_type(self, parts: list[Any]) -> ast.RecordType:
        return ast.RecordType(fields=parts[0].value, span=parts[0].span)

    def field(self, parts: list[Any]) -> ast.FieldDecl:
        return ast.FieldDecl(name=parts[0], optional=parts[1] is not None, type=parts[3], span=self._span(parts))

    def fields(self, parts: list[Any]) -> Part:
        listed_fields = tuple(nodes(parts))
        for field in listed_fields[:-1]:
            if isinstance(field, ast.Rest):
                self._report(codes.SYNTAX, field.span, "`...` must come last", "move it to the end")
        return Part(listed_fields, self._span(parts))

    params = type_names = bounds = fields

    def parents(self, parts: list[Any]) -> Parents:
        return Parents(tuple(nodes(parts)), self._span(parts))

    def entity_decl(self, parts: list[Any]) -> ast.EntityDecl:
        return ast.EntityDecl(**self._entity_parts(parts))

    def extend_decl(self, parts: list[Any]) -> ast.ExtendDecl:
        return ast.ExtendDecl(**self._entity_parts(parts))

    def _entity_parts(self, parts: list[Any]) -> dict[str, Any]:
        _, name, origin, *rest = parts
        parents, fields = parents_first(rest)
        span = self._span(parts)
        return {
            "name": name,
            "parents": value_of(parents),
            "fields": value_of(fields),
            "sourced": origin is not None,
            "span": span,
        }

    def origin(self, parts: list[Any]) -> Part:
        words = tuple(part.text for part in parts)
        if words != ("from", "source"):
            self._report(
                codes.SYNTAX, parts[0].span, f"unexpected `{words[0]}`", "write `from source`, or leave it out"
            )
        return Part(words, self._span(parts))

    def context_closed(self, parts: list[Any]) -> ast.ContextClosed:
        if parts[1].text != "closed":
            help_ = "write `context NAME: TYPE`, or `context closed`"
            self._report(codes.SYNTAX, parts[1].span, "a context root needs a type", help_)
        return ast.ContextClosed(span=self._span(parts))

    def action_decl(self, parts: list[Any]) -> ast.ActionDecl:
        _, name, params, _, resources, _, principals = parts
        types = resources.value if isinstance(resources, Part) else ()
        return ast.ActionDecl(
            name=name, params=value_of(params), resources=types, principals=value_of(principals), span=self._span(parts)
        )

    def tool_decl(self, parts: list[Any]) -> ast.ToolDecl:
        _, name, params, returns, facts = parts
        gives = returns.value if returns is not None else None
        return ast.ToolDecl(name=name, params=value_of(params), facts=facts, returns=gives, span=self._span(parts))

    def returns(self, parts: list[Any]) -> Part:
        word, type_ = parts
        if word != "returns":
            span = self._span([word])
            self._report(codes.SYNTAX, span, f"unexpected `{word}`", "write `returns TYPE`, or leave it out")
        return Part(type_, self._span(parts))

    def facts_decl(self, parts: list[Any]) -> ast.FactsDecl:
        return ast.FactsDecl(name=parts[1], facts=parts[2], span=self._span(parts))

    def context_decl(self, parts: list[Any]) -> ast.ContextDecl:
        return ast.ContextDecl(name=parts[1], optional=parts[2] is not None, type=parts[4], span=self._span(parts))

    def obligation_decl(self, parts: list[Any]) -> ast.ObligationDecl:
        return ast.ObligationDecl(name=parts[1], params=value_of(parts[2]), span=self._span(parts))

    def define(self, parts: list[Any]) -> ast.Define:
        _, name, params, _, body = parts
        return ast.Define(name=name, params=value_of(params), body=body, span=self._span(parts))


def nodes(parts: list[Any]) -> list[Any]:
    """The parts that are nodes: no punctuation, no absent options."""
    return [part for part in parts if isinstance(part, ast.Node)]


def parents_first(parts: list[Any]) -> list[Any]:
    """The parents and the attributes, in whichever order they were written; None for what is missing."""
    first, second = parts
    turned = isinstance(second, Parents) or (first is not None and not isinstance(first, Parents))
    return [second, first] if turned else [first, second]


def value_of(part: Part | None) -> Any:
    return part.value if part is not None else ()


# The order in which they are kept and written.
CLAUSES = ("when", "unless", "because", "on match log", "on stream cut")


def word_of(clause: ast.Clause) -> str:
    match clause:
        case ast.When(negated=negated):
            return "unless" if negated else "when"
        case ast.Because():
            return "because"
        case ast.Mode(words=words):
            return f"on {words}"
        case _:
            assert_never(clause)
