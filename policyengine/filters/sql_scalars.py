"""SQL conditions on one value and constants: whether it is of a type, is one of these, is less than that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from policyengine.filters.backend import Fragment
from policyengine.filters.fields import Field
from policyengine.filters.sql_text import Sql, both, either, negated, sql
from policyengine.filters.sql_values import SAFE, Dialect, Json, SqlValue, compared_integers, storable
from policyengine.model.types import BOOL, DURATION, INT, IP, JSON, NUMBER, STRING, TIME, EntityT, RecordT, Type
from policyengine.model.values import INT_MAX, INT_MIN, Entity
from policyengine.partial.formula import Operator

NOTHING = sql("1 = 0")


def is_typed(type_: Type, field: Field) -> bool:
    """Whether a column that is not JSON can hold values of the type."""
    if isinstance(type_, EntityT):
        return field.refers_to is not None
    return field.refers_to is None and type_ in (STRING, INT, NUMBER, BOOL, TIME)


def holds_type(value: Any, type_: Type, field: Field | None) -> Fragment | None:
    """Tests that the value is there and of the type."""
    if type_ == STRING:
        return Fragment(_there(value.text()))
    if type_ == INT:
        return Fragment(_there(value.integer()))
    if type_ == BOOL:
        return Fragment(_there(value.truth()))
    if type_ == NUMBER:
        return Fragment(value.is_number())
    if isinstance(type_, EntityT):
        if field is not None and not field.json:
            return Fragment(_there(value.text()) if field.refers_to in type_.names else NOTHING)
        kind, id_ = value.get("type"), value.get("id")
        names = [name for name in sorted(type_.names) if storable(name)]
        return Fragment(both(_there(id_.text()), kind.is_text_of(names) if names else NOTHING))
    if type_ in (TIME, DURATION, IP):
        return Fragment(_there(value.text()), False)
    if isinstance(type_, RecordT):
        return Fragment(value.is_kind("object"))
    return Fragment(value.there()) if type_ == JSON else None


def among(value: Any, type_: Type, constants: Sequence[Any], field: Field | None, dialect: Dialect) -> Fragment | None:
    """Tests that the value is of the type and is one of the constants."""
    if not constants:
        return Fragment(NOTHING)
    if type_ == STRING:
        texts = _texts(constants)
        return None if texts is None else Fragment(value.is_text_of(texts))
    if type_ == INT:
        return _integers(value, constants, dialect)
    if type_ == BOOL:
        return (
            Fragment(sql(value.truth(), " IS TRUE" if constants[0] else " IS FALSE")) if len(constants) == 1 else None
        )
    if type_ == NUMBER:
        fragments = [_number(value, "==", constant) for constant in constants]
        return (
            Fragment(either(*(s.native for s in fragments)), all(s.exact for s in fragments))
            if len(fragments) <= 32
            else None
        )
    if isinstance(type_, EntityT):
        return _entities(value, type_, constants, field, dialect)
    typed = holds_type(value, type_, field) if type_ in (TIME, DURATION, IP) else None
    return None if typed is None else Fragment(typed.native, False)


def without(
    value: Any, type_: Type, constants: Sequence[Any], field: Field | None, dialect: Dialect
) -> Fragment | None:
    """Tests that the value is of the type and is none of the constants."""
    typed = holds_type(value, type_, field)
    if typed is None:
        return None
    other = _other(value, type_, constants, field, dialect)
    if other is not None:
        return Fragment(other, typed.exact)
    fragment = among(value, type_, constants, field, dialect)
    if fragment is None or not fragment.exact:
        return Fragment(typed.native, False)
    # For a value of the type, `fragment` is never NULL.
    return typed if fragment.native == NOTHING else Fragment(both(typed.native, negated(fragment.native)), typed.exact)


def _other(value: Any, type_: Type, constants: Sequence[Any], field: Field | None, dialect: Dialect) -> Sql | None:
    """Tests that a text or an integer is none of the constants. Its expression is NULL if the value is of another type,
    so no further test of the type is needed. No index serves a condition of inequality."""
    if type_ == INT:
        whole = _whole(constants)
        return negated(dialect.one_of(value.integer(), whole)) if whole else None
    if isinstance(type_, EntityT) and field is not None and not field.json:
        ids = _ids(constants, type_)
        names = ids and field.refers_to in type_.names and ids.get(field.refers_to)
        return negated(dialect.one_of(value.text(), names)) if names else None
    texts = _texts(constants) if type_ == STRING else None
    return negated(dialect.one_of(value.text(), texts)) if texts else None


def related(value: SqlValue, type_: Type, op: Operator, constant: Any, dialect: Dialect) -> Fragment | None:
    """Tests that the value is a number of the type, and compares it with the constant."""
    if isinstance(constant, bool) or not isinstance(constant, int | float):
        return None
    if type_ == INT:
        return Fragment(compared_integers(value.integer(), op, constant, dialect) or NOTHING)
    return _number(value, op, constant)


def is_json(value: Json, constant: Any, dialect: Dialect) -> Fragment | None:
    """Tests that a value of any shape equals the constant. True, false or NULL; None if SQL cannot express it."""
    if constant is None:
        return Fragment(value.is_kind("null"))
    if isinstance(constant, bool):
        return Fragment(sql(value.truth(), " IS TRUE" if constant else " IS FALSE"))
    if isinstance(constant, str):
        return Fragment(value.is_text_of([str.__str__(constant)])) if storable(constant) else None
    if isinstance(constant, int | float):
        return _number(value, "==", constant)
    if constant.__class__ in (list, tuple) and not constant:
        return Fragment(both(value.is_kind("array"), sql(value.length(), " = 0")))
    return None


def _number(value: SqlValue, op: Operator, constant: int | float) -> Fragment:
    if -SAFE <= constant <= SAFE:
        return value.compared(op, constant)
    # Columns of integers, doubles and decimals differ here.
    return Fragment(value.is_number(), False)


def _integers(value: SqlValue, constants: Sequence[Any], dialect: Dialect) -> Fragment | None:
    whole = _whole(constants)
    if whole is None:
        return None
    return Fragment(dialect.one_of(value.integer(), whole) if whole else NOTHING)


def _whole(constants: Sequence[Any]) -> list[int] | None:
    """Those that a 64-bit integer can equal; None if one is not a number."""
    whole: list[int] = []
    for constant in constants:
        if isinstance(constant, bool) or not isinstance(constant, int | float):
            return None
        if INT_MIN <= constant <= INT_MAX and constant == int(constant):
            whole.append(int(constant))
    return whole


def _entities(
    value: Any, type_: EntityT, constants: Sequence[Any], field: Field | None, dialect: Dialect
) -> Fragment | None:  # fmt: skip
    ids = _ids(constants, type_)
    if ids is None:
        return None
    if field is not None and not field.json:
        wanted = ids.get(field.refers_to or "", [])
        return Fragment(value.is_text_of(wanted) if wanted and field.refers_to in type_.names else NOTHING)
    if not ids:
        return Fragment(NOTHING)
    id_, kind = value.get("id"), value.get("type")
    return Fragment(either(*(both(kind.is_text_of([name]), id_.is_text_of(ids[name])) for name in ids)))


def _ids(constants: Sequence[Any], type_: EntityT) -> dict[str, list[str]] | None:
    """The ids of the entities of this type, by the names of their types; None if one cannot be sent."""
    ids: dict[str, list[str]] = {}
    for constant in constants:
        if not isinstance(constant, Entity) or not storable(constant.uid.id) or not storable(constant.uid.type):
            return None
        if constant.uid.type in type_.names:
            ids.setdefault(constant.uid.type, []).append(constant.uid.id)
    return ids


def _texts(constants: Sequence[Any]) -> list[str] | None:
    if not all(isinstance(constant, str) and storable(constant) for constant in constants):
        return None
    return [str.__str__(constant) for constant in constants]


def _there(expr: Sql) -> Sql:
    return sql(expr, " IS NOT NULL")
