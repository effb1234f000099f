"""Pinecone metadata filters, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policyengine.filters.fields import Field, Fields
from policyengine.filters.storable_texts import is_text
from policyengine.filters.typed_keys import TypedKeys
from policyengine.model.types import STRING, Type
from policyengine.partial.formula import Operator

_OPERATORS = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
_MOST = 10_000


def pinecone(columns: Mapping[str, str | Field] | None = None) -> TypedKeys:
    """Filters as Pinecone metadata filters.

    columns: from attributes to keys of the metadata; `column(name)` or a name promises that the metadata hold the value
        of the attribute, of its declared type, or no such key: a text, a number, a boolean or a list of texts.
        `ref(name, type)` promises the same for ids. Without it each attribute is the key of its name, and everything is
        rechecked, because the metadata may then give another type of document.

    >>> from policyengine import Engine
    >>> engine = Engine.from_text('''
    ... entity User { team: String }
    ... entity Doc { team: String }
    ... action read on Doc for User
    ... permit own: read on Doc when doc.team == principal.team
    ... ''')
    >>> ann = {"type": "User", "id": "ann", "team": "a"}
    >>> found = engine.filter(principal=ann, action="read", resource_type="Doc")
    >>> found.to(pinecone({"team": "team"}), exact=True).native
    {'team': {'$in': ['a']}}
    """
    return TypedKeys(_Pinecone(), _ByName({}) if columns is None else Fields(columns))


class _ByName(Fields):
    """Every attribute is at the key of its name."""

    @property
    def everything_else(self) -> Field:
        return Field("")

    def locate(self, path: tuple[str, ...]) -> tuple[Field, int] | None:
        return Field(path[0]), 1


@dataclass(frozen=True, slots=True)
class _Pinecone:
    name = "Pinecone"
    exact_texts = True
    # Pinecone converts all numbers to doubles.
    exact_integers = False

    def key(self, field: Field, type_: Type) -> str | None:
        flat = not field.path and field.name and not field.name.startswith("$") and is_text(field.name)
        return field.name if flat else None

    def equal(self, key: str, type_: Type, values: Sequence[Any]) -> Any | None:
        return {key: {"$in": list(values)}} if len(values) <= _MOST else None

    def order(self, key: str, type_: Type, op: Operator, value: Any) -> Any:
        return {key: {_OPERATORS[op]: value}}

    def there(self, key: str) -> Any:
        return {key: {"$exists": True}}

    def missing(self, field: Field) -> Any | None:
        key = self.key(field, STRING)
        return None if key is None else {key: {"$exists": False}}

    def other(self, key: str, found: Any, values: Sequence[Any]) -> Any:
        return self.both([self.there(key), {key: {"$nin": list(values)}}])

    def like(self, key: str, pieces: tuple[str, ...]) -> None:
        return None

    def unlike(self, key: str, found: Any) -> None:
        return None

    def both(self, items: Sequence[Any]) -> Any:
        return {"$and": list(items)}

    def either(self, items: Sequence[Any]) -> Any:
        return {"$or": list(items)}

    def nothing(self) -> Any:
        # An empty filter finds everything, so a contradiction has to find nothing.
        return self.both([{"nothing": {"$exists": True}}, {"nothing": {"$exists": False}}])

    def everything(self) -> Any:
        return {}
