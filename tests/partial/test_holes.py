"""Holes: filled with a caller's values they are what the caller's values come to, and nothing that is kept has one."""

from __future__ import annotations

import gc
from types import ModuleType
from typing import Any

import pytest

from policyengine import Engine
from policyengine.ir.nodes import PolicySet
from policyengine.model.entities import World
from policyengine.partial import lowered_rules
from policyengine.partial.formula import All, Deferred, Formula, Hole, Opaque, Some
from policyengine.partial.hierarchy import Hierarchy
from tests.partial.test_callers import RULES, SCHEMA, callers

MORE = (
    "permit p: read on Doc when any t in principal.teams: t == doc.owner and doc.level > 0",
    "permit p: read on Doc when lower(doc.owner) == principal.nick and starts_with(doc.tenant, principal.tenant)",
    "permit p: read on Doc when size(doc.tags) > principal.level or doc.owner in [principal.nick, principal.tenant]",
)
CALLERS: list[dict[str, Any]] = [
    {
        "type": "User", "id": f"sentinel-{n}-id", "tenant": f"sentinel-{n}-tenant", "nick": f"sentinel-{n}-nick",
        "level": 7_000_000 + n, "teams": [f"sentinel-{n}-a", f"sentinel-{n}-b"],
        "parents": [{"type": "Team", "id": f"sentinel-{n}-team"}, {"type": "Team", "id": "a"}],
    }
    for n in range(4)
]  # fmt: skip


def kept(engine: Engine) -> list[Any]:
    """All that the partial evaluator keeps, but for the policies and what is known of entities."""
    seen: dict[int, Any] = {}
    todo: list[Any] = [engine.snapshot.partial]
    while todo:
        found = todo.pop()
        if id(found) in seen or isinstance(found, type | ModuleType | World | Hierarchy | PolicySet):
            continue
        seen[id(found)] = found
        if callable(found) and hasattr(found, "__closure__"):
            todo += [cell.cell_contents for cell in found.__closure__ or ()]
        else:
            todo += gc.get_referents(found)
    return list(seen.values())


@pytest.mark.parametrize("rules", [*RULES, *MORE])
def test_nothing_that_is_kept_is_of_a_caller(rules: str) -> None:
    engine = Engine.from_text(SCHEMA + rules)
    for caller in CALLERS:
        found = engine.filter(principal=caller, action="read", resource_type="Doc")
        found.matches({"id": "d", "tenant": "a", "owner": "b", "level": 1, "tags": []})
    every = kept(engine)
    assert any(isinstance(each, Hole) for each in every)
    assert [each for each in every if isinstance(each, str) and "sentinel" in each] == []
    assert [each for each in every if isinstance(each, int) and 7_000_000 <= each < 7_000_100] == []


def test_a_kept_value_would_be_found() -> None:
    engine = Engine.from_text(SCHEMA + RULES[0])
    engine.filter(principal=CALLERS[0], action="read", resource_type="Doc")
    engine.snapshot.partial._alike["x", "sentinel"] = engine.snapshot.partial.alike("read", "Doc")
    assert any(isinstance(each, str) and "sentinel" in each for each in kept(engine))


def holes(formula: Formula) -> list[Any]:
    if isinstance(formula, All | Some):
        return [hole for item in formula.items for hole in holes(item)]
    if isinstance(formula, Opaque):
        return [formula] if formula.env is None else []
    return [each for each in (formula, *gc.get_referents(formula)) if isinstance(each, Hole | Deferred)]


@pytest.mark.parametrize("rules", [*RULES, *MORE])
def test_a_filled_formula_has_no_hole(rules: str) -> None:
    engine = Engine.from_text(SCHEMA + rules)
    for caller in CALLERS:
        assert holes(engine.filter(principal=caller, action="read", resource_type="Doc").formula) == []


def test_no_more_wholes_are_kept_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lowered_rules, "MAX_WHOLES", 3)
    engine = Engine.from_text(SCHEMA + RULES[-1])
    most = 0
    for caller in callers():
        engine.filter(principal=caller, action="read", resource_type="Doc")
        most = max(most, sum(isinstance(each, lowered_rules._Whole) for each in kept(engine)))
    assert most == 3
