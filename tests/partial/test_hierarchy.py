"""Hierarchies of an entity source that are larger than what can be followed."""

from __future__ import annotations

import pytest

from policyengine import Engine
from policyengine.compile import hierarchy as generated
from policyengine.model import entities
from policyengine.partial import hierarchy
from tests.support.evaluators import reference
from tests.support.filter_corpus import PRINCIPAL, SCHEMA

CHAIN = [
    {"type": "Folder", "id": f"f{i}", "parents": [{"type": "Folder", "id": f"f{i + 1}"}]} for i in range(20)
]  # fmt: skip
RULES = (
    'permit r: read on Doc in Folder::"f15"',
    'permit r: read on Doc when doc in Folder::"f15"',
    'permit r: read on Doc when not (doc in Folder::"f15")',
    'permit r: read on Doc when doc.folder in Folder::"f15"',
    'permit r: read on Doc when not (doc.folder in Folder::"f15")',
)


@pytest.mark.parametrize("rule", RULES)
def test_what_cannot_be_followed_is_not_let_through(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit of ten, the lower folders have more ancestors than can be followed, and asking about them errs."""
    for module in (entities, hierarchy, generated):
        monkeypatch.setattr(module, "MAX_ANCESTORS", 10)
    engine = Engine.from_text(f"{SCHEMA}\n{rule}\n", entities=CHAIN)
    documents = [
        {"id": f"d{i}", "folder": folder, "parents": [folder]}
        for i, folder in enumerate({"type": "Folder", "id": f"f{i}"} for i in range(21))
    ]
    found = engine.filter(principal=PRINCIPAL, action="read", resource_type="Doc")
    requests = [{"principal": PRINCIPAL, "action": "read", "resource": {"type": "Doc", **d}} for d in documents]
    asked = [reference(engine.snapshot, request).allowed for request in requests]
    assert [found.matches(each) for each in documents] == asked
    assert any(asked)
    assert not asked[0]
