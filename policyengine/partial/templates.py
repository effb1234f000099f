"""How each kind of atom is tested on a plain document, in Python.

In a template, `v` is the value at the path of the atom (None if there is none), `w` is the same at its first use, `c`
is the constant of the atom, `d` is the document, and `s(d)` gives the specification's answer for this atom. None has no
type, so it needs no further test. Any other value of an unexpected class does: it may be an unusual form of the right
value, such as a text of a subclass of `str`.

`alone` is true. If a request may say more of a document than the document does, it raises if the request says more of
this one. A value that is there stays as it is, or cannot be read at all, whatever else is said of the document. So only
a template that is not about to use such a value reads `alone`.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable
from functools import cache
from typing import Any

from policyengine.compile.runtime import NAMES as RUNTIME
from policyengine.compile.runtime import plain_document
from policyengine.model.operators import like
from policyengine.model.types import BOOL, INT, NUMBER, STRING, EntityT, ListT, Prim, SetT
from policyengine.model.values import INT_MAX, INT_MIN, NUMBER_MAX, Entity
from policyengine.partial.formula import (
    Atom,
    Elements,
    Matching,
    OfType,
    OneOf,
    Path,
    Present,
    Relation,
)

_TEXT = "({test} if type(w) is str else alone and v is not None and s(d))"
_INT = "({test} and LEAST_INT <= v <= MOST_INT if type(w) is int else not alone)"
_NUMBER = "(LEAST <= v <= MOST and {test} if type(w) is float or type(v) is int else not alone)"
_TEXTS = "({test} if plain_texts(w) else alone and v is not None and s(d))"
_REFS = "({test} if type(w) is dict else not alone)"

SLOW = "slow"
_SOURCES: dict[str, str] = {
    SLOW: "(alone and s(d))",
    "text": _TEXT.format(test="True"),
    "text ==": _TEXT.format(test="v == c"),
    "text !=": _TEXT.format(test="v != c"),
    "text in": _TEXT.format(test="v in c"),
    "text not in": _TEXT.format(test="v not in c"),
    "text starts": _TEXT.format(test="v.startswith(c)"),
    "text starts not": _TEXT.format(test="not v.startswith(c)"),
    "text ends": _TEXT.format(test="v.endswith(c)"),
    "text ends not": _TEXT.format(test="not v.endswith(c)"),
    "text like": _TEXT.format(test="like(v, c)"),
    "text like not": _TEXT.format(test="not like(v, c)"),
    "int": _INT.format(test="True"),
    **{f"int {op}": _INT.format(test=f"v {op} c") for op in ("==", "!=", "<", "<=", ">", ">=", "in", "not in")},
    "number": _NUMBER.format(test="True"),
    **{f"number {op}": _NUMBER.format(test=f"v {op} c") for op in ("==", "!=", "<", "<=", ">", ">=", "in", "not in")},
    "bool": "(w is True or v is False or not alone)",
    "bool true": "(w is True or v is not False and not alone)",
    "bool false": "(w is False or v is not True and not alone)",
    "texts": _TEXTS.format(test="True"),
    "texts any one": _TEXTS.format(test="c in v"),
    "texts none one": _TEXTS.format(test="c not in v"),
    "texts any": _TEXTS.format(test="not c.isdisjoint(v)"),
    "texts none": _TEXTS.format(test="c.isdisjoint(v)"),
    "texts all": _TEXTS.format(test="c.issubset(v)"),
    "texts lacks": _TEXTS.format(test="not c.issubset(v)"),
    "texts only": _TEXTS.format(test="c.issuperset(v)"),
    "texts other": _TEXTS.format(test="not c.issuperset(v)"),
    **{
        f"refs {kind}": f"({test} if type(w) is list else not alone)"
        for kind, test in (
            ("any", "not c[1].isdisjoint(references(v, c[0]))"),
            ("none", "c[1].isdisjoint(references(v, c[0]))"),
            ("all", "c[1].issubset(references(v, c[0]))"),
            ("lacks", "not c[1].issubset(references(v, c[0]))"),
            ("only", "c[1].issuperset(references(v, c[0]))"),
            ("other", "not c[1].issuperset(references(v, c[0]))"),
        )
    },
    "ref in": _REFS.format(test="reference(v) in c"),
    "there": "(w is not None or alone and s(d))",
}


TEMPLATES: Collection[str] = _SOURCES.keys()


@cache
def tree(name: str) -> ast.expr:
    """The template of this name. Most processes need few of them."""
    return ast.parse(_SOURCES[name], mode="eval").body


def reference(value: dict[str, Any]) -> tuple[str, str]:
    """The identity in a reference. Raises LookupError for a value that is not plainly a reference."""
    type_, id_ = value["type"], value["id"]
    if type(type_) is not str or type(id_) is not str:
        raise LookupError
    return type_, id_


def references(values: list[Any], names: frozenset[str]) -> list[tuple[str, str]]:
    """The identities in references to entities of these types. Raises LookupError if one is not plainly that."""
    referred = []
    for value in values:
        if type(value) is not dict:
            raise LookupError
        referred.append(reference(value))
        if referred[-1][0] not in names:
            raise LookupError
    return referred


# Everything that a template can reach, besides its atom's constant and the specification.
NAMES: dict[str, Any] = {
    "plain_texts": RUNTIME["plain_texts"], "plain_document": plain_document,
    "like": like, "reference": reference, "references": references,
    "LEAST_INT": INT_MIN, "MOST_INT": INT_MAX, "LEAST": -NUMBER_MAX, "MOST": NUMBER_MAX,
}  # fmt: skip


def template(atom: Atom) -> tuple[str, Path, Any]:
    """The name of the template for an atom, the path it reads and its constant. SLOW if there is none."""
    if type(atom) is Relation and type(atom.type) is Prim:
        # The most frequent case.
        name = _RELATIONS.get((atom.type.name, atom.op))
        if name is not None:
            return name, atom.path, atom.value
    made = _template(atom)
    return made if made is not None and made[0] in TEMPLATES else (SLOW, (), None)


def _template(atom: Atom) -> tuple[str, Path, Any] | None:
    match atom:
        case OfType(path=path, type=type_) if type_ in _NAMES_OF:
            return _NAMES_OF[type_], path, None
        case Relation(path=path, type=type_, op=op, value=value) if type_ == BOOL:
            return ("bool true" if value is (op == "==") else "bool false"), path, None
        case Relation(path=path, type=type_, op=op, value=value) if type_ in _PLAIN:
            return f"{_NAMES_OF[type_]} {op}", path, value
        case Relation(path=path, type=EntityT(names), op="==", value=Entity() as value):
            return "ref in", path, _references((value,), names)
        case OneOf(path=path, type=type_, values=values, negated=negated) if type_ in _PLAIN:
            return f"{_NAMES_OF[type_]} {'not in' if negated else 'in'}", path, frozenset(values)
        case OneOf(path=path, type=EntityT(names), values=values, negated=False):
            return "ref in", path, _references(values, names)
        case Elements(path=path, type=SetT(element) | ListT(element), kind=kind, values=values) if element == STRING:
            one = len(values) == 1 and kind in ("any", "none")
            return f"texts {kind}{' one' if one else ''}", path, values[0] if one else frozenset(values)
        case Elements(path=path, type=SetT(EntityT(names)) | ListT(EntityT(names)), kind=kind, values=values):
            # A constant that no element can be would always be lacking: this is left to the specification.
            wanted = _references(values, names)
            if len(wanted) == len(values) or kind in ("any", "none", "only", "other"):
                return f"refs {kind}", path, (names, wanted)
        case Matching(path=path, pieces=pieces, negated=negated):
            name, constant = _glob(pieces)
            return name + (" not" if negated else ""), path, constant
        case Present(path=path):
            return "there", path, None
    return None


def _references(entities: Iterable[Entity], names: frozenset[str]) -> frozenset[tuple[str, ...]]:
    """The identities as `reference` reads them; the value cannot be one of another type."""
    return frozenset(tuple(e.uid) for e in entities if e.uid.type in names)


_PLAIN = (STRING, INT, NUMBER)
_NAMES_OF: dict[Any, str] = {
    STRING: "text", INT: "int", NUMBER: "number", BOOL: "bool", SetT(STRING): "texts",
}  # fmt: skip

_RELATIONS = {
    (type_.name, op): f"{_NAMES_OF[type_]} {op}"
    for type_ in _PLAIN
    for op in ("==", "!=", "<", "<=", ">", ">=")
    if f"{_NAMES_OF[type_]} {op}" in TEMPLATES
}


def _glob(pieces: tuple[str, ...]) -> tuple[str, Any]:
    match pieces:
        case (start, ""):
            return "text starts", start
        case ("", end):
            return "text ends", end
    return "text like", pieces
