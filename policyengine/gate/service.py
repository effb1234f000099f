"""The half of an engine for agents: it opens sessions, which gate their tools."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from policyengine.bundle import Snapshot
from policyengine.gate.engine_calls import EngineCalls
from policyengine.gate.session import Session
from policyengine.gate.session_needs import SessionNeeds
from policyengine.release.service import Releases
from policyengine.state.operations import Operation, Outcome
from policyengine.state.session_calls import UnknownSession
from policyengine.steps import Steps, awaited, plain


class Gates(Releases):
    """An engine that gates the tools of agents."""

    _needs: SessionNeeds | None = None
    _calls: EngineCalls | None = None

    def _concerns(self, snapshot: Snapshot) -> None:
        needs = self._needs
        if needs is not None and needs.policies is not snapshot.policies:
            # Sessions exist already: without this, the next call of one would wait until all rules have been read.
            needs = SessionNeeds(snapshot.policies)
        super()._concerns(snapshot)
        self._needs = needs

    def _begun(
        self,
        *,
        principal: Mapping[str, Any],
        agent: Mapping[str, Any] | None = None,
        prompt: str = "",
        entities: Iterable[Any] = (),
        context: Mapping[str, Any] | None = None,
        grants: Collection[Any] | None = None,
        id: str | None = None,
        name: str | None = None,
    ) -> Steps[Session]:
        """A new session of a principal and the agent that acts for it, or with `id` a session that was opened before.
        With `name`, the first call makes the session and later calls return it, for hosts that may forget which one
        they had. `prompt` holds the words of the user. `entities` is what the host knows at the start, such as the
        accounts and contacts of the user; values from it are trusted. `context` is part of every request of the
        session. `grants` narrows the session, as `Session.narrow` does. Raises StoreError, and UnknownSession for an
        `id` that is unknown or belongs to somebody else."""
        known = _context(principal, agent, context)
        opened, resumed = id, True
        if opened is None:
            try:
                opened, resumed = (yield from self.sessions.opening(principal, known, id=name)), False
            except UnknownSession:
                opened = _taken(name)
        if grants is not None:
            yield from self.sessions.narrowed(opened, principal, known, grants=grants)
        return Session(self._engine_for_sessions(), opened, principal, known, prompt, entities, resumed)

    session, session_async = plain(_begun), awaited(_begun)

    def _ask(self, operation: Operation) -> Outcome:
        return self._store.run(operation)

    async def _ask_async(self, operation: Operation) -> Outcome:
        return await self._store.run_async(operation)

    def _engine_for_sessions(self) -> EngineCalls:
        """The same object for all sessions."""
        if self._calls is None:
            self._calls = self._engine_calls()
        return self._calls

    def _engine_calls(self) -> EngineCalls:
        return EngineCalls(
            authorize=self.authorize,
            authorize_async=self.authorize_async,
            release=self.release,
            release_async=self.release_async,
            release_stream=self.release_stream,
            admit=self.admit,
            admit_async=self.admit_async,
            sessions=lambda: self.sessions,
            snapshot=lambda: self._texts.snapshot,
            asked_for=self._asked_for,
            inspection=self._inspection,
        )

    def _asked_for(self) -> SessionNeeds:
        """What the policies in force need, worked out once."""
        policies, needs = self._texts.snapshot.policies, self._needs
        if needs is None or needs.policies is not policies:
            needs = self._needs = SessionNeeds(policies)
        return needs


def _taken(name: str | None) -> str:
    """The id of the session that has the name. Raises UnknownSession if no name was given."""
    if name is None:
        raise UnknownSession("there is no such session")
    return name


def _context(principal: Any, agent: Any, context: Any) -> dict[str, Any]:
    """The context of every call. Raises TypeError for a part that is not an object; to replace it by an empty one would
    change its meaning."""
    if not isinstance(principal, Mapping):
        raise TypeError("`principal` must be a mapping")
    for name, part in (("agent", agent), ("context", context)):
        if part is not None and not isinstance(part, Mapping):
            raise TypeError(f"`{name}` must be a mapping")
    known: dict[str, Any] = dict(context or {})
    if agent is not None:
        known["agent"] = {"type": "Agent", **agent}
    return known
