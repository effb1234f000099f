"""The half of an engine for texts: release checks, whole or as a stream, and admission to a model.

All requests go through `authorize`, so that limits and labels apply. If none applies, no store is called.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

from policyengine.bundle import Snapshot
from policyengine.diagnostics import codes
from policyengine.events.sink import Everywhere
from policyengine.model.decision import Decision, RuleError, Trial
from policyengine.release import admission as admitting
from policyengine.release import detokenizing, release_check
from policyengine.release.admission import Admission
from policyengine.release.detokenizing import TokenText
from policyengine.release.inspection import Inspection
from policyengine.release.model_input import SourceOf
from policyengine.release.release_check import OUTPUT, ReleaseCheck
from policyengine.release.release_stream import ReleaseStream, StreamCalls
from policyengine.release.released import Admitted, Released
from policyengine.release.scanning import ContentFinding
from policyengine.release.sources import Sources
from policyengine.release.text_needs import OrdersGiven, TextNeeds, model_input, orders_given, output, text_needs
from policyengine.release.text_threads import in_text_thread
from policyengine.release.tracing import reported
from policyengine.release.validity import Expected
from policyengine.state import trials
from policyengine.state.authorize import Authorizing, holder, new_request
from policyengine.state.grant import Grant
from policyengine.state.service import Accepts, Authorizes
from policyengine.state.store import Store
from policyengine.steps import run, run_async

RELEASE, INVOKE, DETOKENIZE = "release", "invoke", "detokenize"
# A longer text is inspected in a thread, so that the event loop goes on.
SHORT = 20_000
# How many times a text is inspected again if a reload came before the decision.
TRIES = 8
CHANGING = RuleError("", codes.NOT_LOOKED_AT.id, "the policies keep changing; try again")


@dataclass(frozen=True, slots=True)
class Concerns:
    """What the rules of one snapshot need to know about texts."""

    snapshot: Snapshot
    output: TextNeeds
    input: TextNeeds
    orders: OrdersGiven

    def decided(self, grant: Grant) -> bool:
        """Whether the rules that the text was inspected for are those that decided: other rules might read attributes
        that nobody searched for, and find nothing against the text."""
        return grant.decision.revision == self.snapshot.revision


class Releases(Authorizes):
    """An engine that inspects texts, as its `inspection` defines."""

    def __init__(
        self, snapshot: Snapshot, store: Store, events: Everywhere, inspection: Inspection | None = None
    ) -> None:
        given: object = inspection
        if given is not None and not isinstance(given, Inspection):
            kind = type(given).__name__
            raise TypeError(f"`inspection` is an Inspection, such as Inspection(finders=registry(...)), not {kind}")
        self._inspection = inspection if inspection is not None else Inspection()
        super().__init__(snapshot, store, events)

    def _concerns(self, snapshot: Snapshot) -> None:
        super()._concerns(snapshot)
        self._texts = Concerns(
            snapshot,
            text_needs(snapshot.policies, RELEASE, OUTPUT, output),
            text_needs(snapshot.policies, INVOKE, "Model", model_input),
            orders_given(snapshot.policies, RELEASE, OUTPUT),
        )

    def release(
        self,
        text: Any,
        *,
        principal: Mapping[str, Any],
        output: Mapping[str, Any] | None = None,
        sources: Any = None,
        context: Mapping[str, Any] | None = None,
        expected: Expected | None = None,
        fulfilled: Collection[str] = (),
        session: str | None = None,
        opens: bool = True,
    ) -> Released:
        """Whether a text may leave, and what of it. `text` is a text, or a JSON value, whose texts are inspected one by
        one; `output` are its attributes, including `content_type`; `sources` the documents that were in the context
        window, as `output.sources`: mappings, or what retrieval returned (`sources.Sources`), whose obligations then
        apply to the text as well; `expected` what makes it valid, for `output.valid`. `fulfilled` are the types of
        obligation that the caller carries out itself. With `opens` False, `session` must be open already. An allowed
        text has every change that the policies order. Never raises because of a text's content."""
        known = gathered(sources)
        accepts = _onto(known)
        for texts in self._revisions():
            check = self._check(text, output, known, expected, texts.output)
            grant = run(self._deciding(check, principal, context, session, opens, accepts), self._store.run)
            if texts.decided(grant):
                break
            grant.withdraw()
        else:
            grant = self._always_changing()
        decide = partial(_onto_decided, texts.snapshot, principal, context, accepts)
        released = release_check.conclude(check, grant, decide, fulfilled)
        if not released.allowed:
            grant.withdraw()
        return reported(RELEASE, released, self.events, check.tenant)

    async def release_async(
        self,
        text: Any,
        *,
        principal: Mapping[str, Any],
        output: Mapping[str, Any] | None = None,
        sources: Any = None,
        context: Mapping[str, Any] | None = None,
        expected: Expected | None = None,
        fulfilled: Collection[str] = (),
        session: str | None = None,
        opens: bool = True,
    ) -> Released:
        """As `release`, without blocking the event loop."""
        known = gathered(sources)
        accepts = _onto(known)
        for texts in self._revisions():
            check = await self._in_thread(text, self._check, text, output, known, expected, texts.output)
            deciding = self._deciding(check, principal, context, session, opens, accepts)
            grant = await run_async(deciding, self._store.run_async)
            if texts.decided(grant):
                break
            await grant.withdraw_async()
        else:
            grant = self._always_changing()
        decide = partial(_onto_decided, texts.snapshot, principal, context, accepts)
        released: Released = await self._in_thread(text, release_check.conclude, check, grant, decide, fulfilled)
        if not released.allowed:
            await grant.withdraw_async()
        return reported(RELEASE, released, self.events, check.tenant)

    def release_stream(
        self,
        chunks: Iterable[Any] | AsyncIterable[Any],
        *,
        principal: Mapping[str, Any],
        output: Mapping[str, Any] | None = None,
        sources: Any = None,
        context: Mapping[str, Any] | None = None,
        expected: Expected | None = None,
        fulfilled: Collection[str] = (),
        session: str | None = None,
        opens: bool = True,
    ) -> ReleaseStream:
        """`release` for a text that comes in chunks: texts, or the chunks that OpenAI, Anthropic and LangChain stream.
        Iterating, with `for` or `async for`, gives such chunks, which together are what `release` would have made of
        the whole. Raises NotReleased, while iterating, if nothing may leave or nothing more may."""
        known, tenant = gathered(sources), str(release_check.known_of(output).get("tenant", ""))
        asked = {"principal": principal, "output": output, "sources": known, "context": context}
        more = {"expected": expected, "fulfilled": fulfilled, "session": session, "opens": opens}
        texts = self._texts
        check = cache(partial(self._check, "", output, known, None, texts.output.before_any))
        accepts = _onto(known, _untried if texts.output.tried is not texts.output.whole else None)
        calls = StreamCalls(
            first=check,
            grant=lambda: run(self._deciding(check(), principal, context, session, opens, accepts), self._store.run),
            grant_async=lambda: run_async(
                self._deciding(check(), principal, context, session, opens, accepts), self._store.run_async
            ),
            release=lambda text: self.release(text, **asked, **more),  # type: ignore[arg-type]
            release_async=lambda text: self.release_async(text, **asked, **more),  # type: ignore[arg-type]
            inspection=self._inspection,
            tenant=tenant,
            fulfilled=frozenset(fulfilled),
            buffered=texts.output.before.reads_whole_text or expected is not None or release_check.is_json(output),
            needs=texts.output,
            decide=partial(_decided, texts.snapshot, principal, context),
            resource=lambda: check().resource,
            tries=texts.output.tried is not texts.output.whole,
            report=partial(reported, RELEASE, events=self.events, tenant=tenant),
            tried=lambda text: self._trials(texts, text, principal, output, known, context),
            inspected=lambda text: self._dry_release(text, principal, output, known, context, fulfilled),
            needs_whole=texts.orders.hold(self._inspection.registry(tenant)),
        )
        return ReleaseStream(chunks, calls)

    def admit(
        self,
        given: Any,
        *,
        principal: Mapping[str, Any],
        model: Mapping[str, Any],
        context: Mapping[str, Any] | None = None,
        source_of: SourceOf | None = None,
        fulfilled: Collection[str] = (),
        session: str | None = None,
        opens: bool = True,
    ) -> Admitted:
        """Whether this may go into a model, and what of it: `invoke` on the model, with `context.input`. `given` is a
        text, a `File`, or messages in the form of model interfaces; `model` are the model's attributes. `source_of`
        gives the source of a message's words if its role does not ("retrieved" for a search). The rest is as in
        `release`."""
        for texts in self._revisions():
            admission = self._admission(given, principal, context, source_of, texts.input)
            grant = run(self._admitting(admission, principal, model, session, opens), self._store.run)
            if texts.decided(grant):
                break
            grant.withdraw()
        else:
            grant = self._always_changing()
        admitted = admitting.conclude(admission, grant, fulfilled)
        if not admitted.allowed:
            grant.withdraw()
        return reported(INVOKE, admitted, self.events, holder(principal, context)[0])

    async def admit_async(
        self,
        given: Any,
        *,
        principal: Mapping[str, Any],
        model: Mapping[str, Any],
        context: Mapping[str, Any] | None = None,
        source_of: SourceOf | None = None,
        fulfilled: Collection[str] = (),
        session: str | None = None,
        opens: bool = True,
    ) -> Admitted:
        """As `admit`, without blocking the event loop."""
        for texts in self._revisions():
            admission = await self._in_thread(given, self._admission, given, principal, context, source_of, texts.input)
            grant = await run_async(self._admitting(admission, principal, model, session, opens), self._store.run_async)
            if texts.decided(grant):
                break
            await grant.withdraw_async()
        else:
            grant = self._always_changing()
        admitted: Admitted = await self._in_thread(given, admitting.conclude, admission, grant, fulfilled)
        if not admitted.allowed:
            await grant.withdraw_async()
        return reported(INVOKE, admitted, self.events, holder(principal, context)[0])

    def detokenize(
        self,
        text: str,
        *,
        principal: Mapping[str, Any],
        output: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        fulfilled: Collection[str] = (),
        session: str | None = None,
        opens: bool = True,
    ) -> Released:
        """The text with its tokenized values given back, to those whom a rule on `detokenize` allows. The tokens are
        those of the tenant in `output`. If one of them does not open, nothing is given back, and no reason is given.
        Never raises because of a text's content."""
        giving = detokenizing.prepare(text, output, self._inspection)
        grant = run(self._giving(giving, principal, context, session, opens), self._store.run)
        given = detokenizing.conclude(giving, grant, fulfilled)
        if not given.allowed:
            grant.withdraw()
        return reported(DETOKENIZE, given, self.events, holder(principal, context)[0])

    async def detokenize_async(
        self,
        text: str,
        *,
        principal: Mapping[str, Any],
        output: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        fulfilled: Collection[str] = (),
        session: str | None = None,
        opens: bool = True,
    ) -> Released:
        """As `detokenize`, without blocking the event loop."""
        giving = detokenizing.prepare(text, output, self._inspection)
        grant = await run_async(self._giving(giving, principal, context, session, opens), self._store.run_async)
        given: Released = await self._in_thread(text, detokenizing.conclude, giving, grant, fulfilled)
        if not given.allowed:
            await grant.withdraw_async()
        return reported(DETOKENIZE, given, self.events, holder(principal, context)[0])

    # ---- the steps ----

    def _revisions(self) -> Iterator[Concerns]:
        """The current rules, each time again: a reload may come between inspecting a text and deciding about it."""
        for _ in range(TRIES):
            yield self._texts

    def _always_changing(self) -> Grant:
        return release_check.refused(CHANGING, self._texts.snapshot.revision)

    def _giving(self, giving: TokenText, principal: Any, context: Any, session: str | None, opens: bool) -> Authorizing:
        if giving.refused is not None:
            return _at_once(release_check.refused(giving.refused, self._texts.snapshot.revision))
        return self._authorizing(new_request(principal, DETOKENIZE, giving.resource, context, session, opens=opens))

    def _admission(self, given: Any, principal: Any, context: Any, source_of: Any, needs: TextNeeds) -> Admission:
        tenant, _ = holder(principal, context)
        return admitting.prepare(given, context, tenant, needs, self._inspection, source_of)

    def _admitting(
        self, admission: Admission, principal: Any, model: Any, session: str | None, opens: bool
    ) -> Authorizing:
        if admission.refused is not None:
            return _at_once(release_check.refused(admission.refused, self._texts.snapshot.revision))
        resource = {"type": "Model", **model} if isinstance(model, Mapping) else model
        grant = self._unrecorded(principal, INVOKE, resource, admission.context, session, opens)
        if grant is not None:
            return _at_once(grant)
        return self._authorizing(new_request(principal, INVOKE, resource, admission.context, session, opens=opens))

    def _check(self, text: Any, output: Any, sources: Any, expected: Expected | None, needs: TextNeeds) -> ReleaseCheck:
        return release_check.prepare(text, output, sources, expected, needs, self._inspection)

    def _trials(
        self, texts: Concerns, text: Any, principal: Any, output: Any, sources: Any, context: Any
    ) -> tuple[tuple[Trial, ...], tuple[ContentFinding, ...]]:
        """The results of rules on trial for a text that has left, with their findings. Reports them."""
        check = self._check(text, output, sources, None, texts.output)
        if check.refused is not None:
            return (), ()
        decision = _decided(texts.snapshot, principal, context, check.resource)
        trials.reported(Grant(decision), self.events, holder(principal, context)[0])
        return decision.tried, check.found

    def _dry_release(
        self, text: Any, principal: Any, output: Any, sources: Any, context: Any, fulfilled: Collection[str]
    ) -> Released:
        """What a release would return. Nothing is charged for it, and nothing leaves."""
        texts, accepts = self._texts, _onto(sources)
        check = self._check(text, output, sources, None, texts.output)
        if check.refused is not None:
            return Released(False, None, release_check.refused(check.refused, texts.snapshot.revision).decision)
        decide = partial(_onto_decided, texts.snapshot, principal, context, accepts)
        return release_check.conclude(check, Grant(decide(check.resource)), decide, fulfilled)

    def _deciding(
        self,
        check: ReleaseCheck,
        principal: Any,
        context: Any,
        session: str | None,
        opens: bool,
        accepts: Accepts | None = None,
    ) -> Authorizing:
        if check.refused is not None:
            return _at_once(release_check.refused(check.refused, self._texts.snapshot.revision))
        if accepts is None:
            grant = self._unrecorded(principal, RELEASE, check.resource, context, session, opens)
            if grant is not None:
                return _at_once(grant)
        return self._authorizing(
            new_request(principal, RELEASE, check.resource, context, session, opens=opens, accepts=accepts)
        )

    async def _in_thread(self, text: Any, work: Any, *args: Any) -> Any:
        if isinstance(text, str) and len(text) <= SHORT and not self._inspection.waits:
            return work(*args)
        return await in_text_thread(partial(work, *args))


def _decided(snapshot: Snapshot, principal: Any, context: Any, resource: Mapping[str, Any]) -> Decision:
    evaluator = snapshot.evaluator
    return evaluator.decide_met(principal, RELEASE, resource, context, evaluator.limits)


def _onto_decided(snapshot: Snapshot, principal: Any, context: Any, accepts: Accepts | None, resource: Any) -> Decision:
    decision = _decided(snapshot, principal, context, resource)
    return accepts(decision) if accepts is not None else decision


def gathered(sources: Any) -> Sources | None:
    """The documents in the context window; None if the caller gives none."""
    return sources if sources is None or isinstance(sources, Sources) else Sources(sources)


def _onto(sources: Sources | None, before: Accepts | None = None) -> Accepts | None:
    """What the documents add to a decision."""
    if sources is None or not (sources.labels or sources.obligations):
        return before
    return lambda decision: sources.onto(before(decision) if before is not None else decision)


def _untried(decision: Decision) -> Decision:
    """Before the first chunk the effect of rules on trial is unknown."""
    return replace(decision, tried=()) if decision.tried else decision


def _at_once(grant: Grant) -> Authorizing:
    yield from ()
    return grant
