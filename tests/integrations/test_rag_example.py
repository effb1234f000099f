"""The worked example: what three callers get, from LanceDB and from PostgreSQL; what lacks something, nobody gets."""

from __future__ import annotations

import importlib.util
import json
import sys
from datetime import UTC, datetime
from tempfile import mkdtemp
from types import ModuleType
from typing import Any

import pytest

from policyengine import Engine
from tests.support.paths import ROOT

RAG = ROOT / "policies" / "rag"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUESTION = "What does a pump cost?"
STORES = ("lancedb", "postgresql")

# What each may see, by how near it is to the question. Nobody sees what lacks its labels, classification, tenant or id.
SEEN = {
    "ann": ["heron-limit", "old-prices", "heron-offer", "price-list", "price-list", "lunch", "holidays"],
    "lee": ["heron-limit", "old-prices", "heron-offer", "price-list", "price-list", "margins", "price-dispute", "lunch",
            "holidays"],
    "gus": ["heron-offer", "globex-prices"],
    "nobody": [],
}  # fmt: skip


@pytest.fixture(scope="module")
def example() -> Any:
    sys.path.insert(0, str(RAG))
    try:
        spec = importlib.util.spec_from_file_location("rag_example", RAG / "example.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["rag_example"] = module
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(RAG))


@pytest.fixture(scope="module")
def stored(example: ModuleType) -> list[dict[str, Any]]:
    return example.chunks()


@pytest.fixture(scope="module", params=STORES)
def store(request: pytest.FixtureRequest, example: ModuleType, stored: list[dict[str, Any]]) -> Any:
    if request.param == "lancedb":
        return example.in_lancedb(mkdtemp(), stored)
    return example.in_postgresql(example.started(), stored)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load(RAG, entities=RAG / "entities.json", cache=False)


@pytest.mark.parametrize("user", SEEN)
def test_what_each_caller_gets(example: ModuleType, store: Any, engine: Engine, user: str) -> None:
    got = example.retrieve(engine, store, user, QUESTION, 20, NOW)
    assert [each["doc"] for each in got.chunks] == SEEN[user]
    assert got.complete
    assert got.unreadable == 0


@pytest.mark.parametrize("user", SEEN)
def test_it_is_what_decide_allows(engine: Engine, user: str) -> None:
    chunks = json.loads((RAG / "chunks.json").read_text(encoding="utf-8"))
    resources = [
        {"type": "Document", "id": each["doc"]}
        | {name: each[name] for name in each if name not in ("doc", "text") and each[name] is not None}
        for each in chunks
    ]
    asked = {
        "principal": {"type": "User", "id": user},
        "action": "retrieve",
        "context": {"time": {"now": NOW.isoformat()}},
    }
    decided = engine.decide_many({**asked, "resource": each} for each in resources)
    allowed = [each["doc"] for each, decision in zip(chunks, decided, strict=True) if decision.allowed]
    assert sorted(allowed) == sorted(SEEN[user])


def test_the_nearest_few(example: ModuleType, store: Any, engine: Engine) -> None:
    got = example.retrieve(engine, store, "gus", QUESTION, 1, NOW)
    assert [each["doc"] for each in got.chunks] == ["heron-offer"]
    got = example.retrieve(engine, store, "ann", "When is lunch?", 1, NOW)
    assert [each["doc"] for each in got.chunks] == ["lunch"]


def test_what_is_published_later(example: ModuleType, store: Any, engine: Engine) -> None:
    later = example.retrieve(engine, store, "ann", QUESTION, 20, datetime(2026, 8, 1, tzinfo=UTC))
    assert {each["doc"] for each in later.chunks} - set(SEEN["ann"]) == {"new-prices"}


def test_the_stores_find_little_in_vain(example: ModuleType, store: Any, engine: Engine) -> None:
    """Nothing leaves them that is not to be seen, but for the chunk that is of no document."""
    for user, seen in SEEN.items():
        assert example.retrieve(engine, store, user, QUESTION, 20, NOW).fetched <= len(seen) + 1


def test_the_model_is_the_model(example: ModuleType) -> None:
    """As its own page has it: https://www.sbert.net/docs/quickstart.html."""
    a, b, c = example.embed(["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."])

    def near(x: list[float], y: list[float]) -> float:
        return sum(p * q for p, q in zip(x, y, strict=True))

    assert [round(near(a, b), 4), round(near(a, c), 4), round(near(b, c), 4)] == [0.6660, 0.1046, 0.1411]
