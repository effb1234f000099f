"""Arrow and Polars: tables of typed columns.

A null in a list, what is not a number, and times and durations that no request can carry are what such a table holds
and no document can."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given

from policyengine import Engine
from policyengine.filters import Backend, Field, Filter, Kind, NotExpressible, column, ref
from policyengine.filters.arrow import arrow
from policyengine.filters.polars import polars
from tests.support.examples import half
from tests.support.filter_checks import TYPED_DOCUMENTS, Combined, check, check_corpus, combined
from tests.support.filter_corpus import CONDITIONS, ENTITIES, SCHEMA
from tests.support.filter_tables import mapping, row

TEXTS, INTS = pa.list_(pa.string()), pa.list_(pa.int64())
COLUMNS = pa.schema(
    {
        "id": pa.string(), "s": pa.string(), "n": pa.int64(), "x": pa.float64(), "flag": pa.bool_(), "tags": TEXTS,
        "names": TEXTS, "nums": INTS, "so": pa.string(), "no": pa.int64(), "fo": pa.bool_(), "to": TEXTS,
        "rec": pa.struct({"a": pa.int64(), "b": pa.string(), "deep": pa.struct({"c": pa.string()})}),
        "at": pa.timestamp("us", "UTC"), "wait": pa.duration("ms"), "owner": pa.string(), "readers": TEXTS,
        "allowed": TEXTS, "folder": pa.string(), "oo": pa.string(), "parents": TEXTS,
    }
)  # fmt: skip
# The same values in other types.
LARGE = pa.large_list(pa.large_string())
OTHER = pa.schema(
    {
        **{field.name: field.type for field in COLUMNS},
        "s": pa.large_string(), "so": pa.dictionary(pa.int32(), pa.string()), "tags": LARGE, "names": LARGE,
        "nums": pa.large_list(pa.int64()), "owner": pa.dictionary(pa.int8(), pa.string()), "wait": pa.duration("s"),
        "at": pa.timestamp("us", "Asia/Tokyo"),
    }
)  # fmt: skip
TABLE = pa.Table.from_pylist([row(each) for each in TYPED_DOCUMENTS], schema=COLUMNS)
OTHER_TABLE = pa.Table.from_pylist([row(each) for each in TYPED_DOCUMENTS], schema=OTHER)
FRAME, OTHER_FRAME = pl.from_arrow(TABLE), pl.from_arrow(OTHER_TABLE)
assert isinstance(FRAME, pl.DataFrame)
assert isinstance(OTHER_FRAME, pl.DataFrame)


def _arrow(table: pa.Table) -> Callable[[Any], list[str]]:
    return lambda native: table.filter(native)["id"].to_pylist()


def _polars(frame: pl.DataFrame) -> Callable[[Any], list[str]]:
    return lambda native: frame.filter(native)["id"].to_list()


STORES: dict[str, tuple[Backend, Callable[[Any], list[str]]]] = {
    "arrow": (arrow(TABLE, mapping()), _arrow(TABLE)),
    "arrow, other types": (arrow(OTHER_TABLE.schema, mapping()), _arrow(OTHER_TABLE)),
    "arrow, nulls of either kind": (arrow(TABLE, mapping(None)), _arrow(TABLE)),
    "polars": (polars(FRAME, mapping()), _polars(FRAME)),
    "polars, other types": (polars(OTHER_FRAME.schema, mapping()), _polars(OTHER_FRAME)),
    "polars, nulls of either kind": (polars(FRAME.lazy(), mapping(None)), _polars(FRAME)),
}


@pytest.mark.parametrize("store", STORES)
def test_the_corpus(store: str) -> None:
    for condition in CONDITIONS:
        check_corpus(condition, *STORES[store])


@half
@given(combined)
def test_policies_over_the_corpus(policies: Combined) -> None:
    expected = policies.allowed(TYPED_DOCUMENTS)
    for backend, ask in STORES.values():
        check(policies.filter, expected, backend, ask, TYPED_DOCUMENTS)


def test_files_whose_statistics_leave_out_rows(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "docs.parquet", row_group_size=8)
    files = ds.dataset(tmp_path)
    backend = arrow(files, mapping())
    for condition in CONDITIONS[::4]:
        check_corpus(condition, backend, lambda native: files.to_table(["id"], filter=native)["id"].to_pylist())


# ---- what no document can hold ----

_SECONDS = 253_402_300_800  # the first second of the year 10000
ODD: list[dict[str, Any]] = [
    {"tags": ["a", None]}, {"tags": [None]}, {"nums": [5, None]}, {"readers": ["ann", None]}, {"names": [None, "a"]},
    {"allowed": [None]}, {"x": float("nan")}, {"x": float("inf")}, {"x": float("-inf")}, {"at": _SECONDS},
    {"at": -63_000_000_000}, {"at": 2**62}, {"wait": -1}, {"parents": [None]}, {"parents": ["hr", None]},
    {"rec": {"a": None, "b": None, "deep": None}}, {"rec": {"a": 1, "b": None, "deep": {"c": None}}},
]  # fmt: skip
ODD_COLUMNS = pa.schema({**{f.name: f.type for f in COLUMNS}, "at": pa.timestamp("s", "UTC")})
BASE = row(TYPED_DOCUMENTS[0])
ODD_ROWS = [{**BASE, "at": 1_767_225_600, **each, "id": f"o{i}"} for i, each in enumerate(ODD)]
ODD_TABLE = pa.Table.from_pylist(ODD_ROWS, schema=ODD_COLUMNS)


def _as_document(number: int, odd: dict[str, Any]) -> dict[str, Any]:
    """The document that such a row would be. Polars knows no times in seconds, Arrow no others here."""
    made = {**TYPED_DOCUMENTS[0], "id": f"o{number}"}
    for name, value in odd.items():
        match name:
            case "readers" | "allowed" | "parents":
                type_ = {"readers": "User", "allowed": "Group", "parents": "Folder"}[name]
                made[name] = [v and {"type": type_, "id": v} for v in value]
            case "at" | "wait":
                made[name] = "beyond"
            case "rec":
                made[name] = {"a": 1, "deep": {}} if value["deep"] else {}
            case _:
                made[name] = value
    return made


ODD_DOCUMENTS = [_as_document(i, each) for i, each in enumerate(ODD)]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_what_no_document_can_hold(condition: str) -> None:
    made = Combined([condition], [], {"type": "User", "id": "ann", **_PRINCIPAL})
    expected = made.allowed(ODD_DOCUMENTS)
    check(made.filter, expected, arrow(ODD_TABLE, mapping()), _arrow(ODD_TABLE), ODD_DOCUMENTS)
    frame = pl.from_arrow(ODD_TABLE.drop_columns(["at"]))
    assert isinstance(frame, pl.DataFrame)
    check(made.filter, expected, polars(frame, mapping()), _polars(frame), ODD_DOCUMENTS)


_PRINCIPAL: dict[str, Any] = {
    "s": "a", "n": 5, "teams": ["a", "b%", "é"], "clearances": ["x", "y", "z"],
    "groups": [{"type": "Group", "id": "legal"}], "parents": [{"type": "Group", "id": "legal"}],
}  # fmt: skip


# ---- the edges ----


def _found(condition: str, **principal: Any) -> Filter:
    made = Engine.from_text(f"{SCHEMA}permit rule: read on Doc when {condition}\n", entities=ENTITIES)
    who = {"type": "User", "id": "ann", **_PRINCIPAL, **principal}
    return made.filter(principal=who, action="read", resource_type="Doc")


@pytest.mark.parametrize("store", ["arrow", "polars"])
def test_nothing_and_everything(store: str) -> None:
    backend, ask = STORES[store]
    never, always = _found("false"), _found("true")
    assert (never.kind, ask(never.to(backend).native)) == (Kind.NEVER, [])
    assert (always.kind, len(ask(always.to(backend).native))) == (Kind.ALWAYS, len(TYPED_DOCUMENTS))


@pytest.mark.parametrize("store", ["arrow", "polars"])
@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_many_groups(store: str, count: int) -> None:
    groups = [{"type": "Group", "id": "staff"}, *({"type": "Group", "id": f"g{i}"} for i in range(count))]
    found = _found("contains_any(doc.allowed, principal.groups)", groups=groups[:count])
    backend, ask = STORES[store]
    mine = {each["id"] for each in groups[:count]}
    seen = [each["id"] for each in TYPED_DOCUMENTS if any(g["id"] in mine for g in each.get("allowed", ()))]
    assert ask(found.to(backend, exact=True).native) == seen


@pytest.mark.parametrize("store", ["arrow", "polars"])
def test_exact_is_refused(store: str) -> None:
    with pytest.raises(NotExpressible) as refused:
        _found('lower(doc.s) == "a"').to(STORES[store][0], exact=True)
    assert [d.span.text for d in refused.value.diagnostics] == ['lower(doc.s) == "a"']


HOSTILE_NAMES = ("*", "^.*$", "a.b", "a'b", 'a"b', "$.x", ".s", "", "s; --", "`s`", "é")


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names(name: str) -> None:
    table = pa.table({"id": ["d1", "d2"], name: ["a", "b"], "other": ["b", "a"]})
    fields: dict[str, str | Field] = {"s": column(name)}
    native = _found('doc.s == "a"').to(arrow(table, fields), exact=True).native
    assert _arrow(table)(native) == ["d1"]
    assert ds.dataset(table).to_table(filter=native)["id"].to_pylist() == ["d1"]
    frame = pl.DataFrame({"id": ["d1", "d2"], name: ["a", "b"], "other": ["b", "a"]})
    assert _polars(frame)(_found('doc.s == "a"').to(polars(frame, fields), exact=True).native) == ["d1"]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_in_a_struct(name: str) -> None:
    table = pa.table({"id": ["d1", "d2"], "r": [{name: "a", "other": "b"}, {name: "b", "other": "a"}]})
    found, fields = _found('doc.s == "a"'), {"s": Field("r", (name,))}
    assert _arrow(table)(found.to(arrow(table, fields), exact=True).native) == ["d1"]
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    query = found.to(polars(frame, fields))
    assert _polars(frame)(query.native) == (["d1"] if query.exact else ["d1", "d2"])
    assert query.exact is (name not in ("*", "^.*$"))


def test_columns_that_are_not_asked() -> None:
    """Of another type than the attribute, given twice, or of a type that cannot be compared without loss."""
    for type_ in (pa.int64(), pa.binary(), pa.string_view(), pa.list_(pa.string()), pa.struct({"s": pa.string()})):
        schema = pa.schema({"id": pa.string(), "s": type_})
        assert not _found('doc.s == "a"').to(arrow(schema)).exact
    for type_ in (pa.timestamp("us"), pa.date32(), pa.string()):
        schema = pa.schema({"id": pa.string(), "at": type_})
        assert not _found('doc.at < time("2026-01-01T00:00:00Z")').to(arrow(schema)).exact
        frame = schema.empty_table()
        if type_ != pa.string():
            assert not _found('doc.at < time("2026-01-01T00:00:00Z")').to(polars(pl.from_arrow(frame))).exact
    twice = pa.schema([("id", pa.string()), ("s", pa.string()), ("s", pa.string())])
    assert not _found('doc.s == "a"').to(arrow(twice)).exact
    assert not _found("doc.n == 5").to(arrow(pa.schema({"n": pa.uint64()}))).exact
    assert not _found("doc.n == 5").to(polars(pl.Schema({"n": pl.UInt64()}))).exact
    assert not _found("doc.n == 5").to(arrow(pa.schema({"n": pa.float64()}))).exact


def test_parts_of_a_record_in_columns_of_their_own() -> None:
    """Whether a document without `rec.b` has a `rec` at all cannot be seen then."""
    fields: dict[str, str | Field] = {"rec.b": column("b", null="absent"), "so": Field("r", ("so",), null="absent")}
    table = pa.table({"id": ["d1", "d2"], "b": ["x", None], "r": [{"so": None}, None]})
    documents: list[dict[str, Any]] = [{"id": "d1", "rec": {"b": "x"}}, {"id": "d2"}]
    for condition in ("not (doc.rec has b)", "doc.rec has b", 'doc.rec has b and doc.rec.b == "x"', "not (doc has so)"):
        found = _found(condition)
        expected = [each["id"] for each in found.recheck(documents)]
        check(found, expected, arrow(table, fields), _arrow(table), documents)
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        check(found, expected, polars(frame, fields), _polars(frame), documents)


def test_an_id_of_another_type() -> None:
    """A reference is to entities of one type; one of another type is never equal."""
    fields: dict[str, str | Field] = {"owner": ref("owner", "Folder", null="absent")}
    table = pa.table({"id": ["d1"], "owner": ["ann"]})
    for condition in ("doc.owner == principal", "doc.owner != principal"):
        assert _arrow(table)(_found(condition).to(arrow(table, fields), exact=True).native) == []


def test_small_types() -> None:
    """Constants that the type of a column cannot hold are neither cut off nor wrapped around."""
    values = [-128, -1, 0, 5, 127, None]
    for type_ in (pa.int8(), pa.int16(), pa.int32(), pa.float32()):
        table = pa.table({"id": list("abcdef"), "n": pa.array(values, type_), "x": pa.array(values, type_)})
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        for condition in ("< 128", "> -129", "== 384", "!= 133", "< 4.5", ">= 0.5", "in [5, 261, 5.5]", "> 1e300"):
            found = _found(f"doc.x {condition}")
            expected = [k for k, v in zip("abcdef", values, strict=True) if found.matches({"id": k, "x": v})]
            assert _arrow(table)(found.to(arrow(table), exact=True).native) == expected
            assert _polars(frame)(found.to(polars(frame), exact=True).native) == expected


def test_times_of_every_unit() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    conditions = [f'doc.at {op} time("2026-01-01T00:00:00.5Z")' for op in ("<", "<=", "==", "!=", ">=", ">")]
    for unit in ("s", "ms", "us"):
        table = pa.table({"id": ["d1"], "at": pa.array([moment], pa.timestamp(unit, "UTC"))})
        for condition in conditions:
            found = _found(condition)
            expected = ["d1"] if found.matches({"id": "d1", "at": "2026-01-01T00:00:00Z"}) else []
            assert _arrow(table)(found.to(arrow(table), exact=True).native) == expected


@pytest.mark.parametrize("condition", [c for c in CONDITIONS if "doc.tags" in c or "doc.nums" in c or "doc.at" in c])
def test_an_arrow_query_can_be_shown(condition: str) -> None:
    assert str(_found(condition).to(arrow(TABLE, mapping())).native)


def test_empty_tables() -> None:
    found = _found('doc.s == "a" and "a" in doc.tags')
    assert _arrow(TABLE.slice(0, 0))(found.to(arrow(TABLE)).native) == []
    assert _polars(FRAME.clear())(found.to(polars(FRAME)).native) == []


@pytest.mark.parametrize("module", [arrow.__module__, polars.__module__])
def test_the_examples(module: str) -> None:
    ran = doctest.testmod(import_module(module))
    assert (ran.failed, ran.attempted > 0) == (0, True)
