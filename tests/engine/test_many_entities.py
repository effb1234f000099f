"""Searching very many entities: work in their number, and other threads have their turn meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policyengine import Engine, search
from policyengine.search import SORTED
from tests.support.steps import steps

POLICIES = """module m
use ai
entity Ledger { tenant: String }
action open on Ledger
permit own: open on Ledger when ledger.tenant == principal.tenant
permit few: open on Ledger when context has others and any other in context.others: other == ledger
context others?: List<Ledger>
"""
PRINCIPAL = {"type": "User", "id": "u", "tenant": "acme"}
FEW, MANY = 1_000, 2_000
Search = Callable[[Engine], Any]


def of(count: int) -> Engine:
    """Ledgers in no order, of which one in a hundred is of the principal's tenant."""
    ledgers = [
        {"type": "Ledger", "id": f"{n * 7_919 % count:06}", "tenant": "other" if n % 100 else "acme"}
        for n in range(count)
    ]
    return Engine.from_text(POLICIES, entities=ledgers)


def resources(engine: Engine, context: Any = None, **page: Any) -> list[str]:
    return search.resources(engine.snapshot, PRINCIPAL, "open", {"type": "Ledger"}, context, **page)


SEARCHES: dict[str, Search] = {
    "all": resources,
    "none": lambda engine: search.resources(
        engine.snapshot, {**PRINCIPAL, "tenant": "x"}, "open", {"type": "Ledger"}
    ),
    "mentioned": lambda engine: resources(engine, {"others": [{"type": "Ledger", "id": "000001"}]}),
    "principals": lambda engine: search.principals(
        engine.snapshot, {"type": "Ledger"}, "open", {"type": "Ledger", "id": "000001"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SEARCHES)
def test_twice_as_many_entities_are_twice_the_work(name: str) -> None:
    asked, work = SEARCHES[name], {}
    for count in (FEW, MANY):
        engine = of(count)
        asked(engine)
        work[count] = steps(lambda engine=engine: asked(engine))
    assert 1.5 * work[FEW] < work[MANY] < 2.2 * work[FEW]


def test_a_page_costs_what_is_looked_at_for_it() -> None:
    work = {}
    for count in (FEW, MANY):
        engine = of(count)
        first = resources(engine, limit=5)
        assert len(first) == 5
        work[count] = steps(lambda engine=engine, first=first: resources(engine, after=first[-1], limit=5))
    assert work[MANY] < 1.2 * work[FEW]


def test_no_more_are_sorted_at_once_than_others_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads take turns between functions of Python, and not within one that is built in."""
    sizes: dict[int, list[int]] = {}
    for runs in (2, 4):
        engine = of(runs * SORTED)
        sizes[runs] = seen = []

        def noted(listed: list[str], seen: list[int] = seen) -> list[str]:
            seen.append(len(listed))
            return sorted(listed)

        monkeypatch.setattr(search, "sorted", noted, raising=False)
        search.prepare(engine.snapshot, ["Ledger"])
        assert engine.snapshot.world.ordered["Ledger"] == sorted(engine.snapshot.world.records["Ledger"])
    assert {runs: (len(seen), max(seen)) for runs, seen in sizes.items()} == {2: (2, SORTED), 4: (4, SORTED)}
