"""One expression: from a tree to a typed expression.

Every name is resolved, every definition is written out in place, and every operand is checked. What is learned on the
way (`has`, `is`) is carried from left to right, in the order of evaluation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from policyengine.check import attributes, functions, hints, operands, unknown_names
from policyengine.check.environment import MAX_DEPTH, UNKNOWN, Typed, TypeEnv
from policyengine.check.narrowing import IMPOSSIBLE, NOTHING, Narrowing, both, either, path_of
from policyengine.check.quantifiers import quantifier
from policyengine.check.written_types import param_type, visible_type
from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Note
from policyengine.ir.nodes import (
    And,
    Collection,
    Const,
    EntityOf,
    Expr,
    Has,
    If,
    Is,
    Like,
    Negate,
    Not,
    Or,
    Root,
)
from policyengine.model.types import (
    BOOL,
    DURATION,
    INT,
    JSON,
    NUMBER,
    STRING,
    EntityT,
    ListT,
    Type,
    entity,
    is_numeric,
    join,
)
from policyengine.model.values import INT_MAX, Entity, Uid
from policyengine.syntax import ast


def check_condition(tree: ast.Expr, env: TypeEnv) -> Typed:
    """Check an expression that must be true or false."""
    typed = check_expression(tree, env)
    condition = operands.need(typed.expr, BOOL, "a condition", env.place.findings)
    return typed if condition is typed.expr else replace(typed, expr=condition)


def check_expression(tree: ast.Expr, env: TypeEnv) -> Typed:
    """The typed form of an expression. Findings go to `env.place.findings`; if there is one, the type is unknown."""
    findings = env.place.findings
    findings.count()
    env = env.deeper()
    if env.depth > MAX_DEPTH:
        findings.report(codes.TOO_DEEP, tree.span, f"nested deeper than {MAX_DEPTH}", "", "split it into rules")
        return attributes.unknown(tree.span)
    match tree:
        case ast.Literal(kind="bool", value=value):
            literal = _literal(tree, env)
            return Typed(literal, NOTHING, IMPOSSIBLE) if value else Typed(literal, IMPOSSIBLE, NOTHING)
        case ast.Literal():
            return Typed(_literal(tree, env))
        case ast.EntityLit(type=type_, id=id_):
            return Typed(_entity(type_, id_, tree, env))
        case ast.EntityOf(type=type_, id=id_):
            return Typed(_entity_of(type_, check_expression(id_, env).expr, tree, env))
        case ast.ListLit(items=items):
            return Typed(_list(tree, [check_expression(item, env).expr for item in items], env))
        case ast.RecordLit():
            findings.report(
                codes.NOT_COMPARABLE, tree.span, "a condition cannot contain a record", "", "compare its fields"
            )
            return attributes.unknown(tree.span)
        case ast.Ref():
            return _ref(tree, env)
        case ast.Member(base=base, name=name):
            return attributes.read(check_expression(base, env), name, tree.span, env)
        case ast.Lookup(base=base, key=key):
            return attributes.lookup(check_expression(base, env), check_expression(key, env).expr, tree.span, env)
        case ast.HasKey(base=base, key=key):
            return attributes.has_key(check_expression(base, env), check_expression(key, env).expr, tree.span, env)
        case ast.HasOp():
            return _has(tree, env)
        case ast.Call():
            return _call(tree, env)
        case ast.MethodCall(base=base, name=name, args=args):
            given = (check_expression(base, env).expr, *(check_expression(a, env).expr for a in args))
            if name.text not in functions.METHODS:
                functions.unknown_method(name.text, name.span, env)
                return attributes.unknown(tree.span)
            return Typed(functions.call(name.text, given, tree.span, env))
        case ast.Unary(op="not", operand=operand):
            typed = check_condition(operand, env)
            return Typed(Not(operand=typed.expr, type=BOOL, span=tree.span), typed.when_false, typed.when_true)
        case ast.Unary():
            return Typed(_minus(tree, env))
        case ast.Binary(op="and" | "or"):
            return _logical(tree, env)
        case ast.Binary():
            return Typed(_binary(tree, env))
        case ast.IsOp():
            return _is(tree, env)
        case ast.LikeOp(base=base, pattern=pattern):
            text = operands.need(check_expression(base, env).expr, STRING, "the text of `like`", findings)
            pieces = tuple(str(pattern.value).split("*"))
            return Typed(Like(operand=text, pattern=pieces, type=BOOL, span=tree.span))
        case ast.Conditional():
            return _conditional(tree, env)
        case ast.Quantifier():
            return Typed(quantifier(tree, env, check_expression))
        case _:
            assert_never(tree)


# ---- constants ----


def _literal(tree: ast.Literal, env: TypeEnv) -> Expr:
    match tree.kind:
        case "bool":
            type_: Type = BOOL
        case "string":
            type_ = STRING
        case "duration":
            type_ = DURATION
        case "null":
            type_ = JSON
        case _:
            type_ = _number_type(tree)
            if isinstance(tree.value, int) and tree.value > INT_MAX:
                env.place.findings.report(codes.BAD_NUMBER, tree.span, "number out of range", "an Int has 64 bits")
    return Const(value=tree.value, type=type_, span=tree.span)


def _number_type(tree: ast.Literal) -> Type:
    return INT if isinstance(tree.value, int) else NUMBER


def _minus(tree: ast.Unary, env: TypeEnv) -> Expr:
    if isinstance(tree.operand, ast.Literal) and tree.operand.kind == "number":
        # The smallest Int has no positive counterpart.
        return Const(value=-tree.operand.value, type=_number_type(tree.operand), span=tree.span)  # type: ignore[operator]
    operand = check_expression(tree.operand, env).expr
    operand = operands.expect(operand, NUMBER)
    if not is_numeric(operand.type) and operand.type not in (DURATION, UNKNOWN):
        env.place.findings.report(codes.WRONG_TYPE, tree.span, f"`-` does not take {hints.shown(operand)}")
        return attributes.unknown(tree.span).expr
    return Negate(operand=operand, type=operand.type, span=tree.span)


def _entity(type_: ast.Name, id_: ast.Name, tree: ast.EntityLit, env: TypeEnv) -> Expr:
    if not visible_type(type_, env):
        return attributes.unknown(tree.span).expr
    return Const(value=Entity(Uid(type_.text, id_.text)), type=entity(type_.text), span=tree.span)


def _entity_of(type_: ast.Name, id_: Expr, tree: ast.EntityOf, env: TypeEnv) -> Expr:
    """`File::(id)`: the id is known only when the request arrives, so the entity need not exist."""
    if not visible_type(type_, env):
        return attributes.unknown(tree.span).expr
    id_ = operands.need(id_, STRING, "the id of an entity", env.place.findings)
    return EntityOf(name=type_.text, id=id_, type=entity(type_.text), span=tree.span)


def _list(tree: ast.ListLit, items: list[Expr], env: TypeEnv) -> Expr:
    element: Type | None = items[0].type if items else JSON
    for item in items[1:]:
        element = join(element, item.type) if element is not None else None
        if element is None:
            known = [i for i in items if i.type == UNKNOWN]
            if not known:
                env.place.findings.report(
                    codes.WRONG_TYPE, item.span,
                    f"a list of {hints.shown(items[0])} cannot hold {hints.shown(item)}",
                )  # fmt: skip
            return attributes.unknown(tree.span).expr
    assert element is not None
    if element == UNKNOWN:
        return attributes.unknown(tree.span).expr
    type_ = ListT(element)
    if all(isinstance(item, Const) for item in items):
        return Const(value=tuple(i.value for i in items if isinstance(i, Const)), type=type_, span=tree.span)
    return Collection(items=tuple(items), type=type_, span=tree.span)


# ---- names ----


def _ref(tree: ast.Ref, env: TypeEnv) -> Typed:
    place, name, span = env.place, tree.name, tree.span
    if name in env.locals:
        return Typed(attributes.narrow(unknown_names.read_here(env.locals[name], span), env))
    if name in place.findings.refused:
        return attributes.unknown(span)
    roots: dict[str, Type] = {
        "principal": place.principal,
        "resource": place.resource,
        "action": place.action,
        "context": place.context,
    }
    if name == place.alias:
        return Typed(attributes.narrow(Root(name="resource", type=place.resource, span=span), env))
    if name in roots:
        return Typed(attributes.narrow(Root(name=name, type=roots[name], span=span), env))  # type: ignore[arg-type]
    if place.context.get(name) is not None:
        context = Typed(Root(name="context", type=place.context, span=span))
        return attributes.read(context, ast.Name(text=name, span=span), span, env)
    if name in place.defines:
        return _expand(name, (), tree, env)
    named = {n.lower(): n for n, e in place.schema.entities.items() if e.module in place.visible}
    if name in named and place.open:
        return Typed(Root(name="resource", type=entity(named[name]), span=span))
    if UNKNOWN not in (place.resource, place.principal):
        unknown_names.unknown_name(tree, named.get(name), env)
    return attributes.unknown(span)


def _call(tree: ast.Call, env: TypeEnv) -> Typed:
    name = tree.name.text
    if name in env.place.defines:
        return _expand(name, tree.args, tree, env)
    args = tuple(check_expression(arg, env).expr for arg in tree.args)
    if name not in functions.FUNCTIONS:
        functions.unknown_function(name, tree.name.span, functions.FUNCTIONS | set(env.place.defines), env)
        return attributes.unknown(tree.span)
    return Typed(functions.call(name, args, tree.span, env))


def _expand(name: str, args: tuple[ast.Expr, ...], tree: ast.Ref | ast.Call, env: TypeEnv) -> Typed:
    """A definition, written out where it is used. Its body sees the narrowing and the roots of that place."""
    module, define = env.place.defines[name]
    findings = env.place.findings
    findings.used_defines.add((module, name))
    if name in env.expanding:
        findings.report(codes.RECURSIVE, tree.span, f"`{name}` uses itself", "", "definitions cannot be recursive")
        return attributes.unknown(tree.span)
    if len(args) != len(define.params):
        findings.report(
            codes.WRONG_ARGUMENTS, tree.span,
            f"`{name}` takes {len(define.params)} argument{'s' * (len(define.params) != 1)}, {len(args)} given", "", "",
            Note(define.name.span, "defined here"),
        )  # fmt: skip
        return attributes.unknown(tree.span)
    bound: dict[str, Expr] = {}
    for param, arg in zip(define.params, args, strict=True):
        given = check_expression(arg, env).expr
        bound[param.name.text] = operands.need(given, param_type(param.type, env), f"`{param.name.text}`", findings)
    inside = replace(env, locals=bound, expanding=(*env.expanding, name))
    before = len(findings.diagnostics)
    typed = check_expression(define.body, inside)
    if not env.expanding:
        findings.used_here(before, tree.span)
    return typed


# ---- operators ----


def _has(tree: ast.HasOp, env: TypeEnv) -> Typed:
    """`a has b.c` is `a has b and a.b has c`."""
    base = check_expression(tree.base, env)
    if unknown_names.too_deep(tree, env):
        return attributes.unknown(tree.span)
    learned: Narrowing = NOTHING
    items: list[Expr] = []
    for name in tree.path:
        span = tree.span.source.span(tree.span.start, name.span.end)
        typed = attributes.has(base, name, span, env.knowing(learned))
        if not isinstance(typed.expr, Has):
            return typed
        items.append(typed.expr)
        learned = both(learned, typed.when_true)
        if name is not tree.path[-1]:
            base = attributes.read(base, name, span, env.knowing(learned))
    if len(items) == 1:
        return Typed(items[0], when_true=learned)
    return Typed(And(items=tuple(items), type=BOOL, span=tree.span), when_true=learned)


def _logical(tree: ast.Binary, env: TypeEnv) -> Typed:
    """A chain of `and` or `or`. Each operand knows what the operands before it established."""
    op = tree.op
    parts: list[ast.Expr] = []
    node: ast.Expr = tree
    while isinstance(node, ast.Binary) and node.op == op:
        parts.append(node.right)
        node = node.left
    parts.append(node)
    items: list[Expr] = []
    gathered: Narrowing = NOTHING
    others: list[Narrowing] = []
    for part in reversed(parts):
        typed = check_condition(part, env.knowing(gathered))
        items.append(typed.expr)
        on, off = (typed.when_true, typed.when_false) if op == "and" else (typed.when_false, typed.when_true)
        others.append(both(gathered, off))
        gathered = both(gathered, on)
    other = others[0]
    for narrowing in others[1:]:
        other = either(other, narrowing)
    make = And if op == "and" else Or
    expr = make(items=tuple(items), type=BOOL, span=tree.span)
    return Typed(expr, gathered, other) if op == "and" else Typed(expr, other, gathered)


def _binary(tree: ast.Binary, env: TypeEnv) -> Expr:
    left = check_expression(tree.left, env).expr
    right = check_expression(tree.right, env).expr
    match tree.op:
        case "==" | "!=":
            return operands.equal(tree.op == "!=", left, right, tree.span, env)
        case "<" | "<=" | ">" | ">=":
            return operands.compare(tree.op, left, right, tree.span, env)
        case "+" | "-" | "*":
            return operands.arithmetic(tree.op, left, right, tree.span, env)
        case _:
            return operands.member_of(left, right, tree.span, env)


def _is(tree: ast.IsOp, env: TypeEnv) -> Typed:
    base = check_expression(tree.base, env)
    if base.type == UNKNOWN or not visible_type(tree.type, env):
        return attributes.unknown(tree.span)
    if not isinstance(base.type, EntityT):
        env.place.findings.report(codes.WRONG_TYPE, tree.base.span, f"`is` needs an entity, not {base.type}")
        return attributes.unknown(tree.span)
    name = tree.type.text
    others = base.type.names - {name}
    path = path_of(base.expr)
    if name not in base.type.names or not others:
        constant = Const(value=not others, type=BOOL, span=tree.span)
        if not others and name in base.type.names:
            return Typed(constant, NOTHING, IMPOSSIBLE)
        known = {path: frozenset({name})} if path is not None and path in env.narrowing.types else {}
        return Typed(replace(constant, value=False), Narrowing(types=known, impossible=True))
    expr = Is(entity=base.expr, names=frozenset({name}), type=BOOL, span=tree.span)
    if path is None:
        return Typed(expr)
    return Typed(expr, Narrowing(types={path: frozenset({name})}), Narrowing(types={path: others}))


def _conditional(tree: ast.Conditional, env: TypeEnv) -> Typed:
    condition = check_condition(tree.condition, env)
    then = check_expression(tree.then, env.knowing(condition.when_true))
    otherwise = check_expression(tree.otherwise, env.knowing(condition.when_false))
    left, right = operands.aligned(then.expr, otherwise.expr, env.place.schema)
    type_ = UNKNOWN if UNKNOWN in (left.type, right.type) else join(left.type, right.type)
    if type_ is None:
        env.place.findings.report(
            codes.WRONG_TYPE,
            tree.span,
            f"`then` gives {left.type}, `else` gives {right.type}",
            "both need the same type",
        )
        return attributes.unknown(tree.span)
    expr = If(condition=condition.expr, then=left, otherwise=right, type=type_, span=tree.span)
    true = either(both(condition.when_true, then.when_true), both(condition.when_false, otherwise.when_true))
    false = either(both(condition.when_true, then.when_false), both(condition.when_false, otherwise.when_false))
    return Typed(expr, true, false)
