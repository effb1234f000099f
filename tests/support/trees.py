"""Random syntax trees: every kind of node, hostile strings, odd names, keywords wherever they may be names.

The trees are what the parser could give, but mean nothing: types and names are not those of any schema.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import chain
from typing import Any

from hypothesis import strategies as st

from policyengine.diagnostics.source import Source, Span
from policyengine.model.values import INT_MAX
from policyengine.syntax import ast
from policyengine.syntax.terminal_names import KEYWORDS

NOWHERE = Span(Source("", ""), 0, 0)
_ALL_KEYWORDS = [word for words in KEYWORDS.values() for word in words]
_START_EXPRESSIONS = {"not", "if", "any", "all", "true", "false", "null"}

texts = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=8),
    st.text(
        st.sampled_from('"\\\n\r\t\0/{}#u0041\u202e\u2066\u200b\ufeff\ufe0f\u00a0\u0430\U0001f469\U000e0041 '),
        max_size=12,
    ),
    st.sampled_from(["", "# no comment", "\\u{41}", "\u2764\ufe0f", "a b", "tools/call", "pi\u00f1ata", "1st"]),
)
identifiers = st.sampled_from(["a", "b", "tenant", "_x1", "Document", "a_rather_long_name_of_something"])
words = st.one_of(identifiers, identifiers, st.sampled_from(_ALL_KEYWORDS))
roots = words.filter(lambda word: word not in _START_EXPRESSIONS)


def node(kind: type[Any], /, **parts: Any) -> Any:
    return st.builds(kind, span=st.just(NOWHERE), **parts)


def several(items: Any, least: int = 0, most: int = 4) -> Any:
    return st.lists(items, min_size=least, max_size=most).map(tuple)


names = node(ast.Name, text=words)
plain_names = node(ast.Name, text=identifiers)
any_names = node(ast.Name, text=st.one_of(words, texts))


def _literal(kind: str, values: Any) -> Any:
    return node(ast.Literal, kind=st.just(kind), value=values)


strings = _literal("string", texts)
durations = _literal("duration", st.integers(0, 10**12).map(lambda ms: timedelta(milliseconds=ms)))
numbers = _literal(
    "number", st.one_of(st.integers(0, INT_MAX + 1), st.floats(min_value=0, allow_nan=False, allow_infinity=False))
)
literals = st.one_of(strings, numbers, durations, _literal("bool", st.booleans()), _literal("null", st.none()))
# In a test, `on` after the first word begins what is asked.
entities = node(
    ast.EntityLit,
    type=any_names,
    id=node(ast.Name, text=texts),
)


def records(values: Any, most: int = 4) -> Any:
    return node(ast.RecordLit, entries=several(node(ast.Entry, key=any_names, value=values), most=most))


def _is_no_text(key: ast.Expr) -> bool:
    """Whether it is a computed key: a constant text in brackets is a name."""
    return not isinstance(key, ast.Literal) or key.kind != "string"


def _larger(inner: Any) -> Any:
    operators = st.sampled_from(["and", "or", "and", "or", "+", "-", "*", "==", "!=", "<", "<=", ">", ">=", "in"])
    return st.one_of(
        node(ast.Binary, op=operators, left=inner, right=inner),
        node(ast.Binary, op=operators, left=inner, right=inner),
        node(ast.Unary, op=st.sampled_from(["not", "-"]), operand=inner),
        node(ast.Conditional, condition=inner, then=inner, otherwise=inner),
        node(ast.Quantifier, kind=st.sampled_from(["any", "all", "sum"]), variable=names, collection=inner, body=inner),
        node(ast.Member, base=inner, name=any_names),
        node(ast.MethodCall, base=inner, name=names, args=several(inner)),
        node(ast.Call, name=node(ast.Name, text=roots), args=several(inner)),
        node(ast.HasOp, base=inner, path=several(any_names, 1, 3)),
        node(ast.Lookup, base=inner, key=inner.filter(_is_no_text)),
        node(ast.HasKey, base=inner, key=inner.filter(_is_no_text)),
        node(ast.IsOp, base=inner, type=any_names),
        node(ast.EntityOf, type=any_names, id=inner),
        node(ast.LikeOp, base=inner, pattern=strings),
        node(ast.ListLit, items=several(inner)),
        records(inner),
    )


expressions = st.recursive(st.one_of(literals, entities, node(ast.Ref, name=roots)), _larger, max_leaves=12)


def fields(types: Any, least: int = 0) -> Any:
    return several(node(ast.FieldDecl, name=any_names, optional=st.booleans(), type=types), least)


def _openable(types: Any) -> Any:
    """Fields that may be followed by `...`."""
    json = ast.NamedType(name="Json", span=NOWHERE)
    rest = ast.Rest(name=ast.Name(text="...", span=NOWHERE), optional=True, type=json, span=NOWHERE)
    return st.tuples(fields(types), st.sampled_from(((), (), (rest,)))).map(lambda both: (*both[0], *both[1]))


bounds = several(node(ast.Bound, name=plain_names, value=st.one_of(strings, numbers)), most=2)
# A constant is not a name of a type.
_types_in_types = words.filter(lambda word: word not in ("true", "false", "null"))
_constants = node(
    ast.LiteralType, value=st.one_of(strings, numbers, _literal("bool", st.booleans()), _literal("null", st.none()))
)
_simple_types = st.one_of(
    node(ast.NamedType, name=_types_in_types, bounds=bounds),
    node(ast.NamedType, name=_types_in_types),
    node(ast.EntityType, name=node(ast.Name, text=texts)),
    _constants,
)
_marks = st.sampled_from((("trusted",), ("readers",), ("readers", "trusted")))
types = st.recursive(
    _simple_types,
    lambda inner: st.one_of(
        node(
            ast.GenericType,
            name=node(ast.Name, text=_types_in_types),
            argument=inner | node(ast.MarkedType, type=inner, marks=_marks),
            bounds=bounds,
        ),
        node(ast.RecordType, fields=_openable(inner)),
        node(ast.UnionType, members=several(_simple_types, 2)),
    ),
    max_leaves=4,
)
declarations = st.one_of(
    node(ast.EntityDecl, name=any_names, parents=several(any_names), fields=fields(types)),
    node(ast.ExtendDecl, name=any_names, parents=several(any_names), fields=fields(types)),
    node(
        ast.ActionDecl,
        name=any_names,
        params=fields(types),
        resources=several(any_names),
        principals=several(any_names),
    ),
    node(ast.TypeDecl, name=names, type=types),
    node(
        ast.ToolDecl,
        name=any_names,
        params=_openable(types),
        facts=st.none() | records(expressions),
        returns=st.one_of(st.none(), types, node(ast.MarkedType, type=types, marks=_marks)),
    ),
    node(ast.FactsDecl, name=any_names, facts=records(expressions)),
    node(ast.ContextDecl, name=names, optional=st.booleans(), type=types),
    node(ast.ObligationDecl, name=names, params=fields(types)),
    node(ast.Define, name=names, params=fields(types), body=expressions),
)

scopes = st.one_of(
    node(ast.AnyScope),
    node(ast.ScopeOf, items=several(st.one_of(any_names, entities), 1), within=several(entities)),
)
heads = node(ast.Head, actions=several(any_names), resource=scopes, principal=st.none() | scopes)
clauses = st.tuples(
    several(node(ast.When, negated=st.just(False), condition=expressions), most=1),
    several(node(ast.When, negated=st.just(True), condition=expressions), most=1),
    several(node(ast.Because, text=strings), most=1),
    several(node(ast.Mode, words=st.just("match log")), most=1),
    several(node(ast.Mode, words=st.just("stream cut")), most=1),
).map(lambda found: tuple(chain.from_iterable(found)))
arguments = node(ast.Argument, name=st.none() | node(ast.Name, text=roots), value=expressions)
obligations = node(ast.ObligationCall, name=plain_names, args=several(arguments))
require_bodies = node(ast.RequireBody, on_deny=st.booleans(), obligations=several(obligations, 1, 3))
limit_bodies = node(
    ast.LimitBody,
    ceiling=expressions,
    of=st.none() | expressions,
    per=st.one_of(durations, names),
    by=several(expressions, 1, 3),
    share=st.none() | st.tuples(numbers, durations),
)


def _rules(kinds: list[str], bodies: Any) -> Any:
    return node(ast.Rule, kind=st.sampled_from(kinds), name=names, head=heads, clauses=clauses, body=bodies)


rules = st.one_of(
    _rules(["permit", "forbid", "label"], st.none()),
    _rules(["require"], require_bodies),
    _rules(["limit"], limit_bodies),
    node(ast.Prove, name=names, mode=st.sampled_from(["never", "always"]), head=heads, clauses=clauses),
)

entity_values = node(
    ast.EntityValue, entity=entities, attributes=st.none() | records(expressions), parents=several(entities)
)
rule_names = node(ast.Name, text=st.lists(words, min_size=1, max_size=3).map(".".join))
test_items = st.one_of(
    node(ast.Given, name=plain_names, value=records(expressions)),
    node(ast.Given, name=plain_names, value=entity_values),
    node(ast.Given, name=node(ast.Name, text=st.sampled_from(["entity", "context"])), value=entity_values),
    node(ast.Given, name=node(ast.Name, text=st.just("context")), value=records(expressions)),
    node(ast.Ask, action=any_names, attributes=st.none() | records(expressions), resource=entity_values),
    node(ast.Approved, rules=several(rule_names, 1)),
)
expects = node(
    ast.Expect,
    decision=st.sampled_from(["allow", "deny"]),
    rules=st.none() | several(rule_names, 1),
    # `owing nothing` has no names.
    obligations=st.none() | several(names).filter(lambda owed: not owed or owed[0].text != "nothing"),
    because=st.none() | strings | names,
)
tests = node(
    ast.Test,
    name=strings,
    items=several(
        st.one_of(
            test_items,
            expects,
            node(ast.UseFixture, fixtures=several(names, 1)),
            node(ast.Case, values=records(expressions), expect=expects),
            node(ast.After, duration=durations),
        )
    ),
)
fixtures = node(
    ast.Fixture,
    name=names,
    items=several(test_items),
)

statements = st.one_of(declarations, rules, tests, fixtures)
modules = node(
    ast.Module,
    name=st.none() | names,
    uses=several(node(ast.Use, name=names), most=2),
    statements=several(statements, most=3),
)
