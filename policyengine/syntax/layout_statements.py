"""Statements and modules as documents.

In: a node and the Notes of its text. Out: a document: the head on one line, then each clause, obligation or item on
its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from policyengine.syntax import ast
from policyengine.syntax.comments import Notes
from policyengine.syntax.layout import HARD, LINE, Doc, Line, align, concat, group, join, nest
from policyengine.syntax.layout_expressions import (
    arguments,
    attributes,
    before,
    behind,
    bracketed,
    condition,
    entity,
    expression,
    fields,
    type_,
)
from policyengine.syntax.quoting import bare_or_quoted, literal
from policyengine.syntax.terminal_names import KEYWORDS

# Words that mean something other than an action at its place. In a test an item also ends before any keyword.
_NOT_IN_HEADS = frozenset({"any"})
_NOT_IN_TESTS = frozenset(word for words in KEYWORDS.values() for word in words)


_Item = ast.Name | ast.Use | ast.Statement


def module(node: ast.Module, notes: Notes) -> Doc:
    """Statements with an empty line between them; declarations of one kind may be together."""
    items: list[_Item] = [*([node.name] if node.name else []), *node.uses, *node.statements]
    docs: list[Doc] = []
    for i, item in enumerate(items):
        leads = notes.before.get(id(item), [])
        gaps = [*(lead.gap for lead in leads), id(item) in notes.gaps]
        if i:
            apart = gaps[0] or _sort(item) != _sort(items[i - 1]) or _sort(item) == _SEPARATE
            docs.append(_newline(apart))
        for lead, gap in zip(leads, gaps[1:], strict=True):
            docs += [lead.text, _newline(gap)]
        docs += [_module_item(item, notes), behind(notes.behind.get(id(item)))]
    for lead in notes.closing.get(id(node), []):
        docs += [_newline(lead.gap) if docs else "", lead.text]
    return concat(*docs)


def statement(node: ast.Statement, notes: Notes) -> Doc:
    match node:
        case ast.Rule():
            return _rule(node, notes)
        case ast.Prove():
            return _prove(node, notes)
        case ast.Test(name=name):
            return _block(f"test {literal(name)}", node.items, notes)
        case ast.Fixture(name=name):
            return _block(f"fixture {name.text}", node.items, notes)
        case _:
            return _declaration(node, notes)


_SEPARATE = "separate"


def _sort(item: _Item) -> str:
    match item:
        case ast.Name() | ast.Use():
            return "header"
        case ast.Define():
            return "define"
        case ast.Rule() | ast.Prove() | ast.Test() | ast.Fixture():
            return _SEPARATE
        case _:
            return "schema"


def _newline(blank: bool) -> Line:
    return Line(hard=True, blank=blank)


def _module_item(item: _Item, notes: Notes) -> Doc:
    match item:
        case ast.Name(text=text):
            return f"module {text}"
        case ast.Use(name=name):
            return f"use {name.text}"
        case _:
            return statement(item, notes)


# ---- declarations ----


def _declaration(node: ast.Declaration, notes: Notes) -> Doc:
    match node:
        case ast.TypeDecl(name=name):
            return concat(f"type {name.text}: ", type_(node.type, notes))
        case ast.EntityDecl():
            return _entity("entity", node, notes)
        case ast.ExtendDecl():
            return _entity("extend", node, notes)
        case ast.ActionDecl():
            return _action(node, notes)
        case ast.ToolDecl():
            return _tool(node, notes)
        case ast.FactsDecl(name=name, facts=facts):
            return concat(f"facts {bare_or_quoted(name)} ", expression(facts, notes))
        case ast.ContextDecl(name=name, optional=optional):
            return concat(f"context {name.text}{'?' if optional else ''}: ", type_(node.type, notes))
        case ast.ContextClosed():
            return concat("context closed")
        case ast.ObligationDecl(name=name, params=params):
            return concat(f"obligation {name.text}", fields(params, notes, "()"))
        case ast.Define(name=name, params=params, body=body):
            head = concat(f"define {name.text}", _params(params, notes), ":")
            return group(head, nest(2, LINE, expression(body, notes)))
        case _:
            assert_never(node)


def _entity(word: str, node: ast.EntityDecl | ast.ExtendDecl, notes: Notes) -> Doc:
    parents = concat(" in ", _names(node.parents)) if node.parents else ""
    declared = concat(" ", fields(node.fields, notes, "{}")) if node.fields else ""
    origin = " from source" if node.sourced else ""
    return concat(f"{word} {bare_or_quoted(node.name)}{origin}", parents, declared)


def _action(node: ast.ActionDecl, notes: Notes) -> Doc:
    resources = _names(node.resources) if node.resources else "any"
    principals = concat(" for ", _names(node.principals)) if node.principals else ""
    return concat(f"action {bare_or_quoted(node.name)}", _params(node.params, notes), " on ", resources, principals)


def _tool(node: ast.ToolDecl, notes: Notes) -> Doc:
    head = concat(f"tool {bare_or_quoted(node.name)}", fields(node.params, notes, "()"))
    if node.returns is not None:
        head = concat(head, " returns ", type_(node.returns, notes))
    if node.facts is None:
        return head
    leads = before(notes.before.get(id(node.facts), []))
    return concat(head, behind(notes.behind.get(id(node.params))), nest(2, HARD, leads, expression(node.facts, notes)))


def _params(params: tuple[ast.FieldDecl, ...], notes: Notes) -> Doc:
    return fields(params, notes, "()") if params else ""


def _names(names: Sequence[ast.Name]) -> Doc:
    return _in_a_row([bare_or_quoted(name, _NOT_IN_HEADS) for name in names])


def _in_a_row(words: Sequence[Doc]) -> Doc:
    return group(nest(4, join(concat(",", LINE), words)))


# ---- rules ----


def _rule(node: ast.Rule, notes: Notes) -> Doc:
    head = concat(f"{node.kind} {node.name.text}: ", _head(node.head, notes), behind(notes.behind.get(id(node.head))))
    lines = [*_clauses(node.clauses, notes), *_body(node.body, notes)]
    return concat(head, nest(2, *(concat(HARD, line) for line in lines)))


def _prove(node: ast.Prove, notes: Notes) -> Doc:
    head = concat(
        f"prove {node.name.text}: {node.mode} allow ", _head(node.head, notes), behind(notes.behind.get(id(node.head)))
    )
    return group(head, nest(2, *(concat(LINE, clause) for clause in _clauses(node.clauses, notes))))


def _head(head: ast.Head, notes: Notes) -> Doc:
    actions: list[Doc] = [bare_or_quoted(action, _NOT_IN_HEADS) for action in head.actions]
    named = group(nest(4, join(concat(",", LINE), actions))) if actions else "any"
    principal = concat(" for ", _scope(head.principal, notes)) if head.principal else ""
    return concat(named, " on ", _scope(head.resource, notes), principal)


def _scope(scope: ast.Scope, notes: Notes) -> Doc:
    match scope:
        case ast.AnyScope():
            return "any"
        case ast.ScopeOf(items=items, within=within):
            docs: list[Doc] = [
                bare_or_quoted(item, _NOT_IN_HEADS) if isinstance(item, ast.Name) else entity(item) for item in items
            ]
            return concat(_one_or_list(items, docs, notes), _within(within, notes))
        case _:
            assert_never(scope)


def _within(parents: tuple[ast.EntityLit, ...], notes: Notes) -> Doc:
    return concat(" in ", _one_or_list(parents, [entity(parent) for parent in parents], notes)) if parents else ""


def _one_or_list(items: Sequence[ast.Node], docs: Sequence[Doc], notes: Notes) -> Doc:
    return docs[0] if len(docs) == 1 else bracketed("[]", items, docs, notes)


def _clauses(clauses: tuple[ast.Clause, ...], notes: Notes) -> list[Doc]:
    return [_noted(clause, _clause(clause, notes), notes) for clause in clauses]


def _clause(clause: ast.Clause, notes: Notes) -> Doc:
    match clause:
        case ast.When(negated=negated):
            return concat("unless " if negated else "when ", condition(clause.condition, notes))
        case ast.Because(text=text):
            return f"because {literal(text)}"
        case ast.Mode(words=words):
            return f"on {words}"
        case _:
            assert_never(clause)


def _body(body: ast.RequireBody | ast.LimitBody | None, notes: Notes) -> list[Doc]:
    match body:
        case None:
            return []
        case ast.RequireBody(on_deny=on_deny, obligations=obligations):
            owed = [_noted(o, concat(o.name.text, arguments(o.args, notes)), notes) for o in obligations]
            return ["on deny", *owed] if on_deny else owed
        case ast.LimitBody():
            return [_noted(body, _limit(body, notes), notes)]
        case _:
            assert_never(body)


def _limit(body: ast.LimitBody, notes: Notes) -> Doc:
    what: list[Doc] = ["concurrent"]
    if body.per is not None:
        per = body.per.text if isinstance(body.per, ast.Name) else literal(body.per)
        zone = f" in {literal(body.zone)}" if body.zone is not None else ""
        what = ["requests" if body.of is None else concat("of ", expression(body.of, notes)), LINE, f"per {per}{zone}"]
    ends: list[Doc] = []
    if body.share is not None and body.ceiling is not None:
        ends += [LINE, concat("at least ", expression(body.ceiling, notes))]
    if body.alert_at is not None:
        ends += [LINE, f"alert at {literal(body.alert_at)}%"]
    if body.advisory:
        ends += [LINE, "then alert"]
    if body.block_for is not None:
        ends += [LINE, f"then block for {literal(body.block_for)}"]
    if body.failing is not None:
        ends += [LINE, f"on failure {body.failing}"]
    keys = [expression(key, notes) for key in body.by]
    if isinstance(body.by[0], ast.ListLit):
        keys[0] = concat("(", align(keys[0]), ")")
    by = join(concat(",", LINE), keys)
    ceiling: Doc = ""
    if body.share is not None:
        share, over = body.share
        ceiling = f"{literal(share)}% of the average over {literal(over)}"
    elif body.ceiling is not None:
        ceiling = expression(body.ceiling, notes)
    return group(concat("at most ", ceiling), nest(2, LINE, *what, LINE, "by ", group(nest(2, by)), *ends))


def _noted(node: ast.Node, doc: Doc, notes: Notes) -> Doc:
    """A line with the comments before and after it."""
    return concat(before(notes.before.get(id(node), [])), doc, behind(notes.behind.get(id(node))))


# ---- tests ----


def _block(head: str, items: Sequence[ast.TestItem], notes: Notes) -> Doc:
    if not items:
        return head + " {}"
    lines: list[Doc] = []
    for item in items:
        leads = notes.before.get(id(item), [])
        gaps = [*(lead.gap for lead in leads), id(item) in notes.gaps]
        lines.append(_newline(gaps[0] and bool(lines)))
        for lead, gap in zip(leads, gaps[1:], strict=True):
            lines += [lead.text, _newline(gap)]
        lines += [_test_item(item, notes), behind(notes.behind.get(id(item)))]
    closing = (concat(_newline(lead.gap), lead.text) for lead in notes.closing.get(id(items), []))
    return concat(head, " {", behind(notes.opening.get(id(items))), nest(2, *lines, *closing), HARD, "}")


def _test_item(item: ast.TestItem, notes: Notes) -> Doc:
    match item:
        case ast.Given(name=name, value=value):
            stated = attributes(value, notes, "{}") if isinstance(value, ast.RecordLit) else _entity_value(value, notes)
            return concat(f"{name.text} ", stated)
        case ast.Approved(rules=rules):
            return concat("approved ", _in_a_row([rule.text for rule in rules]))
        case ast.Ask(action=action, resource=resource):
            given = attributes(item.attributes, notes, "()") if item.attributes is not None else ""
            return concat(bare_or_quoted(action, _NOT_IN_TESTS), given, " on ", _entity_value(resource, notes))
        case ast.Expect():
            return _expect(item)
        case ast.UseFixture(fixtures=fixtures):
            return concat("use ", _in_a_row([fixture.text for fixture in fixtures]))
        case ast.Case(values=values, expect=expect):
            return concat("case ", attributes(values, notes, "{}"), " ", _expect(expect))
        case ast.After(duration=duration):
            return concat("after ", literal(duration))
        case _:
            assert_never(item)


def _entity_value(value: ast.EntityValue, notes: Notes) -> Doc:
    facts = concat(" ", attributes(value.attributes, notes, "{}")) if value.attributes is not None else ""
    return concat(entity(value.entity), facts, _within(value.parents, notes))


def _expect(item: ast.Expect) -> Doc:
    rules = concat(" by ", _in_a_row([rule.text for rule in item.rules])) if item.rules is not None else ""
    owing: Doc = ""
    if item.obligations is not None:
        owing = concat(" owing ", _in_a_row([o.text for o in item.obligations]) if item.obligations else "nothing")
    because: Doc = ""
    if item.because is not None:
        why = item.because
        because = concat(" because ", why.text if isinstance(why, ast.Name) else literal(why))
    return concat(f"expect {item.decision}", rules, because, owing)
