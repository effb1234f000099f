"""The size of statements once their definitions are written out, computed without writing them out.

In: the definitions that a module can use, and trees. Out: numbers of nodes, the same as checking would make. Each
definition is counted once, so 120 definitions that double each other are counted as quickly as 120 that do not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from policyengine.check.environment import MAX_NODES, MAX_WRITTEN
from policyengine.check.module_results import Defines
from policyengine.syntax import ast
from policyengine.syntax.walk import below_expression


@dataclass(frozen=True, slots=True)
class OwnSize:
    """What trees say themselves: their nodes, and how often they use each definition."""

    nodes: int
    uses: Counter[str]


class Sizes:
    """The sizes of the definitions that one module can use."""

    def __init__(self, defines: Defines) -> None:
        self._defines = defines
        self._own: dict[str, OwnSize] = {}
        self._whole: dict[str, int] = {}

    def of(self, roots: Iterable[ast.Expr]) -> OwnSize:
        """The sizes of these trees by themselves, for the methods below."""
        nodes, uses = 0, Counter[str]()
        bound = set[str]()
        todo = list(roots)
        while todo:
            node = todo.pop()
            nodes += 1
            match node:
                case ast.Ref(name=name):
                    uses[name] += name in self._defines
                case ast.Call(name=called):
                    uses[called.text] += called.text in self._defines
                case ast.Quantifier(variable=variable):
                    bound.add(variable.text)
            todo.extend(below_expression(node))
        return OwnSize(nodes, Counter({name: n for name, n in uses.items() if n and name not in bound}))

    def written(self, own: OwnSize) -> int:
        """The nodes that come from definitions when all definitions in these trees are written out. A definition that
        uses itself adds nothing the second time."""
        return sum(self._size(name) * count for name, count in own.uses.items())

    def is_too_large(self, own: OwnSize) -> bool:
        return own.nodes + self.written(own) > MAX_NODES

    def used(self, own: OwnSize) -> set[tuple[str, str]]:
        """The definitions that are used, directly or through others."""
        used_names: set[str] = set()
        todo = list(own.uses)
        while todo:
            name = todo.pop()
            if name not in used_names:
                used_names.add(name)
                todo.extend(self._definition(name).uses)
        return {(self._defines[name][0], name) for name in used_names}

    def _definition(self, name: str) -> OwnSize:
        own = self._own.get(name)
        if own is None:
            own = self._own[name] = self.of((self._defines[name][1].body,))
        return own

    def _size(self, name: str) -> int:
        """The nodes of a definition with everything written out."""
        todo, open_ = [name], set[str]()
        while todo:
            at = todo[-1]
            if at in self._whole:
                todo.pop()
                continue
            own = self._definition(at)
            open_.add(at)
            below = [used for used in own.uses if used not in self._whole and used not in open_]
            if below:
                todo.extend(below)
                continue
            whole = own.nodes + sum(self._whole.get(used, 0) * count for used, count in own.uses.items())
            # Beyond the bound all sizes are equal, so that no number grows without limit.
            self._whole[at] = min(whole, MAX_WRITTEN)
            todo.pop()
        return self._whole[name]


def conditions(tree: ast.Rule | ast.Prove) -> Iterator[ast.Expr]:
    """The conditions of a rule or claim."""
    for clause in tree.clauses:
        if isinstance(clause, ast.When):
            yield clause.condition
