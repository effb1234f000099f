"""Grammar productions to tree nodes, called by the parser as it reduces.

Each method is one production of `policy.lark` and gets the finished parts in order. Findings are collected, never
raised.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, cast

from lark import Token

from policyengine.diagnostics import codes
from policyengine.diagnostics.source import Span
from policyengine.model.values import Fault, parse_duration
from policyengine.syntax import ast
from policyengine.syntax.build_declarations import (
    CLAUSES,
    BuildDeclarations,
    Parents,
    Part,
    nodes,
    parents_first,
    value_of,
    word_of,
)


class Build(BuildDeclarations):
    """Builds the tree of one text."""

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

    def entity_of(self, parts: list[Any]) -> ast.EntityOf:
        return ast.EntityOf(type=parts[0], id=parts[3], span=self._span(parts))

    def group(self, parts: list[Any]) -> ast.Expr:
        return cast(ast.Expr, replace(parts[1], span=self._span(parts)))

    def list_literal(self, parts: list[Any]) -> ast.ListLit:
        return ast.ListLit(items=tuple(nodes(parts)), span=self._span(parts))

    def entry(self, parts: list[Any]) -> ast.Entry:
        return ast.Entry(key=parts[0], value=parts[2], span=self._span(parts))

    def record(self, parts: list[Any]) -> ast.RecordLit:
        return ast.RecordLit(entries=tuple(nodes(parts)), span=self._span(parts))

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
        return nodes(parts)

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
        return ast.HasOp(base=parts[0], path=tuple(nodes(parts[1:])), span=self._span(parts))

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

    def total(self, parts: list[Any]) -> ast.Quantifier:
        name, _, body, _, variable, _, collection, _ = parts
        if name.text != "sum":
            self._report(
                codes.SYNTAX, name.span, f"`{name.text}` does not take `for`", "write `sum(x.price for x in xs)`"
            )
        span = self._span(parts)
        return ast.Quantifier(kind="sum", variable=variable, collection=collection, body=body, span=span)

    # ---- rules ----

    def any_scope(self, parts: list[Any]) -> ast.AnyScope:
        return ast.AnyScope(span=self._span(parts))

    def scope_items(self, parts: list[Any]) -> Part:
        return Part(tuple(nodes(parts)), self._span(parts))

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

    def mode(self, parts: list[Any]) -> ast.Mode | None:
        words, span = f"{parts[1].text} {parts[2].text}", self._span(parts)
        match words:
            case "match log" | "stream cut":
                return ast.Mode(words=words, span=span)
        self._report(codes.SYNTAX, span, f"unexpected `on {words}`", "write `on match log` or `on stream cut`")
        return None

    def argument(self, parts: list[Any]) -> ast.Argument:
        name = parts[0] and ast.Name(text=str(parts[0]), span=self._span([parts[0]]))
        return ast.Argument(name=name, value=parts[-1], span=self._span(parts))

    def obligation(self, parts: list[Any]) -> ast.ObligationCall:
        return ast.ObligationCall(name=parts[0], args=tuple(nodes(parts[1:])), span=self._span(parts))

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
        tail = [part for part in parts[at:] if part is not None]
        (of, per, zone), keys = tail[3].value, tail[5:]
        # `by [a, b]` is `by a, b`; a list in parentheses is one key.
        if isinstance(keys[0], ast.ListLit) and keys[0].items and keys[0].span.text.startswith("["):
            keys[:1] = keys[0].items
        ends = dict(part.value for part in keys if isinstance(part, Part))
        share = tail[2].value if isinstance(tail[2], Part) else None
        body = ast.LimitBody(
            ceiling=tail[2] if share is None else ends.get("floor"),
            of=of,
            per=per,
            by=tuple(nodes(keys)),
            zone=zone,
            block_for=ends.get("block"),
            failing=ends.get("failure"),
            alert_at=ends.get("alert"),
            advisory="advisory" in ends,
            share=share,
            span=self._span(tail),
        )
        if share is None and (floor := ends.get("floor")) is not None:
            help_ = "a floor is for `PERCENT% of the average over TIME`"
            self._report(codes.SYNTAX, floor.span, "only a relative ceiling has a floor", help_)
        return ast.Rule(
            kind="limit",
            name=parts[1],
            head=parts[3],
            clauses=self._clauses(parts[4:at]),
            body=body,
            span=self._span(parts),
        )

    def baseline(self, parts: list[Any]) -> Part:
        words = " ".join(part.text for part in parts[3:6])
        if words != "the average over":
            span = self._span(parts[3:6])
            self._report(codes.SYNTAX, span, f"unexpected `{words}`", "write `200% of the average over 7d`")
        return Part((self.number([parts[0]]), parts[-1]), self._span(parts))

    def floor(self, parts: list[Any]) -> Part:
        return Part(("floor", parts[2]), self._span(parts))

    def metered(self, parts: list[Any]) -> Part:
        """What is counted, over which period, and in which zone."""
        span = self._span(parts)
        if parts[0].type == "CONCURRENT":
            return Part((None, None, None), span)
        at = next(i for i, part in enumerate(parts) if isinstance(part, Token) and part.type == "PER")
        zone = parts[-1] if len(parts) > at + 2 else None
        return Part((parts[1] if parts[0].type == "OF" else None, parts[at + 1], zone), span)

    def block_for(self, parts: list[Any]) -> Part:
        return Part(("block", parts[-1]), self._span(parts))

    def alert_at(self, parts: list[Any]) -> Part:
        return Part(("alert", self.number([parts[2]])), self._span(parts))

    def then_alert(self, parts: list[Any]) -> Part:
        return Part(("advisory", True), self._span(parts))

    def on_failure(self, parts: list[Any]) -> Part:
        return Part(("failure", parts[-1].type.lower()), self._span(parts))

    def prove(self, parts: list[Any]) -> ast.Prove:
        _, name, _, mode, _, head, *clauses = parts
        return ast.Prove(
            name=name,
            mode="never" if mode.type == "NEVER" else "always",
            head=head,
            clauses=self._clauses(clauses),
            span=self._span(parts),
        )

    def _clauses(self, parts: list[Any]) -> tuple[ast.Clause, ...]:
        """The clauses as written; a clause that appears twice is a finding."""
        kept: dict[str, ast.Clause] = {}
        for part in parts:
            if isinstance(part, ast.When | ast.Because | ast.Mode):
                word = word_of(part)
                if word in kept:
                    joined = "join the two with `and` or `or`" if isinstance(part, ast.When) else "leave one out"
                    self._report(codes.REPEATED_CLAUSE, part.span, f"`{word}` appears twice", joined)
                kept.setdefault(word, part)
        return tuple(kept[word] for word in CLAUSES if word in kept)

    # ---- tests ----

    def entity_value(self, parts: list[Any]) -> ast.EntityValue:
        entity, (parents, record) = parts[0], parents_first(parts[1:])
        return ast.EntityValue(entity=entity, attributes=record, parents=value_of(parents), span=self._span(parts))

    def within(self, parts: list[Any]) -> Parents:
        return Parents(parts[1].value, self._span(parts))

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
        _, decision, _, rules, _, because, _, owing = parts
        return ast.Expect(
            decision="allow" if decision.type == "ALLOW" else "deny",
            rules=rules.value if rules is not None else None,
            obligations=None if owing is None else () if isinstance(owing, Token) else owing.value,
            because=because,
            span=self._span(parts),
        )

    def use_fixture(self, parts: list[Any]) -> ast.UseFixture:
        return ast.UseFixture(fixtures=tuple(nodes(parts[1:])), span=self._span(parts))

    def case(self, parts: list[Any]) -> ast.Case:
        return ast.Case(values=parts[1], expect=parts[2], span=self._span(parts))

    def after(self, parts: list[Any]) -> ast.After:
        return ast.After(duration=parts[1], span=self._span(parts))

    def fixture(self, parts: list[Any]) -> ast.Fixture:
        return ast.Fixture(name=parts[1], items=tuple(nodes(parts[3:])), span=self._span(parts))

    def test(self, parts: list[Any]) -> ast.Test:
        return ast.Test(name=parts[1], items=tuple(nodes(parts[2:])), span=self._span(parts))

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
