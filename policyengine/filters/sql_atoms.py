"""The SQL condition for each atom, in any dialect.

A place is a scalar column, an array column, or a place in a column of JSON. A condition that is true of more documents
than its atom is marked so; an atom without a condition gives None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from policyengine.filters.backend import Fragment
from policyengine.filters.fields import Field, Fields
from policyengine.filters.sql_arrays import JsonArray
from policyengine.filters.sql_scalars import NOTHING, among, holds_type, is_json, is_typed, related, without
from policyengine.filters.sql_text import Sql, SqlColumn, both, either, sql
from policyengine.filters.sql_text import negated as sql_not
from policyengine.filters.sql_values import (
    Array,
    ArrayRelation,
    Dialect,
    Json,
    SqlValue,
    compared_integers,
    storable,
)
from policyengine.filters.walk import PARENTS, OfValue, Walk, entities
from policyengine.model.fine_time import coarse, is_fine
from policyengine.model.types import BOOL, INT, JSON, NUMBER, STRING, TIME, EntityT, SetT, Type, element_of
from policyengine.model.values import INT_MAX, INT_MIN, Entity, Uid
from policyengine.partial.formula import (
    Elements,
    ElementsKind,
    Inside,
    Missing,
    OfType,
    Operator,
    Path,
    Present,
    Relation,
    Sized,
    TwoFields,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
_HOW: dict[ElementsKind, ArrayRelation] = {
    "any": "overlaps", "none": "overlaps", "all": "includes", "lacks": "includes", "only": "is_within",
    "other": "is_within",
}  # fmt: skip


class Atoms(Walk[Field]):
    """The conditions of a dialect for atoms, for documents that are kept in these columns."""

    def __init__(self, dialect: Dialect, fields: Fields) -> None:
        self._dialect = dialect
        self.fields = fields

    def find(self, path: Path, type_: Type) -> Field | None:
        return self.fields.find(path)

    def value(self, atom: OfValue, found: Field) -> Fragment | None:
        return self._of_type(self._of_value(atom, found), (found, atom.type))

    def two(self, atom: TwoFields) -> Fragment | None:
        left, right = self.fields.find(atom.path), self.fields.find(atom.other)
        if left is None or right is None:
            return None
        return self._of_type(self._pair(atom, left, right), (left, atom.type), (right, atom.other_type))

    def naming(self, path: Path, name: str) -> Fragment | None:
        field = self.fields.find(path)
        if field is None or not field.json:
            return None
        # Searches the whole column, as text; a name may be written with escapes.
        column = sql(SqlColumn(field.name))
        return Fragment(either(*(self._dialect.says(column, part) for part in (f'"{name}"', "\\u"))), False)

    def _of_value(self, atom: OfValue, field: Field) -> Fragment | None:
        if element_of(atom.type) is not None:
            return self._of_collection(atom, field)
        if atom.type == TIME and not field.json:
            return self._of_time(atom, field)
        if not field.json and not is_typed(atom.type, field):
            return None
        return self._of_any_shape(atom, field) if atom.type == JSON else self.of_value(atom, field)

    def _of_type(self, condition: Fragment | None, *columns: tuple[Field, Type]) -> Fragment | None:
        """The condition, with tests that the columns hold values of the types."""
        if condition is None or condition.native == NOTHING:
            return condition
        beside = dict.fromkeys(
            each
            for field, type_ in columns
            if not field.json and type_ != JSON
            for each in self._dialect.is_of(sql(SqlColumn(field.name)), type_)
        )
        return replace(condition, native=both(condition.native, *beside)) if beside else condition

    # ---- places ----

    def _value(self, field: Field) -> SqlValue:
        """A scalar, or any value inside JSON."""
        return self._json(field) if field.json else self._dialect.scalar((SqlColumn(field.name),))

    def _json(self, field: Field) -> Json:
        json_value = self._dialect.json((SqlColumn(field.name),))
        for name in field.path:
            json_value = json_value.get(name)
        return json_value

    def _array(self, field: Field, element: Type) -> Array | JsonArray | None:
        if field.json:
            return JsonArray(self._json(field), element, self._dialect)
        if isinstance(element, EntityT):
            if field.refers_to not in element.names:
                return None
            element = STRING
        elif field.refers_to is not None:
            return None
        return self._dialect.array((SqlColumn(field.name),), element)

    # ---- whether a value is there ----

    def presence(self, atom: Present | Missing, found: Field) -> Fragment | None:
        return self._missing(atom.path, found) if isinstance(atom, Missing) else self._present(atom.path, found)

    def _present(self, path: Path, field: Field) -> Fragment | None:
        if field.null is None and not _below_column(field):
            return None
        if field.null == "null" and not _below_column(field):
            # For a name below another, the object may be missing.
            return Fragment(sql("1 = 1"), len(path) == 1)
        return Fragment(self._json(field).there() if field.json else sql(SqlColumn(field.name), " IS NOT NULL"))

    def _missing(self, path: Path, field: Field) -> Fragment:
        if not _below_column(field):
            absent = sql(SqlColumn(field.name), " IS NULL")
            said = Fragment(absent, field.null is not None) if field.null != "null" else Fragment(sql("1 = 0"))
        else:
            said = Fragment(both(sql_not(self._json(field).there()), self._readable(field, self.fields.rest(path))))
        if len(path) == 1:
            return said
        above = self.fields.find(path[:-1])
        if above is None or not above.json or replace(above, path=(*above.path, path[-1])) != field:
            return Fragment(said.native, False)
        return Fragment(both(self._json(above).is_kind("object"), said.native), said.exact)

    def _readable(self, field: Field, rest: Field | None) -> Sql:
        """Tests for JSON that can lack something. A text that is not JSON proves nothing, nor does a value that is not
        an object where the document itself should be."""
        whole, none = self._dialect.json((SqlColumn(field.name),)), sql(SqlColumn(field.name), " IS NULL")
        if rest is None or not rest.path:
            return either(none, whole.there() if rest is None else whole.is_kind("object"))
        document = self._json(rest)
        return either(none, both(whole.there(), either(sql_not(document.there()), document.is_kind("object"))))

    # ---- scalars ----

    def typed(self, found: Field, type_: Type) -> Fragment | None:
        return holds_type(self._value(found), type_, found)

    def related(self, found: Field, type_: Type, op: Operator, value: Any) -> Fragment | None:
        if op in ("==", "!="):
            return self.among(found, type_, (value,), op == "!=")
        if type_ in (INT, NUMBER):
            return related(self._value(found), type_, op, value, self._dialect)
        return _wider(self.typed(found, type_))

    def among(self, found: Field, type_: Type, values: tuple[Any, ...], negated: bool) -> Fragment | None:
        return (without if negated else among)(self._value(found), type_, values, found, self._dialect)

    def sized(self, found: Field, atom: Sized) -> Fragment | None:
        if atom.type != STRING:
            return None
        return _comparison(self._dialect.length(self._value(found).text()), atom.op, atom.count, self._dialect)

    def _of_any_shape(self, atom: OfValue, field: Field) -> Fragment | None:
        match atom:
            case OfType():
                return self._present(atom.path, field)
            case Relation(op="==" | "!=" as op, value=constant):
                return self._of_json(field, op, constant)
            case Relation():
                return _wider(self.typed(field, JSON))
        return None

    def _of_json(self, field: Field, op: Operator, constant: Any) -> Fragment | None:
        """Compares a value of any shape with a constant."""
        value = self._json(field)
        same = is_json(value, constant, self._dialect)
        if same is None:
            return None if op == "==" else replace(Fragment(value.there()), exact=False)
        # A column that is NULL may mean a null in the document.
        unclear = field.null != "absent" and not _below_column(field)
        null = sql(SqlColumn(field.name), " IS NULL")
        if op == "==":
            if constant is not None or not unclear:
                return same
            return Fragment(either(same.native, null), field.null is not None)
        # A value that contains a number that is not finite cannot be compared; that case is not detected.
        there = value.there()
        other = both(there, sql("(", same.native, ") IS NOT TRUE")) if same.exact else there
        return Fragment(either(other, null) if unclear and constant is not None else other, False)

    def like(self, found: Field, pieces: Sequence[str], negated: bool) -> Fragment | None:
        text = self._value(found).text()
        there = sql(text, " IS NOT NULL")
        liked = self._dialect.like(text, pieces) if all(map(storable, pieces)) else None
        if liked is None:
            return Fragment(there, False)
        return Fragment(both(there, sql_not(liked)) if negated else liked)

    def _of_time(self, atom: Any, field: Field) -> Fragment | None:
        column = sql(SqlColumn(field.name))
        match atom:
            case OfType():
                compared = self._dialect.time(column, None, _EPOCH)
            case Relation(op=op, value=constant) if is_fine(constant):
                return self._of_fine(column, op, constant)
            case Relation(op=op, value=constant):
                compared = self._dialect.time(column, op, constant)
            case _:
                return None
        return None if compared is None else Fragment(compared)

    def _of_fine(self, column: Sql, op: Operator, constant: datetime) -> Fragment | None:
        """Compares with a time that has a part of a microsecond, which no parameter can hold: with the next
        microsecond, or with the one that it is in."""
        compared = self._dialect.time(column, None, _EPOCH)
        if op in (">", ">="):
            compared = self._dialect.time(column, ">", coarse(constant))
        elif op in ("<", "<=") and coarse(constant) < _LAST:
            compared = self._dialect.time(column, "<", coarse(constant) + timedelta(microseconds=1))
        return None if compared is None else Fragment(compared, False)

    # ---- pairs ----

    def _pair(self, atom: TwoFields, left: Field, right: Field) -> Fragment | None:
        sides = [(left, atom.type, self._value(left)), (right, atom.other_type, self._value(right))]
        if not all(field.json or is_typed(type_, field) for field, type_, _ in sides):
            return None
        typed = [holds_type(value, type_, field) for field, type_, value in sides]
        if typed[0] is None or typed[1] is None:
            return None
        exprs = [_comparable(type_, value) for _, type_, value in sides]
        if exprs[0] is None or exprs[1] is None or atom.type != atom.other_type:
            return Fragment(both(typed[0].native, typed[1].native), False)
        sign = "=" if atom.op in ("==", "!=") else atom.op
        compared = sql(exprs[0], f" {sign} ", exprs[1])
        if atom.op == "!=":
            compared = sql_not(compared)
        return Fragment(compared)

    # ---- hierarchies ----

    def under(self, found: Field, type_: EntityT, closed: frozenset[Uid], negated: bool) -> Fragment | None:
        of_type = frozenset(uid for uid in closed if uid.type in type_.names)
        said = self.among(found, type_, entities(of_type), negated)
        typed = self.typed(found, type_)
        if not found.json or said is None or typed is None:
            return said
        # A reference inside JSON may name parents of its own.
        if negated:
            return _wider(said)
        climbs = self._json(found).get("parents").there()
        return Fragment(either(said.native, both(typed.native, climbs)), False)

    def inside(self, atom: Inside) -> Fragment | None:
        field = self.fields.find(PARENTS)
        if field is None:
            return None
        if field.json:
            return self._inside_json(atom, field)
        array = None if field.refers_to is None else self._dialect.array((SqlColumn(field.name),), STRING)
        if array is None:
            return None
        ids = [uid.id for uid in sorted(atom.closed) if uid.type == field.refers_to]
        if not all(map(storable, ids)):
            return None
        if not atom.negated:
            return Fragment(array.elements("overlaps", ids))
        outside = array.lacks("overlaps", ids)
        if field.null == "null":
            return Fragment(outside)
        return Fragment(either(sql(SqlColumn(field.name), " IS NULL"), outside), field.null == "absent")

    def _inside_json(self, atom: Inside, field: Field) -> Fragment | None:
        """Parents inside JSON may name parents of their own, which only evaluation follows."""
        parents = self._json(field)
        source, parent = parents.each()
        fragment = among(
            parent, EntityT(_types(atom.closed)), tuple(map(Entity, sorted(atom.closed))), None, self._dialect
        )
        if fragment is None:
            return None
        if not atom.negated:
            climbs = parent.get("parents").there()
            return Fragment(
                sql("EXISTS (SELECT 1 FROM ", source, " WHERE ", either(fragment.native, climbs), ")"), False
            )
        outside = both(
            parents.is_kind("array"), sql_not(sql("EXISTS (SELECT 1 FROM ", source, " WHERE ", fragment.native, ")"))
        )  # fmt: skip
        absent = sql_not(parents.there()) if _below_column(field) else sql(SqlColumn(field.name), " IS NULL")
        return Fragment(either(absent, outside), False)

    # ---- collections ----

    def _of_collection(self, atom: Any, field: Field) -> Fragment | None:
        element = element_of(atom.type)
        assert element is not None
        array = self._array(field, element)
        if isinstance(array, JsonArray):
            return array.fragment_of(atom)
        if array is None or (values := _elements(atom, element, field)) is None:
            return None
        return _of_array(atom, array, values, self._dialect)


def _of_array(atom: Any, array: Array, values: Sequence[Any], dialect: Dialect) -> Fragment | None:
    match atom:
        case OfType():
            return Fragment(array.well_formed())
        case Elements(kind=kind):
            how, outside = _HOW[kind], kind in ("none", "lacks", "other")
        case Relation(op="==" | "!=" as op):
            how, outside = "same_set" if isinstance(atom.type, SetT) else "same_list", op == "!="
        case Sized(op=op, count=count):
            as_set = isinstance(atom.type, SetT)
            said = _comparison(array.different() if as_set else array.length(), op, count, dialect)
            return Fragment(both(array.well_formed(), said.native))
        case _:
            return None
    return Fragment(array.lacks(how, values) if outside else array.elements(how, values))


def _elements(atom: Any, element: Type, field: Field) -> list[Any] | None:
    """The constants of an atom about a collection, in the form of a column of texts or integers; None if there is
    none."""
    given = atom.values if isinstance(atom, Elements) else atom.value if isinstance(atom, Relation) else ()
    values: list[Any] = []
    for value in given:
        if isinstance(element, EntityT):
            if not isinstance(value, Entity):
                return None
            if value.uid.type != field.refers_to:
                # A constant that no element can be is never found.
                if isinstance(atom, Elements) and atom.kind not in ("all", "lacks"):
                    continue
                return None
            values.append(value.uid.id)
        elif element == INT and isinstance(value, int | float) and INT_MIN <= value <= INT_MAX and value == int(value):
            values.append(int(value))
        elif element == STRING and isinstance(value, str):
            values.append(str.__str__(value))
        else:
            return None
    return values if all(map(storable, values)) else None


def _wider(fragment: Fragment | None) -> Fragment | None:
    return None if fragment is None else replace(fragment, exact=False)


def _comparison(expr: Sql, op: Operator, count: int | float, dialect: Dialect) -> Fragment:
    return Fragment(compared_integers(expr, op, count, dialect) or sql("1 = 0"))


def _comparable(type_: Type, value: SqlValue) -> Sql | None:
    if type_ == STRING:
        return value.text()
    if type_ == INT:
        return value.integer()
    return value.truth() if type_ == BOOL else None


def _below_column(field: Field) -> bool:
    """Whether a NULL in the column means that the value is missing, rather than being its null."""
    return field.json and bool(field.path)


def _types(uids: frozenset[Uid]) -> frozenset[str]:
    return frozenset(uid.type for uid in uids)
