"""Everything that can answer a case. A new evaluator or backend is one more line in EVALUATORS, and brings no cases.

Each is a context manager: a case file in; out a function from a case to its Outcome, or to None where it cannot be
asked that.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from policyengine import Engine
from policyengine.bundle import Snapshot, load_text
from policyengine.model.decision import Decision
from tests.cases.case_files import Case, CaseFile, Outcome
from tests.server.serving import EVALUATION, serving
from tests.support.evaluators import evaluator, fast_decide, reference

Ask = Callable[[Case], Outcome | None]
Evaluator = Callable[[CaseFile], AbstractContextManager[Ask]]


def _snapshot(file: CaseFile) -> Snapshot:
    loaded = load_text(file.policies, entities=file.entities)
    assert loaded.snapshot is not None, [f"{d.span}: {d.message}" for d in loaded.diagnostics]
    return loaded.snapshot


@contextmanager
def interpreter(file: CaseFile) -> Iterator[Ask]:
    snapshot = _snapshot(file)
    yield lambda case: _outcome(reference(snapshot, case.request, case.approved))


@contextmanager
def generated(file: CaseFile) -> Iterator[Ask]:
    yield _asked_twice(_snapshot(file))


def _asked_twice(snapshot: Snapshot) -> Ask:
    """The second answer takes the short way."""

    def ask(case: Case) -> Outcome:
        first = _outcome(fast_decide(snapshot, case.request, case.approved))
        assert _outcome(fast_decide(snapshot, case.request, case.approved)) == first
        return first

    return ask


@contextmanager
def generated_in_python(file: CaseFile) -> Iterator[Ask]:
    """What there is without a C compiler."""
    snapshot = _snapshot(file)
    yield _asked_twice(replace(snapshot, evaluator=evaluator(snapshot, "python")))


@contextmanager
def engine(file: CaseFile) -> Iterator[Ask]:
    """The public call, one engine for all cases."""
    asked = Engine.from_text(file.policies, entities=file.entities)
    keywords = ("principal", "action", "resource", "context")
    yield lambda case: None if case.approved else _outcome(asked.decide(**{k: case.request.get(k) for k in keywords}))


@contextmanager
def http(file: CaseFile) -> Iterator[Ask]:
    """A real server. What it refuses as no request at all is not compared."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "policy.pol").write_text(file.policies, encoding="utf-8")
        (folder / "entities.json").write_text(json.dumps(file.entities), encoding="utf-8")
        with serving(folder, entities=folder / "entities.json") as client:

            def ask(case: Case) -> Outcome | None:
                if case.approved:
                    return None
                body = json.dumps(_authzen(case.request)).encode()
                answer = client.post(EVALUATION, content=body, headers={"Content-Type": "application/json"})
                if answer.status_code == 400:
                    # Only what is malformed as such, or what the service may refuse, is never asked.
                    assert not case.expected.determining or _refusable(case.request), (case.name, answer.text)
                    return None
                assert answer.status_code == 200, (case.name, answer.text)
                return _wire_outcome(answer.json())

            yield ask


EVALUATORS: tuple[Evaluator, ...] = (interpreter, generated, generated_in_python, engine, http)


def _outcome(decision: Decision) -> Outcome:
    return Outcome(
        decision.decision,
        decision.determining,
        tuple(sorted(f"{e.rule} {e.code}".strip() for e in decision.errors)),
        tuple(sorted(o.type for o in decision.obligations)),
        tuple(a.rule for a in decision.approvals),
        decision.limits,
        decision.labels,
    )


def _wire_outcome(answer: dict[str, Any]) -> Outcome:
    context = answer["context"]
    named = {"step-up": "step_up"}
    types = [o["properties"]["action"] if o["type"] == "custom" else o["type"] for o in context.get("obligations", [])]
    return Outcome(
        "allow" if answer["decision"] else "deny",
        tuple(context["determining"]),
        tuple(sorted(f"{e['rule']} {e['code']}".strip() for e in context.get("errors", []))),
        tuple(sorted(named.get(t, t) for t in types)),
        tuple(a["rule"] for a in context.get("approvals", [])),
        tuple(context.get("limits", [])),
        tuple(context.get("labels", [])),
    )


def _authzen(asked: dict[str, Any]) -> dict[str, Any]:
    action = asked["action"]
    if isinstance(action, str):
        action = {"name": action}
    elif isinstance(action, dict):
        action = {"name": action.get("name"), "properties": {k: v for k, v in action.items() if k != "name"}}
    found = {"subject": _entity(asked["principal"]), "action": action, "resource": _entity(asked["resource"])}
    return found if asked["context"] is None else {**found, "context": asked["context"]}


def _entity(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    outside = {k: v for k, v in value.items() if k in ("type", "id", "parents")}
    return {**outside, "properties": {k: v for k, v in value.items() if k not in outside}}


def _refusable(value: Any) -> bool:
    """Whether the service may refuse it: a number that JSON cannot carry, or malformed `parents`."""
    if isinstance(value, dict):
        return any(_refusable(v) or (k == "parents" and not _are_entities(v)) for k, v in value.items())
    if isinstance(value, list):
        return any(map(_refusable, value))
    return isinstance(value, float) and not math.isfinite(value)


def _are_entities(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, dict) and {"type", "id"} <= v.keys() for v in value)
