"""The tree of written types, the declarations that need only types, and what all nodes of a tree have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal as Lit

from policyengine.diagnostics.source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A name as written. `quoted` names may hold any text; the formatter writes them with quotes only if needed."""

    text: str


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A boolean, number, string, duration or null."""

    value: bool | int | float | str | timedelta | None
    # 1 == True == 1.0 in Python; the kind distinguishes such trees.
    kind: Lit["bool", "number", "string", "duration", "null"]
    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Bound(Node):
    """`max: 5` after a type."""

    name: Name
    value: Literal


@dataclass(frozen=True, slots=True)
class NamedType(Node):
    name: str
    bounds: tuple[Bound, ...] = ()


@dataclass(frozen=True, slots=True)
class GenericType(Node):
    """`Set<T>` or `List<T>`."""

    name: Name
    argument: TypeExpr
    bounds: tuple[Bound, ...] = ()


@dataclass(frozen=True, slots=True)
class EntityType(Node):
    """`entity "sales-order"`: an entity type whose name is not an identifier."""

    name: Name


@dataclass(frozen=True, slots=True)
class LiteralType(Node):
    """`"EUR"` or `null`: the type of this value alone."""

    value: Literal


@dataclass(frozen=True, slots=True)
class UnionType(Node):
    """`A | B`."""

    members: tuple[TypeExpr, ...]


@dataclass(frozen=True, slots=True)
class RecordType(Node):
    fields: tuple[FieldDecl, ...]


@dataclass(frozen=True, slots=True)
class MarkedType(Node):
    """`String trusted readers`: the values of the type come only from those who run the system, or they name who may
    see the data around them."""

    type: TypeExpr
    marks: tuple[str, ...]


# The words that may mark the result of a tool.
MARKS = ("trusted", "readers")

TypeExpr = NamedType | GenericType | EntityType | LiteralType | UnionType | RecordType | MarkedType


@dataclass(frozen=True, slots=True)
class FieldDecl(Node):
    name: Name
    optional: bool
    type: TypeExpr


@dataclass(frozen=True, slots=True)
class Rest(FieldDecl):
    """`...`: any other members, of type Json."""


@dataclass(frozen=True, slots=True)
class TypeDecl(Node):
    """`type Money: { ... }`: a name for a type."""

    name: Name
    type: TypeExpr


@dataclass(frozen=True, slots=True)
class EntityDecl(Node):
    """`sourced` if only the entity source may supply what is declared here."""

    name: Name
    parents: tuple[Name, ...]
    fields: tuple[FieldDecl, ...]
    sourced: bool = False


@dataclass(frozen=True, slots=True)
class ExtendDecl(Node):
    """`sourced` if only the entity source may supply what is declared here."""

    name: Name
    parents: tuple[Name, ...]
    fields: tuple[FieldDecl, ...]
    sourced: bool = False


@dataclass(frozen=True, slots=True)
class ActionDecl(Node):
    """`resources` and `principals` are empty if any type is allowed."""

    name: Name
    params: tuple[FieldDecl, ...]
    resources: tuple[Name, ...]
    principals: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class ContextDecl(Node):
    """A context root: `context tenant: Tenant`."""

    name: Name
    optional: bool
    type: TypeExpr


@dataclass(frozen=True, slots=True)
class ContextClosed(Node):
    """`context closed`: a request may only have the declared context."""


@dataclass(frozen=True, slots=True)
class ObligationDecl(Node):
    """A kind of obligation and its typed properties."""

    name: Name
    params: tuple[FieldDecl, ...]


# ---- of rules ----


@dataclass(frozen=True, slots=True)
class Mode(Node):
    """`on match log` or `on stream cut`."""

    words: Lit["match log", "stream cut"]


# ---- of the module ----


@dataclass(frozen=True, slots=True)
class Use(Node):
    name: Name


@dataclass(frozen=True, slots=True)
class Comment(Node):
    text: str
