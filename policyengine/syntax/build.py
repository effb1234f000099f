"""Grammar productions to tree nodes, called by the parser as it reduces.

Each method is one production of `policy.lark` and gets the finished parts in order. Findings are collected, never
raised.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, cast

from lark import Token, Transformer

from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.diagnostics.source import Source, Span
from policyengine.model.values import INT_MAX, Fault, parse_duration
from policyengine.syntax import ast


@dataclass(frozen=True, slots=True)
class _Part:
    """A finished piece that is no node of its own."""

    value: Any
    span: Span


class Build(Transformer[Token, Any]):
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

    # ---- words ----

    def name(self, parts: list[Any]) -> ast.Name:
        return ast.Name(text=str(parts[0]), span=self._span(parts))

    attribute = name

    def any_name(self, parts: list[Any]) -> ast.Name:
        token = parts[0]
        span = self._span(parts)
        return ast.Name(text=self._unquote(token, span) if token.type == "STRING" else str(token), span=span)

    def any_rule(self, parts: list[Any]) -> ast.Name:
        return ast.Name(text="".join(parts), span=self._span(parts))

    def string(self, parts: list[Any]) -> ast.Literal:
        span = self._span(parts)
        return ast.Literal(value=self._unquote(parts[0], span), kind="string", span=span)

    def duration(self, parts: list[Any]) -> ast.Literal:
        span = self._span(parts)
        try:
            value = parse_duration(str(parts[0]))
        except Fault as fault:
            self._report(codes.BAD_NUMBER, span, fault.message)
            value = parse_duration("1s")
        return ast.Literal(value=value, kind="duration", text=str(parts[0]), span=span)

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

    def true(self, parts: list[Any]) -> ast.Literal:
        return ast.Literal(value=True, kind="bool", span=self._span(parts))

    def false(self, parts: list[Any]) -> ast.Literal:
        return ast.Literal(value=False, kind="bool", span=self._span(parts))

    def null(self, parts: list[Any]) -> ast.Literal:
        return ast.Literal(value=None, kind="null", span=self._span(parts))

    def _unquote(self, token: Token, span: Span) -> str:
        def character(found: re.Match[str]) -> str:
            escape = found[0]
            if escape[1] in _ESCAPES:
                return _ESCAPES[escape[1]]
            if found[1] and not 0xD800 <= int(found[1], 16) <= 0xDFFF:
                return chr(int(found[1], 16))
            if found[2] and int(found[2], 16) <= 0x10FFFF and not 0xD800 <= int(found[2], 16) <= 0xDFFF:
                return chr(int(found[2], 16))
            at = Span(self.source, span.start + 1 + found.start(), span.start + 1 + found.end())
            self._report(
                codes.BAD_STRING, at, f"unknown escape `{escape}`", 'use one of \\" \\\\ \\n \\r \\t \\uXXXX \\u{X}'
            )
            return escape

        return _ESCAPE.sub(character, str(token)[1:-1]) if "\\" in token else str(token)[1:-1]

    # ---- expressions ----

    def ref(self, parts: list[Any]) -> ast.Ref:
        return ast.Ref(name=str(parts[0]), span=self._span(parts))

    def entity(self, parts: list[Any]) -> ast.EntityLit:
        return ast.EntityLit(
            type=parts[0], id=ast.Name(text=parts[2].value, span=parts[2].span), span=self._span(parts)
        )

    def group(self, parts: list[Any]) -> ast.Expr:
        return cast(ast.Expr, replace(parts[1], span=self._span(parts)))

    def list_literal(self, parts: list[Any]) -> ast.ListLit:
        return ast.ListLit(items=tuple(_nodes(parts)), span=self._span(parts))

    def entry(self, parts: list[Any]) -> ast.Entry:
        return ast.Entry(key=parts[0], value=parts[2], span=self._span(parts))

    def record(self, parts: list[Any]) -> ast.RecordLit:
        return ast.RecordLit(entries=tuple(_nodes(parts)), span=self._span(parts))

    ask_attributes = record

    def member(self, parts: list[Any]) -> ast.Member:
        return ast.Member(base=parts[0], name=parts[2], span=self._span(parts))

    def lookup(self, parts: list[Any]) -> ast.Member | ast.Lookup:
        base, _, key, _ = parts
        if isinstance(key, ast.Literal) and key.kind == "string":
            name = ast.Name(text=str(key.value), span=key.span)
            return ast.Member(base=base, name=name, span=self._span(parts))
        return ast.Lookup(base=base, key=key, span=self._span(parts))

    def has_key(self, parts: list[Any]) -> ast.HasOp | ast.HasKey:
        base, _, _, key, _ = parts
        if isinstance(key, ast.Literal) and key.kind == "string":
            name = ast.Name(text=str(key.value), span=key.span)
            return ast.HasOp(base=base, path=(name,), span=self._span(parts))
        return ast.HasKey(base=base, key=key, span=self._span(parts))

    def arguments(self, parts: list[Any]) -> list[Any]:
        return _nodes(parts)

    def method(self, parts: list[Any]) -> ast.MethodCall:
        base, _, name, _, args, _ = parts
        return ast.MethodCall(base=base, name=name, args=tuple(args), span=self._span(parts))

    def call(self, parts: list[Any]) -> ast.Call:
        return ast.Call(name=parts[0], args=tuple(parts[2]), span=self._span(parts))

    def minus(self, parts: list[Any]) -> ast.Unary:
        return ast.Unary(op="-", operand=parts[1], span=self._span(parts))

    def negation(self, parts: list[Any]) -> ast.Unary:
        return ast.Unary(op="not", operand=parts[1], span=self._span(parts))

    def binary(self, parts: list[Any]) -> ast.Binary:
        return ast.Binary(op=str(parts[1]), left=parts[0], right=parts[2], span=self._span(parts))

    def has(self, parts: list[Any]) -> ast.HasOp:
        return ast.HasOp(base=parts[0], path=tuple(_nodes(parts[1:])), span=self._span(parts))

    def is_type(self, parts: list[Any]) -> ast.IsOp:
        return ast.IsOp(base=parts[0], type=parts[2], span=self._span(parts))

    def like(self, parts: list[Any]) -> ast.LikeOp:
        return ast.LikeOp(base=parts[0], pattern=parts[2], span=self._span(parts))

    def conditional(self, parts: list[Any]) -> ast.Conditional:
        _, condition, _, then, _, otherwise = parts
        return ast.Conditional(condition=condition, then=then, otherwise=otherwise, span=self._span(parts))

    def quantifier(self, parts: list[Any]) -> ast.Quantifier:
        kind, variable, _, collection, _, body = parts
        return ast.Quantifier(
            kind="any" if kind.type == "ANY" else "all",
            variable=variable,
            collection=collection,
            body=body,
            span=self._span(parts),
        )

    # ---- types and declarations ----

    def named_type(self, parts: list[Any]) -> ast.NamedType:
        return ast.NamedType(name=parts[0].text, span=parts[0].span)

    def generic_type(self, parts: list[Any]) -> ast.GenericType:
        return ast.GenericType(name=parts[0], argument=parts[2], span=self._span(parts))

    def record_type(self, parts: list[Any]) -> ast.RecordType:
        return ast.RecordType(fields=parts[0].value, span=parts[0].span)

    def field(self, parts: list[Any]) -> ast.FieldDecl:
        return ast.FieldDecl(name=parts[0], optional=parts[1] is not None, type=parts[3], span=self._span(parts))

    def fields(self, parts: list[Any]) -> _Part:
        return _Part(tuple(_nodes(parts)), self._span(parts))

    params = parents = type_names = fields

    def entity_decl(self, parts: list[Any]) -> ast.EntityDecl:
        _, name, parents, fields = parts
        return ast.EntityDecl(name=name, parents=_value(parents), fields=_value(fields), span=self._span(parts))

    def extend_decl(self, parts: list[Any]) -> ast.ExtendDecl:
        _, name, parents, fields = parts
        return ast.ExtendDecl(name=name, parents=_value(parents), fields=_value(fields), span=self._span(parts))

    def action_decl(self, parts: list[Any]) -> ast.ActionDecl:
        _, name, params, _, resources, _, principals = parts
        types = resources.value if isinstance(resources, _Part) else ()
        return ast.ActionDecl(
            name=name, params=_value(params), resources=types, principals=_value(principals), span=self._span(parts)
        )

    def tool_decl(self, parts: list[Any]) -> ast.ToolDecl:
        return ast.ToolDecl(name=parts[1], params=_value(parts[2]), facts=parts[3], span=self._span(parts))

    def context_decl(self, parts: list[Any]) -> ast.ContextDecl:
        return ast.ContextDecl(name=parts[1], optional=parts[2] is not None, type=parts[4], span=self._span(parts))

    def obligation_decl(self, parts: list[Any]) -> ast.ObligationDecl:
        return ast.ObligationDecl(name=parts[1], params=_value(parts[2]), span=self._span(parts))

    def define(self, parts: list[Any]) -> ast.Define:
        _, name, params, _, body = parts
        return ast.Define(name=name, params=_value(params), body=body, span=self._span(parts))

    # ---- rules ----

    def any_scope(self, parts: list[Any]) -> ast.AnyScope:
        return ast.AnyScope(span=self._span(parts))

    def scope_items(self, parts: list[Any]) -> _Part:
        return _Part(tuple(_nodes(parts)), self._span(parts))

    entity_list = name_list = owing = scope_items

    def scope_of(self, parts: list[Any]) -> ast.ScopeOf:
        within = parts[2].value if parts[2] is not None else ()
        return ast.ScopeOf(items=parts[0].value, within=within, span=self._span(parts))

    def head(self, parts: list[Any]) -> ast.Head:
        *before, resource, _, principal = parts
        return ast.Head(
            actions=tuple(p for p in before if isinstance(p, ast.Name)),
            resource=resource,
            principal=principal,
            span=self._span(parts),
        )

    def when(self, parts: list[Any]) -> ast.When:
        return ast.When(negated=parts[0].type == "UNLESS", condition=parts[1], span=self._span(parts))

    def because(self, parts: list[Any]) -> ast.Because:
        return ast.Because(text=parts[1], span=self._span(parts))

    def argument(self, parts: list[Any]) -> ast.Argument:
        name = parts[0] and ast.Name(text=str(parts[0]), span=self._span([parts[0]]))
        return ast.Argument(name=name, value=parts[-1], span=self._span(parts))

    def obligation(self, parts: list[Any]) -> ast.ObligationCall:
        return ast.ObligationCall(name=parts[0], args=tuple(_nodes(parts[1:])), span=self._span(parts))

    def rule(self, parts: list[Any]) -> ast.Rule:
        kind, name, _, head, *clauses = parts
        return ast.Rule(
            kind=_KINDS[str(kind)],
            name=name,
            head=head,
            clauses=self._clauses(clauses),
            span=self._span(parts),
        )

    def require(self, parts: list[Any]) -> ast.Rule:
        rest = parts[4:]
        owed = tuple(p for p in rest if isinstance(p, ast.ObligationCall))
        body = ast.RequireBody(
            on_deny=any(isinstance(p, Token) for p in rest), obligations=owed, span=self._span(list(owed))
        )
        return ast.Rule(
            kind="require", name=parts[1], head=parts[3], clauses=self._clauses(rest), body=body, span=self._span(parts)
        )

    def limit(self, parts: list[Any]) -> ast.Rule:
        at = next(i for i, p in enumerate(parts) if isinstance(p, Token) and p.type == "AT")
        tail = parts[at:]
        per = next(i for i, p in enumerate(tail) if isinstance(p, Token) and p.type == "PER")
        body = ast.LimitBody(
            ceiling=tail[2],
            of=tail[4] if tail[3].type == "OF" else None,
            per=tail[per + 1],
            by=tuple(_nodes(tail[per + 2 :])),
            span=self._span(tail),
        )
        return ast.Rule(
            kind="limit",
            name=parts[1],
            head=parts[3],
            clauses=self._clauses(parts[4:at]),
            body=body,
            span=self._span(parts),
        )

    def prove(self, parts: list[Any]) -> ast.Prove:
        _, name, _, mode, _, head, *clauses = parts
        return ast.Prove(
            name=name,
            mode="never" if mode.type == "NEVER" else "always",
            head=head,
            clauses=self._clauses(clauses),
            span=self._span(parts),
        )

    def _clauses(self, parts: list[Any]) -> tuple[ast.When | ast.Because, ...]:
        """The clauses as written; one that appears twice is a finding."""
        kept: dict[str, ast.When | ast.Because] = {}
        for part in parts:
            if isinstance(part, ast.When | ast.Because):
                word = "because" if isinstance(part, ast.Because) else "unless" if part.negated else "when"
                if word in kept:
                    self._report(
                        codes.REPEATED_CLAUSE, part.span, f"`{word}` appears twice", "join the two with `and` or `or`"
                    )
                kept.setdefault(word, part)
        return tuple(kept[word] for word in ("when", "unless", "because") if word in kept)

    # ---- tests ----

    def entity_value(self, parts: list[Any]) -> ast.EntityValue:
        entity, record, _, parents = parts
        return ast.EntityValue(entity=entity, attributes=record, parents=_value(parents), span=self._span(parts))

    def given(self, parts: list[Any]) -> ast.Given:
        word = parts[0]
        name = ast.Name(text=str(word), span=self._span([word])) if isinstance(word, Token) else word
        return ast.Given(name=name, value=parts[1], span=self._span(parts))

    def approved(self, parts: list[Any]) -> ast.Approved:
        return ast.Approved(rules=parts[1].value, span=self._span(parts))

    def ask(self, parts: list[Any]) -> ast.Ask:
        action, attributes, _, resource = parts
        return ast.Ask(action=action, attributes=attributes, resource=resource, span=self._span(parts))

    def expect(self, parts: list[Any]) -> ast.Expect:
        _, decision, _, rules, _, owing = parts
        return ast.Expect(
            decision="allow" if decision.type == "ALLOW" else "deny",
            rules=rules.value if rules is not None else None,
            obligations=None if owing is None else () if isinstance(owing, Token) else owing.value,
            span=self._span(parts),
        )

    def test(self, parts: list[Any]) -> ast.Test:
        return ast.Test(name=parts[1], items=tuple(_nodes(parts[2:])), span=self._span(parts))

    # ---- module ----

    def module(self, parts: list[Any]) -> ast.Name:
        return cast(ast.Name, parts[1])

    def use(self, parts: list[Any]) -> ast.Use:
        return ast.Use(name=parts[1], span=self._span(parts))

    def header(self, parts: list[Any]) -> list[Any]:
        return parts

    def start(self, parts: list[Any]) -> ast.Module:
        (name, *uses), *statements = parts
        everything = Span(self.source, 0, len(self.source.text))
        return ast.Module(name=name, uses=tuple(uses), statements=tuple(statements), span=everything)


_KINDS: dict[str, ast.RuleKind] = {"permit": "permit", "forbid": "forbid", "label": "label"}
_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "r": "\r", "t": "\t", "/": "/"}
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}|.)")


def _nodes(parts: list[Any]) -> list[Any]:
    """The parts that are nodes: no punctuation, no absent options."""
    return [part for part in parts if isinstance(part, ast.Node)]


def _value(part: _Part | None) -> Any:
    return part.value if part is not None else ()
