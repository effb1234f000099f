"""Everything that can answer a case. A new evaluator or backend is one more line in EVALUATORS, and brings no cases.

Each is a context manager: a case file in; out a function from a case to its Outcome, or to None where it cannot be
asked that.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from typer.testing import CliRunner

from policyengine import Engine
from policyengine.bundle import Snapshot, load_text
from policyengine.cli import app
from policyengine.filters import Filter, column, sql
from policyengine.filters import json as stored_json
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
                body = json.dumps(_metering(_authzen(case.request))).encode()
                answer = client.post(EVALUATION, content=body, headers={"Content-Type": "application/json"})
                if answer.status_code == 400:
                    # Only what is malformed as such, or what the service may refuse, is never asked.
                    assert not case.expected.determining or _refusable(case.request), (case.name, answer.text)
                    return None
                assert answer.status_code == 200, (case.name, answer.text)
                return _wire_outcome(answer.json())

            yield ask


@contextmanager
def command_line(file: CaseFile) -> Iterator[Ask]:
    """`policyengine decide` on a file, in each form that a request has. What it refuses as no request is not compared.
    The policies are loaded once: loading is not what is asked."""
    loaded = Engine.from_text(file.policies, entities=file.entities)
    runner = CliRunner()
    with TemporaryDirectory() as name, patch("policyengine.cli.decide.load_engine", lambda *_: loaded):
        path = Path(name) / "request.json"

        def answer(case: Case, value: dict[str, Any]) -> Outcome | None:
            path.write_text(json.dumps(value), encoding="utf-8")
            result = runner.invoke(app, ["decide", name, "--request", str(path)])
            if result.exit_code == 2:
                assert not case.expected.determining or _refusable(case.request), (case.name, result.output)
                return None
            found = _told(json.loads(result.stdout))
            assert (result.exit_code == 3) is (found.decision == "deny"), case.name
            return found

        def ask(case: Case) -> Outcome | None:
            if case.approved:
                return None
            native = {name: each for name, each in case.request.items() if each is not None or name != "context"}
            first, *others = (answer(case, each) for each in (native, _authzen(case.request), _beside(case.request)))
            for other in others:
                assert other == first, case.name
            return first

        yield ask


@contextmanager
def partial_then_rest(file: CaseFile) -> Iterator[Ask]:
    """What is left of the policies before the resource is known, asked of the resource."""
    asked = Engine.from_text(file.policies, entities=file.entities)
    yield lambda case: _seen(asked, case, lambda found, resource: found.matches(resource))


@contextmanager
def sqlite(file: CaseFile) -> Iterator[Ask]:
    """The same, asked of a store, and what it finds looked at again."""
    asked = Engine.from_text(file.policies, entities=file.entities)
    store = sql("sqlite", columns={"id": column("id"), "type": column("type"), "*": stored_json("data")})
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("create table resource (id text, type text, data text)")

        def find(found: Filter, resource: dict[str, Any]) -> bool:
            query = found.to(store)
            row = (resource["id"], resource["type"], json.dumps(resource))
            database.execute("delete from resource")
            database.execute("insert into resource values (?, ?, ?)", row)
            hits = database.execute(f"select data from resource where {query.where}", query.params).fetchall()
            return bool(list(query.recheck([json.loads(data) for (data,) in hits])))

        yield lambda case: _seen(asked, case, find)


def _seen(asked: Engine, case: Case, find: Callable[[Filter, dict[str, Any]], bool]) -> Outcome | None:
    """The expected outcome, if the resource is found exactly where it is allowed and nothing is owed; else its
    opposite. A filter says nothing of rules, and cannot be asked about what is not an entity or cannot be stored."""
    request, expected = case.request, case.expected
    resource = request["resource"]
    if isinstance(resource, dict) and not all(isinstance(resource.get(name), str) for name in ("type", "id")):
        return None
    if case.approved or _refusable(resource) or not _are_entities([resource]) or not isinstance(request["action"], str):
        return None
    found = asked.filter(
        principal=request["principal"],
        action=request["action"],
        resource_type=resource["type"],
        context=request["context"],
        metered=True,
    )
    allowed = expected.decision == "allow" and not expected.owes
    if find(found, resource) is allowed:
        return expected
    return replace(expected, decision="deny" if allowed else "allow", owes=())


EVALUATORS: tuple[Evaluator, ...] = (
    interpreter,
    generated,
    generated_in_python,
    engine,
    http,
    command_line,
    partial_then_rest,
    sqlite,
)


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


def _metering(asked: dict[str, Any]) -> dict[str, Any]:
    """The request of a caller that meters: of any other, what a limit applies to is denied."""
    context = asked.get("context", {})
    return {**asked, "context": {**context, "metered_limits": True}} if isinstance(context, dict) else asked


def _beside(asked: dict[str, Any]) -> dict[str, Any]:
    """AuthZEN's words around entities whose attributes stand beside `id`."""
    found = _authzen(asked)
    return {**found, "subject": asked["principal"], "resource": asked["resource"]}


def _told(answer: dict[str, Any]) -> Outcome:
    """What the command line prints."""
    return Outcome(
        answer["decision"],
        tuple(answer["determining"]),
        tuple(sorted(f"{e['rule']} {e['code']}".strip() for e in answer["errors"])),
        tuple(sorted(o["type"] for o in answer["obligations"])),
        tuple(a["rule"] for a in answer["approvals"]),
        tuple(answer["limits"]),
        tuple(answer["labels"]),
    )


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
