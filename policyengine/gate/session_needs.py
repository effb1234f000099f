"""What the rules in force need from a session, so that nothing else is computed. Found once per snapshot.

It depends on the checked policies alone and errs on the safe side: everything that a rule may read is included, even
for rules on trial.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from policyengine.check.heads import RECEIVE
from policyengine.check.readers import READERS, is_readers
from policyengine.gate.history import HISTORY
from policyengine.gate.items import is_about_items
from policyengine.ir.footprint import expressions, footprint
from policyengine.ir.nodes import Const, Expect, Lookup, PolicySet, Rule, Sources
from policyengine.ir.walk import walk
from policyengine.model.values import Uid
from policyengine.schema.schema import CALL, TOOL

REQUEST = "request"
# How many tools are remembered. A model can make up any number of names.
MOST = 4_096


class ToolNeeds(Struct, frozen=True, gc=False):
    """What the rules need that may be about one tool. `request` and `received` are whether the decision about a call,
    and about its result, needs the user's words; `labels` are the rules that may mark its result, and `by_item` is
    whether they distinguish its items."""

    request: bool
    received: bool
    labels: tuple[Rule, ...]
    by_item: bool


class SessionNeeds:
    """`sources` are the arguments whose sources are read, None for all of them; `readers` are the paths whose readers
    are read; `traces` is whether the origin of values has to be tracked. `labels` are all rules that may mark a tool's
    result; `decides` is whether rules decide what may be read of it."""

    def __init__(self, policies: PolicySet) -> None:
        self.policies = policies
        rules = (*policies.rules, *policies.tried)
        asked_for = [(rule, footprint(rule)) for rule in rules]
        self.history = any(asked.reads(HISTORY) for _, asked in asked_for)
        tracing = [rule for rule, asked in asked_for if asked.sources or asked.reads(READERS)]
        nodes = [node for rule in tracing for expr in expressions(rule) for node in walk(expr)]
        asked = [node.path[0] if node.path else None for node in nodes if isinstance(node, Sources)]
        named = frozenset(name for name in asked if isinstance(name, str))
        self.sources = named if len(named) == len(set(asked)) else None
        self.readers = frozenset(
            node.operand.key.value
            for node in nodes
            if is_readers(node)
            and isinstance(node, Expect)
            and isinstance(node.operand, Lookup)
            and isinstance(node.operand.key, Const)
        )
        self.traces = self.sources is None or bool(self.sources or self.readers)
        about_results = [rule for rule in policies.rules if rule.head.actions is None or RECEIVE in rule.head.actions]
        self.labels = tuple(rule for rule in about_results if rule.kind == "label")
        self.decides = any(rule.kind != "label" and rule.head.actions is not None for rule in about_results)
        self._rules = rules
        self._known: dict[str, ToolNeeds] = {}

    def of(self, tool: Any) -> ToolNeeds:
        """What is needed for a tool of this name; for a value that is not a name, everything that is needed for any
        tool."""
        if type(tool) is not str:
            return ToolNeeds(True, True, self.labels, any(map(is_about_items, self.labels)))
        known = self._known.get(tool)
        if known is None:
            if len(self._known) >= MOST:
                self._known.clear()
            known = self._known[tool] = self._of(tool)
        return known

    def _of(self, tool: str) -> ToolNeeds:
        labels = tuple(rule for rule in self.labels if may_be_about(rule, tool))
        return ToolNeeds(
            any(map(_needs_request, _about(self._rules, CALL, tool))),
            any(map(_needs_request, _about(self._rules, RECEIVE, tool))),
            labels,
            any(map(is_about_items, labels)),
        )


def _about(rules: Iterable[Rule], action: str, tool: str) -> Iterator[Rule]:
    for rule in rules:
        named, types = rule.head.actions, rule.head.resource.types
        if (named is None or action in named) and (types is None or TOOL in types) and may_be_about(rule, tool):
            yield rule


def may_be_about(rule: Rule, tool: str) -> bool:
    entities = rule.head.resource.entities
    return entities is None or Uid(TOOL, tool) in entities


def _needs_request(rule: Rule) -> bool:
    """An approval is bound to the user's words, and a limit evaluates its amount again when it is settled."""
    asked = footprint(rule)
    return asked.approval or rule.kind == "limit" or asked.reads(REQUEST)
