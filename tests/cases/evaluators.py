"""Everything that can answer a case. A new evaluator or backend is one more line in EVALUATORS, and brings no cases.

Each is a context manager: a case file in; out a function from a case to its Outcome, or to None where it cannot be
asked that.
"""

from __future__ import annotations

import json
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
from policyengine.bundle import InvalidPolicies, Snapshot, load_text
from policyengine.cli import app
from policyengine.filters import Filter, column, sql
from policyengine.filters import json as stored_json
from tests.cases.case_files import Case, CaseFile, Outcome
from tests.cases.outcomes import are_entities, authzen, beside, keywords, outcome, refusable, told
from tests.cases.over_http import http
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
    yield lambda case: outcome(reference(snapshot, case.request, case.approved))


@contextmanager
def generated(file: CaseFile) -> Iterator[Ask]:
    yield _asked_twice(_snapshot(file))


def _asked_twice(snapshot: Snapshot) -> Ask:
    """The second answer takes the short way."""

    def ask(case: Case) -> Outcome:
        first = outcome(fast_decide(snapshot, case.request, case.approved))
        assert outcome(fast_decide(snapshot, case.request, case.approved)) == first
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
    yield lambda case: outcome(asked.decide(**keywords(case.request), approved=case.approved))


@contextmanager
def batch(file: CaseFile) -> Iterator[Ask]:
    """All cases of the file in one call, each among the others."""
    asked = Engine.from_text(file.policies, entities=file.entities)
    requests = [{**keywords(case.request), "approved": case.approved} for case in file.cases]
    answers = dict(zip([case.name for case in file.cases], asked.decide_many(requests), strict=True))
    yield lambda case: outcome(answers[case.name])


@contextmanager
def explained(file: CaseFile) -> Iterator[Ask]:
    """The decision that an explanation is of."""
    asked = Engine.from_text(file.policies, entities=file.entities)
    yield lambda case: outcome(asked.explain(**keywords(case.request), approved=case.approved).decision)


@contextmanager
def authorized(file: CaseFile) -> Iterator[Ask]:
    """A new engine for each case, whose limits have room: what they are charged is not owed."""

    def ask(case: Case) -> Outcome | None:
        if case.approved:
            return None
        asked = Engine.from_text(file.policies, entities=file.entities)
        return outcome(asked.authorize(**keywords(case.request)).decision)

    yield ask


@contextmanager
def searched(file: CaseFile) -> Iterator[Ask]:
    """The resource as an entity that is looked for, with what the request says of it as known of all that are found."""

    def ask(case: Case) -> Outcome | None:
        resource, known = case.request["resource"], {(e["type"], e["id"]) for e in file.entities}
        if not are_entities([resource]) or not isinstance(case.request["action"], str):
            return None
        name = {part: resource[part] for part in ("type", "id")}
        if not all(isinstance(part, str) for part in name.values()):
            return None
        entities = file.entities if tuple(name.values()) in known else [*file.entities, name]
        try:
            asked = Engine.from_text(file.policies, entities=entities)
        except InvalidPolicies:  # of no type that the schema declares
            return None
        found = asked.search_resources(
            principal=case.request["principal"],
            action=case.request["action"],
            resource_type=name["type"],
            context=case.request["context"],
            resource={part: value for part, value in resource.items() if part not in name},
            approved=case.approved,
            metered=True,
        )
        return as_seen(case, name in found)

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
            approved = ["--approved", ",".join(case.approved)] if case.approved else []
            result = runner.invoke(app, ["decide", name, "--request", str(path), *approved])
            if result.exit_code == 2:
                assert not case.expected.determining or refusable(case.request), (case.name, result.output)
                return None
            found = told(json.loads(result.stdout))
            assert (result.exit_code == 3) is (found.decision == "deny"), case.name
            return found

        def ask(case: Case) -> Outcome | None:
            native = {name: each for name, each in case.request.items() if each is not None or name != "context"}
            first, *others = (answer(case, each) for each in (native, authzen(case.request), beside(case.request)))
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
    """A filter says nothing of rules, and cannot be asked about what is not an entity or cannot be stored."""
    request = case.request
    resource = request["resource"]
    if isinstance(resource, dict) and not all(isinstance(resource.get(name), str) for name in ("type", "id")):
        return None
    if refusable(resource) or not are_entities([resource]) or not isinstance(request["action"], str):
        return None
    found = asked.filter(
        principal=request["principal"],
        action=request["action"],
        resource_type=resource["type"],
        context=request["context"],
        approved=case.approved,
        metered=True,
    )
    return as_seen(case, find(found, resource))


def as_seen(case: Case, seen: bool) -> Outcome:
    """The expected outcome, if what is found is allowed and nothing is owed for it; else its opposite."""
    allowed = case.expected.decision == "allow" and not case.expected.owes
    if seen is allowed:
        return case.expected
    return replace(case.expected, decision="deny" if allowed else "allow", owes=())


EVALUATORS: tuple[Evaluator, ...] = (
    interpreter,
    generated,
    generated_in_python,
    engine,
    batch,
    explained,
    authorized,
    searched,
    http,
    command_line,
    partial_then_rest,
    sqlite,
)
