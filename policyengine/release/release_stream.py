"""A stream that is released: the chunks that may go, for `for` and `async for`, and what was decided about them.

Whether it goes as it comes follows from the checked policies: where no rule looks at the text, the decision is made
before the first chunk, and each chunk goes once nothing in it can be part of a match that is still coming.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from policyengine.detect.finder import DetectorFailed
from policyengine.detect.registry import find, width
from policyengine.diagnostics import codes
from policyengine.model.decision import Decision, RuleError
from policyengine.release.carrying import ordered
from policyengine.release.content import Unscannable
from policyengine.release.inspection import Inspection
from policyengine.release.keys import NoKey
from policyengine.release.looking import Found
from policyengine.release.outcome import NotReleased, Released
from policyengine.release.stream import Treating
from policyengine.release.streaming import Chunks, Whole
from policyengine.release.treatment import CannotCarryOut, Orders
from policyengine.state.grant import Grant

FAILURES = (CannotCarryOut, DetectorFailed, NoKey, Unscannable)


@dataclass(frozen=True, slots=True)
class Ways:
    """How the engine decides about a stream: before it (`grant`), or about all of it (`release`), each in two forms."""

    grant: Callable[[], Grant]
    grant_async: Callable[[], Awaitable[Grant]]
    release: Callable[[Any], Released]
    release_async: Callable[[Any], Awaitable[Released]]
    inspection: Inspection
    tenant: str
    fulfilled: frozenset[str]
    buffered: bool


class ReleaseStream:
    """Iterate over it, with `for` or `async for`, to have the chunks that may go. NotReleased ends a stream of which
    nothing more may. `released` says, once it has ended, what was decided; its `text` is None, as the text has gone.
    `buffered` is whether nothing goes before the end, since a rule looks at the whole."""

    def __init__(self, chunks: Iterable[Any] | AsyncIterable[Any], ways: Ways) -> None:
        self._chunks = chunks
        self._ways = ways
        self.buffered = ways.buffered
        self.released: Released | None = None

    def __iter__(self) -> Iterator[Any]:
        if not isinstance(self._chunks, Iterable):
            raise TypeError("an async stream is iterated over with `async for`")
        steps = None if self.buffered else self._begin(grant := self._ways.grant())
        if steps is None:
            if self.released is not None:
                # The whole is decided about at the end, and charged then.
                grant.withdraw()
            whole = Whole(self._ways.inspection.most)
            for chunk in self._chunks:
                self._guarded(partial(whole.feed, chunk))
            yield from self._wholly(whole, self._ways.release(whole.content()))
            return
        for chunk in self._chunks:
            yield from _said(self._guarded(partial(steps.feed, chunk)))
        yield from _said(self._end(steps))

    async def __aiter__(self) -> AsyncIterator[Any]:
        steps = None if self.buffered else self._begin(grant := await self._ways.grant_async())
        if steps is None:
            if self.released is not None:
                # The whole is decided about at the end, and charged then.
                await grant.withdraw_async()
            whole = Whole(self._ways.inspection.most)
            async for chunk in _each(self._chunks):
                self._guarded(partial(whole.feed, chunk))
            for chunk in self._wholly(whole, await self._ways.release_async(whole.content())):
                yield chunk
            return
        async for chunk in _each(self._chunks):
            for piece in _said(self._guarded(partial(steps.feed, chunk))):
                yield piece
        for piece in _said(self._end(steps)):
            yield piece

    def _begin(self, grant: Grant) -> Chunks | None:
        """How to go on after the decision; None: with the whole. Raises NotReleased."""
        decision = grant.decision
        self.released = Released(False, None, decision, grant=grant)
        if decision.decision != "allow" or decision.unmetered:
            raise NotReleased(self.released)
        read = self._guarded(partial(ordered, decision, self._ways.fulfilled))
        steps: Chunks | None = self._guarded(partial(self._steps, read))
        return steps

    def _steps(self, read: Orders) -> Chunks | None:
        known, keys = self._ways.inspection.registry(self._ways.tenant), self._ways.inspection.keys(self._ways.tenant)
        wide = width(read.kinds, known)
        if wide is None or read.withhold is not None:
            self.buffered = True
            return None
        look = partial(_look, kinds=read.kinds, known=known)
        return Chunks(lambda: Treating(look, read, keys, wide), self._ways.inspection.most, read.truncate)

    def _guarded(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except FAILURES as error:
            code = codes.NOT_LOOKED_AT if isinstance(error, Unscannable) else codes.NOT_CARRIED_OUT
            before = self.released
            decision, grant = (before.decision, before.grant) if before is not None else (Decision("deny"), None)
            self.released = Released(False, None, decision, errors=(RuleError("", code.id, str(error)),), grant=grant)
            raise NotReleased(self.released) from None

    def _end(self, steps: Chunks) -> list[Any]:
        rest: list[Any] = self._guarded(steps.finish)
        found = tuple(Found(one.kind, one.start, one.end, one.score, one.detector) for one in steps.found)
        before = self.released
        if before is not None:
            self.released = Released(True, None, before.decision, found, grant=before.grant)
        return rest

    def _wholly(self, whole: Whole, released: Released) -> list[Any]:
        self.released = released
        if not released.allowed:
            raise NotReleased(released)
        return _said(whole.rebuilt(released.text))


def _look(text: str, kinds: Any, known: Any) -> Any:
    return find(text, kinds, known)


def _said(chunks: Iterable[Any]) -> list[Any]:
    """Without the texts of which nothing is left."""
    return [chunk for chunk in chunks if chunk != ""]


async def _each(chunks: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(chunks, AsyncIterable):
        async for chunk in chunks:
            yield chunk
    else:
        for chunk in chunks:
            yield chunk
