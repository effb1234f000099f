"""From a chunk, as a search returns it, to the document that policies judge.

A store may return attributes under a prefix, in a nested object or in columns. A chunk that cannot be read is no
document, and is never permitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from policyengine.filters.fields import REST, Field
from policyengine.model.json_text import parse_json
from policyengine.model.values import Fault, duration_text

# The attributes of the document that a chunk is of, `id` included; None if they cannot be read.
DocumentOf = Callable[[Any], Mapping[str, Any] | None]
Columns = Mapping[str, str | Field]
MILLISECOND = timedelta(milliseconds=1)


class _Unreadable(Exception):
    """A place holds something else than the mapping says."""


def attributes(
    *,
    under: Sequence[str] = (),
    prefix: str = "",
    columns: Columns | None = None,
    json: Literal["text", "values"] | None = None,
) -> DocumentOf:
    """How to read the document from a chunk.

    under: the names on the way to the object that holds the attributes, keys of mappings or attributes of objects:
        `["metadata"]` for a chunk of LangChain, `["node", "metadata"]` for one of LlamaIndex.
    prefix: attributes are the keys that begin with it, without it; all others are not of the document.
    columns: from attributes to columns, the very mapping that the store was asked with: references become references
        again, and a null what the mapping says of nulls. A chunk with a null where the mapping says nothing of nulls
        cannot be read. Instead of `prefix`.
    json: how the search returns what `json(...)` in `columns` names: "text", as SQLite does, or "values", as psycopg
        does for `jsonb`. Only the caller can know: the text `5` and the number look alike. Of values, a null in a
        column that is one attribute may also be the null of JSON, so the chunk cannot be read: select it as text.

    Raises ValueError if both `prefix` and `columns` are given, or `json` is not where `columns` need it.

    >>> of = attributes(under=["metadata"], prefix="doc_")
    >>> of({"text": "...", "metadata": {"doc_id": "d1", "doc_tenant": "acme", "page": 3}})
    {'id': 'd1', 'tenant': 'acme'}
    """
    if json not in (None, "text", "values"):
        raise ValueError(f'json is "text" or "values", not {json!r}')
    places = None
    if columns is not None:
        if prefix:
            raise ValueError("`prefix` and `columns` are two ways to say the same")
        places = [
            (tuple(name.split(".")), place if isinstance(place, Field) else Field(place))
            for name, place in columns.items()
        ]
        # What is named takes the place of the rest, and a part of a record is put into the record.
        places.sort(key=lambda each: (each[0] != (REST,), len(each[0])))
        if json is None and any(place.json for _, place in places):
            raise ValueError("say whether columns of JSON are returned as text or as values: json=...")

    def document_of(chunk: Any) -> Mapping[str, Any] | None:
        document = _below(chunk, under)
        if not isinstance(document, Mapping):
            return None
        if places is not None:
            try:
                return _from_row(document, places, json == "text")
            except _Unreadable:
                return None
        return {
            name.removeprefix(prefix): value
            for name, value in document.items()
            if isinstance(name, str) and name.startswith(prefix)
        }

    return document_of


def _below(chunk: Any, names: Sequence[str]) -> Any:
    for name in names:
        chunk = chunk.get(name) if isinstance(chunk, Mapping) else getattr(chunk, name, None)
    return chunk


def _from_row(row: Mapping[str, Any], places: Sequence[tuple[tuple[str, ...], Field]], text: bool) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for path, place in places:
        here, value = _value(row, place, text, path == (REST,))
        if path == (REST,):
            if here and not isinstance(value, dict):
                raise _Unreadable
            made = dict(value) if here else {}
            continue
        _put(made, path, here, value)
    return made


def _value(row: Mapping[str, Any], place: Field, text: bool, rest: bool) -> tuple[bool, Any]:
    """Whether the attribute is there, and its value."""
    value = _cell(row, place.name)
    if not place.json:
        return _there(value, place), None if value is None else _carried(value, place)
    if value is None:
        if place.null == "null":
            return not place.path, None
        if not text and not place.path and not rest:
            # Of JSON as values it cannot be told from the null of JSON.
            raise _Unreadable
        return False, None
    if text:
        value = _parsed(value)
    for name in place.path:
        if not isinstance(value, dict) or name not in value:
            return False, None
        value = value[name]
    return True, value


def _cell(row: Mapping[str, Any], name: str) -> Any:
    """What a column holds; `record.field` is a field of a struct, which is null where the struct is."""
    if name in row:
        return row[name]
    first, *fields = name.split(".")
    # What the search did not return says nothing about the document.
    if first not in row or not fields:
        raise _Unreadable
    value = row[first]
    for field in fields:
        if value is None:
            return None
        if not isinstance(value, Mapping) or field not in value:
            raise _Unreadable
        value = value[field]
    return value


def _there(value: Any, place: Field) -> bool:
    """Whether a value is an attribute, or the null that stands for none."""
    if value is None and place.null is None:
        raise _Unreadable
    return value is not None or place.null == "null"


def _carried(value: Any, place: Field) -> Any:
    """The value of a column as a request carries it: an id as a reference to an entity of the type, if there is one,
    and times and durations as text. What has no such form stays what it is, and has no type that a policy knows."""
    if isinstance(value, list | tuple):
        return [_carried(each, place) for each in value]
    if place.refers_to is not None:
        return {"type": place.refers_to, "id": value}
    if isinstance(value, dict):
        return {name: _carried(each, place) for name, each in value.items() if _there(each, place)}
    if value.__class__ is timedelta:
        return duration_text(value) if value >= timedelta(0) and not value % MILLISECOND else value
    return value.isoformat() if isinstance(value, datetime) else value


def _parsed(value: Any) -> Any:
    if not isinstance(value, str | bytes):
        raise _Unreadable
    try:
        return parse_json(value)
    except Fault:
        raise _Unreadable from None


def _put(made: dict[str, Any], path: tuple[str, ...], here: bool, value: Any) -> None:
    """Set what is at the path, or take it away. The objects on the way are copied, as they are the store's."""
    *way, last = path
    for name in way:
        inner = made.get(name)
        if not isinstance(inner, dict):
            if not here:
                return
            inner = {}
        made[name] = inner = dict(inner)
        made = inner
    if here:
        made[last] = value
    else:
        made.pop(last, None)
