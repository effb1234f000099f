"""What an engine does with texts: release checks, whole or as they come, and admission to a model.

It goes through `authorize`, so that limits and labels apply; where none does, no store is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from policyengine.bundle import Snapshot
from policyengine.release import releasing
from policyengine.release.inspection import Inspection
from policyengine.release.needs import Needs, applying, model_input, needs, output
from policyengine.release.outcome import Released
from policyengine.release.releasing import OUTPUT, Check
from policyengine.release.validity import Expected
from policyengine.state.authorize import Authorizing
from policyengine.state.drive import run, run_async
from policyengine.state.grant import Grant
from policyengine.state.service import Authorizes
from policyengine.state.store import Store, StoreError

RELEASE, INVOKE = "release", "invoke"
# A longer text is looked at in a thread, so that an event loop goes on.
SHORT = 20_000


@dataclass(frozen=True, slots=True)
class Concerns:
    """What the rules of one snapshot need to know of texts."""

    snapshot: Snapshot
    output: Needs
    input: Needs


class Releases(Authorizes):
    """An engine that looks at texts, in the ways of its `inspection`."""

    def __init__(self, snapshot: Snapshot, store: Store, inspection: Inspection | None = None) -> None:
        self._inspection = inspection if inspection is not None else Inspection()
        super().__init__(snapshot, store)

    def _concerns(self, snapshot: Snapshot) -> None:
        super()._concerns(snapshot)
        rules = snapshot.policies.rules
        self._texts = Concerns(
            snapshot,
            needs(applying(rules, RELEASE, OUTPUT), output),
            needs(applying(rules, INVOKE, "Model"), model_input),
        )

    def release(
        self,
        text: Any,
        *,
        principal: Mapping[str, Any],
        output: Mapping[str, Any] | None = None,
        sources: Iterable[Mapping[str, Any]] | None = None,
        context: Mapping[str, Any] | None = None,
        expected: Expected | None = None,
        fulfilled: Collection[str] = (),
        session: str | None = None,
    ) -> Released:
        """Whether a text may leave, and what of it. `text` is a text, or a value as JSON has them, whose texts are
        looked at one by one; `output` are its attributes, `content_type` among them; `sources` the documents that were
        in the context window, as `output.sources`; `expected` what it has to be, for `output.valid`. `fulfilled` are
        the types of obligation that the caller carries out itself. What is allowed has had done to it all that the
        policies order. Never raises for what a text holds."""
        check = self._check(text, output, sources, expected)
        grant = run(self._deciding(check, principal, context, session), self._store)
        released = releasing.conclude(check, grant, partial(self._decide, principal, context), fulfilled)
        if not released.allowed and grant.id:
            try:
                grant.cancel()
            except StoreError:
                pass  # the lease ends by itself
        return released

    async def release_async(
        self,
        text: Any,
        *,
        principal: Mapping[str, Any],
        output: Mapping[str, Any] | None = None,
        sources: Iterable[Mapping[str, Any]] | None = None,
        context: Mapping[str, Any] | None = None,
        expected: Expected | None = None,
        fulfilled: Collection[str] = (),
        session: str | None = None,
    ) -> Released:
        """As `release`, without blocking the event loop."""
        check = await self._aside(text, self._check, text, output, sources, expected)
        grant = await run_async(self._deciding(check, principal, context, session), self._store)
        decide = partial(self._decide, principal, context)
        released: Released = await self._aside(text, releasing.conclude, check, grant, decide, fulfilled)
        if not released.allowed and grant.id:
            try:
                await grant.cancel_async()
            except StoreError:
                pass  # the lease ends by itself
        return released

    # ---- the steps ----

    def _check(self, text: Any, output: Any, sources: Any, expected: Expected | None) -> Check:
        return releasing.prepare(text, output, sources, expected, self._texts.output, self._inspection)

    def _deciding(self, check: Check, principal: Any, context: Any, session: str | None) -> Authorizing:
        if check.refused is not None:
            return _at_once(releasing.refused(check.refused, self._texts.snapshot.revision))
        return self._authorizing(
            principal, RELEASE, check.resource, context, session, None, 600.0, "", True
        )

    def _decide(self, principal: Any, context: Any, resource: Mapping[str, Any]) -> Any:
        evaluator = self._texts.snapshot.evaluator
        return evaluator.decide_met(principal, RELEASE, resource, context, evaluator.limits)

    async def _aside(self, text: Any, work: Any, *args: Any) -> Any:
        if isinstance(text, str) and len(text) <= SHORT and not self._inspection.classifiers:
            return work(*args)
        return await asyncio.to_thread(work, *args)


def _at_once(grant: Grant) -> Authorizing:
    return grant
    yield
