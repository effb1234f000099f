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
    # Equality compares it. A hash would go through the types of all attributes, for every expression inside another.
    type: Type = field(hash=False)
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
    """An attribute of an entity as the entity source or the policy states it, guarded to be of `type`. The request's
    own value never counts. `owners` as in Attribute. It has no syntax: it is used where only such a value can be meant.
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
    """`File::(tool.args.file_id)`: the entity with a computed id. An error if nothing is known of it."""

    name: str
    id: Expr


@dataclass(frozen=True, slots=True)
class Has(Node):
    """Whether the attribute exists; null counts."""

    base: Expr
    name: str
    owners: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Lookup(Node):
    """The value in a JSON object under a computed name; of type Json."""

    base: Expr
    key: Expr


@dataclass(frozen=True, slots=True)
class HasKey(Node):
    """Whether a JSON object has a value under a computed name; null counts."""

    base: Expr
    key: Expr


@dataclass(frozen=True, slots=True)
class Expect(Node):
    """A JSON value that must be of `type`."""

    operand: Expr


@dataclass(frozen=True, slots=True)
class Refine(Node):
    """A value that must also be one of the values that `shape` allows of its plain type."""

    operand: Expr
    shape: Type


@dataclass(frozen=True, slots=True)
class Arguments(Node):
    """Whether the arguments of a call are those that its tool declares: true, or an error. For a tool that is not among
    `tools` it is true. It has no syntax: it states what every call of a declared tool has to meet."""

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
    """`entity in target`: the entity is the target, or is below it. A target may also be a collection."""

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
    """A test of the elements of a collection. A `sum` adds up the values of its body, and is a number."""

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
    """The sources of the tool argument at `path`, by the provenance in the context. A variable in the path stands for
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
    """What a principal or resource must be for a rule to apply: it must meet every field that is not None."""

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
    """`of` is None if requests are counted; `per` is seconds, a calendar period in `zone`, or None if a limit is on
    what is in flight. A meter that has refused something stays shut for `block_for` seconds; `fails_open` applies if
    the store is unavailable. Alerts are sent from `alert_at` percent of the ceiling on, and for an `advisory` limit,
    which denies nothing, above it. With a `share`, in percent, the limit is that much of the average of the previous
    `over` periods, and at least `ceiling`."""

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
    """What a rule reads. `members` are members of the context, `whole_context` is whether it reads the context as a
    whole. `through` are the types of entity, neither principal nor resource, of which it reads more than the identity.
    `elements` is whether it reads attributes of the elements of a collection, `sources` whether it reads the sources of
    arguments, and `approval` whether it demands an approval."""

    members: frozenset[str]
    whole_context: bool
    through: frozenset[str]
    elements: bool
    sources: bool
    approval: bool

    def reads(self, member: str) -> bool:
        """Whether this member of the context may be read, by itself or with the context as a whole."""
        return self.whole_context or member in self.members


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `name` is qualified with its module; `reason` is the public `because`. A `tried` rule is on trial: it
    affects nothing yet, and only its effect is reported. A forbid that `cuts` ends a stream once it holds of the text
    so far."""

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
    # Set by `footprint.py` on first use.
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
    """All rules of a bundle in name order, the facts that it states of entities, its claims and its tests. `tried` are
    the rules that are not in force: no decision depends on them."""

    rules: tuple[Rule, ...] = ()
    facts: tuple[tuple[Uid, tuple[tuple[str, Any], ...]], ...] = ()
    proofs: tuple[Proof, ...] = ()
    tests: tuple[TestCase, ...] = ()
    obligations: tuple[str, ...] = ()
    tried: tuple[Rule, ...] = ()


APPROVAL = "approval"
