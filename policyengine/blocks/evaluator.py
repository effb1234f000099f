"""An evaluator behind a list of blocks: what is blocked is denied, and all other decisions are unchanged.

It has no shortcut (`native/shortcut.c`): since it has a `decide` of its own, it has no `direct_entries`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from policyengine.blocks.denylist import Denylist
from policyengine.compile.evaluator import Evaluator
from policyengine.model.decision import Decision


class Blocking(Evaluator):
    """All that an evaluator knows, behind a list."""

    def __init__(self, inner: Evaluator, blocks: Denylist) -> None:
        # An attribute that replaces a method of the inner evaluator knows nothing of the list.
        self.__dict__.update({name: part for name, part in inner.__dict__.items() if not hasattr(Blocking, name)})
        self.entries = {}
        self._inner = inner
        self._blocks = blocks

    def decide(
        self, principal: Any, action: Any, resource: Any, context: Any = None, approved: Collection[str] = ()
    ) -> Decision:
        denial = self._denial(principal, action, resource, context)
        if denial is not None:
            return denial
        return self._inner.decide(principal, action, resource, context, approved)

    def decide_slowly(
        self, principal: Any, action: Any, resource: Any, context: Any = None, approved: Collection[str] = ()
    ) -> Decision:
        return self.decide(principal, action, resource, context, approved)

    def decide_many(self, requests: Iterable[Any]) -> list[Decision]:
        todo = list(requests)
        decisions = self._inner.decide_many(todo)
        for number, asked in enumerate(todo):
            if isinstance(asked, Mapping):
                get = asked.get
                denial = self._denial(get("principal"), get("action"), get("resource"), get("context"))
                if denial is not None:
                    decisions[number] = denial
        return decisions

    def _denial(self, principal: Any, action: Any, resource: Any, context: Any) -> Decision | None:
        return self._blocks.denial(principal, action, resource, context, self._world, self._schema, self._revision)
