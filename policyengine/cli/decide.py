"""`policyengine decide`: one request, one decision."""

from __future__ import annotations

from typing import Annotated

import typer

from policyengine.cli.console import DENY, OWES, note, say_json
from policyengine.cli.loading import CacheOption, EntitiesOption, PolicyPath, load_engine
from policyengine.cli.request import RequestOption, read_request
from policyengine.cli.verified import ApprovedOption, MeteredOption, read_approved, read_metered
from policyengine.diagnostics.safe_text import visible
from policyengine.explain.display import decision_json


def decide(
    path: PolicyPath,
    request: RequestOption,
    entities: EntitiesOption = None,
    fulfils: Annotated[
        list[str] | None,
        typer.Option("--fulfils", metavar="TYPE,...", help="types of obligation that the caller will fulfil"),
    ] = None,
    approved: ApprovedOption = None,
    metered: MeteredOption = None,
    cache: CacheOption = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="print nothing; the exit status is the answer")] = False,
) -> None:
    """Decide one request and print the decision as JSON.

    The request is {"principal", "action", "resource", "context"}, or an AuthZEN evaluation request; entities are read
    as the service reads them, with attributes beside `id` or in `properties`.
    Exit status: 0 allow, everything owed is in --fulfils and every limit in --metered; 3 deny; 4 allow that owes more,
    or that nobody meters, so do not go ahead yet; 1 the policies are invalid; 2 wrong usage, or this is not a request.
    """
    engine = load_engine(path, entities, cache)
    decision = engine.decide(
        **read_request(request), approved=read_approved(approved, engine), metered=read_metered(metered, engine)
    )
    if not quiet:
        say_json(decision_json(decision))
    if decision.decision == "deny":
        raise typer.Exit(DENY)
    promised = {name.strip() for option in fulfils or () for name in option.split(",")}
    owed = sorted({o.type for o in decision.obligations} - promised)
    if owed and not quiet:
        note(visible(f"allowed only if the caller carries out: {', '.join(owed)} (--fulfils says that it will)"))
    if decision.unmetered and not quiet:
        limits = ", ".join(decision.unmetered)
        note(visible(f"allowed only if the caller meters: {limits} (--metered says that it does)"))
    if owed or decision.unmetered:
        raise typer.Exit(OWES)
