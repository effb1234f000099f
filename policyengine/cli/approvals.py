"""`policyengine approvals`: lists and shows requests for approval, approves and rejects them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from policyengine.bundle import Snapshot
from policyengine.cli.console import fail, note, say, say_json, say_table
from policyengine.cli.loading import JsonOption, load_engine
from policyengine.cli.state_store import reported
from policyengine.diagnostics.safe_text import visible
from policyengine.events.sink import Nowhere
from policyengine.state.approval_calls import Approvals
from policyengine.state.approval_tasks import Task
from policyengine.state.stores.opening import open_store

app = typer.Typer(help="Requests for approval: list, show, approve and reject them.", no_args_is_help=True)

StateOption = Annotated[
    str | None,
    typer.Option(
        "--state", metavar="URL", show_default=False,
        help="where state is kept, such as sqlite:///state.db; else POLICYENGINE_STATE",
    ),
]  # fmt: skip
PoliciesOption = Annotated[
    Path | None,
    typer.Option(
        "--policies", "-p", metavar="PATH", show_default=False,
        help="whose rules say who may approve; else POLICYENGINE_POLICIES",
    ),
]  # fmt: skip
EntitiesOption = Annotated[
    Path | None,
    typer.Option(
        "--entities", "-e", metavar="FILE", show_default=False,
        help="a JSON file of entities, with the groups of users; else POLICYENGINE_ENTITIES",
    ),
]  # fmt: skip
TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help="the id, as `list` shows it", show_default=False)]
WhoOption = Annotated[
    str, typer.Option("--as", metavar="TYPE::ID", help="who approves, such as User::cleo", show_default=False)
]
WhyOption = Annotated[str, typer.Option("--why", metavar="TEXT", help="a comment, kept with the decision")]
TenantOption = Annotated[str | None, typer.Option("--tenant", metavar="ID", help="of this tenant only")]


@app.command("list")
def list_(state: StateOption = None, tenant: TenantOption = None, as_json: JsonOption = False) -> None:
    """List the requests that wait for approval, oldest first."""
    with _approvals(state) as approvals:
        tasks = approvals.list(tenant)
    if as_json:
        say_json([_json(task) for task in tasks])
        return
    if not tasks:
        note("nothing waits for approval")
        return
    rows = [
        (task.id, f"{task.action} on {task.resource}", task.requester, _rules(task), _time(task.created))
        for task in tasks
    ]
    say_table(("TASK", "WHAT", "FOR", "RULE", "SINCE"), rows, whole=("TASK",))


@app.command()
def show(task: TaskArgument, state: StateOption = None, as_json: JsonOption = False) -> None:
    """Show what exactly would run, for whom, which rule asks, and how long an approval would hold."""
    with _approvals(state) as approvals:
        task_shown = approvals.show(task)
    if as_json:
        say_json(_json(task_shown))
        return
    for line in _lines(task_shown):
        say(visible(line))


@app.command()
def approve(
    task: TaskArgument,
    who: WhoOption,
    why: WhyOption = "",
    state: StateOption = None,
    policies: PoliciesOption = None,
    entities: EntitiesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Approve, as somebody whom the rule names. Exit status: 0 it is recorded; 3 it may not be."""
    _decide(lambda approvals, entity: approvals.approve(task, entity, why=why), who, state, policies, entities, as_json)


@app.command()
def reject(
    task: TaskArgument,
    who: WhoOption,
    why: WhyOption = "",
    state: StateOption = None,
    policies: PoliciesOption = None,
    entities: EntitiesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reject, as somebody whom the rule names. Exit status: 0 it is recorded; 3 it may not be."""
    _decide(lambda approvals, entity: approvals.reject(task, entity, why=why), who, state, policies, entities, as_json)


def _decide(
    work: Callable[[Approvals, dict[str, str]], Task],
    who: str,
    state: str | None,
    policies: Path | None,
    entities: Path | None,
    as_json: bool,
) -> None:
    type_, separator, id_ = who.partition("::")
    id_ = id_.strip('"')
    if not (type_ and separator and id_):
        fail(f"--as: `{who}` is not an entity", "write the type and the id, such as User::cleo")
    policies = policies or _path("POLICYENGINE_POLICIES")
    if policies is None:
        fail("no policies are named", "name them with --policies: their rules say who may approve")
    entities, url = entities or _path("POLICYENGINE_ENTITIES"), _url(state)
    with _reported(), closing(load_engine(policies, entities, state=url, named="--policies")) as engine:
        decided = work(engine.approvals, {"type": type_, "id": id_})
    if as_json:
        say_json(_json(decided))
        return
    say(visible(_outcome(decided)))


def _outcome(task: Task) -> str:
    if task.status != "pending":
        return f"{task.id} is {task.status}"
    left = sum(max(0, need.of - len(need.approvers)) for need in task.needs)
    return f"{task.id} needs {left} more"


@contextmanager
def _approvals(state: str | None) -> Iterator[Approvals]:
    with _reported():
        yield Approvals(open_store(_url(state)), _no_policies, Nowhere())


def _no_policies() -> Snapshot:
    raise AssertionError("to see what waits takes no policies")


@contextmanager
def _reported() -> Iterator[None]:
    try:
        with reported():
            yield
    except ValueError as error:
        fail(f"--state: {error}")


def _url(state: str | None) -> str:
    url = state or os.environ.get("POLICYENGINE_STATE", "")
    if not url:
        fail("no state is named", "name it with --state, such as sqlite:///state.db")
    if url.startswith("memory:"):
        fail("no other process can see a store in memory", "name a store with --state")
    return url


def _path(name: str) -> Path | None:
    path = os.environ.get(name)
    return Path(path) if path else None


def _json(task: Task) -> dict[str, Any]:
    shown = asdict(task)
    # Only the requester may use it.
    del shown["approval"], shown["callback"]
    shown["client"] = json.loads(task.client) if task.client else None
    return shown


def _lines(task: Task) -> Iterator[str]:
    yield f"task        {task.id}"
    yield f"status      {task.status}{', revoked' if task.revoked else ''}"
    yield f"what        {task.action} on {task.resource}"
    resource = task.request["resource"]
    if "args" in resource:
        yield from _indented("arguments", resource["args"])
    yield f"for         {task.requester}"
    if task.agents:
        yield f"through     {', '.join(task.agents)}"
    if task.tenant:
        yield f"tenant      {task.tenant}"
    if task.session:
        yield f"session     {task.session}"
    for need in task.needs:
        people = "one person" if need.of == 1 else f"{need.of} different people"
        had = f", approved by {', '.join(need.approvers)}" if need.approvers else ""
        yield f"rule        {need.rule}: {people} of {need.by}{had}"
    yield f"holds       {task.within:g} seconds once approved, for {task.uses} use{'' if task.uses == 1 else 's'}"
    if task.why:
        yield f"says        {task.why!r}"
    yield f"asked       {_time(task.created)}"
    yield f"until       {_time(task.expires_at)}"


def _indented(name: str, value: Any) -> Iterator[str]:
    for key in sorted(value) if isinstance(value, dict) else ():
        yield f"{name:<12}{key} = {value[key]!r}"
        name = ""
    if not isinstance(value, dict):
        yield f"{name:<12}{value!r}"


def _rules(task: Task) -> str:
    return ", ".join(need.rule for need in task.needs)


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
