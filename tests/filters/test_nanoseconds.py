"""Times with nine digits: every store finds what is allowed, and what is coarser than they are looks at it again."""

from __future__ import annotations

import json as text
import sqlite3

import polars as pl
import pyarrow as pa
import pytest

from policyengine import Engine
from policyengine.filters import Filter, json, qdrant, sql
from policyengine.filters.arrow import arrow
from policyengine.filters.polars import polars
from policyengine.model.fine_time import nanoseconds
from policyengine.model.values import parse_time

NINES = ("2026-06-27T18:03:00.123456788Z", "2026-06-27T18:03:00.123456789Z", "2026-06-27T18:03:00.123456790Z")
TIMES = (*NINES, "2026-06-27T18:03:00.123456Z", "2026-06-27T18:03:00.123457Z")
DOCUMENTS = [{"id": time, "at": time} for time in TIMES]
OPERATORS = ("<", "<=", "==", "!=", ">=", ">")


def _filter(op: str, time: str, kind: str = "permit") -> tuple[Filter, list[str]]:
    """The filter, and which documents `decide` allows."""
    head = "permit all: read on Doc\nforbid p" if kind == "forbid" else "permit p"
    made = Engine.from_text(
        f"entity User\nentity Doc {{ at: Time }}\naction read on Doc for User\n"
        f'{head}: read on Doc when doc.at {op} time("{time}")'
    )
    who = {"type": "User", "id": "u"}
    found = [
        d["id"] for d in DOCUMENTS if made.decide(principal=who, action="read", resource={"type": "Doc", **d}).allowed
    ]
    return made.filter(principal=who, action="read", resource_type="Doc"), found


def test_decisions_are_exact() -> None:
    for time in TIMES:
        moment = nanoseconds(parse_time(time))
        expected = {
            "<": [t for t in TIMES if nanoseconds(parse_time(t)) < moment],
            "==": [time],
            ">": [t for t in TIMES if nanoseconds(parse_time(t)) > moment],
        }
        assert {op: _filter(op, time)[1] for op in expected} == expected


@pytest.mark.parametrize("kind", ["permit", "forbid"])
@pytest.mark.parametrize("op", OPERATORS)
def test_columns_of_nanoseconds(op: str, kind: str) -> None:
    values = [nanoseconds(parse_time(time)) for time in TIMES]
    table = pa.table({"id": list(TIMES), "at": pa.array(values, pa.timestamp("ns", "UTC"))})
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    for time in TIMES:
        asked, expected = _filter(op, time, kind)
        assert table.filter(asked.to(arrow(table), exact=True).native)["id"].to_pylist() == expected
        assert frame.filter(asked.to(polars(frame), exact=True).native)["id"].to_list() == expected


@pytest.mark.parametrize("op", OPERATORS)
def test_texts_are_looked_at_again(op: str) -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE docs (data)")
    database.executemany("INSERT INTO docs VALUES (?)", [(text.dumps(d),) for d in DOCUMENTS])
    for time in TIMES:
        asked, expected = _filter(op, time)
        query = asked.to(sql("sqlite", columns={"*": json("data")}))
        found = [
            text.loads(row[0]) for row in database.execute(f"SELECT data FROM docs WHERE {query.where}", query.params)
        ]
        assert [d["id"] for d in found if asked.matches(d)] == expected
    database.close()


@pytest.mark.parametrize("op", OPERATORS)
def test_qdrant_is_asked_for_the_microsecond(op: str) -> None:
    """It keeps nine digits and compares six, so what it is asked is true of the microsecond of all that is allowed."""
    for time in TIMES:
        asked, expected = _filter(op, time)
        query = asked.to(qdrant({"*": json("", names="checked")}))
        assert not query.exact
        limits = [c["range"] for c in _conditions(query.native) if "range" in c]
        for document in DOCUMENTS:
            micro = document["at"][:26].rstrip("Z") + "Z"
            assert document["id"] not in expected or any(_within(micro, limit) for limit in limits), (op, time)


def _conditions(native: object) -> list[dict[str, dict[str, str]]]:
    if isinstance(native, list):
        return [each for item in native for each in _conditions(item)]
    if not isinstance(native, dict):
        return []
    return [native, *(each for value in native.values() for each in _conditions(value))]


def _within(micro: str, limits: dict[str, str]) -> bool:
    at = parse_time(micro)
    held = {
        "gt": lambda t: at > t, "gte": lambda t: at >= t, "lt": lambda t: at < t, "lte": lambda t: at <= t,
    }  # fmt: skip
    return all(held[name](parse_time(limit)) for name, limit in limits.items())
