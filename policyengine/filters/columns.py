"""Atoms over a table of typed columns, for any library that holds the table.

A library provides its operations as `Library`; this module translates atoms to these, once for all libraries. A
condition on a null is never true, but may be null or false. So every negation comes with a test that there is a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from policyengine.filters.backend import Fragment, StoreLimits
from policyengine.filters.fields import Fields
from policyengine.filters.numbers import is_number, of_double, of_integer
from policyengine.filters.storable_texts import is_text
from policyengine.filters.table_library import FIRST, LAST, Library, LibraryColumn, number_of, readable, usable_of
from policyengine.filters.walk import PARENTS, OfValue, Worded
from policyengine.model.types import JSON, EntityT, SetT, Type, element_of
from policyengine.partial.formula import (
    Elements,
    Inside,
    Missing,
    OfType,
    Operator,
    Path,
    Present,
    Sized,
    TwoFields,
)

# Up to this many values are searched for one by one.
_MANY = 32
_COMPARED = ("text", "int", "float", "bool", "time")


@dataclass(frozen=True, slots=True)
class Columns(Worded[LibraryColumn]):
    """The backend of a library; implements the protocol `Backend`."""

    library: Library
    fields: Fields

    @property
    def words(self) -> Library:
        return self.library

    @property
    def limits(self) -> StoreLimits:
        return StoreLimits(60)

    def value(self, atom: OfValue, found: LibraryColumn) -> Fragment | None:
        if atom.type == JSON:
            return self.presence(Present(()), found) if isinstance(atom, OfType) else None
        return self.of_value(atom, found) if readable(found, atom.type) else None

    # ---- where a value is ----

    def find(self, path: Path, type_: Type) -> LibraryColumn | None:
        located = self.fields.locate(path)
        if located is None:
            return None
        place, length = located
        column = self.library.column(place.name, (*place.path, *path[length:]))
        if column is None:
            return None
        # Structs on the mapping's way to a column are not attributes of the document; only those below the column are.
        within = column.within[len(column.within) - len(path) + length :]
        return replace(column, within=within, whole=length == 1, null=place.null, refers_to=place.refers_to)

    def presence(self, atom: Present | Missing, found: LibraryColumn) -> Fragment:
        """For a null in a column, only its Field tells whether it is an attribute."""
        missing = isinstance(atom, Missing)
        around = [self._there(struct) for struct in found.within]
        null = self.library.null(found.expr)
        if missing:
            condition = self.nothing() if found.null == "null" else self._both([*around, null])
            return Fragment(condition, found.whole and found.null is not None)
        if found.null == "absent":
            return Fragment(self._there(found.expr))
        return Fragment(self._both(around), found.whole and found.null is not None)

    def _there(self, expr: Any) -> Any:
        return self.library.negation(self.library.null(expr))

    def _both(self, conditions: list[Any]) -> Any:
        if not conditions:
            return self.everything()
        return conditions[0] if len(conditions) == 1 else self.library.both(conditions)

    # ---- values of a type ----

    def typed(self, found: LibraryColumn, type_: Type) -> Fragment | None:
        if isinstance(type_, EntityT) and found.refers_to not in type_.names:
            return Fragment(self.nothing())
        if found.kind in ("texts", "ints"):
            return Fragment(self.library.whole(found))
        return Fragment(self._valid(found), found.kind != "duration")

    def _valid(self, found: LibraryColumn) -> Any:
        """Whether the column has a value that a request could hold."""
        match found.kind:
            case "float":
                return self.library.finite(found.expr)
            case "time":
                bounds = (self._compare(found, ">=", FIRST), self._compare(found, "<=", LAST))
                return self._both([self._there(found.expr), *(b for b in bounds if b is not True)])
            case "duration":
                return self.library.relation(found.expr, ">=", 0)
        return self._there(found.expr)

    def _compare(self, found: LibraryColumn, op: Operator, value: Any) -> Any:
        """The comparison of a number; True or False if it does not depend on the column."""
        exact = value * found.units if found.kind in ("time", "duration") else value
        comparison = of_double(op, exact) if found.kind == "float" else of_integer(op, exact)
        return comparison if isinstance(comparison, bool) else self.library.relation(found.expr, *comparison)

    def related(self, found: LibraryColumn, type_: Type, op: Operator, value: Any) -> Fragment | None:
        if found.kind in ("text", "bool"):
            return self.among(found, type_, (value,), op == "!=") if op in ("==", "!=") else None
        number = number_of(value, found)
        if number is None:
            return None
        comparison = self._compare(found, op, number)
        if comparison is False:
            return Fragment(self.nothing())
        if comparison is True:
            return Fragment(self._valid(found), found.kind != "duration")
        bounded = found.kind == "int" or op == "=="
        return Fragment(
            comparison if bounded else self._both([comparison, self._valid(found)]), found.kind != "duration"
        )

    def among(self, found: LibraryColumn, type_: Type, values: tuple[Any, ...], negated: bool) -> Fragment | None:
        if isinstance(type_, EntityT) and found.refers_to not in type_.names:
            return Fragment(self.nothing())
        usable = usable_of(found, type_, values)
        if usable is None:
            return None
        exact = found.kind != "duration"
        if not usable:
            return Fragment(self._valid(found) if negated else self.nothing(), exact)
        if len(usable) > 1 and found.kind != "float":
            native = self.library.among(found.expr, usable)
        else:
            # Compared with `==`, for which -0.0 is 0.0.
            options = [self.library.relation(found.expr, "==", value) for value in usable]
            native = options[0] if len(options) == 1 else self.library.either(options)
        if negated:
            return Fragment(self._apart(found, native), exact)
        return Fragment(native, exact)

    def like(self, found: LibraryColumn, pieces: tuple[str, ...], negated: bool) -> Fragment | None:
        if not all(map(is_text, pieces)):
            return None
        like = self.library.like(found.expr, pieces)
        return Fragment(self._apart(found, like) if negated else like)

    def _apart(self, found: LibraryColumn, condition: Any) -> Any:
        return self.library.both([self._valid(found), self.library.negation(condition)])

    # ---- collections ----

    def elements(self, found: LibraryColumn, atom: Elements) -> Fragment | None:
        usable = usable_of(found, element_of(atom.type) or JSON, atom.values)
        if usable is None:
            return None
        library, whole = self.library, self.library.whole(found)
        match atom.kind:
            case "any" | "none":
                condition = library.any(found, usable) if usable else library.nothing()
            case "all" | "lacks" if len(usable) > _MANY:
                # One by one, each value would be searched for in the whole list.
                return self._wide(found, usable, atom.kind == "all" and len(usable) == len(atom.values))
            case "all" | "lacks":
                whole_set = len(usable) == len(atom.values)
                condition = self._every(found, usable) if whole_set else library.nothing()
            case _:
                condition = self._only(found, usable)
        if atom.kind in ("none", "lacks", "other"):
            condition = library.negation(condition)
        return Fragment(library.both([whole, condition]))

    def _wide(self, found: LibraryColumn, values: Sequence[Any], every: bool) -> Fragment:
        """Only the first of many values are searched for, and only if all of them must be there."""
        whole = self.library.whole(found)
        return Fragment(self.library.both([whole, self._every(found, values[:_MANY])]) if every else whole, exact=False)

    def _every(self, found: LibraryColumn, values: Sequence[Any]) -> Any:
        return self._both([self.library.any(found, [value]) for value in values])

    def _only(self, found: LibraryColumn, values: Sequence[Any]) -> Any:
        if not values:
            return self.library.relation(self.library.count(found.expr), "==", 0)
        return self.library.only(found, values)

    def equals(self, found: LibraryColumn, type_: Type, values: tuple[Any, ...], negated: bool) -> Fragment | None:
        """Whether a list, or a set, equals a constant."""
        usable = usable_of(found, element_of(type_) or JSON, values)
        if usable is None:
            return None
        if len(usable) < len(values):
            condition = self.nothing()
        elif isinstance(type_, SetT) and len(usable) > _MANY:
            return self._wide(found, usable, not negated)
        elif isinstance(type_, SetT) or not usable:
            condition = self._both([self._only(found, usable), *([self._every(found, usable)] if usable else [])])
        else:
            condition = self.library.equals(found, usable)
        if negated:
            condition = self.library.negation(condition)
        return Fragment(self.library.both([self.library.whole(found), condition]))

    def sized(self, found: LibraryColumn, atom: Sized) -> Fragment | None:
        if not is_number(atom.count):
            return None
        comparison = of_integer(atom.op, atom.count)
        if found.kind == "text":
            valid, length = self._valid(found), self.library.length(found.expr)
        elif found.kind in ("texts", "ints"):
            valid, length = self.library.whole(found), self.library.count(found.expr)
            if isinstance(atom.type, SetT):
                different = self.library.distinct(found.expr)
                if different is None:
                    return self._different(comparison, valid, length)
                length = different
        else:
            return None
        if isinstance(comparison, bool):
            return Fragment(valid if comparison else self.nothing())
        return Fragment(self.library.both([valid, self.library.relation(length, *comparison)]))

    def _different(self, comparison: tuple[Operator, int] | bool, valid: Any, count: Any) -> Fragment:
        """The number of different elements, if only the number of all elements is known: it is no larger, and is zero
        only if there are no elements."""
        if isinstance(comparison, bool):
            return Fragment(valid if comparison else self.nothing())
        op, bound = comparison
        if (op, bound) in (("==", 0), ("<=", 0), ("<", 1), ("!=", 0), (">", 0), (">=", 1)):
            return Fragment(self.library.both([valid, self.library.relation(count, op, bound)]))
        if op in ("==", ">", ">="):
            least: Operator = ">=" if op == "==" else op
            return Fragment(self.library.both([valid, self.library.relation(count, least, bound)]), exact=False)
        return Fragment(valid, exact=False)

    # ---- two values, and the parents of the document ----

    def two(self, atom: TwoFields) -> Fragment | None:
        left, right = self.find(atom.path, atom.type), self.find(atom.other, atom.other_type)
        if left is None or right is None or left.kind != right.kind or left.kind not in _COMPARED:
            return None
        if not readable(left, atom.type) or not readable(right, atom.other_type) or left.refers_to != right.refers_to:
            return None
        for column, type_ in ((left, atom.type), (right, atom.other_type)):
            if isinstance(type_, EntityT) and column.refers_to not in type_.names:
                return None
        return Fragment(
            self.library.both(
                [self._valid(left), self._valid(right), self.library.relation(left.expr, atom.op, right.expr)]
            )
        )

    def inside(self, atom: Inside) -> Fragment | None:
        parents = self.find(PARENTS, JSON)
        if parents is None or parents.kind != "texts" or parents.refers_to is None:
            return None
        usable = [uid.id for uid in sorted(atom.closed) if uid.type == parents.refers_to]
        if not all(map(is_text, usable)):
            return None
        condition = self.library.any(parents, usable) if usable else self.nothing()
        whole = self.library.whole(parents)
        if not atom.negated:
            return Fragment(self.library.both([whole, condition]))
        apart = self.library.both([whole, self.library.negation(condition)])
        if parents.null == "null":
            return Fragment(apart)
        # A document without parents is not below anything.
        return Fragment(self.library.either([apart, self.library.null(parents.expr)]), parents.null == "absent")
