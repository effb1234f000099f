"""Conditions in SQL on an array inside a JSON document, which read its elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from policyengine.filters.backend import Fragment
from policyengine.filters.sql_scalars import NOTHING, among, holds_type, is_json, without
from policyengine.filters.sql_text import Sql, both, either, negated, sql
from policyengine.filters.sql_values import Dialect, Json, compared_integers, storable
from policyengine.model.types import INT, JSON, STRING, EntityT, SetT, Type
from policyengine.partial.formula import Elements, OfType, Relation, Sized

# The most constants that are searched for one by one.
MAX_CONSTANTS = 64


@dataclass(frozen=True, slots=True)
class JsonArray:
    """An array of elements of a type, inside JSON."""

    value: Json
    element: Type
    dialect: Dialect

    def fragment_of(self, atom: OfType | Elements | Relation | Sized | Any) -> Fragment | None:
        well = self._well_formed()
        if well is None:
            return None
        match atom:
            case OfType():
                return well
            case Elements(values=values):
                comparison = self._held(atom.kind, values)
            case Sized(op=op, count=count):
                expr = self._different() if isinstance(atom.type, SetT) else self.value.length()
                compared = None if expr is None else compared_integers(expr, op, count, self.dialect) or NOTHING
                comparison = None if compared is None else Fragment(compared)
            case Relation(op="==" | "!=", value=constant) if constant.__class__ in (tuple, list):
                comparison = self._equal(atom, constant)
            case _:
                return None
        # The comparison may be valid only for well-formed arrays.
        if comparison is None:
            return Fragment(well.native, False)
        return Fragment(both(well.native, comparison.native), well.exact and comparison.exact)

    def _well_formed(self) -> Fragment | None:
        """Tests for an array whose elements are all of the type."""
        is_array = self.value.is_kind("array")
        if self.element == JSON:
            return Fragment(is_array)
        texts = self.value.is_texts() if self.element == STRING else None
        if texts is not None:
            return Fragment(texts)
        typed = holds_type(self.value.each()[1], self.element, None)
        if typed is None:
            return None
        return Fragment(both(is_array, negated(self._some(sql("(", typed.native, ") IS NOT TRUE")))), typed.exact)

    def _some(self, condition: Sql) -> Sql:
        """Tests that an element meets the condition. Never NULL."""
        return sql("EXISTS (SELECT 1 FROM ", self.value.each()[0], " WHERE ", condition, ")")

    def _held(self, kind: str, values: Sequence[Any]) -> Fragment | None:
        if self.element == JSON:
            return self._held_of_any_shape(kind, values)
        if kind in ("any", "none") and len(values) == 1 and self.element == STRING and storable(values[0]):
            included = self.value.includes(str.__str__(values[0]))
            if included is not None:
                return Fragment(included if kind == "any" else negated(included))
        element = self.value.each()[1]
        inside = among(element, self.element, values, None, self.dialect)
        if inside is None:
            return None
        match kind:
            case "any":
                return Fragment(self._some(inside.native), inside.exact)
            case "none":
                return Fragment(negated(self._some(inside.native))) if inside.exact else None
            case "other":
                outside = without(element, self.element, values, None, self.dialect)
                return None if outside is None else Fragment(self._some(outside.native), outside.exact)
            case "only":
                other = self._some(sql("(", inside.native, ") IS NOT TRUE"))
                return Fragment(negated(other), inside.exact)
        if len(values) > MAX_CONSTANTS:
            return None
        each = [self._held("any", (value,)) for value in values]
        if any(one is None or not one.exact for one in each):
            return None
        every = both(*(one.native for one in each if one is not None)) if each else sql("1 = 1")
        return Fragment(every if kind == "all" else negated(every))

    def _held_of_any_shape(self, kind: str, values: Sequence[Any]) -> Fragment | None:
        """Reads elements from left to right, up to one that cannot be compared; that case is not detected."""
        if kind != "any" or len(values) != 1:
            return None
        same = is_json(self.value.each()[1], values[0], self.dialect)
        return None if same is None else Fragment(self._some(same.native), False)

    def _different(self) -> Sql | None:
        """The number of different elements."""
        source, element = self.value.each()
        if self.element == STRING:
            keys = sql(element.text(), " AS a")
        elif self.element == INT:
            keys = sql(element.integer(), " AS a")
        elif isinstance(self.element, EntityT):
            keys = sql(element.get("type").text(), " AS a, ", element.get("id").text(), " AS b")
        else:
            return None
        return sql("(SELECT count(*) FROM (SELECT DISTINCT ", keys, " FROM ", source, ") AS _d)")

    def _equal(self, atom: Relation, constants: Sequence[Any]) -> Fragment | None:
        if len(constants) > MAX_CONSTANTS:
            return None
        if isinstance(atom.type, SetT):
            kinds = ("all", "only") if atom.op == "==" else ("lacks", "other")
            sides = [self._held(kind, constants) if constants or kind in ("only", "other") else None for kind in kinds]
            conditions = [side for side in sides if side is not None]
            if len(conditions) < (2 if constants else 1) or not all(side.exact for side in conditions):
                return None
            joined = both if atom.op == "==" else either
            return Fragment(joined(*(side.native for side in conditions)))
        if self.element == JSON:
            return None
        parts = [compared_integers(self.value.length(), atom.op, len(constants), self.dialect) or NOTHING]
        for at, constant in enumerate(constants):
            of = among if atom.op == "==" else without
            part = of(self.value.item(at), self.element, (constant,), None, self.dialect)
            if part is None or not part.exact:
                return None
            parts.append(part.native)
        return Fragment(both(*parts) if atom.op == "==" else either(*parts))
