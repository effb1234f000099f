"""Rules that begin with the same test, or its opposite, and tables of rules: the interpreter's decision always."""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from typing import Any

import pytest

from policyengine.bundle import Snapshot, load_text
from tests.support.evaluators import reference
from tests.support.requests import HOSTILE

RULES = """
use ai
extend User { level: Int, groups: Set<String> }
permit cleared: retrieve on Document for User
  when document.tenant == principal.tenant and document.classification <= principal.level
permit owner: retrieve on Document for User when document.owner == principal.id
permit same: retrieve on Document for User when document.tenant == principal.tenant
forbid hold: retrieve on Document for User when "hold" in document.labels unless principal in Group::"legal"
forbid wall: retrieve on Document for User when document.tenant != principal.tenant
forbid loose: retrieve on Document for User when not ("hold" in document.labels) and principal.level > 3
"""
TABLE = """
permit tenant{n}: retrieve on Document for User when document.tenant == "t{n}"
forbid group{n}: retrieve on Document for User when principal in Group::"g{n}"
"""
# Without and with tables, and with groups that the world knows.
POLICIES = (RULES, RULES + "".join(TABLE.format(n=n) for n in range(6)))
ENTITIES: tuple[list[dict[str, Any]], ...] = (
    [],
    [{"type": "Group", "id": "x", "parents": [{"type": "Group", "id": "g1"}]}],
)
PARENTS = [
    [],
    [{"type": "Group", "id": "legal"}],
    [{"type": "Group", "id": "g1"}, {"type": "Group", "id": "g2"}, {"type": "Group", "id": "x"}],
    [{"type": "Group", "id": "x", "parents": [{"type": "Group", "id": "legal"}]}],
    [{"type": "Tenant", "id": "legal"}],
    ({"type": "Group", "id": "legal"},),
]
PLACES = [("principal", name) for name in ("tenant", "level", "id", "parents")]
PLACES += [("resource", name) for name in ("tenant", "classification", "owner", "labels", "id")]


@pytest.fixture(
    scope="module", params=list(product(POLICIES, ENTITIES)), ids=lambda each: f"{len(each[0])}-{len(each[1])}"
)
def snapshot(request: pytest.FixtureRequest) -> Snapshot:
    policy, entities = request.param
    loaded = load_text(policy, entities=entities)
    assert loaded.snapshot is not None, [(d.span, d.message) for d in loaded.diagnostics]
    return loaded.snapshot


def asked(tenant: str, level: int, labels: list[str], parents: Any) -> dict[str, Any]:
    return {
        "principal": {"type": "User", "id": "u", "tenant": "t1", "level": level, "groups": [], "parents": parents},
        "action": "retrieve",
        "resource": {
            "type": "Document", "id": "d", "tenant": tenant, "classification": 2, "labels": labels, "owner": "u"
        },
    }  # fmt: skip


def test_values_of_the_right_type(snapshot: Snapshot) -> None:
    for parts in product(("t1", "t2", "other"), (1, 2, 5), ([], ["hold"], ["x", "hold"]), PARENTS):
        one = asked(*parts)
        for _ in range(2):
            assert snapshot.evaluator.decide(**one) == reference(snapshot, one), parts


@pytest.mark.parametrize(("root", "name"), PLACES)
def test_any_value(snapshot: Snapshot, root: str, name: str) -> None:
    for value in HOSTILE:
        one = asked("t1", 2, ["hold"], [{"type": "Group", "id": "legal"}])
        one[root][name] = deepcopy(value)
        assert snapshot.evaluator.decide(**one) == reference(snapshot, one)
        one[root][name] = [deepcopy(value)]
        assert snapshot.evaluator.decide(**one) == reference(snapshot, one)
        del one[root][name]
        assert snapshot.evaluator.decide(**one) == reference(snapshot, one)


COMPARED = "\n".join(
    ["use ai", "extend User { level: Int }"]
    + [
        f"permit {name}: retrieve on Document for User when document.classification {op} principal.level"
        for name, op in (("less", "<"), ("at_most", "<="), ("more", ">"), ("at_least", ">="))
    ]
)
EDGES = [0, 1, True, 1.0, "1"] + [sign * (2**bits + by) for sign in (1, -1) for bits in (30, 63) for by in (-1, 0, 1)]


def test_integers_at_the_edges() -> None:
    loaded = load_text(COMPARED)
    assert loaded.snapshot is not None
    for left, right in product(EDGES, EDGES):
        one = asked("t1", 2, [], [])
        one["principal"]["level"], one["resource"]["classification"] = right, left
        assert loaded.snapshot.evaluator.decide(**one) == reference(loaded.snapshot, one), (left, right)
