"""`policyengine authorize`: one request decided and recorded. `policyengine state` has what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from policyengine.cli.console import DENY, FAILED, OWES, fail, note, say_json
from policyengine.cli.durations import duration
from policyengine.cli.keys import ConfigOption
from policyengine.cli.loading import EntitiesOption, PolicyPath, load_engine
from policyengine.cli.request import RequestOption, read_request
from policyengine.cli.state_store import StateOption, opened, prices, reported
from policyengine.diagnostics.safe_text import visible
from policyengine.engine import Engine
from policyengine.explain.display import decision_json
from policyengine.model.json_text import parse_json
from policyengine.model.values import Fault
from policyengine.state.approving import reference
from policyengine.state.grant import Grant, SettleError, grant_json
from policyengine.state.store import StoreError

ReservationArgument = Annotated[str, typer.Argument(metavar="ID", help="the id of a reservation", show_default=False)]
CallerOption = Annotated[str, typer.Option("--caller", help="the owner of the reservation, who alone may settle it")]


def authorize(
    path: PolicyPath,
    request: RequestOption,
    entities: EntitiesOption = None,
    state: StateOption = None,
    config: ConfigOption = None,
    session: Annotated[str | None, typer.Option(help="the id of a session", show_default=False)] = None,
    key: Annotated[
        str | None,
        typer.Option("--idempotency-key", help="a retry with the same key is charged once", show_default=False),
    ] = None,
    lease: Annotated[str, typer.Option(metavar="DURATION", help="for how long the reservation holds")] = "10m",
    caller: CallerOption = "",
    approval: Annotated[
        str | None,
        typer.Option(metavar="ID", help="an approval to use, or the task that it came from", show_default=False),
    ] = None,
    ask: Annotated[
        str | None,
        typer.Option("--ask", metavar="WHY", help="if only approvals are missing, ask for them", show_default=False),
    ] = None,
) -> None:
    """Decide one request, charge the limits that apply, and print the grant as JSON.

    What is reserved is settled with `policyengine state settle`, and what was asked for is approved with `policyengine
    approvals`. Exit status: 0 allow; 3 deny; 4 allow that owes more;
    1 the policies are invalid, or the store cannot be used; 2 wrong usage.
    """
    asked = read_request(request)
    seconds = duration(lease, "--lease")
    with _engine(path, entities, state, config) as engine, reported():
        given = _approval(engine, approval) if approval is not None else None
        grant = engine.authorize(
            **asked, session=session, idempotency_key=key, lease=seconds, caller=caller, approval=given
        )
        recorded = _recorded(grant)
        if ask is not None and grant.access_request is not None:
            task = engine.approvals.request(grant.access_request, why=ask, caller=caller)
            recorded["task"] = {"id": task.id, "status": task.status, "expires_at": task.expires_at}
    say_json({**decision_json(grant.decision), **recorded})
    if grant.decision.decision == "deny":
        raise typer.Exit(DENY)
    if not grant.allowed:
        owed = ", ".join(sorted({each.type for each in grant.decision.obligations}))
        note(visible(f"allowed only if the caller carries out: {owed}"))
        raise typer.Exit(OWES)


def settle(
    path: PolicyPath,
    id_: ReservationArgument,
    cost: Annotated[
        str, typer.Option(help='the real cost as JSON, such as {"usd": 0.02}; as estimated if not given')
    ] = "{}",
    entities: EntitiesOption = None,
    state: StateOption = None,
    config: ConfigOption = None,
    caller: CallerOption = "",
) -> None:
    """Record what a reservation has really cost. The same once more changes nothing."""
    try:
        actual = parse_json(cost.encode("utf-8", "surrogatepass"))
    except Fault as fault:
        fail(f"--cost: {fault.message}")
    if type(actual) is not dict:
        fail("--cost: expected a JSON object")
    with _engine(path, entities, state, config) as engine:
        grant = _reservation(engine, id_, caller)
        _done(lambda: grant.settle(actual))
        say_json({"limits": [each.as_json() for each in grant.limits]})


def renew(
    path: PolicyPath,
    id_: ReservationArgument,
    for_: Annotated[str, typer.Option("--for", metavar="DURATION", help="from now")] = "10m",
    entities: EntitiesOption = None,
    state: StateOption = None,
    config: ConfigOption = None,
    caller: CallerOption = "",
) -> None:
    """Hold a reservation for longer."""
    seconds = duration(for_, "--for")
    with _engine(path, entities, state, config) as engine:
        grant = _reservation(engine, id_, caller)
        _done(lambda: grant.renew(seconds))
        say_json({"expires_at": grant.expires_at})


def cancel(
    path: PolicyPath,
    id_: ReservationArgument,
    entities: EntitiesOption = None,
    state: StateOption = None,
    config: ConfigOption = None,
    caller: CallerOption = "",
) -> None:
    """Give back what was reserved, as nothing was done."""
    with _engine(path, entities, state, config) as engine:
        grant = _reservation(engine, id_, caller)
        _done(grant.cancel)
        say_json({"cancelled": id_})


@contextmanager
def _engine(path: Path, entities: Path | None, state: str | None, config: Path | None) -> Iterator[Engine]:
    with opened(state, config) as store, closing(load_engine(path, entities, state=store)) as engine:
        engine.prices = prices(config)
        yield engine


def _reservation(engine: Engine, id_: str, caller: str) -> Grant:
    grant = engine.reservation(id_, caller=caller)
    if grant is None:
        fail("there is no such reservation", "or it belongs to another caller: --caller", status=FAILED)
    return grant


def _approval(engine: Engine, id_: str) -> str:
    """The id of an approval. The id of a task, which lists show, stands for the approval that came of the task."""
    named = reference(id_)
    if named is None or named.secret:
        return id_
    shown = engine.approvals.show(id_)
    if shown.approval is None:
        fail(f"the task is {shown.status}: there is no approval", status=DENY)
    return shown.approval


def _done(change: Callable[[], object]) -> None:
    try:
        change()
    except (SettleError, StoreError) as error:
        fail(str(error), status=FAILED)


def _recorded(grant: Grant) -> dict[str, Any]:
    recorded: dict[str, Any] = {"meters": [], **grant_json(grant)}
    if grant.approval is not None:
        recorded["approval"] = {"id": grant.approval.id, "until": grant.approval.until}
    if grant.approval_denied is not None:
        recorded["approval_denied"] = grant.approval_denied
    return recorded
