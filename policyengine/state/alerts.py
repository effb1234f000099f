"""Reports about limits: usage reached a share of the ceiling, usage passed the ceiling of a limit that denies nothing,
or a limit has blocked a key.

It is reported each time that it happens, by the request or settlement that takes usage from below the threshold to
above it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from policyengine.events.event import Event, Field
from policyengine.events.sink import Sink
from policyengine.state import amounts
from policyengine.state.charges import Metered
from policyengine.state.operations import Done, MeterUse, Outcome, Refused
from policyengine.state.windows import SECOND

# By meter, how much its usage has risen.
More = Mapping[str, int]


def report(outcome: Outcome, metered: Sequence[Metered], tenant: Callable[[], str], events: Sink) -> None:
    """Reports the outcome of a commit. `tenant` is called only if there is something to report."""
    if isinstance(outcome, Done) and not outcome.replayed:
        more = {one.charge.meter: one.charge.amount for one in metered}
        report_more(outcome.uses, more, metered, tenant, events)
    elif isinstance(outcome, Refused):
        for event in _blocked(outcome, metered, tenant):
            events.send(event)


def report_more(
    uses: Sequence[MeterUse], more: More, metered: Sequence[Metered], tenant: Callable[[], str], events: Sink
) -> None:
    """Reports meters whose usage has risen by these amounts."""
    for event in _crossed(uses, more, metered, tenant):
        events.send(event)


def _crossed(
    uses: Sequence[MeterUse], more: More, metered: Sequence[Metered], tenant: Callable[[], str]
) -> Iterator[Event]:
    limits = {one.charge.meter: one.limit.spec for one in metered}
    for use in uses:
        spec, before = limits.get(use.meter), use.used - more.get(use.meter, 0)
        if spec is None:
            continue
        if spec.alert_at and before * 100 < spec.alert_at * use.ceiling <= use.used * 100:
            yield _event("limit.near", use.rule, use.meter, use.used, use.ceiling, tenant())
        if spec.advisory and before <= use.ceiling < use.used:
            yield _event("limit.passed", use.rule, use.meter, use.used, use.ceiling, tenant())


def _blocked(outcome: Refused, metered: Sequence[Metered], tenant: Callable[[], str]) -> Iterator[Event]:
    lengths = {one.charge.meter: one.charge.block_for for one in metered}
    for one in outcome.refusals:
        if one.tripped:
            until = (outcome.now + lengths.get(one.meter, 0)) // SECOND
            yield _event("limit.blocked", one.rule, one.meter, one.used, one.ceiling, tenant(), until=until)


def _event(kind: str, rule: str, meter: str, used: int, ceiling: int, tenant: str, **more: int) -> Event:
    said: dict[str, Field] = {
        "rule": rule,
        "meter": meter,
        "used": amounts.number(used),
        "ceiling": amounts.number(ceiling),
    }
    return Event(kind, {**said, **more}, tenant)
