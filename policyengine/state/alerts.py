"""What people are told of limits: a share of a ceiling was reached, or the ceiling of a limit that denies nothing was
passed.

It is told once each time that it happens: by the request with which what counts went from below to above.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from policyengine.events.event import Event
from policyengine.state import amounts
from policyengine.state.charges import Metered
from policyengine.state.operations import Use


def alerts(uses: Sequence[Use], metered: Sequence[Metered], tenant: str) -> Iterator[Event]:
    """The events of a request that was charged. `uses` are in the order of the charges."""
    for use, one in zip(uses, metered, strict=False):
        spec, before = one.limit.spec, use.used - one.charge.amount
        if spec.alert_at and before * 100 < spec.alert_at * use.ceiling <= use.used * 100:
            yield _event("limit.near", use, tenant)
        if spec.advisory and before <= use.ceiling < use.used:
            yield _event("limit.passed", use, tenant)


def _event(kind: str, use: Use, tenant: str) -> Event:
    used, ceiling = amounts.number(use.used), amounts.number(use.ceiling)
    return Event(kind, {"rule": use.rule, "meter": use.meter, "used": used, "ceiling": ceiling}, tenant)
