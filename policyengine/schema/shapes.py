"""What values a JSON Schema lets pass, as far as types can say it, and the two ways to combine that.

Pure values; a combination never admits less than what it stands for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce

from policyengine.model.types import STRING, Prim

# A number that is no integer is "number" here; the schema type `number` is both.
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


@dataclass(frozen=True, slots=True)
class Shape:
    """The values that pass: of one of `kinds`, and if text then `text`, if an array then of `element`, if an object
    then with `fields`, and no others if `closed`. `path` is the place in the document where it was read."""

    kinds: frozenset[str] = EVERY_KIND
    text: Prim = STRING
    element: Shape | None = None
    unique: bool = False
    fields: Mapping[str, ShapeField] = field(default_factory=dict)
    closed: bool = False
    path: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class ShapeField:
    shape: Shape
    required: bool


def meet(left: Shape, right: Shape) -> Shape:
    """What passes both, and as little more as a shape can say."""
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
        path=left.path,
    )


def join(left: Shape, right: Shape) -> Shape:
    """What passes either, and as little more as a shape can say."""
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
        path=left.path,
    )


def _join_elements(arrays: list[Shape]) -> Shape | None:
    elements = [shape.element for shape in arrays]
    known = [element for element in elements if element is not None]
    return reduce(join, known) if known and len(known) == len(elements) else None


def _join_fields(objects: list[Shape]) -> dict[str, ShapeField]:
    names = dict.fromkeys(name for shape in objects for name in shape.fields)
    return {name: _join_field([_field(shape, name) for shape in objects]) for name in names}


def _field(shape: Shape, name: str) -> ShapeField | None:
    """The field as the shape has it; None if an object of the shape cannot carry it."""
    if name in shape.fields:
        return shape.fields[name]
    return None if shape.closed else ShapeField(Shape(path=shape.path), False)


def _join_field(sides: list[ShapeField | None]) -> ShapeField:
    known = [side for side in sides if side is not None]
    shape = reduce(join, (side.shape for side in known))
    return ShapeField(shape, len(known) == len(sides) and all(side.required for side in known))
