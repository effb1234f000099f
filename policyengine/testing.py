"""Running the `test` statements of a policy set.

In: policies and a test. Out: a CaseResult with what was decided and what is wrong with it, and which rules the tests
reach. A test sees only the entities that it states itself, and the facts that the policies state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.evaluate.decide import decide, verdicts
from policyengine.evaluate.delegation import actors
from policyengine.evaluate.interpret import Env
from policyengine.ir.nodes import PolicySet, TestCase
from policyengine.model.decision import Decision
from policyengine.model.entities import World, world
from policyengine.model.request import Request, request
from policyengine.model.values import Fault
from policyengine.schema.schema import Schema


@dataclass(frozen=True, slots=True)
class CaseResult:
    """`problems` is empty when the test passed. `held` names every rule whose condition held, for
    the principal or for an agent that acts for it; `erred` every rule that could not be evaluated."""

    case: TestCase
    decision: Decision | None
    problems: tuple[str, ...]
    held: frozenset[str] = frozenset()
    erred: frozenset[str] = frozenset()

    @property
    def passed(self) -> bool:
        return not self.problems

    def diagnostic(self) -> Diagnostic:
        """The failure as a finding at the place of the test."""
        return Diagnostic(
            codes.FAILED_TEST, self.case.span, f'test "{self.case.name}" failed: {"; ".join(self.problems)}'
        )


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


def run_case(policies: PolicySet, schema: Schema, case: TestCase) -> CaseResult:
    """Decide the test's request and compare with what it expects."""
    facts = [(uid, dict(items)) for uid, items in policies.facts]
    try:
        known = world(case.entities, facts)
        asked = request(case.principal, case.action, case.resource, case.context)
    except Fault as fault:
        return CaseResult(case, None, (fault.message,))
    decision = decide(policies, schema, known, asked, case.approved)
    held, erred = _reached(policies, schema, asked, known)
    return CaseResult(case, decision, tuple(_problems(case, decision)), held, erred)


def _reached(
    policies: PolicySet, schema: Schema, asked: Request, known: World
) -> tuple[frozenset[str], frozenset[str]]:
    """The rules whose condition held, and those that erred, for the principal or for an agent that acts for it."""
    try:
        requests = actors(asked, known, schema)
    except Fault:
        requests = (asked,)
    found = [verdicts(policies.rules, Env(one, known)) for one in requests]
    return (
        frozenset(rule.name for one in found for rule in one.held),
        frozenset(rule.name for one in found for rule in one.erred),
    )


def run_cases(policies: PolicySet, schema: Schema) -> tuple[CaseResult, ...]:
    return tuple(run_case(policies, schema, case) for case in policies.tests)


def _problems(case: TestCase, decision: Decision) -> list[str]:
    found = []
    if decision.decision != case.decision:
        found.append(f"expected {case.decision}, got {decision.decision} ({decision.summary})")
    elif case.rules is not None and decision.determining != case.rules:
        found.append(f"expected it to be decided by {_names(case.rules)}, it was by {_names(decision.determining)}")
    owed = tuple(sorted({o.type for o in decision.obligations}))
    if case.obligations is not None and owed != tuple(sorted(set(case.obligations))):
        found.append(f"expected it to owe {_names(case.obligations)}, it owes {_names(owed)}")
    return found


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nothing"
