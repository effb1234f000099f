"""From the values that a shape admits to the type for them, if there is one; otherwise `Json` and a note."""

from __future__ import annotations

from policyengine.diagnostics.source import Span
from policyengine.model.types import BOOL, INT, JSON, NUMBER, STRING, TIME, Prim
from policyengine.schema import constraints
from policyengine.schema.imported_schema import ImportedSchema, clipped, writable
from policyengine.schema.shapes import EVERY_KIND, Shape, kind_of
from policyengine.syntax import ast

_SCALARS = {"boolean": BOOL, "integer": INT, "number": NUMBER}


def fields_of(shape: Shape, imported: ImportedSchema, span: Span) -> tuple[ast.FieldDecl, ...]:
    made = []
    for text, held in shape.fields.items():
        if not writable(text):
            imported.note(shape.path, f"has a field `{clipped(text)}` whose name is not text, and no rule can read it")
            continue
        name, type_ = ast.Name(text=text, span=span), type_of(held.shape, imported, span)
        made.append(ast.FieldDecl(name=name, optional=not held.required, type=type_, span=span))
    if shape.open and not shape.closed:
        json = ast.NamedType(name=JSON.name, span=span)
        made.append(ast.Rest(name=ast.Name(text="...", span=span), optional=True, type=json, span=span))
    return tuple(made)


def type_of(shape: Shape, imported: ImportedSchema, span: Span) -> ast.TypeExpr:
    kinds = shape.kinds - {"integer"} if "number" in shape.kinds else shape.kinds
    if shape.values is not None:
        allowed = tuple(value for value in shape.values if kind_of(value) & shape.kinds)
        members = constraints.literal_types(allowed, span)
    elif shape.kinds >= EVERY_KIND or not kinds - {"null"}:
        members = []
    else:
        members = [
            member
            for kind in sorted(kinds, key=_null_last)
            if (member := _of_kind(kind, shape, imported, span)) is not None
        ]
        members = members if len(members) == len(kinds) else []
    if len(members) > 1:
        return ast.UnionType(members=tuple(members), span=span)
    if members:
        return members[0]
    why = _why_json(shape, kinds)
    if why:
        imported.note(shape.path, f"{why}, so its type is `Json`")
    return ast.NamedType(name=JSON.name, span=span)


def _null_last(kind: str) -> tuple[bool, str]:
    return kind == "null", kind


def _of_kind(kind: str, shape: Shape, imported: ImportedSchema, span: Span) -> ast.TypeExpr | None:
    """The type of the values of one kind; None if there is none."""
    match kind:
        case "string":
            text = _text_type(shape, imported)
            limits = constraints.bounds_of(shape, "string", span) if text == STRING else ()
            return ast.NamedType(name=text.name, bounds=limits, span=span)
        case "boolean":
            return ast.NamedType(name=BOOL.name, span=span)
        case "integer" | "number":
            limits = constraints.bounds_of(shape, "number", span)
            return ast.NamedType(name=_SCALARS[kind].name, bounds=limits, span=span)
        case "null":
            return constraints.literal_types((None,), span)[0]
        case "array":
            collection = ast.Name(text="Set" if shape.unique else "List", span=span)
            element = type_of(shape.element or Shape(path=shape.path), imported, span)
            limits = constraints.bounds_of(shape, "array", span)
            return ast.GenericType(name=collection, argument=element, bounds=limits, span=span)
        case "object" if shape.fields or shape.closed:
            return ast.RecordType(fields=fields_of(shape, imported, span), span=span)
    return None


def _text_type(shape: Shape, imported: ImportedSchema) -> Prim:
    if shape.text != STRING:
        form = "RFC 3339 text with an offset" if shape.text == TIME else "an address without a zone"
        imported.note(
            shape.path, f"`{shape.text}` for its format; text that is not {form} is an error where a rule reads it"
        )
    return shape.text


def _why_json(shape: Shape, kinds: frozenset[str]) -> str:
    """Why no narrower type fits; empty if the schema is no narrower than `Json`."""
    if shape.kinds == EVERY_KIND:
        return "states no `type`" if shape != Shape() else ""
    if not kinds:
        return "no value can pass"
    if kinds == {"object"}:
        return "is an object whose fields are not described"
    if kinds == {"null"}:
        return "is always null"
    return f"may be one of {', '.join(sorted(kinds))}"
