"""From rules to Python functions.

A function reads shared attributes once, at the top, and returns a bit mask of the rules that held. It raises as soon as
the request is not well-formed. For such requests, `fallible_rules.py` makes another function from the same rules.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from policyengine.compile.ancestors import look_up, lookups_of
from policyengine.compile.call_site import CallSite
from policyengine.compile.emit import Emitter
from policyengine.compile.hoist import ancestor_roots, hoist, read, targets
from policyengine.compile.pyfunction import function, module
from policyengine.compile.pytree import all_of, assign, load, place
from policyengine.ir import nodes as ir
from policyengine.ir.nodes import Rule
from policyengine.ir.walk import walk
from policyengine.model.types import STRING

PARAMETERS = ("principal", "resource", "context", "attributes", "pid", "rid", "known_principal", "known_resource")
ROOTS = ("principal", "resource")

# Takes PARAMETERS, returns the mask of the rules that held.
FastFunction = Callable[..., int]


def fast_function(rules: Sequence[Rule], site: CallSite, env: Mapping[str, Any]) -> FastFunction:
    """The function that returns the mask of the rules that held, bit n for the n-th rule. It raises if any rule may
    have erred."""
    tree, constants = fast_tree(rules, site)
    made: FastFunction = function(tree, {**env, **constants})
    return made


def fast_tree(rules: Sequence[Rule], site: CallSite) -> tuple[ast.Module, dict[str, Any]]:
    """The function as a tree, and the constants that it names."""
    emitter = Emitter(site, looked_up=ancestor_roots(rules), targets={root: targets(rules, root) for root in ROOTS})
    first = [*look_up(lookups_of(emitter.looked_up, emitter), emitter), *read(hoist(rules, emitter), emitter)]
    body = [*first, *ask(rules, emitter), ast.Return(load("m"))]
    return module("fast", PARAMETERS, body), emitter.constants


def read_sources_once(rules: Sequence[Rule]) -> list[ast.stmt]:
    """Reads the provenance of the arguments once for all rules that ask for it."""
    asked = any(isinstance(node, ir.Sources) for rule in rules for node in walk(rule.condition))
    return [assign("read", ast.Dict([], []))] if asked else []


def ask(rules: Sequence[Rule], emitter: Emitter) -> list[ast.stmt]:
    """Statements that leave the mask of the rules that hold in `m`. If several rules begin with the same test, it is
    made once for all of them, whether they need it to be true or false: where nothing may err, the order of rules does
    not matter."""
    together: dict[ir.Expr, list[tuple[int, Rule]]] = {}
    body: list[ast.stmt] = [*read_sources_once(rules), assign("m", ast.Constant(0))]
    for number, rule in enumerate(rules):
        together.setdefault(first_test(rule)[0], []).append((number, rule))
    for test, group in together.items():
        if len(group) == 1:
            body += [_if_holds(number, rule, emitter) for number, rule in group]
            continue
        branches: dict[bool, list[ast.stmt]] = {True: [], False: []}
        for number, rule in group:
            branches[first_test(rule)[1]].append(_if_rest_holds(number, rule, emitter))
        held = emitter.emit(test)
        if branches[True]:
            body.append(ast.If(held, branches[True], branches[False]))
        else:
            body.append(ast.If(ast.UnaryOp(ast.Not(), held), branches[False], []))
    return body


def first_test(rule: Rule) -> tuple[ir.Expr, bool]:
    """The first test in the evaluation of a rule, and whether it must be true. If the rule begins with its scope, a key
    of its own."""
    scopes = (rule.head.resource, rule.head.principal)
    if any(scope.entities is not None or scope.within is not None for scope in scopes):
        return ir.Const(rule.name, type=STRING, span=rule.span), True
    first = items_of(rule)[0]
    match first:
        case ir.Equal(negated=True):
            return replace(first, negated=False), False
        case ir.Not(operand=operand):
            return operand, False
    return first, True


def items_of(rule: Rule) -> tuple[ir.Expr, ...]:
    return rule.condition.items if isinstance(rule.condition, ir.And) else (rule.condition,)


def _if_rest_holds(number: int, rule: Rule, emitter: Emitter) -> ast.stmt:
    """The rest of a rule, after its first test has been made."""
    tests = [emitter.emit(item) for item in items_of(rule)[1:]]
    if not tests:
        return place(set_bit("m", number), rule.span)
    return place(ast.If(all_of(tests), [set_bit("m", number)], []), rule.span)


def _if_holds(number: int, rule: Rule, emitter: Emitter) -> ast.stmt:
    return place(ast.If(_test(rule, emitter), [set_bit("m", number)], []), rule.span)


def _test(rule: Rule, emitter: Emitter) -> ast.expr:
    tests = scope_tests(rule, emitter)
    condition = rule.condition
    if not (isinstance(condition, ir.Const) and condition.value is True and tests):
        tests.append(emitter.emit(condition))
    return all_of(tests)


def scope_tests(rule: Rule, emitter: Emitter) -> list[ast.expr]:
    """The tests before the condition, in the order of the interpreter. Actions and types were settled when the function
    was made."""
    tests: list[ast.expr] = []
    for root, scope in (("resource", rule.head.resource), ("principal", rule.head.principal)):
        if scope.entities is not None:
            ids = frozenset(uid.id for uid in scope.entities if uid.type == emitter.site.type_of(root))
            id_ = load("rid" if root == "resource" else "pid")
            if len(ids) == 1:
                tests.append(ast.Compare(id_, [ast.Eq()], [ast.Constant(next(iter(ids)))]))
            else:
                tests.append(ast.Compare(id_, [ast.In()], [emitter.constant(ids)]))
        if scope.within is not None:
            below, own = emitter.below(root, scope.within)
            tests.append(below if own is None else ast.BoolOp(ast.Or(), [own, below]))
    return tests


def set_bit(name: str, number: int) -> ast.stmt:
    # No bit is set twice, and CPython adds small numbers faster than it joins their bits.
    return ast.AugAssign(ast.Name(name, ast.Store()), ast.Add(), ast.Constant(1 << number))
