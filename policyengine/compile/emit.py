"""From typed expressions to Python expressions, as `ast` nodes.

Policy text never becomes Python text: names in the result are made here, and constants travel as objects. An emitted
expression has the value that the interpreter gives, or raises; there is no other outcome.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from policyengine.compile.call_site import CallSite
from policyengine.compile.elements import counting, is_within, kept_set, quantified, sources_of, within_many
from policyengine.compile.hierarchy import wanted
from policyengine.compile.merge_within import is_union, merge_within
from policyengine.compile.prepare import Prepared
from policyengine.compile.pytree import (
    all_of,
    any_of,
    call,
    call_object,
    class_of,
    inside,
    like_test,
    load,
    meets,
    of_world,
    place,
    subscript,
)
from policyengine.compile.string_sets import string_set_call
from policyengine.compile.type_tests import SMALL, scalar_test
from policyengine.ir import nodes as ir
from policyengine.ir.walk import counted, quantifies
from policyengine.model.functions import FUNCTIONS, type_argument
from policyengine.model.types import BOOL, INT, JSON, NUMBER, STRING, EntityT, ListT, SetT, Type
from policyengine.model.values import Entity, Uid

SCALARS = (STRING, BOOL, INT, NUMBER)


@dataclass(slots=True)
class Emitter:
    """Emits the expressions of one function. `loads` are attributes that the function has already read and guarded."""

    site: CallSite
    loads: Mapping[ir.Expr, str] = field(default_factory=dict)
    # The roots whose ancestors the function has already found, under the names `above_principal` and `above_resource`.
    looked_up: Collection[str] = ()
    # All targets of the searches above a root, or None if they are not known beforehand.
    targets: Mapping[str, frozenset[Uid] | None] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    temporaries: int = 0
    # Tests of membership in a collection that is the same for all elements of a quantifier, with the name of its set.
    kept: dict[int, str] = field(default_factory=dict)
    # The names of the collections of the enclosing quantifiers.
    around: list[str] = field(default_factory=list)
    prepared: Prepared = field(default_factory=Prepared)

    def emit(self, expr: ir.Expr) -> ast.expr:
        """The Python expression. Entities other than the principal and the resource are `Entity` objects, collections
        of scalars are as they came, and everything else is as in the interpreter."""
        node = self._emit(expr)
        return place(node, expr.span)

    def constant(self, value: Any) -> ast.expr:
        """The value itself: a literal where Python has one, otherwise a name."""
        if value is None or type(value) in (bool, int, float, str):
            return ast.Constant(value)
        for name, known in self.constants.items():
            if known is value:
                return load(name)
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return load(name)

    def fresh(self) -> str:
        self.temporaries += 1
        return f"t{self.temporaries}"

    # ---- dispatch ----

    def _emit(self, expr: ir.Expr) -> ast.expr:
        # A prepared value would not be counted together with the enclosing quantifiers.
        name = self.loads.get(expr) or (None if self.around and quantifies(expr) else self.prepared.name(expr))
        if name is not None:
            return load(name)
        match expr:
            case ir.Const(value=value):
                return self.constant(value)
            case ir.Root(name="context"):
                return load("context")
            case ir.Root(name="action"):
                return load("attributes")
            case ir.Root(name=name):
                return call("as_entity", load(name))
            case ir.Local(slot=slot):
                return load(f"q{slot}")
            case ir.Attribute():
                return self.guarded(self.raw(expr), expr.type)
            case ir.Recorded(base=base, name=name, owners=owners, type=type_):
                asked = (self.emit(base), ast.Constant(name), self.constant(owners))
                return self.guarded(of_world("recorded", *asked), type_)
            case ir.EntityOf(name=name, id=id_):
                return of_world("known", ast.Constant(name), self.emit(id_))
            case ir.Identity(base=ir.Root(name="action")):
                return ast.Constant(self.site.action)
            case ir.Identity(base=ir.Root(name="principal" | "resource" as name)):
                return load("pid" if name == "principal" else "rid")
            case ir.Identity(base=base):
                return ast.Attribute(ast.Attribute(self.emit(base), "uid", ast.Load()), "id", ast.Load())
            case ir.Has():
                return self._has(expr)
            case ir.Refine(operand=operand, shape=shape):
                return call("refined", self._exact(operand), self.constant(shape))
            case ir.Arguments(tools=tools):
                return call(
                    "take", self.constant(tools), call("as_entity", load("resource")), load("context"), load("world")
                )
            case ir.Lookup(base=base, key=key):
                return call("lookup", self.emit(base), self.emit(key))
            case ir.HasKey(base=base, key=key):
                return call("has_key", self.emit(base), self.emit(key))
            case ir.Expect(operand=operand, type=type_):
                return self.guarded(self.emit(operand), type_)
            case ir.Not(operand=operand):
                return ast.UnaryOp(ast.Not(), self.emit(operand))
            case ir.And(items=items):
                return ast.BoolOp(ast.And(), [self.emit(item) for item in items])
            case ir.Or(items=items):
                return any_of([self.emit(item) for item in merge_within(items, self.prepared)])
            case ir.If(condition=condition, then=then, otherwise=otherwise):
                return ast.IfExp(self.emit(condition), self.emit(then), self.emit(otherwise))
            case ir.Equal():
                return self._equal(expr)
            case ir.Compare(left=ir.Attribute(type=one), right=ir.Attribute(type=other)) if one == other == INT:
                return self._compare_integers(expr)
            case ir.Compare(op=op, left=left, right=right):
                return ast.Compare(self.emit(left), [COMPARE[op]()], [self.emit(right)])
            case ir.Arithmetic(op=op, left=left, right=right, type=type_):
                return call("arithmetic", ast.Constant(op), self.emit(left), self.emit(right), self.constant(type_))
            case ir.Negate(operand=operand, type=type_):
                return call("negate", self.emit(operand), self.constant(type_))
            case ir.Contains():
                return self._contains(expr)
            case ir.Within():
                return self._within(expr)
            case ir.Is(entity=ir.Root(name="principal" | "resource" as name), names=names):
                return ast.Constant(self.site.type_of(name) in names)
            case ir.Is(entity=entity, names=names):
                type_of = ast.Attribute(ast.Attribute(self.emit(entity), "uid", ast.Load()), "type", ast.Load())
                return ast.Compare(type_of, [ast.In()], [self.constant(names)])
            case ir.Like(operand=operand, pattern=pattern):
                return like_test(self.emit(operand), pattern) or call(
                    "like", self.emit(operand), self.constant(pattern)
                )
            case ir.Quantifier(
                kind="any", slot=slot, collection=ir.Attribute() as among,
                body=ir.Equal(left=ir.Local(slot=item), right=ir.Root() as root, negated=False)
                | ir.Equal(left=ir.Root() as root, right=ir.Local(slot=item), negated=False),
            ) if item == slot and not self.around:  # fmt: skip
                wanted, compared = self._compared(root, among)
                return ast.Compare(wanted, [ast.In()], [compared])
            case ir.Quantifier():
                return quantified(expr, self.emit, self.constant, self.fresh, self.kept, self.around)
            case ir.Call():
                return self._call(expr)
            case ir.Sources():
                return sources_of(expr)
            case ir.Collection(items=items):
                return ast.Tuple([self._scalar(item) for item in items], ast.Load())
            case _:
                assert_never(expr)

    # ---- attributes ----

    def raw(self, expr: ir.Attribute) -> ast.expr:
        """The attribute as it came, unguarded. Raises if it is absent."""
        base, name = expr.base, ast.Constant(expr.name)
        match base:
            case ir.Root(name="principal" | "resource" as root):
                if expr.owners is not None and self.site.type_of(root) not in expr.owners:
                    return call("bad")
                own = subscript(load(root), expr.name)
                if self.site.type_of(root) not in self.site.recorded:
                    return own
                known = load("known_" + root)
                return ast.IfExp(ast.Compare(name, [ast.In()], [known]), subscript(known, expr.name), own)
            case ir.Root():
                return subscript(self.emit(base), expr.name)
            case ir.Attribute() if isinstance(base.type, EntityT) and base not in self.loads:
                owners = self.constant(expr.owners)
                return call("attribute_of", self.raw(base), self.constant(base.type), name, owners)
            case _ if isinstance(base.type, EntityT):
                return call("find", self.emit(base), name, self.constant(expr.owners), load("world"))
            case _:
                return call("member", self.emit(base), name)

    def guarded(self, value: ast.expr, type_: Type) -> ast.expr:
        """The value, if it has the type; raises otherwise."""
        if type_ == JSON:
            return value
        temporary = self.fresh()
        test = scalar_test(ast.NamedExpr(ast.Name(temporary, ast.Store()), value), load(temporary), type_)
        if test is not None:
            return ast.IfExp(test, load(temporary), call("guard", load(temporary), self.constant(type_)))
        match type_:
            case SetT(element) if element == STRING:
                # A list, the usual case in requests, is tested in place.
                named = ast.NamedExpr(ast.Name(temporary, ast.Store()), value)
                return ast.IfExp(call("plain_texts", named), load(temporary), call("strings", load(temporary)))
            case ListT(element) if element == STRING:
                return call("ordered_strings", value)
        many = isinstance(type_, SetT | ListT) and isinstance(type_.element, EntityT)
        return call("elements" if many else "guard", value, self.constant(type_))

    def _has(self, expr: ir.Has) -> ast.expr:
        base, name = expr.base, ast.Constant(expr.name)
        match base:
            case ir.Root(name="principal" | "resource" as root):
                if expr.owners is not None and self.site.type_of(root) not in expr.owners:
                    return ast.Constant(False)
                own: ast.expr = ast.Compare(name, [ast.In()], [load(root)])
                if self.site.type_of(root) not in self.site.recorded:
                    return own
                return ast.BoolOp(ast.Or(), [ast.Compare(name, [ast.In()], [load("known_" + root)]), own])
            case ir.Root():
                return ast.Compare(name, [ast.In()], [self.emit(base)])
            case _ if isinstance(base.type, EntityT):
                return call("has", self.emit(base), name, self.constant(expr.owners), load("world"))
            case _:
                return call("has_member", self.emit(base), name)

    # ---- operators ----

    def _equal(self, expr: ir.Equal) -> ast.expr:
        left, right = expr.left, expr.right
        sign = ast.NotEq() if expr.negated else ast.Eq()
        if left.type in SCALARS and right.type in SCALARS:
            return ast.Compare(self._scalar(left), [sign], [self._scalar(right)])
        if isinstance(left.type, EntityT):
            one, other = self._compared(left, right)
            return ast.Compare(one, [sign], [other])
        emit = counting(expr, self._exact, self.around)
        same = call("equal", emit(left), emit(right), self.constant(left.type))
        return ast.UnaryOp(ast.Not(), same) if expr.negated else same

    def _compare_integers(self, expr: ir.Compare) -> ast.expr:
        """Compares two attributes and guards them together: whatever the result, two of the bounds imply the others."""
        sides = [expr.left, expr.right]
        if any(side in self.loads or self.prepared.name(side) is not None for side in sides):
            return ast.Compare(self.emit(expr.left), [COMPARE[expr.op]()], [self.emit(expr.right)])
        names = [self.fresh(), self.fresh()]
        left, right = (load(name) for name in names)
        values = [ast.NamedExpr(ast.Name(n, ast.Store()), self.raw(s)) for n, s in zip(names, sides, strict=True)]  # type: ignore[arg-type]
        integers = all_of([ast.Compare(class_of(value), [ast.Is()], [load("int")]) for value in values])
        fit = call("integers", left, right)
        less, more = (left, right) if expr.op in ("<", "<=") else (right, left)
        holds = ast.Compare(left, [COMPARE[expr.op]()], [right])
        known = ast.IfExp(holds, inside(less, more, SMALL, fit), ast.UnaryOp(ast.Not(), inside(more, less, SMALL, fit)))
        return ast.IfExp(integers, known, call("bad"))

    def _compared(self, one: ir.Expr, other: ir.Expr) -> tuple[ast.expr, ast.expr]:
        """One identity, and another one or several others, in a form in which they can be compared."""
        single = isinstance(other.type, EntityT)
        both = self.prepared.both(one, "uid", other, "uid" if single else "uids")
        if both is not None:
            return load(both[0]), load(both[1])
        return self._uid(one), self._uid(other) if single else self._uids(other)  # type: ignore[arg-type]

    def _uid(self, expr: ir.Expr) -> ast.expr:
        """The identity of an entity, as a pair or a Uid; the two compare alike."""
        name = self.prepared.name(expr, "uid")
        if name is not None:
            return load(name)
        match expr:
            case ir.Const(value=Entity(uid=uid)):
                return self.constant(uid)
            case ir.Root(name="principal" | "resource" as root):
                id_ = load("pid" if root == "principal" else "rid")
                return ast.Tuple([ast.Constant(self.site.type_of(root)), id_], ast.Load())
            case ir.Attribute(type=type_) if expr not in self.loads:
                return call("identity", self.raw(expr), self.constant(type_))
        return ast.Attribute(self.emit(expr), "uid", ast.Load())

    def _uids(self, expr: ir.Attribute) -> ast.expr:
        """The identities in a collection of entities."""
        name = self.prepared.name(expr, "uids")
        return load(name) if name is not None else call("identities", self.raw(expr), self.constant(expr.type))

    def _exact(self, expr: ir.Expr) -> ast.expr:
        """A collection in the interpreter's own form."""
        if isinstance(expr, ir.Attribute) and isinstance(expr.type, SetT | ListT):
            return call("guard", self.raw(expr), self.constant(expr.type))
        if isinstance(expr, ir.Expect) and isinstance(expr.type, SetT | ListT):
            return call("guard", self.emit(expr.operand), self.constant(expr.type))
        return self.emit(expr)

    def _scalar(self, expr: ir.Expr) -> ast.expr:
        """A value to be compared. Elsewhere a condition may be any true value, but here it is a Bool."""
        value, is_bool = self.emit(expr), isinstance(expr, ir.Attribute | ir.Const | ir.Local)
        return value if is_bool or expr.type != BOOL else ast.UnaryOp(ast.Not(), ast.UnaryOp(ast.Not(), value))

    def _contains(self, expr: ir.Contains) -> ast.expr:
        item, collection = expr.item, expr.collection
        element = collection.type.element if isinstance(collection.type, SetT | ListT) else None
        kept, emit = self.kept.get(id(expr)), counting(expr, self.emit, self.around)
        if item.type in SCALARS and element in SCALARS:
            scalar = self._scalar(item)
            if isinstance(collection, ir.Const):
                return ast.Compare(scalar, [ast.In()], [self.constant(frozenset(collection.value))])
            among = emit(collection)
            return ast.Compare(scalar, [ast.In()], [among if kept is None else kept_set(kept, among)])
        wanted, of = self.fresh(), self.constant(element or JSON)
        asked, among = ast.NamedExpr(ast.Name(wanted, ast.Store()), self.emit(item)), emit(collection)
        # The item is evaluated first, as in the interpreter.
        pair = ast.Tuple([asked, among if kept is None else kept_set(kept, among, of)], ast.Load())
        second = ast.Subscript(pair, ast.Constant(1), ast.Load())
        return call("contains" if kept is None else "is_member", second, load(wanted), of)

    def _within(self, expr: ir.Within) -> ast.expr:
        entity, target = expr.entity, expr.target
        if id(expr) in self.kept or (self.around and counted(expr)):
            return within_many(expr, self.emit, self.kept, self.around)
        if isinstance(entity, ir.Root) and isinstance(target, ir.Const):
            values = target.value if isinstance(target.value, tuple) else (target.value,)
            above, own = self.below(entity.name, frozenset(e.uid for e in values))
            return above if own is None else ast.BoolOp(ast.Or(), [above, own])
        if isinstance(entity, ir.Root) and isinstance(target, ir.Attribute):
            return self._within_attribute(entity, target)
        union = self.prepared.both(target, "union", entity, "reach") if is_union(target) else None
        if union is not None:
            return meets(load(union[0]), load(union[1]), False)
        targets = self.emit(target)
        if isinstance(target.type, EntityT):
            targets = ast.Tuple([targets], ast.Load())
        return is_within(self.emit(entity), call("uids", targets))

    def _within_attribute(self, entity: ir.Root, target: ir.Attribute) -> ast.expr:
        """`principal in resource.readers`: by identity alone. The target is evaluated before the hierarchy."""
        single = isinstance(target.type, EntityT)
        both = self.prepared.both(target, "uid" if single else "uids", entity, "reach")
        if both is not None:
            return meets(load(both[0]), load(both[1]), single)
        reach = self.prepared.name(entity, "reach")
        if reach is not None:
            return meets(self._uid(target) if single else self._uids(target), load(reach), single)
        above = self.ancestors(entity.name)
        own, named = self._uid(entity), self.fresh()
        again, at_hand = load(named), ast.Name(named, ast.Store())
        below = meets(ast.NamedExpr(at_hand, self._uid(target) if single else self._uids(target)), above, single)
        itself = ast.Compare(again, [ast.Eq()], [own]) if single else ast.Compare(own, [ast.In()], [again])
        return ast.BoolOp(ast.Or(), [below, itself])

    def ancestors(self, root: str) -> ast.expr:
        """The ancestors of the principal or resource, or at least those that the rules search for."""
        return load("above_" + root) if root in self.looked_up else call("ancestors", load(root), self.known(root))

    def ancestors_among(self, root: str, targets: frozenset[Uid]) -> ast.expr:
        """The targets that are ancestors of the principal or resource; other ancestors may be included."""
        return call("ancestors_among", self.constant(wanted(targets)), load(root), self.known(root))

    def known(self, root: str) -> ast.expr:
        """What the world knows of the principal or resource."""
        return load("known_" + root if self.site.type_of(root) in self.site.recorded else "nothing")

    def below(self, root: str, targets: frozenset[Any]) -> tuple[ast.expr, ast.expr | None]:
        """Two tests: whether the principal or resource is below one of the targets, which errs if the hierarchy is
        malformed; and whether it is one of them, or None if its type rules that out."""
        if root not in self.looked_up:
            disjoint = ast.Attribute(self.constant(targets), "isdisjoint", ast.Load())
            below: ast.expr = ast.UnaryOp(ast.Not(), call_object(disjoint, self.ancestors_among(root, targets)))
        elif len(targets) == 1:
            # Most often there are no ancestors, and this is the fastest test for that.
            [target] = targets
            below = all_of(
                [self.ancestors(root), ast.Compare(self.constant(target), [ast.In()], [self.ancestors(root)])]
            )
        else:
            disjoint = ast.Attribute(self.constant(targets), "isdisjoint", ast.Load())
            below = ast.UnaryOp(ast.Not(), ast.Call(disjoint, [self.ancestors(root)], []))
        own = frozenset(uid.id for uid in targets if uid.type == self.site.type_of(root))
        if not own:
            return below, None
        id_ = load("pid" if root == "principal" else "rid")
        return below, ast.Compare(id_, [ast.In()], [self.constant(own)])

    def _call(self, expr: ir.Call) -> ast.expr:
        emit = counting(expr, self.emit, self.around)
        made = string_set_call(expr, emit, self.constant)
        if made is not None:
            return made
        args = [emit(arg) for arg in expr.args]
        args += [self.constant(type_) for type_ in type_argument(expr.function, *(a.type for a in expr.args))]
        return call_object(self.constant(FUNCTIONS[expr.function]), *args)


COMPARE = {"<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE}
