"""Elasticsearch, Pinecone and Weaviate, each by an evaluator written from its manual, over the typed documents."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from policyengine.filters import Backend, Filter, NotExpressible, column, elasticsearch, json, pinecone, ref, weaviate
from tests.support.examples import half
from tests.support.filter_checks import TYPED_DOCUMENTS, Combined, check, check_corpus, combined, shown
from tests.support.filter_corpus import CONDITIONS
from tests.support.filter_tables import mapping, row
from tests.support.golden import assert_golden
from tests.support.key_stores import (
    READINGS,
    Reading,
    elasticsearch_finds,
    metadata_of,
    pinecone_finds,
    weaviate_finds,
)

ROWS = [row(each) for each in TYPED_DOCUMENTS]
KEYWORDS = ("id", "s", "so", "tags", "names", "to", "owner", "readers", "allowed", "folder", "oo", "parents")
TYPES = {**dict.fromkeys(KEYWORDS, "keyword"), "n": "long", "no": "long", "x": "double", "flag": "boolean",
         "fo": "boolean"}  # fmt: skip
PROPERTIES: dict[str, Any] = {
    **{name: {"type": type_} for name, type_ in TYPES.items()},
    "rec": {"properties": {"a": {"type": "long"}, "b": {"type": "keyword"}}},
    "nums": {"type": "long"},
}
LISTS = ("tags", "names", "to", "readers", "allowed", "parents")
WEAVIATE = [
    {"name": name, "dataType": ["text[]" if name in LISTS else "text"], "tokenization": "field"}
    for name in ("doc_id", *KEYWORDS)
] + [{"name": n, "dataType": [t]} for n, t in (("n", "int"), ("no", "int"), ("x", "number"), ("flag", "boolean"),
                                             ("fo", "boolean"))]  # fmt: skip
COLUMNS = mapping()
STORES: dict[str, Backend] = {
    "elasticsearch": elasticsearch(PROPERTIES, {**COLUMNS, "rec.a": "rec.a", "rec.b": "rec.b"}),
    "pinecone": pinecone(COLUMNS),
    "weaviate": weaviate(WEAVIATE, {**COLUMNS, "id": column("doc_id")}, null_index=True),
}


def _finds(store: str, query: Any, row: dict[str, Any], reading: Reading) -> bool:
    if store == "elasticsearch":
        return elasticsearch_finds(query, row, {**TYPES, "rec.a": "long", "rec.b": "keyword"}, reading)
    if store == "pinecone":
        return pinecone_finds(query, metadata_of(row), reading)
    return weaviate_finds(query, {**row, "doc_id": row["id"]}, reading)


def _asking(store: str, reading: Reading) -> Callable[[Any], list[str]]:
    return lambda query: [each["id"] for each in ROWS if _finds(store, query, each, reading)]


@pytest.mark.parametrize("store", STORES)
def test_the_corpus(store: str) -> None:
    for reading in READINGS[:1] if store == "elasticsearch" else READINGS:
        for condition in CONDITIONS:
            check_corpus(condition, STORES[store], _asking(store, reading))


@half
@given(combined)
def test_policies_over_the_corpus(policies: Combined) -> None:
    expected = policies.allowed(TYPED_DOCUMENTS)
    for store, backend in STORES.items():
        check(policies.filter, expected, backend, _asking(store, READINGS[1]), TYPED_DOCUMENTS)


@pytest.mark.parametrize("store", STORES)
def test_the_queries(store: str) -> None:
    assert_golden(Path(__file__).parent / "golden" / f"{store}.txt", shown(STORES[store]))


@pytest.mark.parametrize("made", [elasticsearch, pinecone, weaviate])
def test_the_examples(made: Any) -> None:
    ran = doctest.testmod(import_module(made.__module__))
    assert (ran.failed, ran.attempted > 0) == (0, True)


# ---- the edges ----


def _found(condition: str, **principal: Any) -> Filter:
    return Combined([condition], [], {"type": "User", "id": "ann", **principal}).filter


@pytest.mark.parametrize("store", STORES)
def test_nothing_and_everything(store: str) -> None:
    for reading in READINGS:
        ask = _asking(store, reading)
        assert ask(_found("false").to(STORES[store]).native) == []
        assert len(ask(_found("true").to(STORES[store]).native)) == len(ROWS)


@pytest.mark.parametrize("store", ["elasticsearch", "pinecone"])
@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_many_groups(store: str, count: int) -> None:
    groups = [{"type": "Group", "id": "staff"}, *({"type": "Group", "id": f"g{i}"} for i in range(count))]
    query = _found("contains_any(doc.allowed, principal.groups)", groups=groups[:count]).to(STORES[store], exact=True)
    mine = {each["id"] for each in groups[:count]}
    seen = [each["id"] for each in TYPED_DOCUMENTS if any(g["id"] in mine for g in each.get("allowed", ()))]
    assert _asking(store, READINGS[0])(query.native) == seen


@pytest.mark.parametrize("store", STORES)
def test_exact_is_refused(store: str) -> None:
    with pytest.raises(NotExpressible) as refused:
        _found('lower(doc.s) == "a"').to(STORES[store], exact=True)
    assert [d.span.text for d in refused.value.diagnostics] == ['lower(doc.s) == "a"']


@pytest.mark.parametrize(
    "field",
    [
        {"type": "text"}, {"type": "keyword", "ignore_above": 256}, {"type": "keyword", "normalizer": "lower"},
        {"type": "keyword", "null_value": "a"}, {"type": "long"}, {"type": "wildcard"}, {"type": "nested"}, {},
    ],
)  # fmt: skip
def test_fields_that_are_not_asked(field: dict[str, Any]) -> None:
    assert not _found('doc.s == "a"').to(elasticsearch({"s": field})).exact
    assert not _found('doc.s == "a"').to(elasticsearch({"m": {"type": "nested", "properties": {"s": field}}},
                                                       {"s": "m.s"})).exact  # fmt: skip


def test_keys_of_any_shape_are_not_asked() -> None:
    for store in (
        elasticsearch(PROPERTIES, {"s": json("s")}),
        pinecone({"s": json("s")}),
        weaviate(WEAVIATE, {"s": json("s")}),
    ):
        query = _found('doc.s == "a"').to(store)
        assert (query.native, query.exact) == (store.everything(), False)


def test_names_that_are_no_keys() -> None:
    for name in ("", "$and", "\ud800"):
        assert not _found('doc.s == "a"').to(pinecone({"s": column(name)})).exact
    assert not _found("doc.owner == principal").to(pinecone({"owner": ref("owner", "Folder")})).exact


def test_texts_that_weaviate_would_change() -> None:
    for text in ("", " a", "a "):
        assert _found(f'doc.s == "{text}"').to(STORES["weaviate"]).native is None
    words = [{"name": "s", "dataType": ["text"], "tokenization": "word"}]
    assert _found('doc.s == "a"').to(weaviate(words)).native is None
