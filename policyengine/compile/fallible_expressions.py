"""Expressions in which attributes may have no value, as Python expressions.

Each attribute was read into a name before, which is `absent` if it has no value. A rule that needs such a value notes
the place and stops. In a chain of `and`, a test before the first use of the attribute notes the place and is false; in
a chain of `or`, it is true. A conditional within another expression is evaluated before it, and is `absent` if it needs
such a value. Anywhere else, the place is noted and Lacking is raised, which is slower.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from policyengine.compile.emit import COMPARE, Emitter
from policyengine.compile.pytree import all_of, any_of, call, load
from policyengine.compile.reads import READABLE, Choice, NumberedRead, Readable, base_of, steps
from policyengine.diagnostics.source import Span
from policyengine.ir import nodes as ir
from policyengine.ir.walk import walk
from policyengine.model.types import EntityT


@dataclass(frozen=True, slots=True)
class ReadPlace:
    """The place at which rules read an attribute: the number of the attribute, and for each rule its number and the
    place in its text."""

    read: int
    rules: tuple[tuple[int, Span], ...]


@dataclass(slots=True)
class CheckingEmitter(Emitter):
    """An Emitter of expressions in which attributes may have no value. `valued` are the names that certainly have one
    where the expression stands; for others it notes the place, of the rule `asked`, and raises."""

    reads: Mapping[Readable, NumberedRead] = field(default_factory=dict)
    valued: frozenset[str] = frozenset()
    asked: int = 0
    raises: bool = False
    places: list[ReadPlace] = field(default_factory=list)

    def _emit(self, expr: ir.Expr) -> ast.expr:
        value = Emitter._emit(self, expr)
        # An attribute is read after the entity or record that it belongs to, which may have no value either.
        while isinstance(expr, READABLE) and expr in self.reads:
            read = self.reads[expr]
            if read.name not in self.valued:
                self.raises = True
                lacks = call("lack", load("places"), self.place(read, [(self.asked, expr.span)]))
                value = ast.IfExp(absent(read.name), lacks, value)
            expr = base_of(expr)
        return value

    # Parts are evaluated one by one, each with its guard, as in the interpreter: its errors are remembered for this
    # code.

    def raw(self, expr: ir.Attribute) -> ast.expr:
        if isinstance(expr.base, ir.Attribute) and isinstance(expr.base.type, EntityT):
            owners = self.constant(expr.owners)
            return call("find", self.emit(expr.base), ast.Constant(expr.name), owners, load("world"))
        return Emitter.raw(self, expr)

    def _compare_integers(self, expr: ir.Compare) -> ast.expr:
        return ast.Compare(self.emit(expr.left), [COMPARE[expr.op]()], [self.emit(expr.right)])

    def _uid(self, expr: ir.Expr) -> ast.expr:
        if isinstance(expr, ir.Attribute):
            return ast.Attribute(self.emit(expr), "uid", ast.Load())
        return Emitter._uid(self, expr)

    def _uids(self, expr: ir.Attribute) -> ast.expr:
        return call("uids", self.emit(expr))

    def place(self, read: NumberedRead, rules: Sequence[tuple[int, Span]]) -> ast.expr:
        self.places.append(ReadPlace(read.number, tuple(rules)))
        return ast.Constant(len(self.places) - 1)

    # ---- conditions ----

    def chained(self, expr: ir.Expr, negated: bool, is_and: bool, valued: set[str]) -> ast.expr:
        """A condition, or its opposite, as a link of a chain of `and` or of `or`. If it needs an attribute without a
        value, it is None in a chain of `and`, and `erred`, which is true, in a chain of `or`. Adds to `valued` the
        names that have a value wherever evaluation goes on."""
        match expr:
            case ir.Not(operand=operand):
                return self.chained(operand, not negated, is_and, valued)
            case ir.And(items=items) | ir.Or(items=items) if self._may_lack(expr, valued):
                own = isinstance(expr, ir.And) is not negated
                links = [self.chained(items[0], negated, own, valued)]
                inner = set(valued)
                links += [self.chained(item, negated, own, inner) for item in items[1:]]
                return self._as_link(all_of(links) if own else any_of(links), own, is_and)
            case ir.If(condition=condition, then=then, otherwise=otherwise) if self._may_lack(expr, valued):
                lacks = ast.Constant(None) if is_and else load("erred")
                chain = self.chained(condition, False, True, valued)
                branches = [self.chained(one, negated, is_and, set(valued)) for one in (then, otherwise)]
                return self._unless_lacking(chain, lacks, lambda holds: ast.IfExp(holds, *branches))
        before, test = self._after_reads(expr, is_and, valued)
        return _linked(before, negation(test) if negated else test, is_and)

    def _valued(self, expr: ir.Expr, valued: set[str]) -> ast.expr:
        """The value of an expression, or `absent` if it needs an attribute without a value."""
        match expr:
            case ir.If(condition=condition, then=then, otherwise=otherwise) if self._may_lack(expr, valued):
                chain = self.chained(condition, False, True, valued)
                branches = [self._valued(one, set(valued)) for one in (then, otherwise)]
                return self._unless_lacking(chain, load("absent"), lambda holds: ast.IfExp(holds, *branches))
            case ir.And() | ir.Or() if self._may_lack(expr, valued):
                chain = self.chained(expr, False, True, valued)
                return self._unless_lacking(chain, load("absent"), lambda holds: holds)
        before, value = self._after_reads(expr, True, valued)
        return ast.IfExp(all_of(before), value, load("absent")) if before else value

    def _unless_lacking(self, chain: ast.expr, lacks: ast.expr, then: Callable[[ast.expr], ast.expr]) -> ast.expr:
        """What follows from a chain of `and`, or `absent` if the chain met an attribute without a value."""
        name = self.fresh()
        is_lacking = ast.Compare(ast.NamedExpr(ast.Name(name, ast.Store()), chain), [ast.Is()], [ast.Constant(None)])
        return ast.IfExp(is_lacking, lacks, then(load(name)))

    def _after_reads(self, expr: ir.Expr, is_and: bool, valued: set[str]) -> tuple[list[ast.expr], ast.expr]:
        """The links before an expression, and its value once they hold."""
        around = self.loads
        before = self._before(expr, is_and, valued)
        self.valued = frozenset(valued)
        value = self.emit(expr)
        # The choices that were made for this expression are of no use to others.
        self.loads = around
        return before, value

    def _before(self, expr: ir.Expr, is_and: bool, valued: set[str]) -> list[ast.expr]:
        """The links before an expression: tests that what it always reads has a value, and the choices in it."""
        links: list[ast.expr] = []
        for node in steps(expr):
            if not isinstance(node, READABLE):
                if node is not expr and self._may_lack(node, valued):
                    links.append(self._choose(node, is_and, valued))
                continue
            read = self.reads[node]
            if read.name in valued:
                continue
            valued.add(read.name)
            place = self.place(read, [(self.asked, node.span)])
            if is_and:
                links.append(any_of([negation(absent(read.name)), call("note", place)]))
            else:
                links.append(all_of([absent(read.name), call("fail", load("places"), place)]))
        return links

    def _choose(self, choice: Choice, is_and: bool, valued: set[str]) -> ast.expr:
        """The link that makes a choice. From then on its value has a name."""
        value, name = self._valued(choice, valued), self.fresh()
        self.loads = {**self.loads, choice: name}
        lacks = ast.Compare(ast.NamedExpr(ast.Name(name, ast.Store()), value), [ast.Is()], [load("absent")])
        return any_of([negation(lacks), ast.Constant(None)]) if is_and else all_of([lacks, load("erred")])

    def _may_lack(self, expr: ir.Expr, valued: set[str]) -> bool:
        reads = self.reads
        return any(
            isinstance(node, READABLE) and node in reads and reads[node].name not in valued for node in walk(expr)
        )

    def _as_link(self, chain: ast.expr, own: bool, is_and: bool) -> ast.expr:
        """A chain of one kind as a link in a chain of the other kind."""
        if own is is_and:
            return chain
        name = self.fresh()
        kept = ast.NamedExpr(ast.Name(name, ast.Store()), chain)
        erred: tuple[ast.expr, ast.expr] = (ast.Constant(None), load("erred"))
        came_upon, then = erred if own else (erred[1], erred[0])
        return ast.IfExp(ast.Compare(kept, [ast.Is()], [came_upon]), then, load(name))


def negation(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _linked(before: list[ast.expr], test: ast.expr, is_and: bool) -> ast.expr:
    return all_of([*before, test]) if is_and else any_of([*before, test])


def absent(name: str) -> ast.expr:
    return ast.Compare(load(name), [ast.Is()], [load("absent")])
