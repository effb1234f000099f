"""How a rule takes part: in force, only tried, or by cutting a stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from policyengine.check.environment import Place
from policyengine.diagnostics import codes
from policyengine.ir.nodes import Attribute, Expr, Has, Root, Rule
from policyengine.ir.walk import walk
from policyengine.syntax import ast

TRIED = "match log"
RELEASE, OUTPUT = "release", "Output"


def with_modes(rule: Rule, tree: ast.Rule, place: Place) -> Rule:
    """The rule with its modes. Reports a finding for each mode that such a rule cannot have."""
    for mode in _modes(tree):
        if mode.words == TRIED and tree.kind == "limit":
            _refuse(mode, "a limit has no `on match log`", "write `then alert` after the limit", place)
        elif mode.words == TRIED:
            rule = replace(rule, tried=True)
        elif tree.kind != "forbid" or not _releases(rule):
            help_ = "write it after a rule such as `forbid NAME: release on Output ... on stream cut`"
            _refuse(mode, "only a `forbid` of `release` on `Output` can cut a stream", help_, place)
        elif any(map(_is_valid, walk(rule.condition))):
            message = "whether an output is valid is known only at its end, so this rule cannot cut a stream"
            _refuse(mode, message, "leave out `on stream cut`", place)
        else:
            rule = replace(rule, cuts=True)
    return rule


def _releases(rule: Rule) -> bool:
    return rule.head.actions == frozenset({RELEASE}) and rule.head.resource.types == frozenset({OUTPUT})


def refuse_modes(tree: ast.Prove, place: Place) -> None:
    """A claim is either true or false, so it takes no modes."""
    for mode in _modes(tree):
        _refuse(mode, f"a claim has no `on {mode.words}`", "leave it out", place)


def _modes(tree: ast.Rule | ast.Prove) -> Iterator[ast.Mode]:
    return (clause for clause in tree.clauses if isinstance(clause, ast.Mode))


def _refuse(mode: ast.Mode, message: str, help_: str, place: Place) -> None:
    place.findings.report(codes.BAD_MODE, mode.span, message, "", help_)


def _is_valid(expr: Expr) -> bool:
    match expr:
        case Attribute(base=Root(name="resource"), name="valid") | Has(base=Root(name="resource"), name="valid"):
            return True
    return False
