"""A footprint says what reading the rule says: footprint(r).reads(m) = m occurs in r, and so for all that it tells.

What is asked of a snapshot by footprints is what is found where each rule is read in full.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace

import pytest
from hypothesis import event, given

from policyengine.bundle import load_path, load_text
from policyengine.ir.footprint import expressions, footprint
from policyengine.ir.nodes import Attribute, Expr, Has, Local, Node, PolicySet, Root, Rule, Sources, Within
from policyengine.ir.walk import children, walk
from policyengine.model.types import BOOL, EntityT
from policyengine.release.text_needs import model_input, needs
from tests.support.paths import ROOT
from tests.support.policies import Policies, policies

MEMBERS = ("session", "input", "request", "readers", "provenance", "history", "cost", "agent", "elsewhere")
ASKING = """module asking
use ai
extend Document { reader?: User, readers: Set<User> }
permit all: any on any
permit session: retrieve on Document when "x" in session.labels
permit text: invoke on Model when not ("secret" in context.input.findings)
permit found: invoke on Model when not (any f in context.input.found: f.kind == "secret")
permit there: invoke on Model when context has input
permit elements: retrieve on Document when any r in document.readers: r.tenant == "a"
permit through: retrieve on Document when document has reader and document.reader.tenant == "a"
permit within: retrieve on Document when document has reader and document.reader in Group::"g"
permit own: retrieve on Document when principal in Group::"g" and document in Document::"f"
forbid source: call on Tool when "untrusted" in sources(tool.args.to)
forbid seen: call on Tool when not ("*" in readers(tool.args.body))
forbid history: call on Tool when any c in history: c.tool == "read"
forbid said: call on Tool when tool.args.to in request.named
forbid whole: call on Tool when context has ["request"]
require ask: call on Tool when session.labels == [] approval(by: Group::"g", within: 15m)
require note: call on Tool redact(["email"])
limit money: invoke on Model at most 3 of cost.usd per day by principal, context.agent.tenant
forbid later: call on Tool when "x" in session.labels on match log
"""


def occurs(member: str, expr: Expr) -> bool:
    if isinstance(expr, Attribute | Has) and isinstance(expr.base, Root) and expr.base.name == "context":
        return expr.name == member
    if isinstance(expr, Root):
        return expr.name == "context"
    return any(occurs(member, child) for child in children(expr))


def through(expr: Expr) -> frozenset[str]:
    match expr:
        case Attribute(base=base) | Has(base=base) | Within(entity=base) if not isinstance(base, Root):
            return base.type.names if isinstance(base.type, EntityT) else frozenset()
    return frozenset()


def same(made: PolicySet) -> Counter[str]:
    """Compares; and says how often each is so."""
    times: Counter[str] = Counter()
    for rule in (*made.rules, *made.tried):
        found, whole = footprint(rule), list(expressions(rule))
        nodes = [node for expr in whole for node in walk(expr)]
        assert all(children(node) == parts(node) for node in nodes)
        for member in MEMBERS:
            assert found.reads(member) == any(occurs(member, expr) for expr in whole)
            times[member] += found.reads(member)
        assert found.through == frozenset().union(*map(through, nodes))
        assert found.sources == any(isinstance(node, Sources) for node in nodes)
        assert found.elements >= any(isinstance(node, Attribute) and isinstance(node.base, Local) for node in nodes)
        assert found.approval == rule.demands_approval
        assert (rule.kind == "limit") == (rule.limit is not None)
        assert needs_of_input(rule) or found.whole_context
        for name in ("through", "sources", "elements", "approval", "whole_context"):
            times[name] += bool(getattr(found, name))
    return times


def parts(expr: Expr) -> tuple[Node, ...]:
    """Whatever is an expression in any field of one, itself or among others."""
    values = [getattr(expr, field.name) for field in fields(expr)]
    each = [item for value in values for item in (value if isinstance(value, tuple) else (value,))]
    return tuple(item for item in each if isinstance(item, Node))


def needs_of_input(rule: Rule) -> bool:
    """Whether nothing is passed over: by another subject, which means the same, each rule is read in full."""
    return needs([rule], model_input) == needs([rule], lambda expr: model_input(expr))


@given(policies())
def test_a_footprint_is_what_reading_says(made: Policies) -> None:
    loaded = load_text(made.text)
    assert loaded.policies is not None
    for said, times in same(loaded.policies).items():
        if times:
            event(said)


def test_of_every_way_to_ask() -> None:
    loaded = load_text(ASKING)
    assert loaded.policies is not None, loaded.diagnostics
    times = same(loaded.policies)
    # No text reads the context as a whole; where an argument came from is asked in a way of its own.
    assert {said for said, number in times.items() if number == 0} == {"elsewhere", "provenance", "whole_context"}


@pytest.mark.parametrize("home", sorted(home.name for home in (ROOT / "policies").iterdir() if home.is_dir()))
def test_of_the_starter_policies(home: str) -> None:
    loaded = load_path(ROOT / "policies" / home)
    assert loaded.policies is not None
    assert same(loaded.policies)


def test_a_rule_that_is_made_of_another_is_read_anew() -> None:
    loaded = load_text(ASKING)
    assert loaded.policies is not None
    rules = {rule.name: rule for rule in loaded.policies.rules}
    asking, plain = rules["asking.session"], rules["asking.all"]
    assert footprint(asking).reads("session")
    assert not footprint(replace(asking, condition=plain.condition)).reads("session")
    whole = replace(plain, condition=Root(name="context", type=BOOL, span=plain.span))
    assert all(map(footprint(whole).reads, MEMBERS))
    assert same(PolicySet((whole,)))["whole_context"] == 1
