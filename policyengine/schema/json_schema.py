"""JSON Schema to a tool's parameters, as far as the language's types can express it.

In: an ImportedSchema with its schema as parsed JSON. Out: typed parameters, and notes in it. A type admits every value
that the schema admits, except that `Int` refuses a whole number written as `1.0` or beyond 64 bits, and that `Time` and
`Ip` refuse text of another form (noted). If no type expresses the schema exactly, the type is `Json`. Each constraint
that is left out is noted, and leaving one out only widens the type. Never raises, never follows a reference out of the
schema, and its work is bounded however references are arranged. Notes may quote the schema: they are not safe to print
as they are.

Source: JSON Schema 2020-12; draft-07 core 8.3 for `$ref`; OpenAPI 3.0 for `nullable`; Gemini API for types in capitals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from urllib.parse import unquote

from policyengine.diagnostics.source import Span
from policyengine.model.types import IP, JSON, STRING, TIME, Prim
from policyengine.schema import constraints
from policyengine.schema.imported_schema import ImportedSchema, clipped, pointer
from policyengine.schema.shape_types import fields_of, type_of
from policyengine.schema.shapes import EVERY_KIND, KINDS, Shape, ShapeField, join, kind_of, meet, type_word
from policyengine.syntax import ast

MAX_DEPTH = 32
MAX_PARTS = 256
MAX_SHOWN = 12

_FORMATS = {"date-time": TIME, "ipv4": IP, "ipv6": IP}
# fmt: off
_UNDERSTOOD = frozenset({
    "type", "properties", "required", "additionalProperties", "items", "uniqueItems", "enum", "const", "nullable",
    "format", "$ref", "allOf", "anyOf", "oneOf", *constraints.WORDS,
})
_SAYS_NOTHING = frozenset({
    "$schema", "$id", "id", "$anchor", "$comment", "$defs", "definitions", "$vocabulary", "title", "description",
    "default", "example", "examples", "deprecated", "readOnly", "writeOnly", "externalDocs",
})
# fmt: on


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the reader is in the schema. `inside` holds the references that it is following."""

    path: str
    depth: int = 0
    inside: frozenset[tuple[str, ...]] = frozenset({()})
    foreign: bool = False

    def down(self, *steps: str | int) -> _Place:
        return replace(self, path=self.path + pointer(steps), depth=self.depth + 1)


def parameters(imported: ImportedSchema, span: Span) -> tuple[ast.FieldDecl, ...]:
    """The parameters of a tool whose arguments the schema describes. Arguments are always an object."""
    if not isinstance(imported.root, dict):
        imported.note(imported.path, "not a schema, so no argument is described and no rule can read one")
        return ()
    read = _read(imported.root, _Place(imported.path), imported)
    shape = meet(Shape(kinds=KINDS["object"], path=imported.path), read)
    if not shape.kinds:
        imported.note(imported.path, "the arguments are not an object, so no rule can read them")
        return ()
    if not shape.fields and not shape.closed and not shape.open:
        imported.note(imported.path, "describes no arguments, so a call that has any is denied")
    return fields_of(shape, imported, span)


def result(imported: ImportedSchema, span: Span) -> ast.TypeExpr | None:
    """The type of a tool's result by the schema; None, with a note, if that is no narrower than `Json`."""
    shape = _read(imported.root, _Place(imported.path), imported)
    type_ = type_of(shape, imported, span)
    if isinstance(type_, ast.NamedType) and type_.name == JSON.name:
        imported.note(imported.path, "describes nothing that a rule can read of what the tool returns")
        return None
    return type_


# ---- schema to shape ----


def _read(schema: object, at: _Place, imported: ImportedSchema) -> Shape:
    if at.depth > MAX_DEPTH:
        imported.note(at.path, f"nested deeper than {MAX_DEPTH}, so its type is `Json`")
        return Shape(path=at.path)
    if len(at.inside) > 1 and not imported.afford():
        imported.note(imported.path, "references expand too far, so the rest of them is `Json`")
        return Shape(path=at.path)
    if schema is False:
        return Shape(kinds=frozenset(), path=at.path)
    if not isinstance(schema, dict):
        if schema is not True:
            imported.note(at.path, "not a schema, so its type is `Json`")
        return Shape(path=at.path)
    if at.depth and isinstance(schema.get("$id"), str):
        at = replace(at, foreign=True)
    shape = reduce(meet, _parts(schema, at, imported))
    kinds = shape.kinds | KINDS["null"] if schema.get("nullable") is True else shape.kinds
    return replace(shape, kinds=kinds, path=at.path)


def _parts(schema: dict[str, object], at: _Place, imported: ImportedSchema) -> Iterator[Shape]:
    """Shapes that apply together."""
    if "$ref" in schema:
        yield _follow(schema["$ref"], at, imported)
        if _ref_stands_alone(imported.root):
            return
    yield _own(schema, at, imported)
    yield from _combined("allOf", schema, at, imported)
    for word in ("anyOf", "oneOf"):
        alternatives = list(_combined(word, schema, at, imported))
        others = [shape for shape in alternatives if shape.kinds != KINDS["null"]]
        if any(shape != others[0] for shape in others):
            imported.note(at.path, "has alternatives; which of them holds is not carried over")
        if alternatives:
            yield reduce(join, alternatives)


def _combined(word: str, schema: dict[str, object], at: _Place, imported: ImportedSchema) -> Iterator[Shape]:
    """The shapes in the list under `allOf`, `anyOf` or `oneOf`."""
    parts = schema.get(word)
    if not isinstance(parts, list):
        return
    if len(parts) > MAX_PARTS:
        imported.note(at.path, f"`{word}` has more than {MAX_PARTS} parts, and is not carried over")
        return
    for i, part in enumerate(parts):
        yield _read(part, at.down(word, i), imported)


def _own(schema: dict[str, object], at: _Place, imported: ImportedSchema) -> Shape:
    """The schema's own constraints, without references and combinations."""
    text = _text(schema)
    bounds, lost = constraints.bounds(schema)
    formatted = text != STRING or any(name == "format" for _, name, _ in bounds)
    understood = _UNDERSTOOD if formatted else _UNDERSTOOD - {"format"}
    unknown = (w for w in schema if not (w in understood or w in _SAYS_NOTHING or w.startswith("x-")))
    left_out = sorted([*unknown, *lost])
    if left_out:
        words = ", ".join(f"`{clipped(word)}`" for word in left_out[:MAX_SHOWN])
        imported.note(at.path, f"not carried over: {words}{', ...' if len(left_out) > MAX_SHOWN else ''}")
    return Shape(
        kinds=_kinds(schema, at, imported) & _kinds_of_values(schema, at, imported),
        text=text,
        element=_element(schema, at, imported),
        unique=schema.get("uniqueItems") is True,
        fields=_properties(schema, at, imported),
        closed=schema.get("additionalProperties") is False and "patternProperties" not in schema,
        open=schema.get("additionalProperties", False) is not False or "patternProperties" in schema,
        values=constraints.values(schema),
        bounds=bounds,
        path=at.path,
    )


def _kinds(schema: dict[str, object], at: _Place, imported: ImportedSchema) -> frozenset[str]:
    if "type" not in schema:
        return EVERY_KIND
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    known = [KINDS[word] for word in map(type_word, types) if word in KINDS]
    if known and len(known) == len(types):
        return frozenset().union(*known)
    imported.note(at.path, "`type` is none of the types of JSON Schema, so its type is `Json`")
    return EVERY_KIND


def _kinds_of_values(schema: dict[str, object], at: _Place, imported: ImportedSchema) -> frozenset[str]:
    kinds = EVERY_KIND
    values = schema.get("enum")
    carried = constraints.values(schema) is not None
    if isinstance(values, list) and values:
        kinds = frozenset().union(*map(kind_of, values))
        if not carried:
            imported.note(at.path, f"one of {_shown(values)}; the values are not carried over")
    if "const" in schema:
        kinds &= kind_of(schema["const"])
        if not carried:
            imported.note(at.path, f"always {_shown([schema['const']])}; the value is not carried over")
    return kinds


def _text(schema: dict[str, object]) -> Prim:
    word = schema.get("format")
    return _FORMATS.get(word, STRING) if isinstance(word, str) else STRING


def _element(schema: dict[str, object], at: _Place, imported: ImportedSchema) -> Shape | None:
    if "items" not in schema or "prefixItems" in schema:
        return None
    if isinstance(schema["items"], list):
        imported.note(at.path, "each item has a schema of its own, so its items are `Json`")
        return None
    return _read(schema["items"], at.down("items"), imported)


def _properties(schema: dict[str, object], at: _Place, imported: ImportedSchema) -> dict[str, ShapeField]:
    properties, listed = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict):
        properties = {}
    required = dict.fromkeys(name for name in listed if isinstance(name, str)) if isinstance(listed, list) else {}
    fields = {}
    for name, inner in properties.items():
        place = at.down("properties", name)
        fields[name] = ShapeField(_read(inner, place, imported), name in required)
        if name not in required and isinstance(inner, dict) and inner.get("default") is not None:
            imported.note(place.path, "has a default that the tool uses when it is absent; a rule sees it as absent")
    for name in required:
        fields.setdefault(name, ShapeField(Shape(path=at.path), True))
    return fields


# ---- references ----


def _follow(reference: object, at: _Place, imported: ImportedSchema) -> Shape:
    """The shape that a reference leads to; any value if it leads outside, nowhere, or back to itself."""
    steps = _steps(reference)
    if steps is None or at.foreign:
        imported.note(at.path, "refers to something outside its schema, so its type is `Json`")
        return Shape(path=at.path)
    if steps in at.inside:
        imported.note(at.path, "refers to itself, so its type is `Json`")
        return Shape(path=at.path)
    shape = _find(imported.root, steps)
    if shape is None:
        imported.note(at.path, "refers to nothing, so its type is `Json`")
        return Shape(path=at.path)
    place = _Place(imported.path + pointer(steps), at.depth + 1, at.inside | {steps})
    return _read(shape, place, imported)


def _steps(reference: object) -> tuple[str, ...] | None:
    """The steps of a JSON Pointer written as a URI fragment (RFC 6901 section 6), or None for any other reference."""
    if reference == "#":
        return ()
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in unquote(reference[2:]).split("/"))


def _find(root: object, steps: tuple[str, ...]) -> object:
    value = root
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and len(step) < 7:
            value = value[int(step)] if int(step) < len(value) else None
        else:
            return None
    return value


def _ref_stands_alone(root: object) -> bool:
    """Up to draft-07 keywords next to `$ref` are ignored."""
    dialect = root.get("$schema") if isinstance(root, dict) else None
    return isinstance(dialect, str) and "json-schema.org/draft-0" in dialect


def _shown(values: list[object]) -> str:
    some = ", ".join(_value(value) for value in values[:MAX_SHOWN])
    return f"{some}, ..." if len(values) > MAX_SHOWN else some


def _value(value: object) -> str:
    match value:
        case None | bool():
            return str(value).lower().replace("none", "null")
        case str():
            return f'"{clipped(value)}"'
        case int():
            return str(value) if abs(value) < 10**18 else "a large number"
        case float():
            return repr(value)
        case _:
            return "an array" if isinstance(value, list) else "an object"
