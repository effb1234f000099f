"""What rules need of an entity that a request only names, computed once for each entity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from policyengine.evaluate.interpret import Env, EvaluationError, evaluate
from policyengine.ir import nodes as ir
from policyengine.ir.walk import children
from policyengine.model.entities import World
from policyengine.model.request import Action, Request
from policyengine.model.values import Entity, Fault, Uid

# The value as in the interpreter; the identity of an entity; the identities in a collection, or in several; those of an
# entity and all above it, or of only those above.
PreparedKind = Literal["value", "uid", "uids", "union", "reach", "above"]
# The last says whether identities are numbers of the world: this is for those that are compared with nothing else.
Item = tuple[PreparedKind, ir.Expr | None, bool]
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The items of a generated function by root, with their names in it. `roots` are those whose entity the request
    only names. Items are added while the function is written."""

    roots: frozenset[str] = frozenset()
    items: Mapping[str, dict[Item, str]] = field(default_factory=lambda: {"principal": {}, "resource": {}})

    def name(self, expr: ir.Expr, kind: PreparedKind = "value", numbered: bool = False) -> str | None:
        """The name of the prepared value of the expression; None if it depends on anything but one of the roots."""
        root = self.root(expr) if self.roots else None
        if root is None or (kind == "value" and _is_at_hand(expr)):
            return None
        items = self.items[root]
        return items.setdefault((kind, expr, numbered), f"{root}_{len(items)}")

    def both(
        self, one: ir.Expr, kind: PreparedKind, other: ir.Expr, other_kind: PreparedKind
    ) -> tuple[str, str] | None:
        """The names of identities that are compared with each other, as numbers; None unless both are prepared."""
        if not self.roots or self.root(one) is None or self.root(other) is None:
            return None
        left, right = self.name(one, kind, True), self.name(other, other_kind, True)
        return None if left is None or right is None else (left, right)

    def add_above(self, root: str) -> None:
        """Adds the ancestors of the principal or resource, under the name that generated code uses."""
        self.items[root]["above", None, False] = f"above_{root}"

    def root(self, expr: ir.Expr) -> str | None:
        """The root that an expression depends on, if it is the only one and its entity is only named."""
        needed = depends(expr)
        (one, *more) = needed or ("",)
        return one if not more and isinstance(one, str) and one in self.roots else None


def _is_at_hand(expr: ir.Expr) -> bool:
    """Whether generated code has the value without preparation."""
    match expr:
        case ir.Root() | ir.Identity(base=ir.Root()) | ir.Is(entity=ir.Root()):
            return True
    return False


def depends(expr: ir.Expr) -> frozenset[str | int]:
    """The roots that an expression reads, and the slots of the enclosing quantifiers."""
    match expr:
        case ir.Root(name=name):
            return frozenset({name})
        case ir.Local(slot=slot):
            return frozenset({slot})
        case ir.Arguments():
            return frozenset({"resource", "context"})
        case ir.Sources(path=path):
            return frozenset({"resource", "context", *(step.slot for step in path if isinstance(step, ir.Local))})
        case ir.Quantifier(slot=slot, collection=collection, body=body):
            return depends(collection) | (depends(body) - {slot})
    return frozenset().union(*map(depends, children(expr)))


class Rows:
    """The rows of entities of one type by id, made on first use. `made` is a plain dict, the fastest lookup for
    generated code."""

    __slots__ = ("_action", "_items", "_root", "_type", "_world", "made")

    def __init__(self, root: str, items: Iterable[Item], type_: str, action: str, world: World) -> None:
        self._root = root
        self._items = tuple(items)
        self._type = type_
        self._action = action
        self._world = world
        self.made: dict[str, Row | None] = {}

    def find(self, id_: str) -> Row | None:
        """The row; None for an entity that the world does not know, or for which some item has no value."""
        if id_ in self.made:
            return self.made[id_]
        # Unknown entities are not remembered: a caller could make up names without end.
        if id_ not in self._world.records[self._type]:
            return None
        row = self.made[id_] = self._row(id_)
        return row

    def _row(self, id_: str) -> Row | None:
        named = Entity(Uid(self._type, id_), {"type": self._type, "id": id_})
        # An item reads one root only, so the same entity can stand in for the other root.
        env = Env(Request(named, Action(self._action, {}), named, {}), self._world)
        try:
            return tuple(self._item(item, env) for item in self._items)
        except (EvaluationError, Fault):
            return None

    def _item(self, item: Item, env: Env) -> Any:
        kind, expr, numbered = item
        value = self._value(kind, expr, env)
        if not numbered:
            return value
        number = self._world.number
        return number(value) if kind == "uid" else frozenset(map(number, value))

    def _value(self, kind: PreparedKind, expr: ir.Expr | None, env: Env) -> Any:
        if expr is None:
            return self._world.ancestors(env.request.principal)
        value = evaluate(expr, env)
        match kind:
            case "uid":
                return value.uid
            case "uids":
                return frozenset(entity.uid for entity in value)
            case "union":
                return frozenset(entity.uid for collection in value for entity in collection)
            case "reach":
                return self._world.ancestors(value) | {value.uid}
        return value
