"""Conditions as long as they may be, and quantifiers over many values of a caller, end in no RecursionError."""

from __future__ import annotations

import pytest

from policyengine import Engine
from policyengine.filters import json, sql
from tests.partial.test_known import EVE, SCHEMA

LONG = (
    " or ".join(f"(doc.name == {'principal.id' if n % 2 else 'doc.tenant'} and doc.level == {n})" for n in range(130)),
    " and ".join(f"(doc.name != principal.id or doc.level != {n})" for n in range(250)),
    "not (" + " and ".join(f"doc.level != {n} and lower(doc.name) != principal.id" for n in range(240)) + ")",
    "any t in principal.teams: t == doc.name and doc.level != 7",
    "all t in principal.teams: t != doc.name or doc.level != 7",
    "any t in principal.teams: any u in principal.teams: t == doc.name and u != doc.tenant and doc.level < 9",
)


@pytest.mark.parametrize("condition", LONG)
@pytest.mark.parametrize("kind", ["permit", "forbid"])
def test_long_conditions_are_flat_enough(condition: str, kind: str) -> None:
    rules = f"permit all: read on Doc\nforbid f: read on Doc when {condition}\n"
    text = f"{SCHEMA}permit p: read on Doc when {condition}\n" if kind == "permit" else SCHEMA + rules
    engine = Engine.from_text(text)
    for size in (200, 257):
        caller = {**EVE, "teams": [f"t{n}" for n in range(size)]}
        found = engine.filter(principal=caller, action="read", resource_type="Doc")
        for document in ({"id": "d", "name": "t3", "tenant": "t", "level": 1}, {"id": "e", "name": "eve", "level": 7}):
            asked = {"type": "Doc", **document}
            allowed = engine.decide(principal=caller, action="read", resource=asked).allowed
            assert found.matches(document) is allowed
        assert found.explain()
        assert len(found.to(sql("sqlite", columns={"*": json("data")})).native.where) > 0
