"""Atoms over keys that are promised to hold values of the attribute's declared type, or to be missing.

This is for stores that index values and know nothing else about a document: they cannot tell an empty array from a
missing one, an array meets a condition if one of its elements does, and numbers are doubles. A `KeyDialect` states what
such a store can express. A query is never narrower than the atom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isinf
from typing import Any, Protocol

from policyengine.filters.backend import Fragment, StoreLimits
from policyengine.filters.fields import Field, Fields
from policyengine.filters.numbers import is_number, of_integer
from policyengine.filters.storable_texts import is_text
from policyengine.filters.walk import PARENTS, Connectives, Worded, entities
from policyengine.model.types import BOOL, INT, JSON, NUMBER, STRING, EntityT, SetT, Type, element_of
from policyengine.model.values import DOUBLE_INTS, Entity
from policyengine.partial.formula import Elements, ElementsKind, Inside, Missing, Operator, Path, Present


class KeyDialect(Connectives, Protocol):
    """The query language of a store. `type_` is one of String, Bool, Int and Number, or a Set or List of String."""

    @property
    def exact_texts(self) -> bool:
        """Whether texts are compared exactly."""

    @property
    def exact_integers(self) -> bool | None:
        """Whether 64-bit integers are kept and compared exactly, or (False) as doubles; None if that is unknown, and
        then no integers are queried that a double cannot hold."""

    def key(self, field: Field, type_: Type) -> str | None:
        """The key to query; None if it cannot be queried for values of this type."""

    def equal(self, key: str, type_: Type, values: Sequence[Any]) -> Any | None:
        """Tests that the value, or an element of it, is one of one or more values; None if the store cannot express
        it."""

    def order(self, key: str, type_: Type, op: Operator, value: Any) -> Any: ...

    def there(self, key: str) -> Any | None:
        """Tests that there is a value, other than an empty array; None if the store cannot express it."""

    def missing(self, field: Field) -> Any | None:
        """Tests that there is no value, or one that the store does not index."""

    def other(self, key: str, found: Any, values: Sequence[Any]) -> Any | None:
        """Tests that there is a text that is none of the values; `found` tests for any of them. None if the store
        cannot express it."""

    def like(self, key: str, pieces: tuple[str, ...]) -> Any | None: ...

    def unlike(self, key: str, found: Any) -> Any | None:
        """Tests that there is a text for which `found`, made by `like`, is not true; None if the store cannot express
        it."""


@dataclass(frozen=True, slots=True)
class TypedKeys(Worded[Field]):
    """The backend of a dialect."""

    dialect: KeyDialect
    fields: Fields

    @property
    def words(self) -> KeyDialect:
        return self.dialect

    @property
    def limits(self) -> StoreLimits:
        """Elasticsearch takes 30 levels and 1024 clauses, unless it is configured otherwise."""
        return StoreLimits(14, 500)

    def find(self, path: Path, type_: Type) -> Field | None:
        """Where the attribute is, if the mapping promises its type."""
        located = self.fields.locate(path)
        if located is None or located[0].json or located[1] != len(path):
            return None
        return located[0]

    def presence(self, atom: Present | Missing, field: Field) -> Fragment | None:
        native = self.dialect.missing(field) if isinstance(atom, Missing) else None
        return None if native is None else Fragment(native, exact=False)

    def related(self, field: Field, type_: Type, op: Operator, value: Any) -> Fragment | None:
        if op in ("==", "!="):
            return self.among(field, type_, (value,), op == "!=")
        return self._order(field, type_, op, value) if type_ in (INT, NUMBER) else None

    def equals(self, field: Field, type_: Type, values: tuple[Any, ...], negated: bool) -> Fragment | None:
        made = self._holding(field, type_, "all", values) if values and not negated else None
        return made and Fragment(made.native, exact=False)

    def like(self, field: Field, pieces: tuple[str, ...], negated: bool) -> Fragment | None:
        key = None if field.refers_to or not all(map(is_text, pieces)) else self.dialect.key(field, STRING)
        native = None if key is None else self.dialect.like(key, pieces)
        if key is not None and native is not None and negated:
            native = self.dialect.unlike(key, native)
        return None if native is None else Fragment(native)

    def _scalar(self, field: Field, type_: Type) -> tuple[str, Type] | None:
        """The key, and the type of what is stored there."""
        if isinstance(type_, EntityT):
            stored: Type | None = STRING if field.refers_to in type_.names else None
        else:
            stored = type_ if type_ in (STRING, BOOL, INT, NUMBER) and field.refers_to is None else None
        key = None if stored is None else self.dialect.key(field, stored)
        return None if key is None or stored is None else (key, stored)

    def _constants(self, field: Field, type_: Type, values: Sequence[Any]) -> list[Any] | None:
        """Those of the constants that can equal a value; None if one of them is of another kind."""
        usable: list[Any] = []
        for value in values:
            if isinstance(type_, EntityT):
                if value.__class__ is not Entity or not is_text(value.uid.id):
                    return None
                usable += [value.uid.id] if value.uid.type == field.refers_to else []
            elif (type_ == STRING and is_text(value)) or (type_ == BOOL and value.__class__ is bool):
                usable.append(str.__str__(value) if type_ == STRING else value)
            else:
                return None
        return usable

    def typed(self, field: Field, type_: Type) -> Fragment | None:
        stored_key = self._scalar(field, type_)
        if stored_key is None:
            return None
        key, stored = stored_key
        if stored == BOOL:
            native = self.dialect.equal(key, BOOL, [True, False])
        elif stored == STRING:
            native = self.dialect.there(key)
        else:
            native = self._any_number(key, stored)
        return None if native is None else Fragment(native)

    def _any_number(self, key: str, stored: Type) -> Any:
        zero = 0 if stored == INT else 0.0
        return self.dialect.either([self.dialect.order(key, stored, op, zero) for op in ("<=", ">=")])

    def among(self, field: Field, type_: Type, values: Sequence[Any], negated: bool) -> Fragment | None:
        stored_key = self._scalar(field, type_)
        if stored_key is None:
            return None
        key, stored = stored_key
        if stored in (INT, NUMBER):
            parts = [self._order(field, type_, "!=" if negated else "==", value) for value in values]
            kept = [part for part in parts if part is not None]
            if len(kept) < len(parts) or not kept:
                return None
            join = self.dialect.both if negated else self.dialect.either
            native = kept[0].native if len(kept) == 1 else join([part.native for part in kept])
            return Fragment(native, all(part.exact for part in kept))
        usable = self._constants(field, type_, values)
        if usable is None:
            return None
        if negated and stored == BOOL:
            usable, negated = [value for value in (True, False) if value not in usable], False
        if not usable:
            return self.typed(field, type_) if negated else Fragment(self.nothing())
        native = self.dialect.equal(key, stored, usable)
        if native is None:
            return None
        if negated:
            native = self.dialect.other(key, native, usable)
            return None if native is None else Fragment(native)
        return Fragment(native, self.dialect.exact_texts or stored == BOOL)

    def _order(self, field: Field, type_: Type, op: Operator, value: Any) -> Fragment | None:
        stored_key = self._scalar(field, type_)
        if stored_key is None or not is_number(value):
            return None
        key, stored = stored_key
        if stored == INT:
            comparison = of_integer(op, value)
            if isinstance(comparison, bool):
                return Fragment(self._any_number(key, stored) if comparison else self.nothing())
            op, value = comparison
        exact = abs(value) < DOUBLE_INTS or (stored == INT and self.dialect.exact_integers is True)
        if not exact:
            if stored == INT and self.dialect.exact_integers is None:
                return None
            try:
                value = float(value)
            except OverflowError:
                return None
            # Some integers near the constant are stored as the same double, and none of them may be left out.
            if op == "!=" or isinf(value):
                return Fragment(self._any_number(key, stored), exact=False)
            wide: dict[Operator, Operator] = {"<": "<=", ">": ">="}
            op = wide.get(op, op)
        return Fragment(self._compared(key, stored, op, value), exact)

    def _compared(self, key: str, stored: Type, op: Operator, value: Any) -> Any:
        """A comparison with a number. For some stores -0.0 is less than 0.0."""
        order = self.dialect.order
        low, high = (-0.0, 0.0) if stored == NUMBER and value == 0 else (value, value)
        match op:
            case "==":
                return self.dialect.both([order(key, stored, ">=", low), order(key, stored, "<=", high)])
            case "!=":
                return self.dialect.either([order(key, stored, "<", low), order(key, stored, ">", high)])
        return order(key, stored, op, low if op in ("<", ">=") else high)

    def elements(self, field: Field, atom: Elements) -> Fragment | None:
        return self._holding(field, atom.type, atom.kind, atom.values)

    def _holding(self, field: Field, type_: Type, kind: ElementsKind, values: tuple[Any, ...]) -> Fragment | None:
        """Conditions on elements that are there. The store knows nothing of an array without elements."""
        element = element_of(type_)
        if isinstance(element, EntityT):
            fits = field.refers_to in element.names
        else:
            fits = element == STRING and field.refers_to is None
        key = self.dialect.key(field, SetT(STRING)) if fits else None
        usable = self._constants(field, element or STRING, values)
        if key is None or usable is None or kind not in ("any", "all"):
            return None
        if not usable or (kind == "all" and len(usable) < len(values)):
            return Fragment(self.nothing()) if values else None
        asked = [usable] if kind == "any" else [[value] for value in usable]
        parts = [self.dialect.equal(key, SetT(STRING), each) for each in asked]
        if any(part is None for part in parts):
            return None
        return Fragment(parts[0] if len(parts) == 1 else self.dialect.both(parts), self.dialect.exact_texts)

    def inside(self, atom: Inside) -> Fragment | None:
        field = None if atom.negated else self.find(PARENTS, JSON)
        if field is None or field.refers_to is None:
            return None
        return self._holding(field, SetT(EntityT(frozenset({field.refers_to}))), "any", entities(atom.closed))
