"""What must be true of a thing for the policies to allow it: conditions without negation and without errors.

A condition of the language has three outcomes: true, false, or an error. A formula has two. An atom is true of a thing
only if every value that it is about is there and of its type, so "not equal" is an atom of its own and not the negation
of "equal". Formulas have only `and` and `or`. So an atom that a store cannot express may be replaced by one that is
true more often; the whole is then true more often too, and never less.

A formula can have holes for a caller's values. Lowering a policy learns only what a caller *answers* about a hole, one
of a handful of words, and never the value, so its result cannot contain a caller's value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from policyengine.evaluate.interpret import Env
from policyengine.ir.nodes import Expr
from policyengine.model.types import EntityT, Type
from policyengine.model.values import Uid

# Attribute names from the thing downwards; all but the last are records or JSON objects. `("id",)` is its id.
Path = tuple[str, ...]
Operator = Literal["==", "!=", "<", "<=", ">", ">="]

ElementsKind = Literal["any", "none", "all", "lacks", "only", "other"]

ID: Path = ("id",)


class Truth(Struct, frozen=True):
    value: bool


class All(Struct, frozen=True):
    items: tuple[Formula, ...]


class Some(Struct, frozen=True):
    items: tuple[Formula, ...]


class OfType(Struct, frozen=True):
    """The value is there and passes the guard of the type."""

    path: Path
    type: Type


class Present(Struct, frozen=True):
    """The last name of the path is in its object; its value may be anything, even null."""

    path: Path


class Missing(Struct, frozen=True):
    """The last name of the path is not in its object, and the object is there."""

    path: Path


class Relation(Struct, frozen=True):
    """The value is of the type and compares so with a constant. Order is for numbers, times and durations."""

    path: Path
    type: Type
    op: Operator
    value: Any


class OneOf(Struct, frozen=True):
    """The value is of the type and is among the constants; if `negated`, it is of the type and is not among them."""

    path: Path
    type: Type
    values: tuple[Any, ...]
    negated: bool = False


class Elements(Struct, frozen=True):
    """The value is a collection of the type, each element too, and

    any    one of the constants is in it           none   none of them is
    all    every one of the constants is in it     lacks  one of them is not
    only   it holds nothing but these constants    other  it holds something else
    """

    path: Path
    type: Type
    kind: ElementsKind
    values: tuple[Any, ...]


class Matching(Struct, frozen=True):
    """The text consists of the pieces in order with anything between them; if `negated`, it is a text and does not."""

    path: Path
    type: Type
    pieces: tuple[str, ...]
    negated: bool = False


class Sized(Struct, frozen=True):
    """Elements of a list, different elements of a set, code points of a text, compared with a number."""

    path: Path
    type: Type
    op: Operator
    count: int | float


class TwoFields(Struct, frozen=True):
    """Two values of the thing itself, each of its type, compare so."""

    path: Path
    type: Type
    op: Operator
    other: Path
    other_type: Type


class Below(Struct, frozen=True):
    """The entity that an attribute refers to is one of the targets or below one; if `negated`, it is neither. `closed`,
    which stores look at, are the targets and everything that the entity source, or the caller, states to be below them.
    A reference may state its own parents for an entity whose parents the source does not state. Negated and without
    targets, the hierarchy can be followed; `closed` are then those where it cannot, by what the caller states."""

    path: Path
    type: EntityT
    targets: frozenset[Uid]
    closed: frozenset[Uid]
    negated: bool = False


class Inside(Struct, frozen=True):
    """A parent of the thing itself is one of the targets or below one (`closed`, as in Below); if `negated`, its
    parents are well formed, or it has none, and none is that. Negated and without targets, it means only that its
    parents are well formed; those in `closed` are not, by what the caller states."""

    targets: frozenset[Uid]
    closed: frozenset[Uid]
    negated: bool = False


class Opaque(Struct, frozen=True, eq=False):
    """Left to evaluation: the expression, with the thing at its place in the request, is `wanted`, or (None) has a
    value. Attributes of the unknown entity in `env` take precedence over the thing's own. `env` is set once the formula
    is a caller's."""

    expr: Expr
    wanted: bool | None
    env: Env | None = None


class Sourced(Struct, frozen=True, eq=False):
    """The thing is one of those that the entity source knows, and the formula for that one is true of it."""

    ids: frozenset[str]
    formula: Callable[[str], Formula]


Atom = (
    Sourced |
    OfType | Present | Missing | Relation | OneOf | Elements | Matching | Sized | TwoFields | Below | Inside | Opaque
)  # fmt: skip
Formula = Truth | All | Some | Atom

TRUE, FALSE = Truth(True), Truth(False)


# ---- formulas with holes ----

# Everything that lowering learns of a caller:
# errs    there is no value                           odd     only evaluation can give the result
# true    a test holds                                false   a test fails
# some    there are values, all of them usable        partly  some values are usable and others are not
# none    there are no values                         unfit   there are values, and none is usable
HoleAnswer = Literal["errs", "odd", "true", "false", "some", "partly", "none", "unfit"]
Found = tuple[HoleAnswer, Any]


class Hole(Struct, frozen=True, eq=False):
    """Stands in an atom for what `find` returns for a caller: an answer, and with it a value, or (`many`) the values of
    a collection. Equal only to itself. `fixed` is the result for every caller, if it does not depend on the caller."""

    many: bool
    find: Callable[[Any], Found]
    fixed: Found | None = None

    def found(self, caller: Any) -> Found:
        answer: Found | None = caller.found.get(self)
        if answer is None:
            answer = caller.found[self] = self.find(caller)
        return answer


class Deferred(Struct, frozen=True, eq=False):
    """Stands in a formula for a part that is made anew for each caller."""

    fill: Callable[[Any], Formula]


def is_many(value: Any) -> bool:
    """Whether it stands for any number of values."""
    return value.__class__ is Hole and bool(value.many)
