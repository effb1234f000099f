"""Weaviate `where` filters, as the plain data of its REST and GraphQL interfaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policyengine.filters.fields import Field, Fields
from policyengine.filters.typed_keys import TypedKeys
from policyengine.model.types import BOOL, INT, NUMBER, STRING, Type
from policyengine.partial.formula import Operator

_OPERATORS = {"<": "LessThan", "<=": "LessThanEqual", ">": "GreaterThan", ">=": "GreaterThanEqual"}
_VALUES: dict[Type, str] = {BOOL: "valueBoolean", INT: "valueInt", NUMBER: "valueNumber", STRING: "valueText"}
_TYPES: dict[Type, str] = {BOOL: "boolean", INT: "int", NUMBER: "number", STRING: "text"}
_MOST = 100
_TWO_IDS = ("00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000001")


def weaviate(
    properties: Iterable[Mapping[str, Any]],
    columns: Mapping[str, str | Field] | None = None,
    *,
    null_index: bool = False,
) -> TypedKeys:
    """Filters as Weaviate `where` filters.

    properties: the properties of the collection's definition, as Weaviate lists them. Texts are queried in `text` and
        `text[]` with the tokenization `field`, Int in `int`, Number in `number`, Bool in `boolean`; everything else is
        rechecked.
    columns: from attributes to properties; `column(name)` or a name promises that objects have the attribute with a
        value of its declared type, or do not have it; `ref(name, type)` promises the same for ids. Without it each
        attribute is the property of its name.
    null_index: whether the collection has `indexNullState`, without which Weaviate cannot tell what is missing.

    If everything passes the filter, the query is None. Texts are always rechecked: Weaviate ignores white space around
    them.

    >>> from policyengine import Engine
    >>> engine = Engine.from_text('''
    ... entity User { level: Int }
    ... entity Doc { level: Int }
    ... action read on Doc for User
    ... permit low: read on Doc when doc.level < principal.level
    ... ''')
    >>> ann = {"type": "User", "id": "ann", "level": 3}
    >>> found = engine.filter(principal=ann, action="read", resource_type="Doc")
    >>> found.to(weaviate([{"name": "level", "dataType": ["int"]}])).native
    {'path': ['level'], 'operator': 'LessThan', 'valueInt': 3}
    """
    known = {each["name"]: each for each in properties}
    return TypedKeys(_Weaviate(known, null_index), Fields(columns or {name: name for name in known if name != "*"}))


@dataclass(frozen=True, slots=True)
class _Weaviate:
    properties: Mapping[str, Mapping[str, Any]]
    null_index: bool

    name = "Weaviate"
    exact_texts = False
    exact_integers = None

    def key(self, field: Field, type_: Type) -> str | None:
        known = self.properties.get(field.name)
        # `id` and names such as `_creationTimeUnix` are not among the properties.
        if known is None or field.path or field.name == "id" or field.name.startswith("_"):
            return None
        if known.get("indexFilterable") is False or list(known.get("dataType", ())) != [_TYPES.get(type_, "text[]")]:
            return None
        return field.name if type_ in (BOOL, INT, NUMBER) or known.get("tokenization") == "field" else None

    def equal(self, key: str, type_: Type, values: Sequence[Any]) -> Any | None:
        if len(values) > _MOST or any(
            value != value.strip() or not value for value in values if isinstance(value, str)
        ):
            return None
        if type_ not in _VALUES:
            return {"path": [key], "operator": "ContainsAny", "valueText": list(values)}
        each = [{"path": [key], "operator": "Equal", _VALUES[type_]: value} for value in values]
        return each[0] if len(each) == 1 else self.either(each)

    def order(self, key: str, type_: Type, op: Operator, value: Any) -> Any:
        return {"path": [key], "operator": _OPERATORS[op], _VALUES[type_]: value}

    def there(self, key: str) -> None:
        return None

    def missing(self, field: Field) -> Any | None:
        if not self.null_index or field.path or field.name not in self.properties:
            return None
        return {"path": [field.name], "operator": "IsNull", "valueBoolean": True}

    def other(self, key: str, found: Any, values: Sequence[Any]) -> None:
        return None

    def like(self, key: str, pieces: tuple[str, ...]) -> None:
        return None

    def unlike(self, key: str, found: Any) -> None:
        return None

    def both(self, items: Sequence[Any]) -> Any:
        return {"operator": "And", "operands": list(items)}

    def either(self, items: Sequence[Any]) -> Any:
        return {"operator": "Or", "operands": list(items)}

    def nothing(self) -> Any:
        # No object has two ids, so this finds nothing.
        return self.both([{"path": ["id"], "operator": "Equal", "valueText": each} for each in _TWO_IDS])

    def everything(self) -> None:
        return None
