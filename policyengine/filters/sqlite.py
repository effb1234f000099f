"""The SQL of SQLite: columns of texts, integers and reals, and JSON kept as text.

Any column can hold any type, so the type is tested on the value (`typeof`). Names are written in backticks: in double
quotes, a name without a column would be read as a text. In JSON, a NUL ends a text for some versions, so it is replaced
beforehand by a byte that no text has. For a number with a fraction SQLite may read another double than Python, so only
integers inside JSON are compared exactly. Facts are from sqlite.org, tested on 3.40.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import nextafter
from sys import float_info
from typing import Literal

from policyengine.filters.backend import Fragment
from policyengine.filters.sql_text import Param, Sql, both, sql
from policyengine.model.types import Type
from policyengine.partial.formula import Operator

# The most nested SELECTs for one pattern.
MAX_PIECES = 20


@dataclass(frozen=True, slots=True)
class SQLite:
    """The dialect."""

    name: str = "SQLite"

    def identifier(self, name: str) -> str:
        return "`" + name.replace("`", "``") + "`"

    def placeholder(self, style: str, at: int) -> str:
        return {"format": "%s", "pyformat": f"%(p{at})s", "qmark": "?", "named": f":p{at}"}.get(style, f"?{at + 1}")

    def is_of(self, column: Sql, type_: Type) -> tuple[()]:
        return ()

    def scalar(self, column: Sql) -> _Scalar:
        return _Scalar(column)

    def json(self, column: Sql) -> _Json:
        clean = sql("replace(replace(", column, r", '\\', '\u005c'), '\u0000', CAST(x'FF' AS TEXT))")
        whole = sql("(SELECT CASE WHEN json_valid(", column, ") THEN ", clean, " END AS c) AS _s")
        return _Json(sql("SELECT "), sql(" FROM ", whole), sql("json_type(_s.c)"), sql("json_extract(_s.c, '$')"))

    def array(self, column: Sql, element: Type) -> None:
        return None

    def one_of(self, expr: Sql, values: Sequence[str] | Sequence[int]) -> Sql:
        if len(values) == 1:
            return sql(expr, " = ", self.constant(values[0]))
        # A query takes no more than some thousand parameters.
        return sql(expr, " IN (SELECT value FROM json_each(", Param(json.dumps(list(values))), "))")

    def constant(self, value: str | int) -> Sql:
        return (Param(value),)

    def says(self, column: Sql, part: str) -> Sql:
        return sql("instr(CAST(", column, " AS BLOB), CAST(", Param(part), " AS BLOB)) > 0")

    def length(self, text: Sql) -> Sql:
        """`length` ends at a NUL, so the lengths of the parts between NULs are added up."""
        blob = sql("CAST(", text, " AS BLOB)")
        parts = sql(
            "WITH RECURSIVE _r(b, n) AS (SELECT ", blob, ", 0 UNION ALL SELECT substr(b, instr(b, x'00') + 1), ",
            "n + 1 + length(CAST(substr(b, 1, instr(b, x'00') - 1) AS TEXT)) FROM _r WHERE instr(b, x'00') > 0) ",
            "SELECT n + length(CAST(b AS TEXT)) FROM _r WHERE instr(b, x'00') = 0",
        )  # fmt: skip
        return sql("(CASE WHEN instr(", blob, ", x'00') = 0 THEN length(", text, ") ELSE (", parts, ") END)")

    def like(self, text: Sql, pieces: Sequence[str]) -> Sql | None:
        """LIKE ignores case and GLOB ends at a NUL, so the pieces are searched for one after the other, as bytes."""
        if len(pieces) > MAX_PIECES:
            return None
        first, *middle, last = (p.encode() for p in pieces)
        rest = sql("substr(b, ", str(len(first) + 1), ", length(b) - ", str(len(first) + len(last)), ") AS b")
        ends = [sql("length(b) >= ", str(len(first) + len(last)))]
        ends += [sql(f"substr(b, 1, {len(first)}) = ", Param(first))] if first else []
        ends += [sql(f"substr(b, {-len(last)}) = ", Param(last))] if last else []
        matched = sql("SELECT ", rest, " FROM (SELECT CAST(", text, " AS BLOB) AS b) AS _b WHERE ", both(*ends))
        for piece in middle:
            at = sql("instr(b, ", Param(piece), ")")
            left = sql("substr(b, ", at, f" + {len(piece)}) AS b")
            matched = sql("SELECT ", left, " FROM (", matched, ") AS _b WHERE ", at, " > 0") if piece else matched
        return sql("EXISTS (", matched, ")")

    def time(self, column: Sql, op: Operator | None, time: datetime) -> Sql | None:
        return None


@dataclass(frozen=True, slots=True)
class _Scalar:
    """A column of texts, integers, reals, or 0 and 1 for booleans."""

    column: Sql

    def text(self) -> Sql:
        return sql("(CASE WHEN ", self._is("'text'"), " THEN ", self.column, " END COLLATE BINARY)")

    def integer(self) -> Sql:
        return sql("(CASE WHEN ", self._is("'integer'"), " THEN ", self.column, " END)")

    def truth(self) -> Sql:
        return sql("(CASE WHEN ", self._is("'integer'"), " AND ", self.column, " IN (0, 1) THEN ", self.column, " END)")

    def is_number(self) -> Sql:
        bounds = sql(" BETWEEN ", Param(-float_info.max), " AND ", Param(float_info.max))
        return both(self._is("'integer', 'real'"), sql("+", self.column, bounds))

    def compared(self, op: Operator, number: int | float) -> Fragment:
        return Fragment(both(sql("+", self.column, f" {_sign(op)} ", Param(number)), self.is_number()))

    def is_text_of(self, texts: Sequence[str]) -> Sql:
        # Once with the column's collation, which an index has, and once by bytes.
        return both(DIALECT.one_of(self.column, texts), DIALECT.one_of(self.text(), texts))

    def _is(self, kinds: str) -> Sql:
        return sql("typeof(", self.column, f") IN ({kinds})")


@dataclass(frozen=True, slots=True)
class _Json:
    """A value inside JSON: the expressions for its type and its value, and the SELECT around them. The expressions get
    generated names, because the table might have a column with the name of one of `json_each`."""

    before: Sql
    after: Sql
    kind: Sql
    value: Sql

    def text(self) -> Sql:
        return sql("(", self._if("text", self.value), " COLLATE BINARY)")

    def integer(self) -> Sql:
        # A larger integer becomes a real.
        whole = sql("CASE WHEN typeof(", self.value, ") = 'integer' THEN ", self.value, " END")
        return self._if("integer", whole)

    def truth(self) -> Sql:
        return self._pick(sql("CASE ", self.kind, " WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"))

    def is_number(self) -> Sql:
        bounds = sql(" BETWEEN ", Param(-float_info.max), " AND ", Param(float_info.max))
        return sql(self._number(), bounds)

    def compared(self, op: Operator, number: int | float) -> Fragment:
        widened = float(number)
        for _ in range(8):
            widened = nextafter(widened, float("-inf") if op in (">", ">=") else float("inf"))
        if op == "==":
            low = 2 * float(number) - widened
            near = sql(self._number(), " BETWEEN ", Param(low), " AND ", Param(widened))
        else:
            near = sql(self._number(), f" {op} ", Param(widened))
        return Fragment(both(near, self.is_number()), False)

    def is_text_of(self, texts: Sequence[str]) -> Sql:
        return DIALECT.one_of(self.text(), texts)

    def there(self) -> Sql:
        return sql(self._pick(self.kind), " IS NOT NULL")

    def is_kind(self, kind: Literal["object", "array", "null"]) -> Sql:
        return sql(self._pick(self.kind), f" = '{kind}'")

    def get(self, name: str) -> _Json:
        members = sql("(SELECT ", self._if("object", self.value), " AS c) AS _s, json_each(_s.c) AS _j")
        last = sql(" FROM ", members, " WHERE _j.key = ", Param(name), " ORDER BY _j.id DESC LIMIT 1")
        return _Json(sql("SELECT "), last, sql("_j.type"), sql("_j.value"))

    def item(self, at: int) -> _Json:
        chosen = sql(" FROM ", self._elements("_i"), f" WHERE _i.key = {at}")
        return _Json(sql("SELECT "), chosen, sql("_i.type"), sql("_i.value"))

    def length(self) -> Sql:
        return self._if("array", sql("json_array_length(", self.value, ")"))

    def each(self) -> tuple[Sql, _Json]:
        return self._elements("_e"), _Json((), (), sql("_e.type"), sql("_e.value"))

    def is_texts(self) -> None:
        return None

    def includes(self, text: str) -> None:
        return None

    def _elements(self, alias: str) -> Sql:
        return sql("(SELECT ", self._if("array", self.value), f" AS c) AS _a, json_each(_a.c) AS {alias}")

    def _number(self) -> Sql:
        return self._pick(sql("CASE WHEN ", self.kind, " IN ('integer', 'real') THEN ", self.value, " END"))

    def _if(self, kind: str, expr: Sql) -> Sql:
        return self._pick(sql("CASE WHEN ", self.kind, f" = '{kind}' THEN ", expr, " END"))

    def _pick(self, expr: Sql) -> Sql:
        return sql("(", self.before, expr, self.after, ")")


def _sign(op: Operator) -> str:
    return {"==": "=", "!=": "<>"}.get(op, op)


DIALECT = SQLite()
