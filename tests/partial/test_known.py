"""Attributes that all resources have, whatever they say of themselves."""

from __future__ import annotations

from typing import Any

import pytest

from policyengine import Engine
from policyengine.filters import json, sql

SCHEMA = """\
entity User { teams: Set<String> }
entity Doc { tenant: String, name: String, level: Int, acl: List<Json> }
action read on Doc for User
"""
EVE = {"type": "User", "id": "eve", "teams": ["x"]}
RULES = (
    "lower(doc.name) == doc.tenant",
    "doc.tenant == lower(doc.name) or doc.level > 9",
    "any each in doc.acl: each == doc.tenant",
    "not (lower(doc.name) == doc.tenant)",
    'starts_with(lower(doc.name), doc.tenant) and doc.id != "d9"',
)
DOCUMENTS: list[dict[str, Any]] = [
    {"id": "d1", "tenant": "globex", "name": "GLOBEX", "acl": ["globex"], "level": 1},
    {"id": "d2", "tenant": "globex", "name": "ACME", "acl": ["acme"], "level": 1},
    {"id": "d3", "name": "ACME", "acl": ["acme"], "level": 1},
    {"id": "d4", "tenant": 1, "name": "ACME", "acl": [], "level": 10},
]


@pytest.mark.parametrize("condition", RULES)
@pytest.mark.parametrize(
    "known", [{"tenant": "acme"}, {"tenant": "globex"}, {"tenant": 5}, {"tenant": "acme", "id": "d9"}]
)
def test_what_is_known_of_all_wins_over_what_a_document_says(condition: str, known: dict[str, Any]) -> None:
    engine = Engine.from_text(f"{SCHEMA}permit p: read on Doc when {condition}\n")
    found = engine.filter(principal=EVE, action="read", resource_type="Doc", resource=known)
    query = found.to(sql("sqlite", columns={"*": json("data")}))
    for document in DOCUMENTS:
        whole = {"type": "Doc", **document, **known}
        allowed = engine.decide(principal=EVE, action="read", resource=whole).allowed
        assert found.matches(document) is allowed
        assert bool(query.recheck([document])) is allowed
