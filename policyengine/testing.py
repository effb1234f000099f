"""Runs the `test` statements of a policy set.

In: policies and a test. Out: a CaseResult with the decision and what is wrong with it, and the rules that the tests
reach. A test sees only the entities that it states itself, and the facts that the policies state. A test of one request
is decided, and nothing is counted. In a test of several requests, each is authorized against a store of its own, at
times that the test states: labels, calls and limits are those that the earlier requests left behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from policyengine.bundle import Loaded, Snapshot
from policyengine.compile.evaluator import Evaluator
from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.evaluate.combine import denied
from policyengine.evaluate.decide import decide, verdicts
from policyengine.evaluate.delegation import actors
from policyengine.evaluate.interpret import Env
from policyengine.ir.cases import Step, TestCase
from policyengine.ir.nodes import PolicySet
from policyengine.model.decision import Decision, RuleError
from policyengine.model.entities import World, world
from policyengine.model.request import Request, request
from policyengine.model.values import Fault, parse_time
from policyengine.partial.residual import Partial
from policyengine.schema.schema import Schema
from policyengine.state.authorize import AuthorizeRequest, authorizing, holder
from policyengine.state.operations import Label, OpenSession
from policyengine.state.sessions import LIFE, session_key
from policyengine.state.stateful_rules import metering
from policyengine.state.stores.memory import Memory
from policyengine.steps import run

# When a test begins that does not say so.
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class CaseResult:
    """`problems` is empty when the test passed; else they are those of the first step that failed, which `asked` for
    that. `decision` is the last one made. `held` names every rule whose condition held, for the principal or for an
    agent that acts for it; `erred` every rule that could not be evaluated."""

    case: TestCase
    decision: Decision | None
    problems: tuple[str, ...]
    held: frozenset[str] = frozenset()
    erred: frozenset[str] = frozenset()
    asked: Request | None = None
    step: int = 0

    @property
    def passed(self) -> bool:
        return not self.problems

    def diagnostic(self) -> Diagnostic:
        """The failure as a finding at the place of the test, or of the step in it."""
        several = len(self.case.steps) > 1
        span = self.case.steps[self.step].span if several else self.case.span
        where = f", at step {self.step + 1}" if several else ""
        return Diagnostic(codes.FAILED_TEST, span, f'test "{self.case.name}" failed{where}: {"; ".join(self.problems)}')


@dataclass(frozen=True, slots=True)
class Coverage:
    """Names of rules, in their order: those that held in some test, those that held in none and could not be evaluated
    in some, and the others. A rule that only ever errs has not been shown to hold."""

    held: tuple[str, ...]
    erred: tuple[str, ...]
    never: tuple[str, ...]

    @property
    def percent(self) -> float:
        """How many of a hundred rules held in some test; all of them where there is no rule."""
        total = len(self.held) + len(self.erred) + len(self.never)
        return 100 * len(self.held) / total if total else 100.0


def coverage(policies: PolicySet, results: Sequence[CaseResult]) -> Coverage:
    held = frozenset(rule for result in results for rule in result.held)
    erred = frozenset(rule for result in results for rule in result.erred) - held
    names = [rule.name for rule in policies.rules]
    return Coverage(
        tuple(n for n in names if n in held),
        tuple(n for n in names if n in erred),
        tuple(n for n in names if n not in held and n not in erred),
    )


def run_cases(policies: PolicySet, schema: Schema) -> tuple[CaseResult, ...]:
    return tuple(run_case(policies, schema, case) for case in policies.tests)


def gated(loaded: Loaded) -> Loaded:
    """The same if the policies pass their own tests; else without a snapshot, and with the tests that fail."""
    if loaded.snapshot is None:
        return loaded
    results = run_cases(loaded.snapshot.policies, loaded.snapshot.schema)
    failed = tuple(result.diagnostic() for result in results if not result.passed)
    return replace(loaded, snapshot=None, diagnostics=(*loaded.diagnostics, *failed)) if failed else loaded


def run_case(policies: PolicySet, schema: Schema, case: TestCase) -> CaseResult:
    """Ask what the test asks, and compare with what it expects, up to the first step that fails."""
    try:
        known = world(case.entities, [(uid, dict(items)) for uid, items in policies.facts])
    except Fault as fault:
        return CaseResult(case, None, (fault.message,))
    if len(case.steps) == 1:
        return _alone(policies, schema, case, known)
    return _in_order(policies, schema, case, known)


def _alone(policies: PolicySet, schema: Schema, case: TestCase, known: World) -> CaseResult:
    step = case.steps[0]
    try:
        asked = request(step.principal, step.action, step.resource, step.context)
    except Fault as fault:
        return CaseResult(case, None, (fault.message,))
    decision = decide(policies, schema, known, asked, step.approved)
    reached = _Reached()
    reached.note(policies, schema, asked, known)
    return CaseResult(case, decision, tuple(_problems(step, decision)), *reached.rules, asked=asked)


# ---- several steps ----


def _in_order(policies: PolicySet, schema: Schema, case: TestCase, known: World) -> CaseResult:
    snapshot = Snapshot(
        policies, schema, known, "", Evaluator(policies, schema, known), Partial(policies, schema, known)
    )
    meters = metering(policies)
    clock = _Clock(_microseconds(_begin(case)))
    store = Memory(lambda: clock.now)
    session = case.session[0] if case.session is not None else None
    _open(case, store)
    reached, decision, asked = _Reached(), None, None
    for number, step in enumerate(case.steps):
        clock.now += step.after
        clock.passed += step.after
        made: list[Request] = []

        def decide_step(
            principal: Any, action: Any, resource: Any, context: Any, made: list[Request] = made, step: Step = step
        ) -> Decision:
            try:
                made.append(request(principal, action, resource, context))
            except Fault as fault:
                return denied(RuleError("", fault.code, fault.message), "")
            return decide(policies, schema, known, made[-1], step.approved)

        context = _at_step(step.context, clock.passed)
        whole = AuthorizeRequest(
            step.principal, step.action, step.resource, context, f"step-{number}", clock.now, session
        )
        decision = run(authorizing(whole, snapshot, meters, decide_step, store), store.run).decision
        asked = made[-1] if made else None
        if asked is not None:
            reached.note(policies, schema, asked, known)
        if problems := tuple(_problems(step, decision)):
            return CaseResult(case, decision, problems, *reached.rules, asked=asked, step=number)
    return CaseResult(case, decision, (), *reached.rules, asked=asked, step=len(case.steps) - 1)


@dataclass(slots=True)
class _Clock:
    """Microseconds since 1970, and since the test began."""

    now: int
    passed: int = 0


def _begin(case: TestCase) -> datetime:
    """When the first request is made: its own time, if it states one."""
    return _stated_time(case.steps[0].context) or _BEGIN


def _stated_time(context: Mapping[str, Any]) -> datetime | None:
    time = context.get("time")
    now = time.get("now") if isinstance(time, dict) else None
    try:
        return parse_time(now) if isinstance(now, str) else None
    except Fault:
        return None


def _at_step(context: Mapping[str, Any], passed: int) -> dict[str, Any]:
    """The context of a step, in which the time that the test states has gone on."""
    begun = _stated_time(context)
    if begun is None or not passed:
        return dict(context)
    now = (begun + passed * _MICROSECOND).isoformat().replace("+00:00", "Z")
    return {**context, "time": {**context["time"], "now": now}}


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def _open(case: TestCase, store: Memory) -> None:
    if case.session is None:
        return
    id_, labels = case.session
    tenant, principal = holder(case.steps[0].principal, case.steps[0].context)
    key = session_key(tenant, id_)
    store.run(OpenSession(key, tenant, principal, LIFE))
    if labels:
        store.run(Label(key, tenant, principal, add=labels))


# ---- what came of it ----


@dataclass(slots=True)
class _Reached:
    """Names of the rules whose condition held, and of those that erred, for the principal or for an agent."""

    held: set[str] = field(default_factory=set)
    erred: set[str] = field(default_factory=set)

    def note(self, policies: PolicySet, schema: Schema, asked: Request, known: World) -> None:
        try:
            requests = actors(asked, known, schema)
        except Fault:
            requests = (asked,)
        for one in requests:
            verdicts_reached = verdicts(policies.rules, Env(one, known))
            self.held |= {rule.name for rule in verdicts_reached.held}
            self.erred |= {rule.name for rule in verdicts_reached.erred}

    @property
    def rules(self) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(self.held), frozenset(self.erred)


def _problems(step: Step, decision: Decision) -> list[str]:
    problems = []
    if decision.decision != step.decision:
        problems.append(f"expected {step.decision}, got {decision.decision} ({decision.summary})")
    elif step.rules is not None and decision.determining != step.rules:
        problems.append(f"expected it to be decided by {_names(step.rules)}, it was by {_names(decision.determining)}")
    elif step.reason is not None and step.reason not in decision.reasons:
        given = ", ".join(f'"{reason}"' for reason in decision.reasons) or "none"
        problems.append(f'expected the reason "{step.reason}", it gives {given}')
    elif step.failure is not None and (problem := _not_failed(step.failure, decision)):
        problems.append(problem)
    owed = tuple(sorted({o.type for o in decision.obligations}))
    if step.obligations is not None and owed != tuple(sorted(set(step.obligations))):
        problems.append(f"expected it to owe {_names(step.obligations)}, it owes {_names(owed)}")
    return problems


def _not_failed(failure: str, decision: Decision) -> str:
    """Why it is not so that this denial is due to an error, or to something that is missing; empty where it is.

    Due to it is what a rule that decides could not be evaluated for; where none decides, what is wrong with the request
    itself, or else kept a rule from granting it."""
    rules = set(decision.determining) or {error.rule for error in decision.errors}
    refused = [error for error in decision.errors if not error.rule]
    errors = refused or [error for error in decision.errors if error.rule in rules]
    if not errors:
        return "expected it to be denied because of an error, and nothing erred"
    if failure == "missing" and not any(_is_missing(error) for error in errors):
        told = "; ".join(dict.fromkeys(error.message for error in errors))
        return f"expected something to be missing, it was denied because: {told}"
    return ""


def _is_missing(error: RuleError) -> bool:
    """Whether an attribute was not there, or an argument that the tool demands (the only one of its code to say so)."""
    return error.code == codes.MISSING.id or (
        error.code == codes.ARGUMENTS.id and error.message.endswith("` is missing")
    )


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nothing"
