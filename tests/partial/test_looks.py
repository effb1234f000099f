"""Quantifiers in each other look at so many elements and no more, whoever evaluates them: they are counted first."""

from __future__ import annotations

from typing import Any

import pytest

from policyengine import Engine
from policyengine.evaluate.interpret import Env, EvaluationError, evaluate
from policyengine.filters import sql
from policyengine.model import quantifier_cost
from policyengine.model.request import request
from policyengine.partial import formula_skeleton
from tests.support.steps import steps

SCHEMA = """
entity User { xs: List<String>, ys: List<String> }
entity Doc {
  xs: List<String>, ys: List<String>, name: String, zs: Set<String>, us: Set<User>, raw: Json,
  rows: List<{ k: String, ys: List<String>, us: Set<User>, raw: Json }>,
}
action read on Doc for User
"""
SHAPES = [
    "any a in principal.xs: any b in doc.ys: b == a",
    "any a in doc.xs: any b in principal.ys: a == b",
    "any a in principal.xs: any b in principal.ys: doc.name == b and a == b",
    'any a in principal.xs: any b in principal.ys: a == b and b != "z"',
    "any a in doc.xs: not (all b in doc.ys: a != b)",
    'any a in ["0", "1", "2", "x", "y", "z"]: any b in principal.ys: b == a and doc.name == a',
    "any a in principal.xs: any b in doc.ys: a == b or b == principal.id",
    "any a in principal.xs: a in principal.ys and (any b in doc.ys: b == a)",
    "any a in doc.xs: a == doc.name and contains_any(doc.ys, principal.ys)",
    "any a in principal.xs: a == doc.name and contains_all(principal.ys, doc.ys)",
    'any a in ["0", "1", "2", "x", "y", "z"]: a == "y" and contains_any(doc.ys, principal.xs)',
    'any a in principal.xs: a == "y" and contains_any(["y"], principal.ys)',
    "any a in doc.xs: contains_any([a], doc.ys) and a == doc.name",
    "sum(sum((if a == b then 1 else 0) for b in doc.ys) for a in doc.xs) > 0",
    "sum((if a == doc.name then size(principal.ys) else 0) for a in principal.xs) > 0",
    "any a in doc.xs: a in doc.ys and a == doc.name",
    "any r in doc.rows: principal in doc.us and r.k == doc.name",
    "any r in doc.rows: [r.k, doc.name] == [doc.name, r.k]",
]
# What goes through a collection for each element.
COUNTED = [
    "any a in doc.xs: a == doc.name and size(doc.zs) > 0",
    "any a in principal.xs: a == doc.name and doc.ys == principal.ys",
    "any a in principal.xs: a == doc.name and doc.ys == doc.ys",
    'any a in ["0", "1", "2", "x", "y", "z"]: a == doc.name and size(doc.ys) > 2',
    "any r in doc.rows: r.k == doc.name and r.k in r.ys",
    "any r in doc.rows: r.k == doc.name and principal in r.us",
    "any r in doc.rows: r.k == doc.name and r.raw == doc.raw",
    "any r in doc.rows: r.k == doc.name and [r.raw] == [doc.raw]",
    "any r in doc.rows: r.k == doc.name and [r.ys] == [doc.ys]",
]

# So that few elements are too many.
FEW = 240


@pytest.mark.parametrize("condition", [*SHAPES, *COUNTED])
@pytest.mark.parametrize(("outer", "inner"), [(6, 30), (FEW // 6, 6), (FEW // 6, 7), (30, 30)])
def test_every_evaluator_counts_alike(condition: str, outer: int, inner: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantifier_cost, "MAX_LOOKS", FEW)
    monkeypatch.setattr(formula_skeleton, "MAX_ATOMS", FEW // 4)
    engine = Engine.from_text(f"{SCHEMA}permit p: read on Doc when {condition}")
    xs, ys = [f"a{n}" for n in range(outer - 1)] + ["y"], ["y"] + [f"b{n}" for n in range(inner - 1)]
    principal: dict[str, Any] = {"type": "User", "id": "u", "xs": xs, "ys": ys}
    us, raw = [{"type": "User", "id": each} for each in (*ys[:-1], "u")], {"k": ys}
    rows = [{"k": each, "ys": ys, "us": us, "raw": raw} for each in xs] if " doc.rows" in condition else []
    doc = {"id": "d", "xs": xs, "ys": ys, "zs": ys, "us": us, "raw": raw, "name": "y", "rows": rows}
    asked = {"principal": principal, "action": "read", "resource": {"type": "Doc", **doc}}
    snapshot = engine.snapshot
    rule = snapshot.policies.rules[0]
    try:
        known, code = evaluate(rule.condition, Env(request(*asked.values()), snapshot.world)), []
    except EvaluationError as error:
        known, code = False, [error.code]
    if condition in COUNTED and (6 if "[" in condition[:12] else outer) * inner > FEW:
        assert (known, code) == (False, ["POL612"])
    decision = engine.decide(**asked)
    assert (decision.allowed, [error.code for error in decision.errors]) == (known, code)
    assert engine.explain(**asked).decision == decision
    found = engine.filter(principal=principal, action="read", resource_type="Doc")
    assert found.matches(doc) is known
    query = found.to(sql("sqlite", columns={"xs": "xs", "ys": "ys", "name": "name", "id": "id"}))
    assert [row["id"] for row in query.recheck([doc])] == ["d"] * known


def test_they_are_counted_before_they_start() -> None:
    engine = Engine.from_text(
        f"{SCHEMA}permit p: read on Doc when any a in doc.xs: any b in doc.ys: a == b and b == principal.id"
    )
    many = [str(n) for n in range(300)]
    asked = {"principal": {"type": "User", "id": "u"}, "action": "read"}
    engine.decide(**asked, resource={"type": "Doc", "id": "d", "xs": many[:2], "ys": many})
    work = [
        steps(lambda n=n: engine.decide(**asked, resource={"type": "Doc", "id": "d", "xs": many[:n], "ys": many}))
        for n in (100, 300)
    ]
    assert work[1] < work[0] / 10
