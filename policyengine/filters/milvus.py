"""Milvus: a filter as the text of an expression (https://milvus.io/docs/boolean.md).

Milvus Lite binds no values, so constants become literals here: a text goes between double quotes, with quotes,
backslashes and line breaks in it escaped; one with another control character is declined. A condition on a null is
never true, except `is null`, which is added to every negation. Conditions on values inside JSON find too much and are
rechecked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any

from policyengine.filters.backend import Fragment, StoreLimits
from policyengine.filters.fields import Field, Fields
from policyengine.filters.numbers import by_length, is_number, of_integer, safe_double
from policyengine.filters.storable_texts import storable
from policyengine.filters.walk import PARENTS, OfValue, Walk
from policyengine.model.types import BOOL, INT, NUMBER, STRING, EntityT, Type, element_of
from policyengine.model.values import INT_MIN, Uid
from policyengine.partial.formula import Elements, Inside, Missing, OneOf, Operator, Path, Present, Relation, Sized

_ESCAPED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_WORDS = {"and", "or", "not", "in", "like", "is", "null", "exists", "true", "false"}
_GREATEST = 1.7976931348623157e308


def milvus(fields: Mapping[str, str | Field]) -> Milvus:
    """Milvus. The query's `native` is the text for `filter`, empty if everything may be seen.

    fields: for each attribute of the resource that the collection has, including `id`: the name of its field, `column`
        or `ref`, or `json` for a place in a JSON field. Bool is a BOOL field, Int an INT64 or smaller, Number a DOUBLE,
        String a VARCHAR, sets and lists ARRAY fields of these.

    Raises ValueError for a name that cannot be one.

    >>> from policyengine import Engine
    >>> engine = Engine.from_text('''
    ... module notes
    ... use ai
    ... permit own: retrieve on Document when document.tenant == principal.tenant
    ... ''')
    >>> ann = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
    >>> found = engine.filter(principal=ann, action="retrieve", resource_type="Document")
    >>> found.to(milvus({"id": "id", "tenant": "tenant"}), exact=True).native
    'tenant == "acme"'
    """
    places = [place if isinstance(place, Field) else Field(place) for place in fields.values()]
    for place in places:
        plain = place.name.isascii() and place.name.isidentifier() and not iskeyword(place.name)
        if not (plain and place.name.lower() not in _WORDS) and not (place.json and place.name == "$meta"):
            raise ValueError("a field of Milvus has a name of letters, digits and underscores")
    typed = [place.name for place in places if not place.json]
    # Never true, for any value, null or type of field.
    return Milvus(Fields(fields), f"({typed[0]} is null and {typed[0]} is not null)" if typed else "(1 == 2)")


@dataclass(frozen=True, slots=True)
class Milvus(Walk[Field]):
    """See `milvus`. `never` is a condition that is never true."""

    fields: Fields
    never: str
    name: str = "Milvus"

    @property
    def limits(self) -> StoreLimits:
        return StoreLimits(40, 5_000)

    def all(self, items: Sequence[str]) -> str:
        return " and ".join(f"({item})" for item in items)

    def some(self, items: Sequence[str]) -> str:
        return " or ".join(f"({item})" for item in items)

    def nothing(self) -> str:
        return self.never

    def everything(self) -> str:
        return ""

    def finish(self, native: str) -> str:
        return native

    def find(self, path: Path, type_: Type) -> Field | None:
        return self.fields.find(path)

    def value(self, atom: OfValue, field: Field) -> Fragment | None:
        if field.json:
            return _in_json(atom, field)
        entity = element_of(atom.type) or atom.type
        if isinstance(entity, EntityT) is (field.refers_to is None):
            return None
        if isinstance(entity, EntityT) and field.refers_to not in entity.names:
            return Fragment(self.never)
        return self.of_value(atom, field)

    def presence(self, atom: Present | Missing, field: Field) -> Fragment | None:
        """A null may be an attribute that is null, and a part of a record does not show whether the record is there."""
        if field.json or field.null == "null":
            return None
        if isinstance(atom, Present):
            return Fragment(f"{field.name} is not null") if field.null == "absent" else None
        return Fragment(f"{field.name} is null", field.null == "absent" and len(atom.path) == 1)

    def typed(self, field: Field, type_: Type) -> Fragment | None:
        if not _holds_only(type_):
            return None
        return Fragment(_finite(field.name) if type_ == NUMBER else f"{field.name} is not null")

    def related(self, field: Field, type_: Type, op: Operator, value: Any) -> Fragment | None:
        if type_ in (INT, NUMBER):
            return self._number(field.name, type_, op, value)
        return self.among(field, type_, (value,), op == "!=") if op in ("==", "!=") else None

    def _number(self, name: str, type_: Type, op: Operator, value: Any) -> Fragment | None:
        if not is_number(value):
            return None
        if type_ == NUMBER:
            if not safe_double(value):
                return None
            return Fragment(f"{_finite(name)} and {name} {op} {float(value)!r}")
        comparison = of_integer(op, value)
        if comparison is True:
            return Fragment(f"{name} is not null")
        if comparison is False:
            return Fragment(self.never)
        sign, whole = comparison
        # Without the sign, its digits are not a 64-bit integer.
        return None if whole == INT_MIN else Fragment(f"{name} is not null and {name} {sign} {whole}")

    def among(self, field: Field, type_: Type, values: tuple[Any, ...], negated: bool) -> Fragment | None:
        if type_ == NUMBER:
            made = [self._number(field.name, NUMBER, "!=" if negated else "==", value) for value in values]
            parts = [part.native for part in made if part is not None]
            if len(parts) < len(made) or not parts or len(parts) > 100:
                return None
            return Fragment(self.all(parts) if negated else self.some(parts))
        if type_ == BOOL:
            wanted = [value for value in values if value.__class__ is bool]
            return Fragment(f"{field.name} == {_word(wanted[0] is not negated)}") if len(wanted) == 1 else None
        return self._one_of(field.name, _literals(type_, values, field), negated)

    def _one_of(self, name: str, wanted: list[str] | None, negated: bool) -> Fragment | None:
        if wanted is None:
            return None
        if negated:
            none = f" and not ({name} in [{', '.join(wanted)}])" if wanted else ""
            return Fragment(f"{name} is not null{none}")
        if not wanted:
            return Fragment(self.never)
        return Fragment(f"{name} == {wanted[0]}" if len(wanted) == 1 else f"{name} in [{', '.join(wanted)}]")

    def elements(self, field: Field, atom: Elements) -> Fragment | None:
        name, element = field.name, element_of(atom.type)
        wanted = None if element is None else _literals(element, atom.values, field)
        if wanted is None:
            return None
        there, listed = f"{name} is not null", ", ".join(wanted)
        whole, is_typed = len(wanted) == len(atom.values), _holds_only(atom.type)
        match atom.kind:
            case "any" if not wanted:
                return Fragment(self.never)
            case "any":
                return Fragment(f"{there} and array_contains_any({name}, [{listed}])")
            case "none" if wanted:
                return Fragment(f"{there} and not array_contains_any({name}, [{listed}])")
            case "all" if wanted and whole:
                return Fragment(f"{there} and array_contains_all({name}, [{listed}])")
            case "lacks" if wanted and whole:
                return Fragment(f"{there} and not array_contains_all({name}, [{listed}])")
            case "all" if not whole:
                return Fragment(self.never)
            case "none" | "all" if is_typed and not wanted:
                return Fragment(there)
            case "lacks" if is_typed and not whole:
                return Fragment(there)
            case "only" | "other" if is_typed and not wanted:
                return self._empty(field, atom.kind == "only")
        # An array cannot be asked which other elements it has.
        return Fragment(there, exact=False)

    def equals(self, field: Field, type_: Type, values: tuple[Any, ...], negated: bool) -> Fragment | None:
        return None if values or not _holds_only(type_) else self._empty(field, not negated)

    def _empty(self, field: Field, empty: bool) -> Fragment:
        return Fragment(f"{field.name} is not null and array_length({field.name}) {'==' if empty else '>'} 0")

    def like(self, field: Field, pieces: tuple[str, ...], negated: bool) -> Fragment | None:
        """Characters with a meaning in a pattern are replaced by "anything"."""
        plain = [piece.replace("\\", "%").replace("_", "%") for piece in pieces]
        exact = not any(c in piece for piece in pieces for c in "%_\\")
        pattern = _text("%".join(plain))
        there = f"{field.name} is not null"
        if pattern is None or (negated and not exact):
            return Fragment(there, exact=False)
        like = f"{field.name} like {pattern}"
        return Fragment(f"{there} and not ({like})" if negated else like, exact)

    def sized(self, field: Field, atom: Sized) -> Fragment | None:
        """An array may hold an element twice, so its length says little about the number of different elements."""
        op, count = atom.op, atom.count
        decided = by_length(atom.type, op, count)
        if decided is None:
            return None
        there, length = f"{field.name} is not null", f"array_length({field.name})"
        if decided:
            return Fragment(f"{there} and {length} {op} {count}")
        if op in ("<", "<=", "!="):
            return Fragment(there, exact=False)
        return Fragment(f"{there} and {length} {'>' if op == '>' else '>='} {count}", exact=False)

    def inside(self, atom: Inside) -> Fragment | None:
        field = self.fields.find(PARENTS)
        ids = None if field is None else _ids(atom.closed, field)
        if field is None or field.json or ids is None:
            return None
        there, shared = f"{field.name} is not null", f"array_contains_any({field.name}, [{', '.join(ids)}])"
        if not atom.negated:
            return Fragment(f"{there} and {shared}" if ids else self.never)
        outside = f"{there} and not ({shared})" if ids else there
        if field.null == "null":
            return Fragment(outside)
        return Fragment(f"{field.name} is null or ({outside})", field.null == "absent")


# ---- constants ----


def _text(value: Any) -> str | None:
    """A text as a literal; None if it has no literal."""
    if not storable(value):
        return None
    made = "".join(_ESCAPED.get(c, c) for c in value)
    return None if any(c < " " or "\x7f" <= c <= "\x9f" or c in "\u2028\u2029" for c in made) else f'"{made}"'


def _literals(type_: Type, values: Iterable[Any], field: Field) -> list[str] | None:
    """Literals for those of the constants that a value can be; None if one of them cannot be written."""
    if isinstance(type_, EntityT):
        return _ids((value.uid for value in values), field)
    literals: list[str] = []
    for value in values:
        if type_ == INT and is_number(value):
            comparison = of_integer("==", value)
            if comparison is False or comparison is True:
                continue
            if comparison[1] == INT_MIN:
                return None
            literals.append(str(comparison[1]))
        elif type_ == STRING and (text := _text(value)) is not None:
            literals.append(text)
        else:
            return None
    return literals


def _ids(uids: Iterable[Uid], field: Field) -> list[str] | None:
    if field.refers_to is None:
        return None
    made = [_text(uid.id) for uid in sorted(uids) if uid.type == field.refers_to]
    ids = [text for text in made if text is not None]
    return ids if len(ids) == len(made) else None


def _word(value: bool) -> str:
    return "true" if value else "false"


# ---- conditions on one field ----


def _holds_only(type_: Type) -> bool:
    """Whether a field can hold values of the type, and besides them only nulls."""
    element = element_of(type_) or type_
    return element in (STRING, INT, NUMBER, BOOL) or isinstance(element, EntityT)


def _finite(name: str) -> str:
    return f"{name} is not null and {name} >= {-_GREATEST!r} and {name} <= {_GREATEST!r}"


def _in_json(atom: OfValue, field: Field) -> Fragment | None:
    """A text inside JSON, rechecked."""
    values: Sequence[Any]
    match atom:
        case Relation(type=type_, op="==", value=value) if type_ == STRING:
            values = (value,)
        case OneOf(type=type_, values=several, negated=False) if type_ == STRING and len(several) <= 100:
            values = several
        case _:
            return None
    keys, texts = [_text(name) for name in field.path], [_text(value) for value in values]
    if None in keys or None in texts or not keys:
        return None
    place = field.name + "".join(f"[{key}]" for key in keys)
    return Fragment(" or ".join(f"{place} == {text}" for text in texts), exact=False)
