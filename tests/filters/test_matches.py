"""`matches` says exactly what `decide` says, for every condition of the corpus and every document in it."""

from __future__ import annotations

import pytest

from tests.support.filter_corpus import CONDITIONS, HOSTILE, PRINCIPAL, TYPED, allowed, documents, engine

DOCUMENTS = documents(TYPED, HOSTILE)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("kind", ["permit", "forbid"])
def test_matches_is_decide(condition: str, kind: str) -> None:
    asked = engine(condition, kind)
    found = asked.filter(principal=PRINCIPAL, action="read", resource_type="Doc")
    assert [each["id"] for each in found.recheck(DOCUMENTS)] == allowed(asked, DOCUMENTS)
