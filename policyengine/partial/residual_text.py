"""What remains of the policies for one caller, as readable `.pol`.

The rules that can matter, each with its head and with every known value filled in. With the same schema the text is a
policy that decides about every document as the original does for this caller. A text is only returned if the checker
reads it as the very rule that was meant.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from policyengine.check.check import check
from policyengine.diagnostics.source import Source
from policyengine.evaluate.interpret import EvaluationError, evaluate
from policyengine.ir.equivalence import same_rule
from policyengine.ir.fold import fold
from policyengine.ir.nodes import And, Const, Equal, PolicySet, Root, Rule
from policyengine.ir.write import Unwritable, literal
from policyengine.ir.write_rule import definitions, rule_text
from policyengine.model.types import BOOL, EntityT, entity
from policyengine.model.values import Entity
from policyengine.partial.conditions import condition
from policyengine.partial.formula import FALSE, TRUE
from policyengine.partial.formula_skeleton import Fillable, lowering_for
from policyengine.partial.rules import applies
from policyengine.partial.specialise import Actor, specialised
from policyengine.schema.declare import ModuleTree
from policyengine.schema.schema import Schema
from policyengine.syntax.format import format_source
from policyengine.syntax.parse import parse
from policyengine.syntax.quoting import string


def explained(
    policies: PolicySet, schema: Schema, actors: Sequence[Actor], approved: Collection[str], first_line: str
) -> str:
    """The text. `actors` are the principal and every agent that acts for it; `first_line` is the first line."""
    defines: dict[str, str] = {}
    names: set[str] = set()
    blocks: list[str] = []
    for actor in actors:
        if len(actors) > 1:
            blocks.append(f"# for {literal(Entity(actor.caller.request.principal.uid))}\n")
        for rule in policies.rules:
            blocks += _remaining(rule, actor, schema, approved, len(actors) > 1, names, defines)
    text = "\n".join([f"# {first_line}\n", *(f"{each}\n" for each in defines.values()), *blocks])
    formatted = format_source(Source("residual.pol", text)).text
    return formatted if formatted is not None else text


def _remaining(
    rule: Rule,
    actor: Actor,
    schema: Schema,
    approved: Collection[str],
    guarded: bool,
    names: set[str],
    defines: dict[str, str],
) -> Iterator[str]:
    """What remains of a rule: its text, after a comment if there is more to say."""
    actions = rule.head.actions
    if (
        rule.kind == "label"
        or rule.on_deny
        or (actions is not None and actor.caller.request.action.name not in actions)
    ):
        return
    lowering = lowering_for(actor.gap, actor.caller)
    outcome = Fillable(applies(rule, lowering)).of(actor.caller)
    if outcome.false == TRUE:
        return
    if rule.demands_approval and rule.name in approved:
        yield f"# {rule.name}: approved\n"
        return
    condition_outcome = Fillable(condition(rule.condition, lowering)).of(actor.caller)
    errs = condition_outcome.true == FALSE and condition_outcome.false == FALSE
    if rule.kind == "permit" and outcome.true == FALSE:
        if errs:
            yield f"# {rule.name}: {_why(rule, actor)}, so it grants nothing\n"
        return
    if errs:
        yield f"# {rule.name}: {_why(rule, actor)}, so it {_WHEN_ERRING[rule.kind]}"
        # A limit that errs denies.
        kind = "forbid" if rule.kind == "limit" else rule.kind
        always = Const(value=True, type=BOOL, span=rule.span)
        versions = [replace(rule, kind=kind, condition=always, limit=None if kind == "forbid" else rule.limit)]
    else:
        versions = [replace(rule, condition=specialised(rule.condition, actor)), rule]
    if guarded:
        versions = [_guarded(version, actor) for version in versions]
    name = _free(rule.name, names)
    yield _text(versions, name, schema, defines) or _as_it_stands(rule)


_WHEN_ERRING = {"forbid": "denies", "limit": "denies", "require": "is imposed"}


def _why(rule: Rule, actor: Actor) -> str:
    """Why a condition has no value, as far as that is the same for all documents."""
    try:
        evaluate(rule.condition, actor.caller.env)
    except EvaluationError as error:
        if error.span is not None and not actor.gap.depends(rule.condition):
            return f"its condition has no value ({error.message})"
    return "its condition has no value"


def _free(name: str, names: set[str]) -> str:
    """A name for the rule that no other rule has."""
    module, _, local = name.rpartition(".")
    candidates = [local, f"{module}_{local}", *(f"{local}_{n}" for n in range(2, len(names) + 3))]
    free_name = next(each for each in candidates if each not in names)
    names.add(free_name)
    return free_name


def _guarded(rule: Rule, actor: Actor) -> Rule:
    """The rule, restricted to this actor."""
    uid = actor.caller.request.principal.uid
    principal = Root(name="principal", type=EntityT(rule.head.principal.types or frozenset()), span=rule.span)
    who = Const(value=Entity(uid), type=entity(uid.type), span=rule.span)
    guard = Equal(left=principal, right=who, type=BOOL, span=rule.span)
    return replace(rule, condition=fold(And(items=(guard, rule.condition), type=BOOL, span=rule.span)))


def _text(versions: Sequence[Rule], name: str, schema: Schema, defines: dict[str, str]) -> str | None:
    """The text of the first of these equal rules that has one."""
    for rule in versions:
        for explicit in (False, True):
            try:
                needed = definitions(rule) if explicit else {}
                text = rule_text(rule, name, schema, explicit)
            except Unwritable:
                continue
            if _means(text, needed, rule, schema):
                defines.update(needed)
                return text
    return None


def _means(text: str, needed: dict[str, str], rule: Rule, schema: Schema) -> bool:
    """Whether the checker reads the text as the rule."""
    parsed = parse(Source("residual.pol", "\n".join([*needed.values(), text])))
    if any(diagnostic.is_error for diagnostic in parsed.diagnostics):
        return False
    checked = check([ModuleTree("residual", _modules(schema), parsed.module)], schema).policies
    return checked is not None and len(checked.rules) == 1 and same_rule(checked.rules[0], rule)


def _modules(schema: Schema) -> frozenset[str]:
    names = {"residual"}
    for declared in (schema.entities, schema.tools, schema.context, schema.obligations):
        names |= {each.module for each in declared.values()}
    return frozenset(names.union(*(action.modules for action in schema.actions.values())))


def _as_it_stands(rule: Rule) -> str:
    place = string(rule.span.source.path)
    return f"# as it stands in {place}, with the definitions of that module\n{rule.span.text}\n"
