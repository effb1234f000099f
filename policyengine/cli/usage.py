"""`policyengine state usage`, `reset`, `credit`, `raise` and `changes`: shows what limits have counted, and corrects
it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from policyengine.callers.key_views import date
from policyengine.cli.console import FAILED, fail, note, say, say_json, say_table
from policyengine.cli.durations import duration
from policyengine.cli.keys import ConfigOption
from policyengine.cli.loading import JsonOption
from policyengine.cli.state_store import ByOption, StateOption, me, opened
from policyengine.diagnostics.safe_text import visible
from policyengine.events.sink import Nowhere
from policyengine.state.usage import BY, Change, Sum, Usage, row_json
from policyengine.state.usage_calls import Meters, NoMeter

RuleArgument = Annotated[str, typer.Argument(metavar="RULE", help="the limit, with its module: billing.daily")]
KeyArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY]...", help="its key, each part as `usage` shows it")
]
AmountOption = Annotated[float, typer.Option("--amount", help="the amount to add, in the unit of the limit")]
WhyOption = Annotated[str, typer.Option("--why", help="kept with the change")]
RuleOption = Annotated[str | None, typer.Option("--rule", help="of this limit only", show_default=False)]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="of this tenant only", show_default=False)]
ModelOption = Annotated[str | None, typer.Option("--model", help="of this model only", show_default=False)]
DayOption = Annotated[
    str | None, typer.Option("--day", metavar="YYYY-MM-DD", help="counted on this day, in UTC", show_default=False)
]
SumOption = Annotated[
    str, typer.Option("--by", metavar="WHAT,...", help=f"add up by {', '.join(BY[1:])}", show_default=False)
]


def usage(
    rule: RuleOption = None,
    tenant: TenantOption = None,
    model: ModelOption = None,
    day: DayOption = None,
    by: SumOption = "",
    state: StateOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Show what limits have counted, meter by meter, as far back as their windows reach."""
    names = [each for each in by.split(",") if each]
    wanted = {"rule": rule, "tenant": tenant, "model": model, "day": day}
    with opened(state, config) as store:
        meters = Meters(store, Nowhere())
        rows: list[Any] = [*(meters.sums(*names, **wanted) if names else meters.usage(**wanted))]
    if json_:
        say_json([row_json(row, names) for row in rows])
        return
    if not rows:
        note("nothing is counted")
        return
    heads = ["rule", *names, "used"] if names else ["rule", "key", "used", "ceiling", "resets"]
    say_table(heads, [_sum_line(row, names) if names else _line(row) for row in rows])


def reset(
    rule: RuleArgument,
    key: KeyArgument = None,
    why: WhyOption = "",
    by: ByOption = "",
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Start again from zero: nothing that was charged until now counts."""
    _change(state, config, lambda meters: meters.reset(rule, *(key or ()), why=why, by=by or me()))


def credit(
    rule: RuleArgument,
    amount: AmountOption,
    key: KeyArgument = None,
    why: WhyOption = "",
    by: ByOption = "",
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Allow an extra amount until the window is over."""
    _change(state, config, lambda meters: meters.credit(rule, *(key or ()), amount=amount, why=why, by=by or me()))


def raise_(
    rule: RuleArgument,
    amount: AmountOption,
    for_: Annotated[str, typer.Option("--for", metavar="DURATION", help="for how long, such as 1h")],
    key: KeyArgument = None,
    why: WhyOption = "",
    by: ByOption = "",
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Allow an extra amount for a time."""
    details: dict[str, Any] = {"amount": amount, "seconds": duration(for_, "--for"), "why": why, "by": by or me()}
    _change(state, config, lambda meters: meters.raise_(rule, *(key or ()), **details))


def changes(
    tenant: TenantOption = None, state: StateOption = None, config: ConfigOption = None, json_: JsonOption = False
) -> None:
    """List the changes to limits, latest first: what, by whom, and why."""
    with opened(state, config) as store:
        made = Meters(store, Nowhere()).changes(tenant=tenant)
    if json_:
        say_json([asdict(each) for each in made])
        return
    for each in made:
        say(visible(_change_line(each)))
    if not made:
        note("nothing was done")


def _change(state: Any, config: Any, make: Callable[[Meters], Change]) -> None:
    with opened(state, config) as store:
        try:
            made = make(Meters(store, Nowhere()))
        except NoMeter as error:
            fail(str(error), "`policyengine state usage` shows rules and keys", status=FAILED)
    say(visible(_change_line(made)))


def _change_line(made: Change) -> str:
    more = f" by {made.amount:g}, until {date(made.until)}" if made.until else ""
    parts = [f"{made.what}: {' '.join([made.rule, *made.key])}{more}", *([made.why] if made.why else [])]
    return ", ".join([*parts, f"by {made.by}" if made.by else "by nobody", date(made.at)])


def _line(row: Usage) -> list[str]:
    ends = "blocked until " + date(row.blocked_until) if row.blocked_until else date(row.resets_at)
    return [row.rule, " ".join(row.key), f"{row.used:g}", f"{row.ceiling:g}", ends]


def _sum_line(row: Sum, names: list[str]) -> list[str]:
    value = row_json(row, names)
    values = [" ".join(value[name]) if name == "key" else value[name] for name in names]
    return [row.rule, *values, f"{row.used:g}"]
