"""Which parts of a request a rule reads: found in one walk, once for each rule.

A snapshot needs this for all of its rules, so it is kept on disk next to each rule (`warm/stored.py`). A rule that no
request concerns need not be read for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from policyengine.ir.nodes import (
    APPROVAL,
    Attribute,
    Expr,
    Footprint,
    Has,
    Local,
    Root,
    Rule,
    Sources,
    Within,
)
from policyengine.ir.walk import children
from policyengine.model.types import EntityT


def expressions(rule: Rule) -> Iterator[Expr]:
    """Every expression that a rule may evaluate."""
    yield rule.condition
    for obligation in rule.obligations:
        yield from (expr for _, expr in obligation.properties)
    if rule.limit is not None:
        yield rule.limit.ceiling
        yield from rule.limit.by
        if rule.limit.of is not None:
            yield rule.limit.of


def footprint(rule: Rule) -> Footprint:
    """The footprint of the rule; remembered with the rule."""
    known = rule.footprint
    if known is None:
        known = _footprint(rule)
        # If two threads find it, both find the same. A rule that is made from this one by `replace` starts without it.
        object.__setattr__(rule, "footprint", known)
    return known


def _footprint(rule: Rule) -> Footprint:
    members: set[str] = set()
    through: set[str] = set()
    whole = elements = sources = False
    todo = list(expressions(rule))
    while todo:
        node = todo.pop()
        if isinstance(node, Attribute | Has) and isinstance(node.base, Root):
            if node.base.name == "context":
                members.add(node.name)
            continue
        match node:
            case Root(name="context"):
                whole = True
            case Sources():
                sources = True
            case Attribute(base=base) | Has(base=base) | Within(entity=base):
                elements = elements or isinstance(base, Local)
                if isinstance(base.type, EntityT) and not isinstance(base, Root):
                    through |= base.type.names
        todo.extend(children(node))
    approval = any(obligation.type == APPROVAL for obligation in rule.obligations)
    return Footprint(frozenset(members), whole, frozenset(through), elements, sources, approval)
