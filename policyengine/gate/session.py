"""One agent's session with its tools: which calls may run, with which arguments, and how far their results are trusted.

The host calls `call` before a tool runs, runs the tool with `call.arguments` and nothing else, and passes the result to
`observe`. All requests go through `authorize` of the engine. Each method has an async form with the same steps. If
anything fails on the way (a rule errs, a store is unavailable, a trail is full), the call does not run.

What the session has seen stays in this process: in another process, the sources of its arguments are unknown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from threading import Lock
from typing import Any

from policyengine.bundle import Snapshot
from policyengine.check.readers import READERS
from policyengine.cooperative import at_once, in_turns
from policyengine.gate import argument_bounds, receiving, tool_list
from policyengine.gate.any_session import for_any_readers
from policyengine.gate.call import Observed, ToolCall, not_recorded, reason, refused
from policyengine.gate.copied_result import as_it_is
from policyengine.gate.engine_calls import EngineCalls
from policyengine.gate.history import HISTORY, History
from policyengine.gate.normal_form import form, identifies, names
from policyengine.gate.session_needs import REQUEST, SessionNeeds
from policyengine.gate.trail import EVERYBODY, SYSTEM, USER, Origin, Trail
from policyengine.model.frozen import copied
from policyengine.release.carry_out import carry_out
from policyengine.release.content import Unscannable, json_content
from policyengine.release.release_stream import ReleaseStream
from policyengine.release.released import Admitted, Released
from policyengine.state.grant import Grant, SettleError
from policyengine.state.session_calls import SessionState, UnknownSession
from policyengine.state.store import StoreError

_BEGINNING = Lock()
_TEXTS = frozenset({str})
# How many times a call is decided again if a reload came between its request and its decision.
TRIES = 8
_RELOADED = "the policies keep changing; try again"


class Session:
    """A gate for one session. `id` is the id in the state store."""

    def __init__(
        self,
        engine_calls: EngineCalls,
        id_: str,
        principal: Mapping[str, Any],
        context: Mapping[str, Any],
        prompt: str,
        entities: Iterable[Any],
        resumed: bool = False,
    ) -> None:
        self._engine = engine_calls
        self.id = id_
        # A session that the store has forgotten is not opened again: everything that it has seen would be lost.
        self._here: Mapping[str, Any] = {"session": id_, "opens": False}
        self._principal = dict(principal)
        self._context = dict(context)
        self._resumed = resumed
        # Created when the first value comes in.
        self._trail: Trail | None = None
        self._history: History | None = None
        for known in entities:
            self._saw(known, SYSTEM)
        self._said: list[str] = []
        # How much of the words has been processed, and the form that rules read.
        self._words: tuple[int, str, list[str]] | None = None
        if prompt:
            self.say(prompt)

    def say(self, text: str) -> None:
        """Records the words of the user."""
        if text not in self._said:
            self._said.append(text)
            self._saw(text, USER)

    @property
    def trail(self) -> Trail:
        """Where the values of the session came from."""
        return self._trail if self._trail is not None else self._begin_trail()

    @property
    def history(self) -> History:
        """What the session has done."""
        return self._history if self._history is not None else self._begin_history()

    def _begin_trail(self) -> Trail:
        # Two threads must not each create one: values added to the first would be lost.
        with _BEGINNING:
            if self._trail is None:
                self._trail = Trail(forgot=self._resumed)
            return self._trail

    def _begin_history(self) -> History:
        with _BEGINNING:
            if self._history is None:
                self._history = History(known=not self._resumed)
            return self._history

    @property
    def principal(self) -> Mapping[str, Any]:
        """Who uses the agent."""
        return self._principal

    @property
    def said(self) -> tuple[str, ...]:
        """The user's words so far."""
        return tuple(self._said)

    def narrow(self, grants: Collection[Any]) -> None:
        """Narrows the session to these of its grants, texts or objects. A new session has all grants, and nothing
        widens a session again. Rules read them as `session.grants`. Raises StoreError, TypeError and ValueError."""
        self._engine.sessions().narrow(self.id, self._principal, self._context, grants=grants)

    async def narrow_async(self, grants: Collection[Any]) -> None:
        """As `narrow`, without blocking the event loop."""
        await self._engine.sessions().narrow_async(self.id, self._principal, self._context, grants=grants)

    # ---- before a tool runs ----

    def call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        fulfilled: Collection[str] = (),
        approval: str | None = None,
    ) -> ToolCall:
        """Decides whether a tool may run with these arguments. `fulfilled` are the types of obligation that the host
        fulfils itself, `approval` is the id of an approval of exactly this call. Never raises for what the arguments
        hold. The decision is about a copy of the arguments, and only that copy may run, because the proposer may change
        the originals meanwhile."""
        arguments = copied(arguments)
        for _ in range(TRIES):
            asked, revision = self._call_request(tool, arguments)
            if isinstance(asked, ToolCall):
                return asked
            grant = self._engine.authorize(**asked, approval=approval)
            is_current = grant.decision.revision == revision
            called = self._called(tool, arguments, asked, grant, fulfilled)
            if not (is_current and called.allowed):
                grant.withdraw()
            if is_current:
                return called
        return refused(tool, arguments, _RELOADED, revision)

    async def call_async(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        fulfilled: Collection[str] = (),
        approval: str | None = None,
    ) -> ToolCall:
        """As `call`, without blocking the event loop."""
        arguments = copied(arguments)
        for _ in range(TRIES):
            asked, revision = self._call_request(tool, arguments)
            if isinstance(asked, ToolCall):
                return asked
            grant = await self._engine.authorize_async(**asked, approval=approval)
            is_current = grant.decision.revision == revision
            called = self._called(tool, arguments, asked, grant, fulfilled)
            if not (is_current and called.allowed):
                await grant.withdraw_async()
            if is_current:
                return called
        return refused(tool, arguments, _RELOADED, revision)

    def _call_request(self, tool: str, arguments: Any) -> tuple[dict[str, Any] | ToolCall, str]:
        """The request, and the revision it is for. It leaves out what the rules of this revision do not read, such as
        where an argument came from: rules of another one may read that, and would find nothing against the call."""
        snapshot, needs = self._in_force()
        try:
            if not isinstance(arguments, Mapping) or not (
                _TEXTS.issuperset(map(type, arguments)) or all(isinstance(name, str) for name in arguments)
            ):
                raise Unscannable("the arguments of a call must be an object whose keys are texts")
            of = needs.sources
            traced = arguments
            if of is not None:
                traced = {name: value for name, value in arguments.items() if name in of} if of else {}
            provenance = self.trail.provenance(traced)
            known = self._context_now(needs, not needs.of(tool).request, arguments)
        except (Unscannable, RecursionError, ValueError) as error:
            return refused(tool, arguments, str(error), snapshot.revision), snapshot.revision
        asked = {
            "principal": self._principal,
            "action": "call",
            "resource": {"type": "Tool", "id": tool, "args": dict(arguments)},
            "context": {**known, "provenance": provenance} if provenance else known,
            **self._here,
        }
        return asked, snapshot.revision

    def _in_force(self) -> tuple[Snapshot, SessionNeeds]:
        snapshot, needs = self._engine.snapshot(), self._engine.asked_for()
        # A reload may come between the two calls.
        return snapshot, needs if needs.policies is snapshot.policies else SessionNeeds(snapshot.policies)

    def _context_now(
        self, needs: SessionNeeds, without_words: bool = False, args: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The context of every request of the session, as of now, with the readers of these arguments. Unknown ones
        are readable by everybody: a list must not hide a tool that some arguments could be allowed for."""
        known = dict(self._context)
        if not without_words or REQUEST in known:
            known[REQUEST] = self._request()
        if needs.readers:
            everybody = {path: [EVERYBODY] for path in needs.readers}
            known[READERS] = everybody if args is None else self.trail.readable(args)
        if needs.history and (done := self.history.read()) is not None:
            known[HISTORY] = done
        return known

    def _saw(
        self, value: Any, source: Origin, sent: Any = None, parts: Any = None, readers: Any = None, kept: bytes = b""
    ) -> None:
        """Records a value that came in. If no rule reads sources, the value is sorted when one does, after a reload."""
        trail = self.trail
        if self._engine.asked_for().traces:
            trail.add(value, source, echoes=trail.echoes(sent), parts=parts, readers=readers)
        else:
            trail.add_lazily(value, source, sent=sent, kept=kept, parts=parts, readers=readers)

    def _request(self) -> dict[str, Any]:
        if self._words is None or self._words[0] != len(self._said):
            text = "\n".join(self._said)
            self._words = len(self._said), text, sorted({name for name in names(form(text)) if identifies(name)})
        return {"text": self._words[1], "named": list(self._words[2])}

    def _called(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        asked: Mapping[str, Any],
        grant: Grant,
        fulfilled: Collection[str],
    ) -> ToolCall:
        decision, provenance = grant.decision, asked["context"].get("provenance", {})
        if decision.decision != "allow" or decision.unmetered:
            why = reason(tool, decision, grant)
            return ToolCall(tool, False, None, decision, arguments, provenance, why, decision.approvals, grant=grant)
        if not decision.obligations:
            return ToolCall(tool, True, dict(arguments), decision, arguments, provenance, grant=grant)
        tenant = str(self._principal.get("tenant", ""))
        try:
            content = json_content(arguments)
        except Unscannable as error:
            return refused(tool, arguments, str(error), decision.revision)
        inspection = self._engine.inspection
        carried = carry_out(content, decision, inspection.registry(tenant), inspection.keys(tenant), fulfilled)
        if carried.errors or not isinstance(carried.value, Mapping):
            why = carried.errors[0].message if carried.errors else "the arguments would be withheld"
            return ToolCall(tool, False, None, decision, arguments, provenance, why, errors=carried.errors, grant=grant)
        return ToolCall(tool, True, carried.value, decision, arguments, provenance, grant=grant)

    # ---- after it ran ----

    def observe(self, call: ToolCall, result: Any, *, cost: Mapping[str, Any] | None = None) -> Observed:
        """Records what a tool returned, and returns what the model may have of it. The session knows only the results
        that are passed to this method; `cost` settles what the call reserved."""
        received = self._received(call, result)
        try:
            if call.grant is not None and call.grant.id:
                call.grant.settle(cost)
            self._engine.sessions().record_result(
                self.id, self._principal, self._context, tool=call.tool, labels=received.labels
            )
        except (StoreError, UnknownSession, SettleError) as error:
            return Observed(call.tool, False, None, received.labels, not_recorded(error))
        return self._observed(call, result, received)

    async def observe_async(self, call: ToolCall, result: Any, *, cost: Mapping[str, Any] | None = None) -> Observed:
        """As `observe`, without blocking the event loop."""
        received = self._received(call, result)
        try:
            if call.grant is not None and call.grant.id:
                await call.grant.settle_async(cost)
            await self._engine.sessions().record_result_async(
                self.id, self._principal, self._context, tool=call.tool, labels=received.labels
            )
        except (StoreError, UnknownSession, SettleError) as error:
            return Observed(call.tool, False, None, received.labels, not_recorded(error))
        return self._observed(call, result, received)

    def _received(self, call: ToolCall, result: Any) -> receiving.Received:
        arguments = call.arguments or {}
        snapshot, needs = self._in_force()
        known = self._context_now(needs, not needs.of(call.tool).received, arguments)
        return receiving.receive(snapshot, self._principal, known, call.tool, arguments, result, needs)

    def _observed(self, call: ToolCall, result: Any, received: receiving.Received) -> Observed:
        if not received.allowed:
            return Observed(call.tool, False, None, received.labels, received.reason)
        value, why = self._treated(received, result)
        if why:
            return Observed(call.tool, False, None, received.labels, why)
        seen = receiving.read(value, received.returned)
        source, parts = receiving.origins(received, call.tool, seen)
        arguments, needs = call.arguments or {}, self._engine.asked_for()
        kept = as_it_is(seen, arguments) if not (needs.history and needs.traces) else b""
        if needs.history or not kept:
            self.history.add(call.tool, arguments, seen)
        else:
            self.history.add_lazily(call.tool, kept)
        self._saw(seen, source, arguments, parts, receiving.readers(received, seen), kept)
        return Observed(call.tool, True, value, received.labels)

    def _treated(self, received: receiving.Received, result: Any) -> tuple[Any, str]:
        if received.decision is None or not received.decision.obligations:
            return result, ""
        tenant = str(self._principal.get("tenant", ""))
        inspection = self._engine.inspection
        try:
            content = json_content(result)
        except Unscannable as error:
            return None, str(error)
        carried = carry_out(content, received.decision, inspection.registry(tenant), inspection.keys(tenant))
        return carried.value, carried.errors[0].message if carried.errors else ""

    # ---- around it ----

    def tools(self, names_: Iterable[str]) -> list[str]:
        """The tools for which some arguments could be allowed in this session, now. Approvals and limits hide no tool.
        The list is empty if the session cannot be read."""
        try:
            known = self._engine.sessions().read(self.id, self._principal, self._context)
        except (StoreError, UnknownSession):
            return []
        return at_once(self._callable(names_, known))

    async def tools_async(self, names_: Iterable[str]) -> list[str]:
        """As `tools`, without blocking the event loop."""
        try:
            known = await self._engine.sessions().read_async(self.id, self._principal, self._context)
        except (StoreError, UnknownSession):
            return []
        return await in_turns(self._callable(names_, known))

    def _callable(self, names_: Iterable[str], known: SessionState) -> tool_list.Slices:
        snapshot = self._engine.snapshot()
        needs = self._engine.asked_for()
        partial = for_any_readers(snapshot) if needs.readers else None
        return tool_list.callable_slices(snapshot, self._principal, self._context_now(needs), names_, known, partial)

    def limits(self, names_: Iterable[str]) -> dict[str, dict[str, list[dict[str, Any]]]]:
        """By tool and argument, the bounds that every allowed call in this session keeps to now, as keywords of JSON
        Schema; `argument_bounds.with_limits` puts them into a tool's schema. A model that knows them makes fewer calls
        that are denied; each call is decided all the same. Empty if the session cannot be read."""
        try:
            read = self._engine.sessions().read(self.id, self._principal, self._context)
        except (StoreError, UnknownSession):
            return {}
        known = tool_list.in_session(self._context_now(self._engine.asked_for()), read)
        return argument_bounds.argument_limits(self._engine.snapshot(), self._principal, known, names_)

    def listed(self, names_: Iterable[str]) -> list[str]:
        """As `tools`, but regardless of what this session has done so far: a list that can be cached."""
        return tool_list.listed_tools(self._engine.snapshot(), self._principal, self._context, names_)

    def listed_limits(self, names_: Iterable[str]) -> dict[str, dict[str, list[dict[str, Any]]]]:
        """As `limits`, but regardless of what this session has done so far."""
        return tool_list.listed_limits(self._engine.snapshot(), self._principal, self._context, names_)

    async def listed_async(self, names_: Iterable[str]) -> list[str]:
        """As `listed`, without blocking the event loop for long."""
        return await in_turns(tool_list.listed_slices(self._engine.snapshot(), self._principal, self._context, names_))

    def release(self, text: Any, **asked: Any) -> Released:
        """What may go to the user: `Engine.release` for the principal of this session."""
        return self._engine.release(text, principal=self._principal, context=self._context, **self._here, **asked)

    async def release_async(self, text: Any, **asked: Any) -> Released:
        return await self._engine.release_async(
            text, principal=self._principal, context=self._context, **self._here, **asked
        )

    def release_stream(self, chunks: Any, **asked: Any) -> ReleaseStream:
        """`release` for a text that comes in chunks: `Engine.release_stream` for the principal of this session."""
        return self._engine.release_stream(
            chunks, principal=self._principal, context=self._context, **self._here, **asked
        )

    def admit(self, given: Any, *, cost: Mapping[str, Any] | None = None, **asked: Any) -> Admitted:
        """What may go into a model: `Engine.admit` for the principal of this session. It takes `model` from there;
        `cost` is the estimated cost of the call."""
        return self._engine.admit(given, principal=self._principal, context=self._costing(cost), **self._here, **asked)

    async def admit_async(self, given: Any, *, cost: Mapping[str, Any] | None = None, **asked: Any) -> Admitted:
        return await self._engine.admit_async(
            given, principal=self._principal, context=self._costing(cost), **self._here, **asked
        )

    def _costing(self, cost: Mapping[str, Any] | None) -> dict[str, Any]:
        return self._context if cost is None else {**self._context, "cost": dict(cost)}
