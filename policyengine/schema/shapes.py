"""The values that a JSON Schema admits, as far as types can express them, and the two ways to combine these.

Pure values; a combination never admits fewer values than it should.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from policyengine.model.types import STRING, Prim

# A number that is not an integer is "number" here; the schema type `number` is both.
KINDS: dict[str, frozenset[str]] = {
    "string": frozenset({"string"}),
    "integer": frozenset({"integer"}),
    "number": frozenset({"integer", "number"}),
    "boolean": frozenset({"boolean"}),
    "null": frozenset({"null"}),
    "array": frozenset({"array"}),
    "object": frozenset({"object"}),
}
EVERY_KIND: frozenset[str] = frozenset().union(*KINDS.values())

ShapeBound = tuple[str, str, Any]


def kind_of(value: object) -> frozenset[str]:
    names = {str: "string", bool: "boolean", int: "number", float: "number", list: "array", dict: "object"}
    return KINDS[names.get(type(value), "null")]


def type_word(word: object) -> str:
    """A type name of JSON Schema. The Gemini API has the same names in capitals."""
    if not isinstance(word, str):
        return ""
    return word.lower() if word.isupper() else word


@dataclass(frozen=True, slots=True)
class Shape:
    """The values that are admitted: of one of `kinds`, and if text then `text`, if an array then of `element`, if an
    object then with `fields`, and no others if `closed`. `path` is the place in the document where it was read."""

    kinds: frozenset[str] = EVERY_KIND
    text: Prim = STRING
    element: Shape | None = None
    unique: bool = False
    fields: Mapping[str, ShapeField] = field(default_factory=dict)
    closed: bool = False
    # Whether the schema states that an object may have more than its fields.
    open: bool = False
    # The scalars that are allowed.
    values: tuple[Any, ...] | None = None
    # The restrictions of a kind beyond its type, as (kind, name of the bound, constant).
    bounds: tuple[ShapeBound, ...] = ()
    path: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class ShapeField:
    shape: Shape
    required: bool


def meet(left: Shape, right: Shape) -> Shape:
    """The values that both admit, and as few others as a shape can express."""
    fields = dict(left.fields)
    for name, other in right.fields.items():
        mine = fields.get(name)
        fields[name] = ShapeField(meet(mine.shape, other.shape), mine.required or other.required) if mine else other
    return Shape(
        kinds=left.kinds & right.kinds,
        text=right.text if left.text == STRING else left.text if right.text in (STRING, left.text) else STRING,
        element=meet(left.element, right.element) if left.element and right.element else left.element or right.element,
        unique=left.unique or right.unique,
        fields=fields,
        closed=left.closed or right.closed,
        open=(left.open or right.open) and not (left.closed or right.closed),
        values=_in_both(left.values, right.values),
        bounds=_tighter(left.bounds, right.bounds),
        path=left.path,
    )


def join(left: Shape, right: Shape) -> Shape:
    """The values that either admits, and as few others as a shape can express."""
    texts, arrays, objects = (
        [shape for shape in (left, right) if kind in shape.kinds] for kind in ("string", "array", "object")
    )
    return Shape(
        kinds=left.kinds | right.kinds,
        text=texts[0].text if texts and texts[0].text == texts[-1].text else STRING,
        element=_join_elements(arrays),
        unique=bool(arrays) and all(shape.unique for shape in arrays),
        fields=_join_fields(objects),
        closed=bool(objects) and all(shape.closed for shape in objects),
        open=any(shape.open for shape in objects),
        values=_in_either(left, right),
        bounds=tuple(
            bound
            for bound in dict.fromkeys((*left.bounds, *right.bounds))
            if all(bound in shape.bounds or bound[0] not in shape.kinds for shape in (left, right))
        ),
        path=left.path,
    )


def _exact(value: Any) -> tuple[type, Any]:
    return type(value), value


def _in_both(left: tuple[Any, ...] | None, right: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    if left is None or right is None:
        return right if left is None else left
    also = {_exact(value) for value in right}
    return tuple(value for value in left if _exact(value) in also)


def _in_either(left: Shape, right: Shape) -> tuple[Any, ...] | None:
    sides = [(None,) if shape.kinds == KINDS["null"] else shape.values for shape in (left, right)]
    if sides[0] is None or sides[1] is None or sides == [(None,), (None,)]:
        return None
    return tuple(value for _, value in dict.fromkeys(map(_exact, (*sides[0], *sides[1]))))


def _tighter(left: tuple[ShapeBound, ...], right: tuple[ShapeBound, ...]) -> tuple[ShapeBound, ...]:
    """All bounds; of two with one name the tighter, if one is."""
    kept = {(kind, name): value for kind, name, value in left}
    for kind, name, value in right:
        mine = kept.setdefault((kind, name), value)
        if name in ("min", "above"):
            kept[kind, name] = max(mine, value)
        elif name in ("max", "below"):
            kept[kind, name] = min(mine, value)
    return tuple((kind, name, value) for (kind, name), value in kept.items())


def _join_elements(arrays: list[Shape]) -> Shape | None:
    elements = [shape.element for shape in arrays]
    known = [element for element in elements if element is not None]
    return reduce(join, known) if known and len(known) == len(elements) else None


def _join_fields(objects: list[Shape]) -> dict[str, ShapeField]:
    names = dict.fromkeys(name for shape in objects for name in shape.fields)
    return {name: _join_field([_field(shape, name) for shape in objects]) for name in names}


def _field(shape: Shape, name: str) -> ShapeField | None:
    """The shape's field of this name; None if an object of the shape cannot have it."""
    if name in shape.fields:
        return shape.fields[name]
    return None if shape.closed else ShapeField(Shape(path=shape.path), False)


def _join_field(sides: list[ShapeField | None]) -> ShapeField:
    known = [side for side in sides if side is not None]
    shape = reduce(join, (side.shape for side in known))
    return ShapeField(shape, len(known) == len(sides) and all(side.required for side in known))
