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


@pytest.mark.parametrize("names", [("d1", "d2"), ("d2",), ()])
def test_rules_that_name_the_resource_are_found_by_its_name(names: tuple[str, ...]) -> None:
    rules = "".join(
        f'permit to_{name}: read on Doc::"{name}" when principal.teams != []\n' for name in ("d1", "d2", "d3")
    )
    denied = ", ".join(f'Doc::"{name}"' for name in (*names, "d9"))
    engine = Engine.from_text(f'{SCHEMA}{rules}forbid f: read on [{denied}] when "x" in principal.teams\n')
    for principal in (EVE, {**EVE, "teams": ["y"]}, {**EVE, "teams": []}, {"type": "User", "id": "none"}):
        for name in ("d1", "d2", "d3", "d4"):
            found = engine.filter(principal=principal, action="read", resource_type="Doc", resource={"id": name})
            whole = {"type": "Doc", "id": name}
            assert found.matches({"id": name}) is engine.decide(
                principal=principal, action="read", resource=whole
            ).allowed  # fmt: skip
