"""Functions of sets and lists of texts: the interpreter's decision always."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from policyengine.bundle import Snapshot, load_text
from tests.support.evaluators import reference
from tests.support.requests import HOSTILE

HEAD = """
use ai
extend User { some: Set<String>, row: List<String> }
extend Document { more: Set<String>, others: List<String>, maybe?: Set<String> }
"""
CONDITIONS = (
    'contains_any(document.more, ["a", "b"])',
    'contains_any(["a", "b", "a"], document.more)',
    "contains_any(document.more, principal.some)",
    "contains_any(principal.row, document.others)",
    'contains_all(document.more, ["a", "b"])',
    "contains_all(document.more, [])",
    "contains_any(document.more, [])",
    'contains_all(["a", "b"], document.more)',
    "contains_all(document.more, principal.some)",
    "contains_all(document.more, [principal.tenant])",
    "size(document.more) > 1",
    "size(document.others) > 1",
    'document has maybe and contains_any(document.maybe, ["a"])',
    "contains_any(if size(principal.row) > 1 then document.more else principal.some, document.more)",
)
LISTS: list[Any] = [
    *([], ["a"], ["b", "c"], ["a", "a"], ["a", "b", "c"], ["t"], ("a", "b"), {"a"}, frozenset("ab")),
    *(["a", 1], [None], [["a"]], [{}], "ab", {"a": 1}),
    *HOSTILE,
]


@pytest.fixture(scope="module", params=CONDITIONS)
def snapshot(request: pytest.FixtureRequest) -> Snapshot:
    loaded = load_text(f"{HEAD}\npermit p: retrieve on Document for User when {request.param}\n")
    assert loaded.snapshot is not None, [(d.span, d.message) for d in loaded.diagnostics]
    return loaded.snapshot


def test_any_values(snapshot: Snapshot) -> None:
    for one, other in product(LISTS, LISTS):
        asked = {
            "principal": {"type": "User", "id": "u", "tenant": "t", "some": one, "row": other},
            "action": "retrieve",
            "resource": {"type": "Document", "id": "d", "more": other, "others": one, "maybe": one},
        }
        assert snapshot.evaluator.decide(**asked) == reference(snapshot, asked)
