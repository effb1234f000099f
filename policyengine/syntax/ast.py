"""The tree that a `.pol` text means, before any name in it is resolved.

Nodes are frozen; spans do not take part in equality, so two trees are equal if they mean the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal as Lit

from policyengine.syntax.ast_types import (
    ActionDecl,
    Bound,
    Comment,
    ContextClosed,
    ContextDecl,
    EntityDecl,
    EntityType,
    ExtendDecl,
    FieldDecl,
    GenericType,
    Literal,
    LiteralType,
    MarkedType,
    Mode,
    Name,
    NamedType,
    Node,
    ObligationDecl,
    RecordType,
    Rest,
    TypeDecl,
    TypeExpr,
    UnionType,
    Use,
)

# The nodes declared there are part of the tree as well.
__all__ = [
    "ActionDecl", "Bound", "Comment", "ContextClosed", "ContextDecl", "EntityDecl", "EntityType", "ExtendDecl",
    "FieldDecl", "GenericType", "Literal", "LiteralType", "MarkedType", "Mode", "Name", "NamedType", "Node",
    "ObligationDecl", "RecordType", "Rest", "TypeDecl", "TypeExpr", "UnionType", "Use",
]  # fmt: skip

# ---- expressions ----


@dataclass(frozen=True, slots=True)
class EntityLit(Node):
    type: Name
    id: Name


@dataclass(frozen=True, slots=True)
class EntityOf(Node):
    """`File::(tool.args.file_id)`: the entity with a computed id."""

    type: Name
    id: Expr


@dataclass(frozen=True, slots=True)
class ListLit(Node):
    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Entry(Node):
    key: Name
    value: Expr


@dataclass(frozen=True, slots=True)
class RecordLit(Node):
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Ref(Node):
    """A root, a `define` without parameters, a parameter, or a quantifier's variable."""

    name: str


@dataclass(frozen=True, slots=True)
class Member(Node):
    base: Expr
    name: Name


@dataclass(frozen=True, slots=True)
class Lookup(Node):
    """`base[key]` with a computed key; with a constant text it is a Member."""

    base: Expr
    key: Expr


@dataclass(frozen=True, slots=True)
class Call(Node):
    name: Name
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class MethodCall(Node):
    base: Expr
    name: Name
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    op: Lit["not", "-"]
    operand: Expr


@dataclass(frozen=True, slots=True)
class Binary(Node):
    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class HasOp(Node):
    base: Expr
    path: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class HasKey(Node):
    """`base has [key]`."""

    base: Expr
    key: Expr


@dataclass(frozen=True, slots=True)
class IsOp(Node):
    base: Expr
    type: Name


@dataclass(frozen=True, slots=True)
class LikeOp(Node):
    base: Expr
    pattern: Literal


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    condition: Expr
    then: Expr
    otherwise: Expr


@dataclass(frozen=True, slots=True)
class Quantifier(Node):
    kind: Lit["any", "all", "sum"]  # `sum(body for x in xs)`
    variable: Name
    collection: Expr
    body: Expr


Expr = (
    Literal | EntityLit | EntityOf | ListLit | RecordLit | Ref | Member | Lookup | Call | MethodCall
    | Unary | Binary | HasOp | HasKey | IsOp | LikeOp | Conditional | Quantifier
)  # fmt: skip


# ---- declarations ----


@dataclass(frozen=True, slots=True)
class ToolDecl(Node):
    name: Name
    params: tuple[FieldDecl, ...]
    facts: RecordLit | None
    returns: TypeExpr | None = None


@dataclass(frozen=True, slots=True)
class FactsDecl(Node):
    """`facts TOOL { ... }`: facts about a tool that is declared elsewhere."""

    name: Name
    facts: RecordLit


@dataclass(frozen=True, slots=True)
class Define(Node):
    name: Name
    params: tuple[FieldDecl, ...]
    body: Expr


# ---- rules ----


@dataclass(frozen=True, slots=True)
class AnyScope(Node):
    pass


@dataclass(frozen=True, slots=True)
class ScopeOf(Node):
    """One or more entity types and entities; with `within`, members of one of those hierarchies."""

    items: tuple[Name | EntityLit, ...]
    within: tuple[EntityLit, ...] = ()


Scope = AnyScope | ScopeOf


@dataclass(frozen=True, slots=True)
class Head(Node):
    """`actions` is empty for `any`; `principal` is None if no `for` is written."""

    actions: tuple[Name, ...]
    resource: Scope
    principal: Scope | None


@dataclass(frozen=True, slots=True)
class When(Node):
    """One `when` or `unless`."""

    negated: bool
    condition: Expr


@dataclass(frozen=True, slots=True)
class Because(Node):
    text: Literal


Clause = When | Because | Mode


@dataclass(frozen=True, slots=True)
class Argument(Node):
    name: Name | None
    value: Expr


@dataclass(frozen=True, slots=True)
class ObligationCall(Node):
    name: Name
    args: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class RequireBody(Node):
    on_deny: bool
    obligations: tuple[ObligationCall, ...]


@dataclass(frozen=True, slots=True)
class LimitBody(Node):
    ceiling: Expr | None  # None for a baseline without a floor
    of: Expr | None  # None for requests
    per: Literal | Name | None  # None for what is in flight
    by: tuple[Expr, ...]
    zone: Literal | None = None
    block_for: Literal | None = None
    failing: Lit["allow", "deny"] | None = None
    alert_at: Literal | None = None
    advisory: bool = False
    share: tuple[Literal, Literal] | None = None  # of the average, and over which time


RuleKind = Lit["permit", "forbid", "require", "limit", "label"]


@dataclass(frozen=True, slots=True)
class Rule(Node):
    kind: RuleKind
    name: Name
    head: Head
    clauses: tuple[Clause, ...]
    body: RequireBody | LimitBody | None = None


@dataclass(frozen=True, slots=True)
class Prove(Node):
    """`prove NAME: never allow HEAD` or `always allow HEAD`."""

    name: Name
    mode: Lit["never", "always"]
    head: Head
    clauses: tuple[Clause, ...]


# ---- tests ----


@dataclass(frozen=True, slots=True)
class EntityValue(Node):
    """An entity with attributes and parents, as a test states it."""

    entity: EntityLit
    attributes: RecordLit | None
    parents: tuple[EntityLit, ...]


@dataclass(frozen=True, slots=True)
class Given(Node):
    """`principal User::"ann" {...}`, `cost { usd: 1 }`, `context { ... }`, `entity Group::"a" in Group::"b"`."""

    name: Name
    value: EntityValue | RecordLit


@dataclass(frozen=True, slots=True)
class Ask(Node):
    """`call on Tool::"x" { ... }`, with the action's own attributes in parentheses after its name."""

    action: Name
    attributes: RecordLit | None
    resource: EntityValue


@dataclass(frozen=True, slots=True)
class Approved(Node):
    """`approved RULE, ...`: the approvals that the request has."""

    rules: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class Expect(Node):
    """`rules` is None if the test does not state the determining rules; `obligations` is () for `owing nothing`.
    `because` is a reason that the decision gives, or a word for an error, such as `missing`."""

    decision: Lit["allow", "deny"]
    rules: tuple[Name, ...] | None
    obligations: tuple[Name, ...] | None = None
    because: Literal | Name | None = None


@dataclass(frozen=True, slots=True)
class UseFixture(Node):
    """`use FIXTURE, ...`: the statements of the fixtures apply to the test."""

    fixtures: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class Case(Node):
    """`case { column: value } expect ...`: one line of a table. In the rest of the test a column stands for its
    value."""

    values: RecordLit
    expect: Expect


@dataclass(frozen=True, slots=True)
class After(Node):
    """`after 1h`: this much time passes before the next step."""

    duration: Literal


TestItem = Given | Approved | UseFixture | Ask | Expect | Case | After


@dataclass(frozen=True, slots=True)
class Fixture(Node):
    """`fixture NAME { ... }`: statements that several tests share. It may contain only such statements."""

    name: Name
    items: tuple[TestItem, ...]


@dataclass(frozen=True, slots=True)
class Test(Node):
    name: Literal
    items: tuple[TestItem, ...]


# ---- module ----


Declaration = (
    TypeDecl | EntityDecl | ExtendDecl | ActionDecl | ToolDecl | FactsDecl | ContextDecl | ContextClosed |
    ObligationDecl | Define
)  # fmt: skip
Statement = Declaration | Rule | Prove | Test | Fixture


@dataclass(frozen=True, slots=True)
class Module(Node):
    """`name` is None if the text has no `module` line."""

    name: Name | None
    uses: tuple[Use, ...]
    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...] = field(default=(), compare=False)
