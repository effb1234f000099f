"""Elasticsearch and OpenSearch queries, as plain data for a `filter` clause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policyengine.filters.fields import Field, Fields
from policyengine.filters.typed_keys import TypedKeys
from policyengine.model.types import BOOL, INT, NUMBER, STRING, Type
from policyengine.partial.formula import Operator

_TYPES: dict[Type, str] = {BOOL: "boolean", INT: "long", NUMBER: "double"}
_RANGE = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
# Settings of a field that do not change what is found. `normalizer`, `ignore_above` and `null_value` do.
_HARMLESS = {"type", "store", "eager_global_ordinals"}
# The most values of a `terms` query, and the longest pattern that is not a burden.
_MOST, _LONGEST = 65_536, 1_000


def elasticsearch(properties: Mapping[str, Any], columns: Mapping[str, str | Field] | None = None) -> TypedKeys:
    """Filters as queries of Elasticsearch and OpenSearch.

    properties: the `properties` of the index mapping. Texts are queried in `keyword` fields, Int in `long`, Number in
        `double`, Bool in `boolean`; everything else is rechecked.
    columns: from attributes to fields, which may be paths with dots; `column(name)` or a name promises that documents
        have the attribute with a value of its declared type, or do not have it; `ref(name, type)` promises the same for
        ids. Without it each attribute is the field of its name.

    >>> from policyengine import Engine
    >>> engine = Engine.from_text('''
    ... entity User { team: String }
    ... entity Doc { team: String }
    ... action read on Doc for User
    ... permit own: read on Doc when doc.team == principal.team
    ... ''')
    >>> ann = {"type": "User", "id": "ann", "team": "a"}
    >>> found = engine.filter(principal=ann, action="read", resource_type="Doc")
    >>> found.to(elasticsearch({"team": {"type": "keyword"}})).native
    {'term': {'team': {'value': 'a'}}}
    """
    return TypedKeys(_Elasticsearch(properties), Fields(columns or {name: name for name in properties if name != "*"}))


@dataclass(frozen=True, slots=True)
class _Elasticsearch:
    properties: Mapping[str, Any]

    name = "Elasticsearch"
    exact_texts = True
    exact_integers = True

    def key(self, field: Field, type_: Type) -> str | None:
        mapping: Any = {"properties": self.properties}
        names = [*field.name.split("."), *field.path]
        for name in names:
            mapping = mapping.get("properties", {}).get(name) if mapping.get("type", "object") == "object" else None
            if mapping is None:
                return None
        wanted = _TYPES.get(type_, "keyword")
        return ".".join(names) if mapping.get("type") == wanted and mapping.keys() <= _HARMLESS else None

    def equal(self, key: str, type_: Type, values: Sequence[Any]) -> Any | None:
        if len(values) > _MOST:
            return None
        return {"term": {key: {"value": values[0]}}} if len(values) == 1 else {"terms": {key: list(values)}}

    def order(self, key: str, type_: Type, op: Operator, value: Any) -> Any:
        return {"range": {key: {_RANGE[op]: value}}}

    def there(self, key: str) -> Any:
        return {"exists": {"field": key}}

    def missing(self, field: Field) -> Any | None:
        keys = (self.key(field, type_) for type_ in (STRING, BOOL, INT, NUMBER))
        key = next((key for key in keys if key is not None), None)
        return None if key is None else {"bool": {"must_not": [self.there(key)]}}

    def other(self, key: str, found: Any, values: Sequence[Any]) -> Any:
        return self.unlike(key, found)

    def unlike(self, key: str, found: Any) -> Any:
        return {"bool": {"filter": [self.there(key)], "must_not": [found]}}

    def like(self, key: str, pieces: tuple[str, ...]) -> Any | None:
        pattern = "*".join("".join(f"\\{c}" if c in "*?\\" else c for c in piece) for piece in pieces)
        return {"wildcard": {key: {"value": pattern}}} if len(pattern) <= _LONGEST else None

    def both(self, items: Sequence[Any]) -> Any:
        return {"bool": {"filter": list(items)}}

    def either(self, items: Sequence[Any]) -> Any:
        return {"bool": {"should": list(items), "minimum_should_match": 1}}

    def nothing(self) -> Any:
        return {"match_none": {}}

    def everything(self) -> Any:
        return {"match_all": {}}
