"""Findings about texts that stand for names: labels in `session.labels`, and sources in `sources(...)`.

Labels may be set, and tools called, that no policy declares, so only a name that resembles a known one is reported.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from policyengine.check.environment import Findings
from policyengine.diagnostics import codes
from policyengine.diagnostics.suggest import did_you_mean
from policyengine.ir.nodes import Attribute, Call, Const, Contains, Equal, Expr, Local, Quantifier, Rule, Sources
from policyengine.ir.walk import walk
from policyengine.model.types import EntityT


def lint_known_names(
    rule: Rule, labels: Collection[str], tried: Collection[str], sources: Collection[str], findings: Findings
) -> None:
    """Check the texts in one rule that are compared with labels or sources. `tried` are labels that no rule in force
    sets."""
    known = {"label": labels, "source": sources}
    elements = {
        node.slot: kind
        for node in walk(rule.condition)
        if isinstance(node, Quantifier) and (kind := _kind(node.collection, {})) is not None
    }
    for node in walk(rule.condition):
        for kind, constant in _compared(node, elements):
            values = constant.value if isinstance(constant.value, tuple) else (constant.value,)
            for value in values:
                if kind == "label" and value in tried:
                    message = f"label `{value}` is on trial, so it marks no session"
                    help_ = "put the label in force: by itself it changes no decision"
                    findings.report(codes.ONLY_TRIED, constant.span, message, "", help_)
                if not isinstance(value, str) or value in known[kind]:
                    continue
                help_ = did_you_mean(value, known[kind])
                if help_:
                    findings.report(codes.UNKNOWN_WORD, constant.span, f"unknown {kind} `{value}`", "", help_)


def _compared(node: Expr, elements: dict[int, str]) -> Iterator[tuple[str, Const]]:
    match node:
        case Contains(item=one, collection=other) | Equal(left=one, right=other) | Call(args=(one, other)):
            for side, constant in ((one, other), (other, one)):
                kind = _kind(side, elements)
                if kind is not None and isinstance(constant, Const):
                    yield kind, constant


def _kind(expr: Expr, elements: dict[int, str]) -> str | None:
    match expr:
        case Sources():
            return "source"
        case Attribute(base=base, name="labels") if base.type == EntityT(frozenset({"Session"})):
            return "label"
        case Local(slot=slot):
            return elements.get(slot)
    return None
