"""The typed, desugared form of policies: what every evaluator reads.

It exists only for policies without errors; nothing that reads it checks again. Names are resolved, definitions are
written out, `unless` is `and not`, and every place where a value from outside could have the wrong shape is an
`Attribute` or an `Expect` node. Spans point into the policy text and take no part in equality.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from policyengine.diagnostics.source import Span
from policyengine.ir.cases import TestCase
from policyengine.model.types import RecordT, Type
from policyengine.model.values import Uid


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    type: Type
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Const(Node):
    """A constant, in the form that values have inside the engine."""

    value: Any


@dataclass(frozen=True, slots=True)
class Root(Node):
    name: Literal["principal", "action", "resource", "context"]


@dataclass(frozen=True, slots=True)
class Local(Node):
    """A quantifier's variable. Slots are unique within a rule."""

    name: str
    slot: int


@dataclass(frozen=True, slots=True)
class Attribute(Node):
    """An attribute of an entity, record, action, or JSON object, guarded to be of `type`.

    `owners` are the entity types that declare it, or None where every possible type of `base` does.
    """

    base: Expr
    name: str
    owners: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Recorded(Node):
    """An attribute of an entity as the entity source, or the policy itself, states it, guarded to be of `type`. What a
    request says of it never counts. `owners` as of an Attribute. No text has it: it stands where only such a value can.
    """

    base: Expr
    name: str
    owners: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Identity(Node):
    """The `id` of an entity, or the `name` of the action."""

    base: Expr


@dataclass(frozen=True, slots=True)
class EntityOf(Node):
    """`File::(tool.args.file_id)`: the entity with an id that is computed. An error where nothing is known of it."""

    name: str
    id: Expr


@dataclass(frozen=True, slots=True)
class Has(Node):
    """Whether the attribute is there at all; null is there."""

    base: Expr
    name: str
    owners: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Lookup(Node):
    """What a JSON object has under a name that is computed; of type Json."""

    base: Expr
    key: Expr


@dataclass(frozen=True, slots=True)
class HasKey(Node):
    """Whether a JSON object has anything under a name that is computed; null is there."""

    base: Expr
    key: Expr


@dataclass(frozen=True, slots=True)
class Expect(Node):
    """A JSON value that must be of `type` from here on."""

    operand: Expr


@dataclass(frozen=True, slots=True)
class Refine(Node):
    """A value that must be one of those that `shape` leaves of its plain type."""

    operand: Expr
    shape: Type


@dataclass(frozen=True, slots=True)
class Arguments(Node):
    """Whether the arguments of a call are those that its tool declares: true, or an error. Of a tool that is not among
    `tools` it is true. No text has it: it stands for what every call of a declared tool has to be."""

    tools: tuple[tuple[str, RecordT], ...]


@dataclass(frozen=True, slots=True)
class Not(Node):
    operand: Expr


@dataclass(frozen=True, slots=True)
class And(Node):
    """Left to right; the first false, or the first error, ends it."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Or(Node):
    """Left to right; the first true, or the first error, ends it."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class If(Node):
    condition: Expr
    then: Expr
    otherwise: Expr


@dataclass(frozen=True, slots=True)
class Equal(Node):
    """`==`, or `!=` where `negated`."""

    left: Expr
    right: Expr
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Compare(Node):
    op: Literal["<", "<=", ">", ">="]
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    op: Literal["+", "-", "*"]
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Negate(Node):
    operand: Expr


@dataclass(frozen=True, slots=True)
class Contains(Node):
    """`item in collection`."""

    item: Expr
    collection: Expr


@dataclass(frozen=True, slots=True)
class Within(Node):
    """`entity in target`: it is the target, or the target is above it. A target may also be a collection."""

    entity: Expr
    target: Expr


@dataclass(frozen=True, slots=True)
class Is(Node):
    entity: Expr
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Like(Node):
    """`pattern` holds the literal pieces between the `*`."""

    operand: Expr
    pattern: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quantifier(Node):
    """A question about the elements of a collection. A `sum` adds up what its body is worth, and is a number."""

    kind: Literal["any", "all", "sum"]
    variable: str
    slot: int
    collection: Expr
    body: Expr


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A built-in function, by name."""

    function: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Sources(Node):
    """Where the tool argument at `path` came from, by the provenance in the context. A variable in the path stands for
    the position of its element."""

    path: tuple[str | Local, ...]


@dataclass(frozen=True, slots=True)
class Collection(Node):
    """A list literal that is not constant."""

    items: tuple[Expr, ...]


Expr = (
    Const
    | Root
    | Local
    | Attribute
    | Recorded
    | Identity
    | EntityOf
    | Has
    | Lookup
    | HasKey
    | Expect
    | Refine
    | Arguments
    | Not
    | And
    | Or
    | If
    | Equal
    | Compare
    | Arithmetic
    | Negate
    | Contains
    | Within
    | Is
    | Like
    | Quantifier
    | Call
    | Sources
    | Collection
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a principal or resource must be for a rule to apply: all of what is not None."""

    types: frozenset[str] | None = None
    entities: frozenset[Uid] | None = None
    within: frozenset[Uid] | None = None
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Head:
    """`actions` is None for `any`."""

    actions: frozenset[str] | None
    resource: Scope
    principal: Scope


@dataclass(frozen=True, slots=True)
class ObligationSpec:
    """An obligation to impose. `properties` are expressions over the request, most often constants."""

    type: str
    properties: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True, slots=True)
class LimitSpec:
    """`of` is None for requests; `per` is seconds, a calendar period in `zone`, or None for what is in flight. A meter
    that has refused something is shut for `block_for` seconds; `fails_open` is for a store that is away. People are
    told from `alert_at` percent of the ceiling on; of an `advisory` limit past it, which denies nothing. With a
    `share`, in percent, there may be that much of what was counted on average in the `over` periods before, and
    `ceiling` is what there may be at least."""

    ceiling: Expr
    of: Expr | None
    per: float | str | None
    by: tuple[Expr, ...]
    zone: str = "UTC"
    block_for: float = 0.0
    fails_open: bool = False
    alert_at: int = 0
    advisory: bool = False
    share: int = 0
    over: int = 0


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a rule asks for. `members` are those of the context, `whole_context` is whether it reads that as a whole.
    `through` are the types of entity of which it reads more than who it is, where it is neither the principal nor the
    resource. `elements` is whether it reads what the elements of a collection have, `sources` whether it asks where
    arguments came from, and `approval` whether it demands one."""

    members: frozenset[str]
    whole_context: bool
    through: frozenset[str]
    elements: bool
    sources: bool
    approval: bool

    def reads(self, member: str) -> bool:
        """Whether this member of the context may be read: the context as a whole counts as well."""
        return self.whole_context or member in self.members


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `name` is qualified with its module; `reason` is the public `because`. A rule that is `tried` changes
    nothing yet: what it would do is told. A forbid that `cuts` ends a stream once it holds of what has come."""

    kind: Literal["permit", "forbid", "require", "limit", "label"]
    name: str
    head: Head
    condition: Expr
    span: Span = field(compare=False, repr=False)
    reason: str | None = None
    on_deny: bool = False
    obligations: tuple[ObligationSpec, ...] = ()
    limit: LimitSpec | None = None
    tried: bool = False
    cuts: bool = False
    # For `footprint.py`, which knows it once it was asked.
    footprint: Footprint | None = field(default=None, init=False, compare=False, repr=False)

    @property
    def demands_approval(self) -> bool:
        return any(o.type == APPROVAL for o in self.obligations)


@dataclass(frozen=True, slots=True)
class Proof:
    """A claim for `verify`: no (or every) request of this shape is allowed."""

    name: str
    mode: Literal["never", "always"]
    head: Head
    condition: Expr
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All rules of a bundle in name order, the facts it states of entities, its claims and its tests. `tried` are the
    rules that are not in force: no answer depends on them."""

    rules: tuple[Rule, ...] = ()
    facts: tuple[tuple[Uid, tuple[tuple[str, Any], ...]], ...] = ()
    proofs: tuple[Proof, ...] = ()
    tests: tuple[TestCase, ...] = ()
    obligations: tuple[str, ...] = ()
    tried: tuple[Rule, ...] = ()


APPROVAL = "approval"
