"""`policyengine explain`: one request, and why its decision is what it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from policyengine.cli.console import fail, say_json, stdout
from policyengine.cli.explanation import draw
from policyengine.cli.loading import EntitiesOption, JsonOption, PolicyPath, load_engine
from policyengine.cli.request import RequestOption, read_request
from policyengine.diagnostics.suggest import did_you_mean, one_of
from policyengine.evaluate.explanation import Explanation
from policyengine.ir.nodes import Rule


def explain(
    path: PolicyPath,
    request: RequestOption,
    entities: EntitiesOption = None,
    rule: Annotated[str | None, typer.Option("--rule", metavar="NAME", help="explain this rule only")] = None,
    json: JsonOption = False,
) -> None:
    """Explain the decision about one request: which rule, which condition, which part of it, with the values it read.

    Exit status: 0 explained, whatever the decision; 1 the policies are invalid; 2 wrong usage, or this is no request.
    """
    engine = load_engine(path, entities)
    wanted = _rule(rule, engine.snapshot.policies.rules) if rule is not None else None
    explanation = engine.explain(**read_request(request))
    if wanted is not None:
        explanation = _only(wanted, explanation)
    if json:
        say_json(explanation.as_json())
        return
    console = stdout()
    for line in draw(explanation, console.width, detailed=wanted is not None):
        console.print(line, soft_wrap=True)


def _rule(name: str, rules: tuple[Rule, ...]) -> Rule:
    """The rule by its full name, or by its own name where only one module has such a rule."""
    found = [one for one in rules if one.name == name] or [r for r in rules if r.name.partition(".")[2] == name]
    if len(found) > 1:
        fail(f"more than one rule is called `{name}`", f"say which: {one_of(one.name for one in found)}")
    if not found:
        names = [one.name for one in rules] + [one.name.partition(".")[2] for one in rules]
        fail(f"unknown rule `{name}`", did_you_mean(name, names) or f"known: {one_of(one.name for one in rules)}")
    return found[0]


def _only(rule: Rule, explanation: Explanation) -> Explanation:
    action = explanation.request.action.name if explanation.request is not None else ""
    if rule.head.actions is not None and action not in rule.head.actions:
        fail(f"`{rule.name}` is about {one_of(rule.head.actions)}, not `{action}`", "explain another request or rule")
    actors = tuple(
        replace(
            actor,
            rules=tuple(one for one in actor.rules if one.rule.name == rule.name),
            closest=tuple(miss for miss in actor.closest if miss.rule.name == rule.name),
        )
        for actor in explanation.actors
    )
    return replace(explanation, actors=actors)
