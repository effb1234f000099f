"""Only permitted chunks come out of a search, the best k of them, and it is said when there may be more."""

from __future__ import annotations

import asyncio
import doctest
import json as jsonlib
import sqlite3
from importlib import import_module
from typing import Any

import lancedb
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine import Engine
from policyengine.filters import Field, Filter, column, json, ref, sql
from policyengine.integrations import Retrieved, apermitted, attributes, permitted
from tests.filters.test_lancedb import COLUMNS
from tests.support.filter_checks import combined
from tests.support.filter_corpus import CONDITIONS, HOSTILE, PRINCIPAL, TYPED, documents, engine
from tests.support.filter_tables import mapping, row

ENGINE = Engine.from_text("""
module notes
use ai
permit own: retrieve on Document when document.tenant == principal.tenant
require redacted: retrieve on Document when "personal" in document.labels redact(["email"])
""")
ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
TENANTS = ("acme", "globex", None, "", 7)
Chunk = dict[str, Any]


def found(tenant: str = "acme", fulfilled: tuple[str, ...] = ()) -> Filter:
    return ENGINE.filter(
        principal={**ANN, "tenant": tenant}, action="retrieve", resource_type="Document", fulfilled=fulfilled
    )


def chunk(number: int, tenant: Any, labels: tuple[str, ...] = ()) -> Chunk:
    return {"id": f"d{number}", "tenant": tenant, "labels": list(labels)}


class Search:
    """The best n of a fixed order of chunks, or `most` if that is less; remembers what it was asked for."""

    def __init__(self, chunks: list[Chunk], most: int = 10**6) -> None:
        self.chunks = chunks
        self.most = most
        self.asked: list[int] = []

    def __call__(self, n: int) -> list[Chunk]:
        self.asked.append(n)
        return self.chunks[: min(n, self.most)]

    async def later(self, n: int) -> list[Chunk]:
        await asyncio.sleep(0)
        return self(n)


@pytest.mark.parametrize("module", ["retrieval", "documents"])
def test_examples(module: str) -> None:
    ran = doctest.testmod(import_module(f"policyengine.integrations.{module}"))
    assert ran.attempted > 0
    assert ran.failed == 0


@given(st.lists(st.sampled_from(TENANTS), max_size=60), st.integers(1, 12), st.integers(0, 80))
def test_the_best_permitted_and_nothing_else(tenants: list[Any], k: int, over: int) -> None:
    chunks = [chunk(number, tenant) for number, tenant in enumerate(tenants)]
    search = Search(chunks)
    limit = k + over
    got = permitted(search, found(), k, limit=limit)
    own = [each for each in chunks if each["tenant"] == "acme"]
    assert got.chunks == [each for each in chunks[: max(search.asked)] if each["tenant"] == "acme"][:k]
    assert max(search.asked) <= limit
    if got.complete:
        assert got.chunks == own[:k]
    else:
        assert max(search.asked) == limit
        assert len(got.chunks) < k
    assert got.fetched == sum(min(n, len(chunks)) for n in search.asked)
    assert got == asyncio.run(apermitted(Search(chunks).later, found(), k, limit=limit))


def test_a_search_that_returns_what_it_likes() -> None:
    chunks = [chunk(0, "globex"), chunk(1, "acme"), chunk(2, "globex")]
    always = Search(chunks, most=2)
    assert permitted(always, found(), 2).chunks == [chunks[1]]
    assert permitted(lambda n: chunks * n, found(), 2).chunks == [chunks[1]] * 2, "never more than k"
    assert permitted(lambda n: iter(chunks), found(), 5).chunks == [chunks[1]], "any iterable"


def test_the_limit_is_said() -> None:
    many = Search([chunk(number, "globex") for number in range(500)] + [chunk(500, "acme")])
    short = permitted(many, found(), 3, limit=100)
    assert short == Retrieved([], complete=False, fetched=3 + 12 + 48 + 100, unreadable=0)
    assert permitted(many, found(), 1).chunks == [chunk(500, "acme")]


def test_nothing_is_asked_for_who_may_see_nothing() -> None:
    search = Search([chunk(1, "acme")])
    nobody = ENGINE.filter(principal={"type": "User"}, action="retrieve", resource_type="Document")
    got = permitted(search, nobody, 3)
    assert got == Retrieved([], complete=True, fetched=0, unreadable=0, errors=nobody.errors)
    assert got.errors
    nothing = permitted(
        search, Engine.from_text("use ai").filter(principal=ANN, action="retrieve", resource_type="Document"), 3
    )
    assert nothing == Retrieved([], complete=True, fetched=0, unreadable=0)
    assert search.asked == []


def test_what_owes_something_is_left_out_unless_it_is_fulfilled() -> None:
    chunks = [chunk(1, "acme", ("personal",)), chunk(2, "acme")]
    assert permitted(Search(chunks), found(), 2).chunks == [chunks[1]]
    assert permitted(Search(chunks), found(fulfilled=("redact",)), 2).chunks == chunks


def test_one_snapshot_answers_all_rounds(tmp_path: Any) -> None:
    file = tmp_path / "notes.pol"
    text = 'module notes\nuse ai\npermit own: retrieve on Document when document.tenant == "{}"\n'
    file.write_text(text.format("acme"))
    live = Engine.load(file, cache=False)
    asked = live.filter(principal={"type": "User", "id": "ann"}, action="retrieve", resource_type="Document")
    chunks = [chunk(number, ("acme", "globex")[number % 2]) for number in range(20)]

    def search(n: int) -> list[Chunk]:
        file.write_text(text.format("globex"))
        assert live.reload().ok
        return chunks[:n]

    got = permitted(search, asked, 5)
    assert {each["tenant"] for each in got.chunks} == {"acme"}
    assert len(got.chunks) == 5


@pytest.mark.parametrize(("k", "limit"), [(0, 5), (-1, 5), (6, 5)])
def test_numbers_that_make_no_sense(k: int, limit: int) -> None:
    with pytest.raises(ValueError, match="k must be positive"):
        permitted(Search([]), found(), k, limit=limit)


# ---- documents from chunks ----


class Node:
    def __init__(self, metadata: Any) -> None:
        self.metadata = metadata


@pytest.mark.parametrize(
    "metadata", [None, 5, "text", [("id", "d1")], {}, {"tenant": "acme"}, {"id": 5, "tenant": "acme"}]
)
def test_a_chunk_that_is_of_no_document(metadata: Any) -> None:
    of = attributes(under=["metadata"])
    for hit in (Node(metadata), {"metadata": metadata}, metadata, None):
        assert permitted(lambda n, hit=hit: [hit], found(), 1, document_of=of).chunks == []  # type: ignore[misc]


def test_under_a_prefix_in_an_object() -> None:
    of = attributes(under=["node", "metadata"], prefix="doc.")
    hit = {"node": Node({"doc.id": "d1", "doc.tenant": "acme", "tenant": "globex", 5: "x", "id": "chunk"})}
    assert of(hit) == {"id": "d1", "tenant": "acme"}
    assert of({"node": Node(None)}) is None
    assert of({}) is None


def test_what_cannot_be_read_is_counted() -> None:
    got = permitted(lambda n: [None, 5, chunk(1, "acme")], found(), 3)
    assert (got.chunks, got.unreadable) == ([chunk(1, "acme")], 2)


def test_columns_become_the_document() -> None:
    of = attributes(
        json="text",
        columns={
            "id": "doc_id",
            "owner": ref("owner_id", "User", null="absent"),
            "readers": ref("reader_ids", "User", null="absent"),
            "note": column("note", null="null"),
            "meta.level": column("level", null="absent"),
            "extra": json("data", "extra"),
            "*": json("data"),
        },
    )
    data = {"extra": [1], "meta": {"level": 9, "lang": "de"}, "tenant": "acme", "owner": "overridden"}
    row = {"doc_id": "d1", "owner_id": "ann", "reader_ids": ["bob"], "note": None, "level": 3}
    assert of({**row, "data": jsonlib.dumps(data), "distance": 0.1}) == {
        "id": "d1",
        "owner": {"type": "User", "id": "ann"},
        "readers": [{"type": "User", "id": "bob"}],
        "note": None,
        "meta": {"level": 3, "lang": "de"},
        "extra": [1],
        "tenant": "acme",
    }
    bare = {"doc_id": "d1", "owner_id": None, "reader_ids": None, "note": "x", "level": None, "data": None}
    assert of(bare) == {"id": "d1", "note": "x"}
    without = of({**row, "level": None, "data": jsonlib.dumps(data)})
    assert without is not None
    assert without["meta"] == {"lang": "de"}, "the column says that there is none"
    assert of({**bare, "doc_id": None}) is None, "nobody said what a null in `doc_id` is"
    assert of({name: bare[name] for name in bare if name != "note"}) is None, "the search did not return it"
    for text in ("{", "[]", "5", '{"a": 1, "a": 2}', 5, {"a": 1}, b"\xff"):
        assert of({**bare, "data": text}) is None, text
    with pytest.raises(ValueError, match="json"):
        attributes(columns={"*": json("data")})
    with pytest.raises(ValueError, match="prefix"):
        attributes(columns={"id": "id"}, prefix="doc_")


def test_values_of_json_are_not_parsed_again() -> None:
    of = attributes(columns={"id": "id", "level": json("level"), "*": json("data")}, json="values")
    assert of({"id": "d1", "level": "5", "data": {"a": "1"}}) == {"id": "d1", "level": "5", "a": "1"}
    assert of({"id": "d1", "level": "5", "data": "{}"}) is None
    assert of({"id": "d1", "level": "5", "data": None}) == {"id": "d1", "level": "5"}
    assert of({"id": "d1", "level": None, "data": {}}) is None, "NULL, or the null of JSON: it cannot be told"
    said = attributes(columns={"id": "id", "level": Field("level", json=True, null="null")}, json="values")
    assert said({"id": "d1", "level": None}) == {"id": "d1", "level": None}
    text = attributes(columns={"id": "id", "level": json("level"), "*": json("data")}, json="text")
    assert text({"id": "d1", "level": None, "data": None}) == {"id": "d1"}
    assert text({"id": "d1", "level": "null", "data": "{}"}) == {"id": "d1", "level": None}


MAPPED = [{name: value for name, value in each.items() if name in mapping()} for each in documents(TYPED)]

READ = [attributes(columns=mapping("absent"))(row(each)) for each in MAPPED]


@given(combined)
def test_a_row_is_decided_as_its_document(policies: Any) -> None:
    assert list(map(policies.filter.matches, READ)) == list(map(policies.filter.matches, MAPPED))


def test_fields_of_a_struct() -> None:
    parts = attributes(
        columns={"id": "id", "rec.a": column("rec.a", null="absent"), "rec.b": column("rec.b", null="null")}
    )
    assert parts({"id": "d1", "rec": {"a": 1, "b": None, "c": 3}}) == {"id": "d1", "rec": {"a": 1, "b": None}}
    assert parts({"id": "d1", "rec": {"a": None, "b": "x"}}) == {"id": "d1", "rec": {"b": "x"}}
    assert parts({"id": "d1", "rec.a": 5, "rec": {"b": "x"}}) == {"id": "d1", "rec": {"a": 5, "b": "x"}}
    for rec in ({"a": 1}, 5, "text", []):
        assert parts({"id": "d1", "rec": rec}) is None, rec
    whole = attributes(columns={"id": "id", "rec": column("rec", null="absent")})
    assert whole({"id": "d1", "rec": {"a": None, "deep": {"c": None}}}) == {"id": "d1", "rec": {"deep": {}}}
    unsaid = attributes(columns={"id": "id", "rec": "rec"})
    assert unsaid({"id": "d1", "rec": {"a": None}}) is None
    assert unsaid({"id": "d1", "rec": {"a": 1}}) == {"id": "d1", "rec": {"a": 1}}


@pytest.fixture(scope="module")
def returned(tmp_path_factory: pytest.TempPathFactory) -> list[Chunk]:
    """The typed documents as LanceDB returns them."""
    rows = [{name: row(each)[name] for name in COLUMNS.names} for each in MAPPED]
    lance = lancedb.connect(str(tmp_path_factory.mktemp("lance")))
    table = lance.create_table("docs", pyarrow.Table.from_pylist(rows, schema=COLUMNS))
    found = {each["id"]: each for each in table.search().limit(len(rows)).to_list()}
    return [found[each["id"]] for each in MAPPED]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_what_lancedb_returns_is_decided_as_what_was_stored(returned: list[Chunk], condition: str) -> None:
    of = attributes(columns={name: place for name, place in mapping("absent").items() if name in COLUMNS.names})
    asked = engine(condition, "permit").filter(principal=PRINCIPAL, action="read", resource_type="Doc")
    stored = [{name: each[name] for name in each if name in COLUMNS.names} for each in MAPPED]
    assert [asked.matches(of(each)) for each in returned] == list(map(asked.matches, stored))


JSON_COLUMNS = {"*": json("data")}
STORED = [each for each in documents(TYPED, HOSTILE) if "\\ud" not in jsonlib.dumps(each, default=str)]


def _stored() -> tuple[sqlite3.Connection, list[Chunk]]:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    connection.execute("CREATE TABLE docs (place INTEGER, data TEXT)")
    kept = []
    for each in STORED:
        try:
            connection.execute("INSERT INTO docs VALUES (?, ?)", (len(kept), jsonlib.dumps(each, allow_nan=False)))
        except (ValueError, TypeError):
            continue
        kept.append(each)
    return connection, kept


@pytest.mark.parametrize("condition", ['doc.s == "a"', "doc.n <= 3", '"a" in doc.tags', "not (doc has so)"])
def test_a_store_asked_first_and_looked_at_again(condition: str) -> None:
    connection, kept = _stored()
    live = engine(condition, "permit")
    asked = live.filter(principal=PRINCIPAL, action="read", resource_type="Doc")
    query = asked.to(sql("sqlite", columns=JSON_COLUMNS))

    def search(n: int) -> list[Chunk]:
        text = f"SELECT data FROM docs WHERE {query.where} ORDER BY place LIMIT ?"
        return [dict(each) for each in connection.execute(text, [*query.params, n])]

    got = permitted(search, query, 1000, document_of=attributes(columns=JSON_COLUMNS, json="text"))
    assert got.complete
    assert [jsonlib.loads(each["data"])["id"] for each in got.chunks] == [e["id"] for e in kept if asked.matches(e)]
    assert got.chunks
