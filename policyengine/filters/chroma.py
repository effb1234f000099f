"""Chroma: a filter as the `where` of `Collection.query` and `Collection.get`.

Metadata is flat: texts, numbers, booleans, and arrays of one of these (https://docs.trychroma.com/docs/querying-collections/
metadata-filtering). Text, numbers, booleans and arrays are never taken for one another, but an integer is for a float.
`$ne`, `$nin` and `$not_contains` also find documents without the key, so they are never exact. There are no conditions
on parts of a text, and none on whether a key is there. An empty array cannot be stored: it is the same as no array.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Any

from policyengine.filters.backend import Fragment, StoreLimits
from policyengine.filters.fields import REST, Field, Fields
from policyengine.filters.numbers import is_number, of_integer, safe_double
from policyengine.filters.storable_texts import storable
from policyengine.filters.walk import PARENTS, OfValue, Walk
from policyengine.model.types import BOOL, INT, JSON, NUMBER, STRING, EntityT, Type, element_of
from policyengine.model.values import Uid
from policyengine.partial.formula import Elements, Inside, Matching, Operator, Path, Sized

ChromaWhere = dict[str, Any]
_NAMES = {"==": "$eq", "!=": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
_NOTHING: ChromaWhere = {"$and": [{"id": {"$eq": ""}}, {"id": {"$ne": ""}}]}
# The most alternatives that Chroma's SQL takes, and the most values of one `$in`.
_MOST_ALTERNATIVES = 100
_MOST_VALUES = 10_000


def chroma(keys: Mapping[str, str | Field] | None = None) -> Chroma:
    """Chroma. The query's `native` is None if everything may be seen, which is how `where` expresses that.

    keys: from attributes to metadata keys. A text is a key that may hold anything; `column(...)` one that is absent or
        holds a value of the attribute's declared type, a set or list as an array; `ref(...)` one that holds the id of
        an entity, or an array of ids. Without it every attribute is at the key of its own name, of any shape, and as
        metadata may then say of what type a document is, everything is rechecked.

    >>> from policyengine import Engine
    >>> engine = Engine.from_text('''
    ... module notes
    ... use ai
    ... permit own: retrieve on Document when document.tenant == principal.tenant
    ... ''')
    >>> ann = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
    >>> found = engine.filter(principal=ann, action="retrieve", resource_type="Document")
    >>> found.to(chroma({"tenant": "tenant"}), exact=True).native
    {'tenant': {'$eq': 'acme'}}
    """
    rest = {REST: Field("", json=True)} if keys is None else keys
    return Chroma(Fields(_flat(rest), bare_json=True))


def _flat(keys: Mapping[str, str | Field]) -> Mapping[str, str | Field]:
    """The same mapping: metadata hold no objects, so there are no names except the keys."""
    if not isinstance(keys, Mapping):
        raise TypeError("a mapping goes from attributes to keys")
    fields = {name: each if isinstance(each, Field) else Field(each, json=True) for name, each in keys.items()}
    return {name: each if name == REST else replace(each, names="checked") for name, each in fields.items()}


@dataclass(frozen=True, slots=True)
class Chroma(Walk["_Key"]):
    """See `chroma`."""

    fields: Fields
    name: str = "Chroma"

    @property
    def limits(self) -> StoreLimits:
        return StoreLimits(40, 400)

    def all(self, items: Sequence[ChromaWhere]) -> ChromaWhere:
        return {"$and": list(items)}

    def some(self, items: Sequence[ChromaWhere]) -> ChromaWhere:
        return {"$or": list(items)}

    def nothing(self) -> ChromaWhere:
        return _NOTHING

    def everything(self) -> ChromaWhere | None:
        return None

    def finish(self, native: ChromaWhere | None) -> ChromaWhere | None:
        return native

    def find(self, path: Path, type_: Type) -> _Key | None:
        field = self.fields.find(path)
        if field is None:
            return None
        names = [name for name in (field.name, *field.path) if name]
        # There are no objects in metadata, and keys that begin like this are Chroma's own.
        if len(names) != 1 or not storable(names[0]) or names[0].startswith(("$", "#", "chroma:")):
            return None
        entities = element_of(type_) or type_
        if not isinstance(entities, EntityT):
            return _Key(names[0], field)
        return None if field.refers_to is None else _Key(names[0], field, field.refers_to not in entities.names)

    def value(self, atom: OfValue, key: _Key) -> Fragment | None:
        if key.impossible and not isinstance(atom, Matching | Sized):
            return Fragment(_NOTHING)
        return self.of_value(atom, key)

    def typed(self, key: _Key, type_: Type) -> Fragment | None:
        return key.typed(type_)

    def related(self, key: _Key, type_: Type, op: Operator, value: Any) -> Fragment | None:
        if type_ in (INT, NUMBER):
            return key.number(type_, op, value)
        return self.among(key, type_, (value,), op == "!=") if op in ("==", "!=") else None

    def among(self, key: _Key, type_: Type, values: tuple[Any, ...], negated: bool) -> Fragment | None:
        return key.among(type_, key.constants(type_, values), negated)

    def elements(self, key: _Key, atom: Elements) -> Fragment | None:
        element = element_of(atom.type) or JSON
        wanted = key.constants(element, atom.values)
        return key.collection(atom.kind, element, wanted, wanted is not None and len(wanted) == len(atom.values))

    def inside(self, atom: Inside) -> Fragment | None:
        key = None if atom.negated else self.find(PARENTS, JSON)
        return None if key is None else key.collection("any", STRING, key.ids(atom.closed), True)


@dataclass(frozen=True, slots=True)
class _Key:
    """A key of the metadata. `impossible` if it never refers to anything of the required type."""

    name: str
    field: Field
    impossible: bool = False

    def typed(self, type_: Type) -> Fragment | None:
        if type_ in (INT, NUMBER):
            some: ChromaWhere = {"$or": [self._asked("$gte", 0), self._asked("$lt", 0)]}
            return Fragment(some, type_ == NUMBER or not self.field.json)
        return Fragment(self._asked("$in", [True, False])) if type_ == BOOL else None

    def number(self, type_: Type, op: Operator, value: Any) -> Fragment | None:
        """A comparison of a number with a constant. Beyond 2^53 Chroma confuses floats with integers."""
        exact = type_ == NUMBER or not self.field.json
        if not is_number(value) or not (safe_double(value) or (type_ == INT and not self.field.json)):
            return None
        if type_ == INT:
            comparison = of_integer(op, value)
            if comparison is True:
                return self.typed(INT)
            if comparison is False:
                return Fragment(_NOTHING)
            op, value = comparison
        return Fragment(self._compared(op, _whole(value)), exact)

    def _compared(self, op: Operator, value: int | float) -> ChromaWhere:
        """If the value is an integer, Chroma cuts off the fraction of the constant."""
        if op == "!=":
            return {"$or": [self._compared("<", value), self._compared(">", value)]}
        asked = self._asked(_NAMES[op], value)
        if value.__class__ is int:
            return asked
        low, high = floor(value), ceil(value)
        between = [self._asked("$gt", low), self._asked("$lt", high)]
        match op:
            case "<":
                return {"$or": [asked, self._asked("$lte", low)]}
            case "<=":
                return {"$and": [{"$or": [asked, self._asked("$lte", low)]}, between[1]]}
            case ">":
                return {"$or": [asked, self._asked("$gte", high)]}
            case ">=":
                return {"$and": [{"$or": [asked, self._asked("$gte", high)]}, between[0]]}
        return {"$and": [asked, *between]}

    def constants(self, type_: Type, values: Iterable[Any]) -> list[Any] | None:
        """Those of the constants that a value can be, in stored form; None if the store cannot hold one of them."""
        if isinstance(type_, EntityT):
            return self.ids(value.uid for value in values)
        wanted: list[Any] = []
        for value in values:
            if type_ == INT:
                comparison = of_integer("==", value) if is_number(value) else False
                if comparison is not False and comparison is not True:
                    wanted.append(comparison[1])
            elif type_ == NUMBER and safe_double(value):
                wanted.append(_whole(value))
            elif (
                (type_ == STRING and storable(value))
                or (type_ == BOOL and value.__class__ is bool)
                or (type_ == JSON and (storable(value) or value.__class__ is bool))
            ):
                wanted.append(value)
            else:
                return None
        return wanted

    def ids(self, uids: Iterable[Uid]) -> list[str] | None:
        named_ids = sorted(uid.id for uid in uids if uid.type == self.field.refers_to)
        return named_ids if self.field.refers_to is not None and all(map(storable, named_ids)) else None

    def among(self, type_: Type, wanted: list[Any] | None, negated: bool) -> Fragment | None:
        """Whether the value is one of these, or, if negated, none of them."""
        if wanted is None or len(wanted) > _MOST_VALUES:
            return None
        exact = type_ != INT or not self.field.json
        if type_ in (INT, NUMBER):
            return self._among_numbers(type_, wanted, negated, exact)
        if not negated:
            return Fragment(self._asked("$in", wanted) if wanted else _NOTHING)
        if type_ == BOOL and len(wanted) == 1:
            return Fragment(self._asked("$eq", not wanted[0]))
        return Fragment(self._asked("$nin", wanted), exact=False) if wanted else None

    def _among_numbers(self, type_: Type, wanted: list[Any], negated: bool, exact: bool) -> Fragment | None:
        whole = [each for each in wanted if each.__class__ is int]
        others = [each for each in wanted if each.__class__ is float]
        if len(others) > _MOST_ALTERNATIVES:
            return None
        if negated:
            number = self.typed(type_)
            parts = [number.native] if number is not None else []
            parts += [self._asked("$nin", whole)] if whole else []
            return Fragment(_joined("$and", parts + [self._compared("!=", each) for each in others]), exact)
        parts = [self._asked("$in", whole)] if whole else []
        parts += [self._compared("==", each) for each in others]
        return Fragment(_joined("$or", parts) if parts else _NOTHING, exact)

    def collection(self, kind: str, type_: Type, wanted: list[Any] | None, whole: bool) -> Fragment | None:
        """`type_` is the type of the elements. `whole` is false if there were constants that no element can be. All
        elements of an array are of one kind."""
        if wanted is None or len(wanted) > _MOST_ALTERNATIVES:
            return None
        containing = [self._elements("$contains", "$or", type_, each) for each in wanted]
        lacking = [self._elements("$not_contains", "$and", type_, each) for each in wanted]
        match kind:
            case "any":
                return Fragment(_joined("$or", containing) if wanted else _NOTHING)
            case "all" if not whole:
                return Fragment(_NOTHING)
            case "all" if wanted:
                return Fragment(_joined("$and", containing))
            case "none" if wanted:
                return Fragment(_joined("$and", lacking), exact=False)
            case "lacks" if wanted and whole:
                return Fragment(_joined("$or", lacking), exact=False)
        return None

    def _elements(self, operator: str, joined: str, type_: Type, value: Any) -> ChromaWhere:
        """An array of floats holds no integer."""
        asked = self._asked(operator, value)
        if type_ == NUMBER and value.__class__ is int:
            return {joined: [asked, self._asked(operator, float(value))]}
        return asked

    def _asked(self, operator: str, value: Any) -> ChromaWhere:
        if operator in ("$in", "$nin") and len(value) == 1:
            operator, value = "$eq" if operator == "$in" else "$ne", value[0]
        return {self.name: {operator: value}}


def _whole(value: int | float) -> int | float:
    return int(value) if value.__class__ is float and value.is_integer() else value


def _joined(operator: str, items: list[ChromaWhere]) -> ChromaWhere:
    return items[0] if len(items) == 1 else {operator: items}
