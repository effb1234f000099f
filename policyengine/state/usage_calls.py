"""Usage for a host and its operators: what limits have counted, and changes to it.

Each method has an async form, which runs it in a thread.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from policyengine.events.event import Event, Field
from policyengine.events.sink import Sink
from policyengine.model.values import Fault
from policyengine.state import amounts
from policyengine.state.charges import key_of, window
from policyengine.state.ids import new_id
from policyengine.state.operations import CHANGE, Adjust, DocumentsFound, ReadDocuments
from policyengine.state.stateful_rules import LimitRule
from policyengine.state.store import Store, document_in
from policyengine.state.usage import (
    Change,
    Sum,
    Usage,
    UsageFilter,
    added_up,
    change_of,
    change_tenant,
    usage_of,
    window_of,
)
from policyengine.state.windows import SECOND, Concurrent
from policyengine.steps import in_thread

# The longest reason, in characters; longer ones are cut.
LONGEST = 512


class NoMeter(LookupError):
    """Nothing is counted under this rule and key."""


class Meters:
    """The meters of one store. `limits` are the policies' current ones, by name; without them only used meters can be
    found."""

    def __init__(self, store: Store, events: Sink, limits: Callable[[], Mapping[str, LimitRule]] = dict) -> None:
        self._store = store
        self._events = events
        self._limits = limits

    def usage(
        self,
        *,
        rule: str | None = None,
        key: Sequence[str] | None = None,
        tenant: str | None = None,
        model: str | None = None,
        day: str | None = None,
    ) -> list[Usage]:
        """The current usage, meter by meter, by rule and key. Raises StoreError, and ValueError for a text that is not
        a day."""
        wanted = UsageFilter(rule, key, tenant, model, day)
        now = self._now()
        # Each once, even if a store returns one twice.
        usages = {name: usage_of(name, document, now) for name, document in self._store.survey("meter")}
        rows = [one for one in usages.values() if one is not None and wanted.has(one)]
        return sorted(rows, key=lambda one: (one.rule, one.key, one.meter))

    def sums(self, *by: str, **wanted: Any) -> list[Sum]:
        """The usage by rule and the named attributes: `key`, `tenant`, `model`, `day`. Otherwise as `usage`."""
        added_up((), by)
        rows = added_up(self.usage(**wanted), by)
        day = wanted.get("day")
        return [row for row in rows if day is None or not row.day or row.day == day]

    def reset(self, rule: str, *key: Any, why: str = "", by: str = "", tenant: str | None = None) -> Change:
        """Discards what was charged until now, and unblocks a blocked key. `key` is what the limit counts by, as
        `usage` shows it or as values. With `tenant` a meter of another tenant is not found. Raises NoMeter, ValueError
        and StoreError."""
        return self._changed(self._adjust("reset", rule, key, 0, 0, why, by, tenant))

    def credit(
        self, rule: str, *key: Any, amount: float, why: str = "", by: str = "", tenant: str | None = None
    ) -> Change:
        """Raises the ceiling by an amount until everything that can be counted now has left the window. Raises
        exceptions as `reset`."""
        return self._changed(self._adjust("credit", rule, key, amount, 0, why, by, tenant))

    def raise_(
        self,
        rule: str,
        *key: Any,
        amount: float,
        seconds: float,
        why: str = "",
        by: str = "",
        tenant: str | None = None,
    ) -> Change:
        """Raises the ceiling by an amount for this many seconds. Raises exceptions as `reset`."""
        return self._changed(self._adjust("raise", rule, key, amount, seconds, why, by, tenant))

    def changes(self, *, tenant: str | None = None) -> list[Change]:
        """The changes to meters in the last 400 days, the latest first. Raises StoreError."""
        kept_changes = dict(self._store.survey(CHANGE)).values()
        of_tenant = [each for each in kept_changes if tenant is None or change_tenant(each) == tenant]
        return [change_of(each) for each in sorted(of_tenant, key=lambda each: (-each["at"], each["rule"]))]

    usage_async, sums_async, changes_async = in_thread(usage), in_thread(sums), in_thread(changes)
    reset_async, credit_async, raise_async = in_thread(reset), in_thread(credit), in_thread(raise_)

    # ---- the operation ----

    def _adjust(
        self,
        what: str,
        rule: str,
        key: Sequence[Any],
        amount: float,
        seconds: float,
        why: str,
        by: str,
        tenant: str | None,
    ) -> Adjust:
        if what == "raise" and not 0 < seconds < 1e9:
            raise ValueError("`seconds` must be more than 0")
        try:
            more = amounts.amount(amount)
        except Fault as fault:
            raise ValueError(fault.message) from None
        if what != "reset" and not more:
            raise ValueError("the amount must be more than 0")
        asked = self._by_rule(rule, key, tenant) or self._by_usage(rule, key, tenant)
        if what == "credit" and isinstance(asked.window, Concurrent):
            raise ValueError("usage in flight cannot be credited: raise the ceiling for a time")
        length = round(seconds * SECOND)
        return Adjust(
            new_id(), what, asked.meter, asked.rule, asked.by, asked.window, asked.ceiling, more, length,
            why[:LONGEST], by[:LONGEST],
        )  # fmt: skip

    def _by_rule(self, rule: str, key: Sequence[Any], tenant: str | None) -> Adjust | None:
        """The meter of a current limit, even if it was never charged."""
        limit = self._limits().get(rule)
        if limit is None:
            return None
        if len(key) != len(limit.spec.by):
            raise ValueError(f"the limit counts by {', '.join(limit.labels)}")
        meter, by = key_of(limit, [_value(*each) for each in zip(limit.labels, key, strict=True)])
        if tenant is not None and change_tenant({"by": by}) != tenant:
            raise NoMeter("nothing is counted under this rule and key")
        document = self._document(meter)
        ceiling = int((document or {}).get("ceiling", 0))
        return Adjust("", "", meter, rule, by, window(limit.spec, self._now()), ceiling)

    def _by_usage(self, rule: str, key: Sequence[Any], tenant: str | None) -> Adjust:
        usages = self.usage(rule=rule, key=[str(each) for each in key], tenant=tenant)
        # If a limit had several before and after a change, the one that it uses now.
        latest = max(usages, key=lambda one: one.resets_at, default=None)
        document = self._document(latest.meter) if latest is not None else None
        lies = window_of(document) if document is not None else None
        if latest is None or document is None or lies is None:
            raise NoMeter("nothing is counted under this rule and key")
        by, ceiling = tuple(document["by"]), int(document.get("ceiling", 0))
        return Adjust("", "", latest.meter, rule, by, lies, ceiling)

    def _document(self, meter: str) -> Mapping[str, Any] | None:
        outcome = self._store.run(ReadDocuments((meter,)))
        return outcome.documents[0] if isinstance(outcome, DocumentsFound) else None

    def _now(self) -> int:
        outcome = self._store.run(ReadDocuments(()))
        return outcome.now if isinstance(outcome, DocumentsFound) else 0

    def _changed(self, adjust: Adjust) -> Change:
        change = change_of(document_in(self._store.run(adjust)))
        fields: dict[str, Field] = {
            "what": change.what, "rule": change.rule, "key": change.key, "amount": change.amount,
            "until": int(change.until), "why": change.why, "by": change.by,
        }  # fmt: skip
        self._events.send(Event("limit.changed", fields, change_tenant({"by": adjust.by})))
        return change


def _value(label: str, key: Any) -> Any:
    """A part of a key as a value, if it has the form that `usage` shows."""
    if isinstance(key, Mapping):
        return {"type": str(key.get("type")), "id": str(key.get("id"))}
    if not isinstance(key, str) or not key.startswith(f"{label}="):
        return key
    shown = key.removeprefix(f"{label}=")
    type_, separator, id_ = shown.partition('::"')
    try:
        return {"type": type_, "id": json.loads(f'"{id_}')} if separator and '"' not in type_ else json.loads(shown)
    except ValueError:
        raise ValueError(f"this is not a key: `{key}`") from None
