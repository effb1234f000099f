"""Milvus Lite: typed fields that may be null. Constants are literals, so these are tested too."""

from __future__ import annotations

import doctest
import logging
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymilvus import DataType, MilvusClient

from policyengine.filters import Field, Filter, Kind, NotExpressible, column, json, milvus, ref
from tests.support.examples import half
from tests.support.filter_checks import TYPED_DOCUMENTS, Ask, Combined, check, check_corpus, combined
from tests.support.filter_corpus import CONDITIONS, PRINCIPAL, allowed, engine
from tests.support.filter_tables import REFERENCES, mapping, row
from tests.support.many_groups import for_groups, in_many_groups, those_seen

SCALARS = {
    "s": DataType.VARCHAR, "so": DataType.VARCHAR, "n": DataType.INT64, "no": DataType.INT64, "x": DataType.DOUBLE,
    "flag": DataType.BOOL, "fo": DataType.BOOL, "owner": DataType.VARCHAR, "folder": DataType.VARCHAR,
    "oo": DataType.VARCHAR, "rec_a": DataType.INT64, "rec_b": DataType.VARCHAR, "data": DataType.JSON,
}  # fmt: skip
ARRAYS = {
    "tags": DataType.VARCHAR, "names": DataType.VARCHAR, "to": DataType.VARCHAR, "nums": DataType.INT64,
    "readers": DataType.VARCHAR, "allowed": DataType.VARCHAR, "parents": DataType.VARCHAR,
}  # fmt: skip
TYPED: dict[str, str | Field] = {
    **{name: place for name, place in mapping().items() if name in {"id", *SCALARS, *ARRAYS, *REFERENCES}},
    "rec.a": column("rec_a", null="absent"),
    "rec.b": column("rec_b", null="absent"),
}


class Collections:
    def __init__(self, path: str) -> None:
        self._client = MilvusClient(path)

    def holding(self, name: str, rows: Sequence[dict[str, Any]]) -> Ask:
        if self._client.has_collection(name):
            self._client.drop_collection(name)
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
        for field, type_ in SCALARS.items():
            schema.add_field(
                field, type_, nullable=True, **({"max_length": 60000} if type_ == DataType.VARCHAR else {})
            )
        for field, type_ in ARRAYS.items():
            schema.add_field(
                field, DataType.ARRAY, element_type=type_, max_capacity=100, max_length=60000, nullable=True
            )
        index = self._client.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="L2")
        self._client.create_collection(name, schema=schema, index_params=index)
        empty = dict.fromkeys((*SCALARS, *ARRAYS))
        self._client.insert(name, [{**empty, **each, "vector": [1.0, 0.0]} for each in rows])
        self._client.load_collection(name)

        def ask(native: str) -> list[str]:
            found = self._client.query(name, filter=native, output_fields=["id"], limit=len(rows) + 1)
            return [each["id"] for each in found]

        return ask


def stored(document: dict[str, Any]) -> dict[str, Any]:
    whole, rec = row(document), document.get("rec", {})
    flat = {name: value for name, value in whole.items() if name in {"id", *SCALARS, *ARRAYS}}
    return {**flat, "rec_a": rec.get("a"), "rec_b": rec.get("b")}


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Collections:
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    return Collections(str(tmp_path_factory.mktemp("milvus") / "docs.db"))


@pytest.fixture(scope="module")
def typed(collections: Collections) -> Ask:
    return collections.holding("typed", [stored(each) for each in TYPED_DOCUMENTS])


def _filter(condition: str) -> Filter:
    return engine(condition).filter(principal=PRINCIPAL, action="read", resource_type="Doc")


@pytest.mark.parametrize("condition", CONDITIONS)
def test_corpus(typed: Ask, condition: str) -> None:
    check_corpus(condition, milvus(TYPED), typed)


@half
@given(combined)
def test_combined(typed: Ask, asked: Combined) -> None:
    check(asked.filter, asked.allowed(TYPED_DOCUMENTS), milvus(TYPED), typed, TYPED_DOCUMENTS)


# ---- literals ----

_hostile = st.sampled_from(
    ("'", '"', "\\", "\\n", '\\"', '" or id != "', "{a}", "%", "_", "\n", "\r", "\t", "//", "#", "😀")
)
_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10)


@pytest.fixture(scope="module")
def texts(collections: Collections) -> tuple[list[str], Ask]:
    """One collection with many texts that look alike."""
    parts = (
        "a",
        "'",
        '"',
        "\\",
        "\\n",
        "\n",
        "%",
        "_",
        "\u2028",
        "\x85",
        "\x1b",
        "{a}",
        "e\u0301",
        "é",
        "😀",
        "//",
        "\r",
        "\t",
    )
    made = sorted({*parts, *(a + b for a in parts for b in parts), *(f"x{a}y" for a in parts), ""})
    return made, collections.holding("texts", [{"id": f"d{at}", "s": t, "tags": [t]} for at, t in enumerate(made)])


@half
@given(st.one_of(st.integers(0, 10_000), _texts, st.lists(_hostile, max_size=4).map("".join)))
def test_any_text_is_found_by_its_literal(texts: tuple[list[str], Ask], wanted: int | str) -> None:
    held, ask = texts
    text = held[wanted % len(held)] if isinstance(wanted, int) else wanted
    documents = [{"id": f"d{at}", "s": each, "tags": [each]} for at, each in enumerate(held)]
    principal = {**PRINCIPAL, "s": text}
    for condition in ("doc.s == principal.s", "principal.s in doc.tags", "starts_with(doc.s, principal.s)"):
        made = engine(condition)
        asked = made.filter(principal=principal, action="read", resource_type="Doc")
        expected = [
            each["id"]
            for each in documents
            if made.decide(principal=principal, action="read", resource={"type": "Doc", **each}).allowed
        ]
        check(asked, expected, milvus({"s": "s", "tags": "tags"}), ask, documents)


# ---- the rest ----


def test_numbers_that_are_none(collections: Collections) -> None:
    documents = [{"id": "a", "x": 5.0}, {"id": "b", "x": float("inf")}, {"id": "c", "x": float("nan")}, {"id": "d"}]
    ask = collections.holding("numbers", documents)
    for condition in (c for c in CONDITIONS if "doc.x" in c):
        made = engine(condition)
        check(_filter(condition), allowed(made, documents), milvus({"x": "x"}), ask, documents)


def test_nothing_and_everything(typed: Ask) -> None:
    never, always = _filter("false").to(milvus(TYPED)), _filter("true").to(milvus(TYPED))
    assert (never.kind, never.exact, typed(never.native)) == (Kind.NEVER, True, [])
    assert (always.kind, always.exact, len(typed(always.native))) == (Kind.ALWAYS, True, len(TYPED_DOCUMENTS))


@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_many_groups(collections: Collections, count: int) -> None:
    fields = {"allowed": ref("allowed", "Group"), "folder": ref("folder", "Group")}
    query = in_many_groups(count).to(milvus(fields), exact=True)
    assert collections.holding("groups", for_groups(count))(query.native) == those_seen(count)


def test_text_inside_json_is_asked_for_and_rechecked(collections: Collections) -> None:
    texts = ["a", "A", None, 5, True, ["a"], {"k": "a"}, "", 'a"', {}]
    documents = [{"id": f"d{at}", "s": each} for at, each in enumerate(texts)]
    rows = [{"id": each["id"], "data": {'k"': {"s": each["s"]}}} for each in documents] + [{"id": "none"}]
    ask = collections.holding("json", rows)
    query = _filter('doc.s == "a"').to(milvus({"s": json("data", 'k"', "s")}))
    assert not query.exact
    found = ask(query.native)
    assert "d0" in found
    assert len(found) < len(rows)
    assert [each["id"] for each in query.recheck(documents)] == ["d0"]


@pytest.mark.parametrize("name", ["", "a b", "a-b", "é", 'a"', "a]", "1", "null", "IN", "a.b", "\ud800", "$meta"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(ValueError, match="a field of Milvus"):
        milvus({"s": name})


def test_an_exact_query_is_refused_with_the_condition() -> None:
    with pytest.raises(NotExpressible) as refused:
        _filter('lower(doc.s) == "a"').to(milvus(TYPED), exact=True)
    assert refused.value.diagnostics[0].span.text == 'lower(doc.s) == "a"'


def test_the_example_of_the_docstring() -> None:
    assert doctest.testmod(import_module("policyengine.filters.milvus")).failed == 0
