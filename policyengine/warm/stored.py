"""The result of reading and checking one module, as bytes, and back.

In: a Parsed and its ModuleRules. Out: bytes that hold the tree without its rules and claims, the findings, and the
typed rules. Reading them back gives the same, under the texts given. It raises, with any exception, for bytes that
`pack` did not write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import msgspec

from policyengine.check.module_results import ModuleRules
from policyengine.diagnostics.source import Source, Span
from policyengine.ir.footprint import footprint
from policyengine.ir.nodes import Head, Rule, Scope
from policyengine.syntax import ast
from policyengine.syntax.parse import Parsed
from policyengine.warm.codec import Reader, Unstorable, Writer
from policyengine.warm.deferred import DeferredFields, deferred

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


@dataclass(frozen=True, slots=True)
class Stored:
    """What is known of one text: its outline and findings, and the rest, for use if its surroundings are the same."""

    parsed: Parsed
    surroundings: bytes
    rest: bytes


def pack(parsed: Parsed, result: ModuleRules, surroundings: bytes, modules: Mapping[Source, str]) -> bytes | None:
    """The bytes; None if something has no form as bytes. `surroundings` represents everything besides the text that
    `result` depends on; `modules` has the names of the modules by their texts."""
    home = parsed.module.span.source
    head, rest = Writer(home, modules), Writer(home, modules)
    try:
        first = [head.put(_outline(parsed.module)), head.put(parsed.diagnostics)]
        second = [
            [_rule(rule, rest) for rule in result.rules],
            [[name, *_place(span, rest)] for name, span in result.names.items()],
            [[name, list(asked)] for name, asked in result.asks.items()],
            list(result.owed),
            rest.put(result.proofs),
            rest.put(result.diagnostics),
            rest.put(result.lints),
            [list(name) for name in result.used_defines],
            result.written,
            result.patterns,
        ]
        return _encode([surroundings, _encode([head.shared, *first]), _encode([rest.shared, *second])])
    except (Unstorable, ValueError, OverflowError, RecursionError):
        return None


def unpack(data: bytes, source: Source) -> Stored:
    """What was stored about a text."""
    surroundings, head, rest = _decode(data)
    shared, module, diagnostics = _decode(head)
    reader = Reader(source, {})
    reader.read_shared(shared)
    return Stored(Parsed(reader.get(module), reader.get(diagnostics)), surroundings, rest)


def module_rules(stored: Stored, modules: Mapping[str, Source]) -> ModuleRules:
    """The result of checking, in the surroundings that `stored` names. `modules` are the texts by module."""
    shared, rules, names, asks, owed, proofs, diagnostics, lints, used, written, patterns = _decode(stored.rest)
    home = stored.parsed.module.span.source
    reader = Reader(home, modules)
    reader.read_shared(shared)
    return ModuleRules(
        rules=tuple([_read_rule(data, reader) for data in rules]),
        names={name: home.span(start, end) for name, start, end in names},
        asks={name: frozenset(asked) for name, asked in asks},
        owed=frozenset(owed),
        proofs=reader.get(proofs),
        diagnostics=reader.get(diagnostics),
        lints=reader.get(lints),
        used_defines=frozenset((module, name) for module, name in used),
        written=written,
        patterns=patterns,
    )


def _outline(module: ast.Module) -> ast.Module:
    kept = tuple(s for s in module.statements if not isinstance(s, ast.Rule | ast.Prove))
    return replace(module, statements=kept, comments=())


def _rule(rule: Rule, writer: Writer) -> list[Any]:
    rest = _encode([writer.put(rule.condition), writer.put(rule.obligations), writer.put(rule.limit)])
    actions = rule.head.actions
    return [
        rule.kind, rule.name, *_place(rule.span, writer), rule.reason, rule.on_deny, rule.tried, rule.cuts, rest,
        writer.share(footprint(rule)),
        writer.share(actions) if actions is not None else None,
        _scope(rule.head.resource, writer), _scope(rule.head.principal, writer),
    ]  # fmt: skip


def _scope(scope: Scope, writer: Writer) -> list[Any]:
    sets = (scope.types, scope.entities, scope.within)
    place = _place(scope.span, writer) if scope.span is not None else (None, None)
    return [*(writer.share(one) if one is not None else None for one in sets), *place]


def _place(span: Span, writer: Writer) -> tuple[int, int]:
    if span.source is not writer.home:
        raise Unstorable("a rule of another text")
    return span.start, span.end


def _read_rule(data: list[Any], reader: Reader) -> Rule:
    kind, name, start, end, reason, on_deny, tried, cuts, rest, asked, actions, resource, principal = data
    head = Head(
        reader.shared[actions] if actions is not None else None,
        _read_scope(resource, reader),
        _read_scope(principal, reader),
    )
    span, modes = Span(reader.home, start, end), (on_deny, tried, cuts)
    return deferred(kind, name, head, span, reason, modes, reader.shared[asked], partial(_rest, rest, reader))


def _read_scope(data: list[Any], reader: Reader) -> Scope:
    types, entities, within, start, end = data
    shared = reader.shared
    return Scope(
        shared[types] if types is not None else None,
        shared[entities] if entities is not None else None,
        shared[within] if within is not None else None,
        Span(reader.home, start, end) if start is not None else None,
    )


def _rest(data: bytes, reader: Reader) -> DeferredFields:
    condition, obligations, limit = _decode(data)
    return reader.get(condition), reader.get(obligations), reader.get(limit)
