"""Chroma: flat metadata. Documents are as Chroma can hold them: what it cannot hold they do not have."""

from __future__ import annotations

import doctest
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from math import isfinite
from typing import Any

import chromadb
import pytest
from chromadb.api import ClientAPI
from hypothesis import given

from policyengine.filters import Field, Filter, Kind, NotExpressible, chroma, column, ref
from tests.support.examples import half
from tests.support.filter_checks import (
    ALL_DOCUMENTS,
    KINDS,
    TYPED_DOCUMENTS,
    UNTYPED_DOCUMENTS,
    Ask,
    Combined,
    Generated,
    check,
    combined,
    corpus_filter,
    generated,
)
from tests.support.filter_corpus import ANY_SHAPE, CONDITIONS, PRINCIPAL, allowed, engine
from tests.support.filter_tables import REFERENCES, flat_references
from tests.support.many_groups import for_groups, in_many_groups, those_seen

Document = dict[str, Any]
PROMISED: dict[str, str | Field] = {
    **{name: column(name) for name in ("id", "s", "n", "x", "flag", "so", "no", "fo", "tags", "names", "nums", "to")},
    **{name: ref(name, type_) for name, type_ in REFERENCES.items()},
    "rec.a": column("rec_a"),
    "rec.b": column("rec_b"),
}


def kept(value: Any) -> bool:
    """Whether Chroma keeps a value of metadata as it is."""
    if isinstance(value, list):
        return len({type(each) for each in value}) == 1 and all(
            kept(each) and not isinstance(each, list) for each in value
        )
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return isinstance(value, str) or (isinstance(value, float) and isfinite(value))


def _flat(document: Document) -> Document:
    return {name: value for name, value in document.items() if kept(value)}


# Every other one: what Chroma keeps of a document is much the same for most of them.
ANY = [_flat(each) for each in ALL_DOCUMENTS[::2]]
NAMED = [_flat(each) for each in UNTYPED_DOCUMENTS[::2]]
# A document with references, of which the store holds the ids.
REFERRING = [
    {name: v for name, v in each.items() if kept(v) or (v != [] and name in {*REFERENCES, "rec"})}
    for each in TYPED_DOCUMENTS
]


def _stored(document: Document) -> Document:
    rec = document.get("rec", {})
    flat = {name: value for name, value in flat_references(document).items() if name != "rec"}
    return {**flat, **{f"rec_{name}": rec[name] for name in ("a", "b") if name in rec}}


@cache
def _client() -> ClientAPI:
    return chromadb.EphemeralClient()


def holding(name: str, documents: Sequence[Document], metadata: Sequence[Document] | None = None) -> Ask:
    """A collection with these documents; what was in it before is gone."""
    # Not a new one: the index of a collection that is deleted stays, and takes megabytes.
    collection = _client().get_or_create_collection(name)
    if held := collection.get(include=[])["ids"]:
        collection.delete(ids=held)
    ids = [each["id"] for each in documents]
    collection.add(ids=ids, embeddings=[[1.0]] * len(ids), metadatas=list(metadata or documents))
    return lambda native: collection.get(where=native, include=[])["ids"]


@pytest.fixture(scope="module")
def any_metadata() -> Ask:
    return holding("any-metadata", ANY)


@pytest.fixture(scope="module")
def named() -> Ask:
    return holding("named", NAMED)


@pytest.fixture(scope="module")
def promised() -> Ask:
    return holding("promised", REFERRING, [_stored(each) for each in REFERRING])


def _filter(condition: str, kind: str = "permit") -> Filter:
    return engine(condition, kind).filter(principal=PRINCIPAL, action="read", resource_type="Doc")


@pytest.mark.parametrize("condition", CONDITIONS)
def test_corpus(any_metadata: Ask, named: Ask, promised: Ask, condition: str) -> None:
    for kind in KINDS:
        made, asked = engine(condition, kind), corpus_filter(condition, kind)
        check(asked, allowed(made, ANY), chroma(), any_metadata, ANY)
        check(asked, allowed(made, NAMED), chroma(ANY_SHAPE), named, NAMED)
        check(asked, allowed(made, REFERRING), chroma(PROMISED), promised, REFERRING)


@half
@given(combined)
def test_combined(promised: Ask, asked: Combined) -> None:
    check(asked.filter, asked.allowed(REFERRING), chroma(PROMISED), promised, REFERRING)


@half
@given(generated(broken=True))
def test_generated_policies(made: Generated) -> None:
    """What the store cannot hold is rechecked with what the caller knows of the document."""
    metadata = [_flat(each) for each in made.documents]
    ask = holding("generated", made.documents, metadata)
    whole = [name for name in metadata[0] if all(name not in each or kept(each[name]) for each in made.documents)]
    check(made.filter, made.allowed, chroma({name: name for name in whole}), ask, made.documents)


NUMBERS = [*range(-4, 5), *(n + d for n in range(-4, 5) for d in (0.0, 0.25, 0.5, 0.75)), 1e300, -1e300, 2**53 - 1]


@pytest.mark.parametrize("constant", ["-2.5", "-2", "-0.5", "0", "0.5", "0.75", "2.0", "3.25", "9007199254740991"])
def test_integers_and_floats_under_one_key(constant: str) -> None:
    documents = [{"id": f"d{i}", "x": x} for i, x in enumerate(NUMBERS)]
    ask = holding("numbers", documents)
    conditions = [f"doc.x {op} {constant}" for op in ("<", "<=", ">", ">=", "==", "!=")]
    for condition in (*conditions, f"doc.x in [{constant}, 1, 0.25]", f"not (doc.x in [{constant}, 1, 0.25])"):
        assert check(_filter(condition), allowed(engine(condition), documents), chroma(ANY_SHAPE), ask, documents)


def test_nothing_and_everything(any_metadata: Ask) -> None:
    never, always = _filter("false").to(chroma()), _filter("true").to(chroma(ANY_SHAPE))
    assert (never.kind, never.exact, any_metadata(never.native)) == (Kind.NEVER, True, [])
    assert (always.kind, always.exact, always.native) == (Kind.ALWAYS, True, None)
    assert len(any_metadata(always.native)) == len(ANY)
    assert _filter("true").to(chroma()).rechecked == ("doc is Doc", "no name is misspelt")


@pytest.mark.parametrize("count", [0, 1, 99, 10_000])
def test_many_groups(count: int) -> None:
    query = in_many_groups(count).to(chroma({"allowed": ref("allowed", "Group"), "folder": ref("folder", "Group")}))
    # So many alternatives are more than Chroma takes.
    assert query.exact is (count < 100)
    # Chroma holds no empty lists.
    ask = holding("groups", for_groups(count, nobody=("h",)))
    assert ask(query.native) == (those_seen(count) if count < 100 else ["a", "b", "c", "d"])


@pytest.mark.parametrize("key", ["a.b", "a[0]", "é", "😀", "'", '"', "a b", "a\\b", "%", " ", "a\nb", "key"])
def test_hostile_keys(key: str) -> None:
    documents = [{"id": "1", key: "a"}, {"id": "2", key: "b"}, {"id": "3", "other": "a"}]
    query = _filter('doc.s == "a"').to(chroma({"s": key}))
    assert holding("keys", [{"id": each["id"]} for each in documents], documents)(query.native) == ["1"]


@pytest.mark.parametrize("key", ["$and", "$x", "#document", "#x", "chroma:document", "", "\ud800", "a\0b"])
def test_keys_that_cannot_be_are_declined(key: str) -> None:
    query = _filter('doc.s == "a"').to(chroma({"s": key}))
    assert (query.native, query.exact) == (None, False)


def test_an_exact_query_is_refused_with_the_condition() -> None:
    with pytest.raises(NotExpressible) as refused:
        _filter('doc.s != "a"').to(chroma(ANY_SHAPE), exact=True)
    (diagnostic,) = refused.value.diagnostics
    assert diagnostic.span.text == 'doc.s != "a"'


def test_the_example_of_the_docstring() -> None:
    assert doctest.testmod(import_module("policyengine.filters.chroma")).failed == 0
