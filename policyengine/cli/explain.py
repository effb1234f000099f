"""`policyengine explain`: one request, and why its decision is what it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from policyengine.authzen.engine_arguments import DecideArguments
from policyengine.bundle import Snapshot
from policyengine.cli import code_listing
from policyengine.cli.console import fail, say_json, stdout
from policyengine.cli.explanation import draw
from policyengine.cli.loading import CacheOption, EntitiesOption, JsonOption, PolicyPath, load_engine
from policyengine.cli.request import read_request
from policyengine.cli.verified import ApprovedOption, read_approved
from policyengine.compile.code_listing import RequestTypes, list_rule, request_types_of
from policyengine.diagnostics.codes import CODES
from policyengine.diagnostics.suggest import did_you_mean, one_of
from policyengine.explain.explanation import Explanation
from policyengine.ir.nodes import Rule


def explain(
    path: PolicyPath,
    request: Annotated[
        Path | None,
        typer.Option("--request", "-r", metavar="FILE", help="the request as JSON; - for standard input"),
    ] = None,
    entities: EntitiesOption = None,
    rule: Annotated[str | None, typer.Option("--rule", metavar="NAME", help="explain this rule only")] = None,
    compiled: Annotated[
        str | None,
        typer.Option("--compiled", metavar="NAME", help="show the Python code generated for this rule, instead"),
    ] = None,
    approved: ApprovedOption = None,
    cache: CacheOption = True,
    json: JsonOption = False,
) -> None:
    """Explain the decision about one request: which rule, which condition, which part of it, with the values it read.

    With --compiled: the code that the engine generated for a rule, for requests such as the given one, or for the first
    kind of request that the rule can apply to.
    Exit status: 0 explained, whatever the decision; 1 the policies are invalid; 2 wrong usage, or this is not a
    request."""
    if compiled is not None:
        _compiled(load_engine(path, entities, cache).snapshot, compiled, request, json)
        return
    if request is None:
        if (code := path.name.upper()) in CODES and not path.exists():
            fail(f"`{code}` is a code, not a path", f"its page is printed by `policyengine check --explain {code}`")
        fail("no request to explain", "name a file with --request, or a rule with --compiled")
    engine = load_engine(path, entities, cache)
    wanted = _rule(rule, engine.snapshot.policies.rules) if rule is not None else None
    explanation = engine.explain(**read_request(request), approved=read_approved(approved, engine))
    if wanted is not None:
        explanation = _only(wanted, explanation)
    if json:
        say_json(explanation.as_json())
        return
    console = stdout()
    for line in draw(explanation, console.width, detailed=wanted is not None):
        console.print(line, soft_wrap=True)


def _compiled(snapshot: Snapshot, name: str, request: Path | None, json: bool) -> None:
    """Shows the code of a rule."""
    rules = snapshot.policies.rules
    rule = _rule(name, rules)
    types_read = request_types_of(rule, snapshot.schema)
    if not types_read:
        fail(
            f"no request can concern `{rule.name}`", "there is no code for it; its action applies to none of its types"
        )
    request_types = types_read[0]
    if request is not None:
        request_types = _request_types(read_request(request))
        if request_types not in types_read:
            fail(f"`{rule.name}` does not apply to this request", "explain another request or rule")
    made = list_rule(rule, rules, snapshot.schema, snapshot.world, request_types)
    others = [types for types in types_read if types != request_types]
    if json:
        say_json(code_listing.as_json(made, others))
        return
    console = stdout()
    for line in code_listing.draw(made, others):
        console.print(line, soft_wrap=True)


def _request_types(request: DecideArguments) -> RequestTypes:
    action = request["action"]
    name = action if isinstance(action, str) else action["name"]
    return request["principal"]["type"], name, request["resource"]["type"]


def _rule(name: str, rules: tuple[Rule, ...]) -> Rule:
    """The rule by its full name, or by its own name if only one module has such a rule."""
    named = [rule for rule in rules if rule.name == name] or [r for r in rules if r.name.partition(".")[2] == name]
    if len(named) > 1:
        fail(f"more than one rule is called `{name}`", f"say which: {one_of(rule.name for rule in named)}")
    if not named:
        names = [rule.name for rule in rules] + [rule.name.partition(".")[2] for rule in rules]
        fail(f"unknown rule `{name}`", did_you_mean(name, names) or f"known: {one_of(rule.name for rule in rules)}")
    return named[0]


def _only(rule: Rule, explanation: Explanation) -> Explanation:
    action = explanation.request.action.name if explanation.request is not None else ""
    if rule.head.actions is not None and action not in rule.head.actions:
        fail(f"`{rule.name}` is about {one_of(rule.head.actions)}, not `{action}`", "explain another request or rule")
    actors = tuple(
        replace(
            actor,
            rules=tuple(rule_trace for rule_trace in actor.rules if rule_trace.rule.name == rule.name),
            closest=tuple(miss for miss in actor.closest if miss.rule.name == rule.name),
        )
        for actor in explanation.actors
    )
    return replace(explanation, actors=actors)
