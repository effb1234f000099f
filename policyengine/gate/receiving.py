"""Decides about the result of a tool: the action `receive` on the tool, with the result in the context.

Label rules about `receive` mark the session whatever the decision is, because the result has been seen. A label that
cannot be evaluated is set. If policies permit, forbid or require anything about `receive`, that is decided as well, and
a result that is not allowed does not reach the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from policyengine.bundle import Snapshot
from policyengine.check.heads import RECEIVE, RESULT
from policyengine.evaluate.decide import verdicts
from policyengine.evaluate.interpret import Env
from policyengine.gate.items import ValuePath, doubted, is_about_items
from policyengine.gate.normal_form import form, identifies, names, value_form
from policyengine.gate.session_needs import SessionNeeds
from policyengine.gate.trail import Origin, field_source, tool_source
from policyengine.ir.nodes import Rule
from policyengine.model.decision import Decision
from policyengine.model.json_text import parse_json
from policyengine.model.refined import fits
from policyengine.model.request import request
from policyengine.model.types import STRING, unrefined
from policyengine.model.values import Fault
from policyengine.schema.tool_result import Returned, read_by, trusted_places

TOOL = "Tool"


@dataclass(frozen=True, slots=True)
class Received:
    """`trusted` is whether the words of this tool come from somebody who runs the system, except those at `doubted`;
    `by_item` if the policies distinguish its items. `returned` is the tool's declaration of its fields. `decision` is
    None if no rule is about results."""

    labels: tuple[str, ...]
    trusted: bool
    by_item: bool = False
    doubted: tuple[ValuePath, ...] = ((),)
    returned: Returned | None = None
    allowed: bool = True
    reason: str = ""
    decision: Decision | None = None


def receive(
    snapshot: Snapshot,
    principal: Mapping[str, Any],
    context: Mapping[str, Any],
    tool: str,
    args: Mapping[str, Any],
    result: Any,
    needs: SessionNeeds,
) -> Received:
    """`args` are the arguments that the tool was called with, `needs` are those of the snapshot. Never raises because
    of the result's content."""
    of_tool = needs.of(tool)
    trusted = snapshot.world.records.get(TOOL, {}).get(tool, {}).get("reads_untrusted") is False
    declared = snapshot.schema.tools.get(tool)
    returned = declared.returns if declared is not None else None
    result = read(result, returned)
    resource = {"type": TOOL, "id": tool, "args": dict(args)}

    def labels_for(result: Any, rules: Sequence[Rule]) -> tuple[Rule, ...]:
        """The labels that are set for a result."""
        env = Env(request(principal, RECEIVE, resource, {**context, RESULT: result}), snapshot.world)
        seen = verdicts(rules, env)
        return (*seen.held, *seen.erred)

    try:
        labels_set = labels_for(result, of_tool.labels)
        doubts = [rule for rule in labels_set if is_about_items(rule)]
        doubted_paths = tuple(doubted(doubts, result, lambda rule, one: bool(labels_for(one, [rule]))))
    except Fault as fault:
        why = f"the result of `{tool}` could not be checked: {fault.message}"
        return Received(_names(needs.labels), trusted, allowed=False, reason=why)
    received = Received(_names(labels_set), trusted, of_tool.by_item, doubted_paths, returned)
    if not needs.decides:
        return received
    with_result = {**context, RESULT: result}
    decision = snapshot.evaluator.decide_met(principal, RECEIVE, resource, with_result, frozenset())
    if decision.decision != "allow" or decision.unmetered:
        why = "; ".join(decision.reasons) or "it is not allowed here"
        why = f"the result of `{tool}` may not be read: {why}"
        return replace(received, allowed=False, reason=why, decision=decision)
    return replace(received, decision=decision)


def readers(received: Received, result: Any) -> dict[ValuePath, frozenset[str]]:
    """Who may see the parts of a result that name their readers, by their normal forms. If a result is not as declared,
    nobody may see the parts that do not name theirs."""
    if received.returned is None or not received.returned.readers:
        return {}
    readers_by_path: dict[ValuePath, frozenset[str]] = {}
    if not fits(result, received.returned.type):
        readers_by_path[()] = frozenset()
    for path, texts in read_by(received.returned, result).items():
        named = {name for text in texts for name in names(form(text)) if identifies(name)}
        readers_by_path[path] = frozenset({*named, *map(value_form, texts)})
    return readers_by_path


def read(result: Any, returned: Returned | None) -> Any:
    """The result as it is declared: if a tool returned JSON as text and does not declare a text, the JSON is read."""
    if type(result) is not str or returned is None or unrefined(returned.type) == STRING:
        return result
    try:
        return parse_json(result)
    except Fault:
        return result


def origins(received: Received, tool: str, result: Any) -> tuple[Origin, dict[ValuePath, Origin]]:
    """Who produced a tool's result, and who produced parts of it, by the path to these."""
    doubtful = tool_source(tool, False)
    parts: dict[ValuePath, Origin] = {}
    if received.returned is not None:
        parts = {path: field_source(tool) for path, _ in trusted_places(received.returned, result)}
    for path in received.doubted:
        for known in [known for known in parts if known[: len(path)] == path]:
            del parts[known]
        parts[path] = doubtful
    if not received.trusted:
        return doubtful, parts
    return field_source(tool) if received.by_item else tool_source(tool, True), parts


def _names(labels: Sequence[Rule]) -> tuple[str, ...]:
    """The labels that these rules set. A label is its rule's name, without the module."""
    return tuple(sorted({rule.name.rpartition(".")[2] for rule in labels}))
