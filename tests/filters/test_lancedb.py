"""LanceDB: tables of typed columns, with and without indexes. Constants are literals, so these are tested too."""

from __future__ import annotations

import doctest
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import lancedb as store
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lancedb.index import Bitmap, BTree, LabelList

from policyengine.filters import Field, Filter, Kind, NotExpressible, column, json, lancedb, ref
from policyengine.filters.lancedb import literal
from policyengine.model.fine_time import is_fine
from policyengine.model.values import parse_time
from tests.support.examples import half
from tests.support.filter_checks import TYPED_DOCUMENTS, Ask, Combined, check, check_corpus, combined, corpus_filter
from tests.support.filter_corpus import CONDITIONS, PRINCIPAL, allowed, engine
from tests.support.filter_tables import mapping, row
from tests.support.many_groups import for_groups, in_many_groups, those_seen

TEXTS, INTS = pa.list_(pa.string()), pa.list_(pa.int64())
COLUMNS = pa.schema(
    {
        "id": pa.string(), "s": pa.string(), "n": pa.int64(), "x": pa.float64(), "flag": pa.bool_(), "tags": TEXTS,
        "names": TEXTS, "nums": INTS, "so": pa.string(), "no": pa.int64(), "fo": pa.bool_(), "to": TEXTS,
        "rec": pa.struct({"a": pa.int64(), "b": pa.string(), "deep": pa.struct({"c": pa.string()})}),
        "at": pa.timestamp("us", "UTC"), "owner": pa.string(), "readers": TEXTS, "allowed": TEXTS,
        "folder": pa.string(), "oo": pa.string(), "parents": TEXTS,
    }
)  # fmt: skip
MAPPING: dict[str, str | Field] = {
    **{name: place for name, place in mapping().items() if name not in ("wait", "rec")},
    "rec.a": "rec.a",
    "rec.b": column("rec.b", null="absent"),
    "rec.deep.c": "rec.deep.c",
}


class Tables:
    def __init__(self, path: Path) -> None:
        self._connection = store.connect(str(path))

    def holding(self, documents: Sequence[dict[str, Any]], schema: pa.Schema, indexed: bool = False) -> Ask:
        rows = pa.Table.from_pylist([dict(each) for each in documents], schema=schema)
        table = self._connection.create_table("docs", rows, mode="overwrite")
        if indexed:
            for name in ("s", "n", "x"):
                table.create_index(name, config=BTree())
            for name in ("flag", "so"):
                table.create_index(name, config=Bitmap())
            for name in ("tags", "names", "nums", "readers", "allowed"):
                table.create_index(name, config=LabelList())

        def ask(native: str) -> list[str]:
            found = table.search().where(native).select(["id"]).limit(len(documents) + 1).to_list()
            return [each["id"] for each in found]

        return ask


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    return Tables(tmp_path_factory.mktemp("plain")).holding([row(each) for each in TYPED_DOCUMENTS], COLUMNS)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    return Tables(tmp_path_factory.mktemp("indexed")).holding([row(d) for d in TYPED_DOCUMENTS], COLUMNS, indexed=True)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return Tables(tmp_path_factory.mktemp("tables"))


def _filter(condition: str) -> Filter:
    return engine(condition).filter(principal=PRINCIPAL, action="read", resource_type="Doc")


@pytest.mark.parametrize("condition", CONDITIONS)
def test_corpus(plain: Ask, indexed: Ask, condition: str) -> None:
    check_corpus(condition, lancedb(MAPPING), plain)
    check_corpus(condition, lancedb(MAPPING), indexed)


@half
@given(combined)
def test_combined(plain: Ask, asked: Combined) -> None:
    check(asked.filter, asked.allowed(TYPED_DOCUMENTS), lancedb(MAPPING), plain, TYPED_DOCUMENTS)


# What columns can hold and no attribute can be.
ODD = [
    {"id": "o0", "tags": ["a", None], "names": [None], "nums": [5, None], "x": float("nan")},
    {"id": "o1", "tags": [None], "names": ["a", None], "nums": [None], "x": float("inf")},
    {"id": "o2", "tags": [], "names": [], "nums": [], "x": float("-inf")},
    {"id": "o3", "tags": ["a", "b"], "names": ["a", "b"], "nums": [1, 5], "x": -0.0, "n": -(2**63)},
]


@pytest.mark.parametrize("with_indexes", [False, True])
def test_null_elements_and_numbers_that_are_none(tmp_path: Path, with_indexes: bool) -> None:
    ask = Tables(tmp_path).holding(ODD, COLUMNS, with_indexes)
    for condition in (
        c for c in CONDITIONS if any(name in c for name in ("doc.tags", "doc.names", "doc.nums", "doc.x"))
    ):
        for kind in ("permit", "forbid"):
            expected = allowed(engine(condition, kind), ODD)
            check(corpus_filter(condition, kind), expected, lancedb(MAPPING), ask, ODD)


# ---- columns of other types than the literals ----

TIMES = (
    "0001-01-01T00:00:00Z", "1969-12-31T23:59:59.500000Z", "2025-12-31T23:59:59.999999Z", "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00.000001Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "9999-12-31T23:59:59.999999Z",
)  # fmt: skip
UNITS: dict[str, int] = {"s": 10**6, "ms": 1000, "us": 1, "ns": 1}


def is_whole(text: str) -> bool:
    return not is_fine(parse_time(text))


def _microseconds(text: str) -> int:
    return (parse_time(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("zone", ["UTC", "+02:00", "Europe/Berlin"])
def test_times_of_every_unit_and_zone(tables: Tables, unit: Any, zone: str) -> None:
    """A literal beside such a column would be cut to its unit and read in its zone."""
    held = [text for text in TIMES if _microseconds(text) % UNITS[unit] == 0]
    held = [text for text in held if unit != "ns" or "1900" < text < "2200"]
    documents = [{"id": f"d{i}", "at": text} for i, text in enumerate(held)]
    times = [_microseconds(text) * 1000 if unit == "ns" else _microseconds(text) // UNITS[unit] for text in held]
    if unit == "ns":
        documents.append({"id": "between", "at": "2026-01-01T00:00:00.000000001Z"})
        times.append(_microseconds(TIMES[3]) * 1000 + 1)
    rows = [{"id": each["id"], "at": time} for each, time in zip(documents, times, strict=True)]
    ask = tables.holding(rows, pa.schema({"id": pa.string(), "at": pa.timestamp(unit, zone)}))
    for op in ("==", "!=", "<", ">="):
        for text in (*TIMES, "2026-01-01T00:00:00.000000001Z", "2026-01-01T00:00:00.000000002Z"):
            made = engine(f'doc.at {op} time("{text}")')
            asked = made.filter(principal=PRINCIPAL, action="read", resource_type="Doc")
            exact = check(asked, allowed(made, documents), lancedb({"at": "at"}), ask, documents)
            # What the store is asked is a microsecond; a constant with a part of one is looked at again.
            assert exact is is_whole(text)


@pytest.mark.parametrize(
    "condition", ['"a" in doc.tags', 'not ("a" in doc.tags)', "5 in doc.nums", "size(doc.nums) > 1"]
)
def test_no_row_pays_for_a_pattern_of_its_type(condition: str) -> None:
    """A pattern of one word is looked for as it is; one of two is a regular expression, matched with every row."""
    asked = engine(condition).filter(principal=PRINCIPAL, action="read", resource_type="Doc")
    query = asked.to(lancedb({"tags": "tags", "nums": "nums"}))
    patterns = re.findall("arrow_typeof[^ ]+ LIKE '([^']*)'", query.native)
    assert len(patterns) == 2
    assert [pattern for pattern in patterns if not re.fullmatch(r"%\w+%", pattern)] == []


@pytest.mark.parametrize("type_", [pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint32()])
def test_small_integers(tables: Tables, type_: pa.DataType) -> None:
    documents = [{"id": "a", "n": 5, "nums": [5], "x": 5}, {"id": "b", "n": 127, "nums": [1, 127], "x": 127}]
    ask = tables.holding(documents, pa.schema({"id": pa.string(), "n": type_, "nums": pa.list_(type_), "x": type_}))
    for op in ("==", "!=", "<", ">="):
        for constant in (5, -1, 127, 128, 300, 70_000, 2**33, 2**63 - 1):
            for condition in (f"doc.n {op} {constant}", f"doc.x {op} {constant}", f"doc.n in [5, {constant}]",
                              f"{constant} in doc.nums", f"contains_all([5, {constant}], doc.nums)"):  # fmt: skip
                made = engine(condition)
                asked = made.filter(principal=PRINCIPAL, action="read", resource_type="Doc")
                check(asked, allowed(made, documents), lancedb({"n": "n", "nums": "nums", "x": "x"}), ask, documents)


def test_integers_that_no_attribute_can_be(tables: Tables) -> None:
    """Beyond 64 bits with a sign, and fractions."""
    values = (0, 5, 2**63 - 1, 2**63, 2**64 - 1)
    documents = [{"id": f"d{at}", "n": value, "nums": [value]} for at, value in enumerate(values)]
    documents.append({"id": "empty", "n": 5, "nums": []})
    schema = pa.schema({"id": pa.string(), "n": pa.uint64(), "nums": pa.list_(pa.uint64())})
    conditions = ("doc.n == 5", "doc.n != 5", "doc.n > 5", "not (doc.n in [5, 6])", "doc.n == doc.n", "5 in doc.nums",
                  "not (5 in doc.nums)", "size(doc.nums) >= 0", "doc.n <= 9223372036854775807")  # fmt: skip
    for condition in conditions:
        made = engine(condition)
        asked = made.filter(principal=PRINCIPAL, action="read", resource_type="Doc")
        ask = tables.holding(documents, schema)
        check(asked, allowed(made, documents), lancedb({"n": "n", "nums": "nums"}), ask, documents)


def test_single_precision(tables: Tables) -> None:
    documents = [{"id": f"d{i}", "x": x} for i, x in enumerate([0.5, 2.0**24 - 1, 2.0**24, 2.0**24 + 2, 2.0**60])]
    ask = tables.holding(documents, pa.schema({"id": pa.string(), "x": pa.float32()}))
    for op in ("==", "!=", "<", "<=", ">", ">="):
        for constant in ("0.1", "0.5", *(str(2**24 + i) for i in range(-2, 3)), str(2**51 + 1)):
            made = engine(f"doc.x {op} {constant}")
            asked = made.filter(principal=PRINCIPAL, action="read", resource_type="Doc")
            assert check(asked, allowed(made, documents), lancedb({"x": "x"}), ask, documents)


# ---- literals ----

TEXT_TABLE = pa.schema({"id": pa.string(), "s": pa.string(), "n": pa.int64(), "x": pa.float64(), "tags": TEXTS})
_stored = st.text(st.characters(codec="utf-8", exclude_characters="\0\uffff"), max_size=12)
_hostile = st.sampled_from(
    (
        "'",
        "''",
        "\\'",
        "\\",
        "'; DROP TABLE docs; --",
        "' OR 1 = 1 --",
        "%",
        "_",
        "`",
        '"',
        "$$",
        "\\x41",
        "\u2019",
        "/*",
    )
)


@half
@given(st.lists(_stored | st.lists(_hostile, max_size=4).map("".join), min_size=1, max_size=20, unique=True), st.data())
def test_any_text_is_found_by_its_literal(tables: Tables, texts: list[str], data: st.DataObject) -> None:
    wanted = data.draw(st.sampled_from(texts))
    documents = [{"id": f"d{at}", "s": text, "tags": [text]} for at, text in enumerate(texts)]
    ask = tables.holding(documents, TEXT_TABLE)
    expected = [each["id"] for each in documents if each["s"] == wanted]
    assert ask(f"s = {literal(wanted)}") == expected
    assert ask(f"array_has_any(tags, {literal([wanted, 'no such text'])})") == expected


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), -(2**63) + 1, 0, -1, 2**53 + 1])
def test_integers(tables: Tables, value: int) -> None:
    ask = tables.holding([{"id": "a", "n": value}, {"id": "b", "n": value - 1 if value > 0 else value + 1}], TEXT_TABLE)
    assert ask(f"n = {literal(value)}") == ["a"]


@pytest.mark.parametrize("value", [0.1, 1e300, -1e-300, 5e-324, 1.7976931348623157e308, -2.5, 1e16, 123456789.125])
def test_floats(tables: Tables, value: float) -> None:
    ask = tables.holding([{"id": "a", "x": value}, {"id": "b", "x": value / 2 or 1.0}], TEXT_TABLE)
    assert ask(f"x = {literal(value)}") == ["a"]


@pytest.mark.parametrize(
    "value", ["a\0b", "\ud800", "\uffff", 2**63, -(2**63) - 1, float("nan"), float("inf"), None, True, []]
)
def test_what_is_no_literal_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="not a constant"):
        literal(value)


# ---- the rest ----


def test_nothing_and_everything(plain: Ask) -> None:
    never, always = _filter("false").to(lancedb(MAPPING)), _filter("true").to(lancedb(MAPPING))
    assert (never.kind, never.exact, plain(never.native)) == (Kind.NEVER, True, [])
    assert (always.kind, always.exact, len(plain(always.native))) == (Kind.ALWAYS, True, len(TYPED_DOCUMENTS))


@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_many_groups(tables: Tables, count: int) -> None:
    columns = {"allowed": ref("allowed", "Group"), "folder": ref("folder", "Group")}
    query = in_many_groups(count).to(lancedb(columns), exact=True)
    schema = pa.schema({"id": pa.string(), "allowed": TEXTS, "folder": pa.string()})
    assert tables.holding(for_groups(count), schema)(query.native) == those_seen(count)


@pytest.mark.parametrize("name", ["a b", "é", "😀", "'", '"', "a-b", "SELECT", "A", "1", "--", "a]", ")", "\\"])
def test_hostile_names(tables: Tables, name: str) -> None:
    documents = [{"id": "1", name: "a"}, {"id": "2", name: "b"}]
    ask = tables.holding(documents, pa.schema({"id": pa.string(), name: pa.string()}))
    assert ask(_filter('doc.s == "a"').to(lancedb({"s": name})).native) == ["1"]


@pytest.mark.parametrize("name", ["", "a`b", "a\0b", "a..b", ".", "\ud800"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(ValueError, match="a name in LanceDB"):
        lancedb({"s": name})


def test_columns_of_json_are_not_asked() -> None:
    query = _filter('doc.s == "a"').to(lancedb({"*": json("data")}))
    assert (query.native, query.exact) == ("1 = 1", False)


def test_an_exact_query_is_refused_with_the_condition() -> None:
    with pytest.raises(NotExpressible) as refused:
        _filter('lower(doc.s) == "a"').to(lancedb(MAPPING), exact=True)
    assert refused.value.diagnostics[0].span.text == 'lower(doc.s) == "a"'


def test_the_example_of_the_docstring() -> None:
    assert doctest.testmod(import_module("policyengine.filters.lancedb")).failed == 0
