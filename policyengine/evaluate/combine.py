"""From the outcomes of the rules to the decision. The only place where effects meet.

A request is allowed exactly if a permit holds, no forbid holds or errs, no approval is missing, and no limit errs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from policyengine.ir.nodes import APPROVAL, ObligationSpec, Rule
from policyengine.model.decision import MOST_LISTED, Approval, Decision, Obligation, RuleError, Trial

# The obligation properties that were computed, and the errors of those that were not.
Properties = Callable[[Rule, ObligationSpec], tuple[Mapping[str, Any], Sequence[RuleError]]]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The outcomes of the rules for one request, each list in order of names: rules whose condition held, rules that
    erred, and why they erred (`listed_errors`)."""

    held: Sequence[Rule]
    erred: Sequence[Rule] = ()
    errors: Sequence[RuleError] = ()


SILENT = Verdicts(())


def combine(
    verdicts: Verdicts,
    approved: Collection[str],
    properties: Properties,
    revision: str,
    refused: Sequence[RuleError] = (),
    tried: Verdicts = SILENT,
) -> Decision:
    """The decision. `approved` names the `require` rules whose approval was verified for this request. `refused` says
    what is wrong with the request itself; it denies the request whatever the rules say. `tried` has the outcomes of
    rules that are not in force: they do not affect the decision, which only reports what each would have done."""
    decision = _combined(verdicts, approved, properties, revision, refused)
    if not tried.held and not tried.erred:
        return decision
    errors = {error.rule: error for error in tried.errors}
    unsure = {rule.name for rule in tried.erred}
    trials = []
    for rule in _sorted([*tried.held, *tried.erred])[:MOST_LISTED]:
        failed = rule.name in unsure
        held, erred = ([], [rule]) if failed else ([rule], [])
        one = Verdicts([*verdicts.held, *held], [*verdicts.erred, *erred])
        would = _combined(one, approved, properties, revision, refused)
        error = errors.get(rule.name) or RuleError(rule.name, "", "it could not be evaluated")
        trials.append(_trial(rule, decision, would, error if failed else None))
    return replace(decision, tried=tuple(trials))


def _trial(rule: Rule, decision: Decision, would: Decision, error: RuleError | None) -> Trial:
    changes = (would.decision, would.obligations, would.approvals, would.labels) != (
        decision.decision, decision.obligations, decision.approvals, decision.labels,
    )  # fmt: skip
    owed = [o.type for o in would.obligations if o.id.partition("/")[0] == rule.name]
    demanded = [APPROVAL for approval in would.approvals if approval.rule == rule.name]
    return Trial(rule.name, rule.kind, would.decision, changes, tuple(dict.fromkeys([*owed, *demanded])), error)


def _combined(
    verdicts: Verdicts,
    approved: Collection[str],
    properties: Properties,
    revision: str,
    refused: Sequence[RuleError],
) -> Decision:
    permits = _of("permit", verdicts.held)
    denying = [*_of("forbid", verdicts.held), *_of("forbid", verdicts.erred), *_of("limit", verdicts.erred)]
    # An obligation is imposed if its condition could not be evaluated.
    imposed = [*_of("require", verdicts.held), *_of("require", verdicts.erred)]
    missing = [rule for rule in imposed if rule.demands_approval and rule.name not in approved]
    allow = bool(permits) and not denying and not missing and not refused
    failed: list[RuleError] = []
    owed = [rule for rule in imposed if rule.on_deny is not allow and not rule.demands_approval]
    obligations = [o for rule in _sorted(owed) for o in _obligations(rule, properties, failed)]
    if allow and failed:
        # Nobody can tell the caller what the obligation is, so the caller must not go ahead.
        names = {error.rule for error in failed}
        denying, allow = [rule for rule in owed if rule.name in names], False
        owed = [rule for rule in imposed if rule.on_deny and not rule.demands_approval]
        obligations = [o for rule in _sorted(owed) for o in _obligations(rule, properties, failed)]
    determining = permits if allow else denying or (missing if permits else [])
    decided = _names(determining)
    awaited = missing if permits and not denying and not refused else []
    # The public text of a rule says why it holds. If the rule could not be evaluated, that is not known.
    unsure = {rule.name for rule in verdicts.erred}
    return Decision(
        decision="allow" if allow else "deny",
        determining=decided[:MOST_LISTED],
        reasons=_reasons([rule for rule in determining if rule.name not in unsure]),
        obligations=tuple(obligations),
        approvals=tuple(_approval(rule, properties) for rule in _sorted(awaited)),
        limits=_names(_of("limit", verdicts.held)) if allow else (),
        labels=_labels([*_of("label", verdicts.held), *_of("label", verdicts.erred)]) if allow else (),
        errors=(*refused, *verdicts.errors, *failed),
        revision=revision,
        determining_total=len(decided) if len(decided) > MOST_LISTED else 0,
        errors_total=len(verdicts.erred) if len(verdicts.erred) > MOST_LISTED else 0,
    )


def intersect(decisions: Sequence[Decision]) -> Decision:
    """One decision for a principal and the agents that act for it: allow only if all of them are allowed. Rights
    intersect; obligations add up."""
    if len(decisions) == 1:
        return decisions[0]
    allow = all(d.decision == "allow" for d in decisions)
    deciding = [d for d in decisions if allow or d.decision == "deny"]
    # An approval helps only if nothing else denies the request. If it does not help, it is not mentioned.
    otherwise = [d for d in deciding if not d.approvals]
    awaited = deciding if not otherwise else []
    named = otherwise or deciding
    names, totals = tuple(sorted({name for d in named for name in d.determining})), [d.determining_total for d in named]
    return Decision(
        decision="allow" if allow else "deny",
        determining=names[:MOST_LISTED],
        reasons=_unique(reason for d in named for reason in d.reasons),
        obligations=_unique(o for d in deciding for o in d.obligations),
        approvals=_unique(a for d in awaited for a in d.approvals),
        limits=tuple(sorted({name for d in decisions for name in d.limits})) if allow else (),
        labels=tuple(sorted({name for d in decisions for name in d.labels})) if allow else (),
        errors=_unique(e for d in decisions for e in d.errors),
        revision=decisions[0].revision,
        determining_total=max(len(names), *totals) if len(names) > MOST_LISTED or any(totals) else 0,
        errors_total=max(d.errors_total for d in decisions),
        tried=_tried(decisions, "allow" if allow else "deny") if any(d.tried for d in decisions) else (),
    )


def _tried(decisions: Sequence[Decision], decision: str) -> tuple[Trial, ...]:
    """What each tried rule would have done to the decision about all actors."""
    trials: list[Trial] = []
    for name in sorted({trial.rule for d in decisions for trial in d.tried})[:MOST_LISTED]:
        by_actor = [next((trial for trial in d.tried if trial.rule == name), None) for d in decisions]
        effects = [trial for trial in by_actor if trial is not None]
        each = [d.decision if trial is None else trial.decision for d, trial in zip(decisions, by_actor, strict=True)]
        would: Literal["allow", "deny"] = "allow" if all(one == "allow" for one in each) else "deny"
        # Turning one denial into another does not change the decision as a whole.
        changes = would != decision or (would == "allow" and any(trial.changes for trial in effects))
        owed = tuple(dict.fromkeys(type_ for trial in effects for type_ in trial.obligations))
        error = next((trial.error for trial in effects if trial.error is not None), None)
        trials.append(Trial(name, effects[0].kind, would, changes, owed, error))
    return tuple(trials)


def denied(error: RuleError, revision: str) -> Decision:
    """The decision about something that is not a proper request."""
    return Decision(decision="deny", errors=(error,), revision=revision)


def _of(kind: str, rules: Sequence[Rule]) -> list[Rule]:
    return [rule for rule in rules if rule.kind == kind]


def _sorted(rules: Sequence[Rule]) -> list[Rule]:
    return sorted(rules, key=lambda rule: rule.name)


def _names(rules: Sequence[Rule]) -> tuple[str, ...]:
    return tuple(sorted({rule.name for rule in rules}))


def _labels(rules: Sequence[Rule]) -> tuple[str, ...]:
    """The name of a label is the name of its rule without the module, which is how rules ask for it in
    `session.labels`."""
    return tuple(sorted({rule.name.rpartition(".")[2] for rule in rules}))


def _reasons(rules: Sequence[Rule]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rule.reason for rule in _sorted(rules) if rule.reason is not None))[:MOST_LISTED]


def _unique(items: Any) -> tuple[Any, ...]:
    kept: list[Any] = []
    for item in items:
        if item not in kept:
            kept.append(item)
    return tuple(kept)


def _obligations(rule: Rule, properties: Properties, failed: list[RuleError]) -> list[Obligation]:
    obligations = []
    for number, spec in enumerate(rule.obligations, 1):
        values, errors = properties(rule, spec)
        failed.extend(errors)
        obligations.append(
            Obligation(rule.name if len(rule.obligations) == 1 else f"{rule.name}/{number}", spec.type, values)
        )
    return obligations


def _approval(rule: Rule, properties: Properties) -> Approval:
    spec = next(o for o in rule.obligations if o.type == APPROVAL)
    values, _ = properties(rule, spec)
    return Approval(rule.name, values["by"], values.get("within"), values.get("uses", 1), values.get("of", 1))
