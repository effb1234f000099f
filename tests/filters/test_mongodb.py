"""MongoDB queries, run over documents of any shape by an evaluator written from the manual of MongoDB."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from policyengine.filters import Filter, NotExpressible, json, mongodb, ref
from policyengine.model.values import INT_MAX, INT_MIN
from tests.support.examples import half
from tests.support.filter_checks import (
    ALL_DOCUMENTS,
    TYPED_DOCUMENTS,
    Combined,
    Generated,
    check,
    check_corpus,
    combined,
    corpus_documents,
    generated,
    shown,
)
from tests.support.filter_corpus import CONDITIONS
from tests.support.filter_tables import REFERENCES
from tests.support.golden import assert_golden
from tests.support.mongodb_semantics import finds

Document = dict[str, Any]


def _storable(value: Any) -> bool:
    """BSON holds integers of 64 bits."""
    if isinstance(value, list | dict):
        return all(map(_storable, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int) or INT_MIN <= value <= INT_MAX


DOCUMENTS = [each for each in ALL_DOCUMENTS if _storable(each)]
STORE = mongodb({"*": json("", names="checked")})


def _asking(documents: list[Document]) -> Callable[[Document], list[str]]:
    def ask(query: Document) -> list[str]:
        found = [each["id"] for each in documents if finds(query, each, True)]
        assert found == [each["id"] for each in documents if finds(query, each, False)]
        return found

    return ask


@pytest.mark.corpus
@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_corpus(condition: str) -> None:
    held = list(filter(_storable, corpus_documents(condition)))
    check_corpus(condition, STORE, _asking(held), True, held)


@half
@given(combined)
def test_policies_over_the_corpus(policies: Combined) -> None:
    some = DOCUMENTS[::7]
    check(policies.filter, policies.allowed(some), STORE, _asking(some), some)


@half
@given(generated(broken=True))
def test_generated_policies(made: Generated) -> None:
    documents = [each for each in made.documents if _storable(each)]
    held = {each["id"] for each in documents}
    expected = [id_ for id_ in made.allowed if id_ in held]
    check(made.filter, expected, STORE, _asking(documents), documents)


def test_the_queries() -> None:
    assert_golden(Path(__file__).parent / "golden" / "mongodb.txt", shown(STORE))


def test_the_examples() -> None:
    ran = doctest.testmod(import_module(mongodb.__module__))
    assert (ran.failed, ran.attempted > 0) == (0, True)


# ---- the edges ----

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("x", [NAN, INF, -INF])
@pytest.mark.parametrize("condition", [c for c in CONDITIONS if "doc.x" in c or "doc.data" in c])
def test_what_is_no_number(condition: str, x: float) -> None:
    made = Combined([condition], [], {"type": "User", "id": "ann", "n": 5})
    base = TYPED_DOCUMENTS[0]
    documents = [{**base, "id": f"x{i}", **each} for i, each in enumerate(({"x": x}, {"data": x}, {"data": [x]}))]
    check(made.filter, made.allowed(documents), STORE, _asking(documents), documents)


IDS = mongodb(
    {"*": json("", names="checked"), **{name: ref(f"ids.{name}", type_) for name, type_ in REFERENCES.items()}}
)


def test_ids_instead_of_references() -> None:
    def stored(document: Document) -> Document:
        kept: Document = {k: v for k, v in document.items() if k not in REFERENCES}
        ids = {k: v for k, v in document.items() if k in REFERENCES}
        return {**kept, "ids": {k: [r["id"] for r in v] if isinstance(v, list) else v["id"] for k, v in ids.items()}}

    ask = _asking([stored(each) for each in TYPED_DOCUMENTS])
    for condition in CONDITIONS:
        check_corpus(condition, IDS, ask)


def _found(condition: str, **principal: Any) -> Filter:
    return Combined([condition], [], {"type": "User", "id": "ann", **principal}).filter


_OF_TYPE = {"$or": [{"type": {"$exists": False}},
                    {"type": {"$type": ["string"], "$not": {"$type": "array"}, "$in": ["Doc"]}}]}  # fmt: skip


def test_nothing_and_everything() -> None:
    never, always = _found("false").to(STORE), _found("true").to(STORE)
    assert (never.native, always.native) == ({"_id": {"$in": []}}, _OF_TYPE)
    assert _found("true").to(mongodb({"s": "s"}), exact=True).native == {}


@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_many_groups(count: int) -> None:
    groups = [{"type": "Group", "id": "staff"}, *({"type": "Group", "id": f"g{i}"} for i in range(count))]
    query = _found("contains_any(doc.allowed, principal.groups)", groups=groups[:count]).to(STORE, exact=True)
    mine = {each["id"] for each in groups[:count]}
    seen = [each["id"] for each in TYPED_DOCUMENTS if any(g["id"] in mine for g in each.get("allowed", ()))]
    assert _asking(TYPED_DOCUMENTS)(query.native) == seen


@pytest.mark.parametrize("name", ["$where", "a..b", "", ".a", "a\0", "\ud800"])
def test_names_that_are_no_fields(name: str) -> None:
    query = _found('doc.s == "a"').to(mongodb({"s": name}))
    assert (query.native, query.exact) == ({}, False)


@pytest.mark.parametrize("name", ["*", "^x*$", "a'b", 'a"b', "s; --", "é", "0"])
def test_hostile_names(name: str) -> None:
    query = _found('doc.s == "a"').to(mongodb({"s": f"meta.{name}"}), exact=True)
    documents = [{"id": "d1", "meta": {name: "a", "x": "b"}}, {"id": "d2", "meta": {name: "b", "x": "a"}},
                 {"id": "d3", "meta": [{name: "a"}]}]  # fmt: skip
    assert _asking(documents)(query.native) == ["d1"]


def test_exact_is_refused() -> None:
    with pytest.raises(NotExpressible) as refused:
        _found('lower(doc.s) == "a"').to(STORE, exact=True)
    assert [d.span.text for d in refused.value.diagnostics] == ['lower(doc.s) == "a"']
