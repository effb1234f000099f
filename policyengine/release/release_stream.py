"""A released stream: the chunks that may leave, for `for` and `async for`, and the decision about them.

The checked policies determine whether it streams. If no rule reads the text, the decision is made before the first
chunk, and each chunk leaves once nothing in it can be part of a match that is still arriving.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from policyengine.detect.finder import DetectorFailed
from policyengine.detect.registry import Registry, begins, find, needed, nothing_begins, width
from policyengine.diagnostics import codes
from policyengine.model.decision import Decision, RuleError, Trial
from policyengine.release.carry_out import check_replacements, ordered
from policyengine.release.chunk_stream import Chunks, Whole
from policyengine.release.content import Unscannable
from policyengine.release.inspection import Inspection
from policyengine.release.release_check import kinds_of, measured
from policyengine.release.released import NotReleased, Released
from policyengine.release.scanning import ContentFinding, as_attributes
from policyengine.release.stream_watch import LEAST, CutOff, StreamSoFar, Watch, WatchedText
from policyengine.release.text_needs import FOUND, KINDS, TextNeeds
from policyengine.release.text_stream import SHORTEST_STEP, TextStream
from policyengine.release.text_threads import in_text_thread
from policyengine.release.tokenizing import NoKey
from policyengine.release.treatment import CannotCarryOut, Orders
from policyengine.state.grant import Grant

# Up to FEW finders scan a text each time that some of it arrives. For each further one the text waits for WAIT more
# characters, so that a stream in small chunks costs about the same: with all built-in finders, half a line.
FEW, WAIT = 6, 4
# Runs work so that the event loop can go on; the first argument is whether it may wait for somebody.
RunElsewhere = Callable[[bool, Callable[[], Any]], Awaitable[Any]]
FAILURES = (CannotCarryOut, DetectorFailed, NoKey, Unscannable)


@dataclass(frozen=True, slots=True)
class StreamCalls:
    """How the engine decides about a stream: before it (`grant`; `first` gives what is known of a text before any of it
    arrives) or about all of it (`release`), each in two forms; and, if a rule cuts it, about what has arrived
    (`decide`, with `resource` and what is known of the text). `report` informs people; `tried` is the result of rules
    on trial for the whole, with their findings; `inspected` is what `release` would return for an unfinished text, and
    charges nothing. `needs_whole`: an order that these rules may give needs the whole."""

    first: Callable[[], object]
    grant: Callable[[], Grant]
    grant_async: Callable[[], Awaitable[Grant]]
    release: Callable[[Any], Released]
    release_async: Callable[[Any], Awaitable[Released]]
    inspection: Inspection
    tenant: str
    fulfilled: frozenset[str]
    buffered: bool
    needs: TextNeeds
    decide: Callable[[Mapping[str, Any]], Decision]
    resource: Callable[[], Mapping[str, Any]]
    tries: bool
    report: Callable[..., Released]
    tried: Callable[[Any], tuple[tuple[Trial, ...], tuple[ContentFinding, ...]]]
    inspected: Callable[[Any], Released]
    needs_whole: bool


class ReleaseStream:
    """Iterate over it, with `for` or `async for`, to get the chunks that may leave. NotReleased ends a stream of which
    nothing more may. `released` is the result, once the stream has ended; its `text` is None, because the text has
    left. `buffered` is whether nothing leaves before the end, because a rule or a finder that an order needs reads the
    whole. Before the first chunk it is whether that may be so, because not every order applies to everybody."""

    def __init__(self, chunks: Iterable[Any] | AsyncIterable[Any], calls: StreamCalls) -> None:
        self._chunks = chunks
        self._calls = calls
        self._iterator: Generator[Any] | AsyncGenerator[Any] | None = None
        self._scanned: Chunks | None = None
        self._over = self._closed = False
        self._orders: Orders | None = None
        self.buffered = calls.buffered or calls.needs_whole
        self.released: Released | None = None

    def __iter__(self) -> Iterator[Any]:
        self._iterator = iterator = self._one_by_one()
        return iterator

    def __aiter__(self) -> AsyncIterator[Any]:
        return self.looked_at(_in_thread)

    def looked_at(self, elsewhere: RunElsewhere) -> AsyncIterator[Any]:
        """As `async for`, but the caller chooses where texts are inspected."""
        self._iterator = iterator = self._as_they_come(elsewhere)
        return iterator

    def close(self) -> None:
        """Ends a stream that is iterated over with `for`: nothing more is released, held text never is, and a generator
        that the chunks come from is closed. `released` has the findings so far, and is not `allowed`, unless everything
        had been inspected. A second call does nothing."""
        if isinstance(self._iterator, AsyncGenerator) or isinstance(self._chunks, AsyncGenerator):
            raise TypeError("an async stream is ended with `aclose`")
        self._closed = True
        for one in (self._iterator, self._chunks):
            if isinstance(one, Generator):
                one.close()
        self._reader_left()

    async def aclose(self) -> None:
        """As `close`, for a stream that is iterated over with `async for`."""
        self._closed = True
        for one in (self._iterator, self._chunks):
            if isinstance(one, AsyncGenerator):
                await one.aclose()
            elif isinstance(one, Generator):
                one.close()
        self._reader_left()

    def _one_by_one(self) -> Generator[Any]:
        if not isinstance(self._chunks, Iterable):
            raise TypeError("an async stream is iterated over with `async for`")
        if self._closed:
            return
        grant = None if self._calls.buffered else self._calls.grant()
        steps = self._begin(grant) if grant is not None else None
        whole, kept = Whole(self._calls.inspection.most), self._kept()
        if steps is None and grant is not None:
            # The whole is decided about, and charged, at the end.
            grant.withdraw()
        try:
            for chunk in self._chunks:
                if steps is None:
                    self._guarded(partial(whole.feed, chunk))
                else:
                    kept = _keep(kept, chunk)
                    yield from _nonempty(self._guarded(partial(steps.feed, chunk)))
            if steps is None:
                yield from self._wholly(whole, self._calls.release(whole.content()))
                return
            rest = _nonempty(self._end(steps, kept))
        except Exception:
            self._broken_off(whole, kept)
            raise
        except GeneratorExit:
            self._reader_left()
            raise
        yield from rest

    async def _as_they_come(self, elsewhere: RunElsewhere) -> AsyncGenerator[Any]:
        if self._closed:
            return
        waits = self._calls.inspection.waits
        if waits and not self._calls.buffered:
            await elsewhere(True, self._calls.first)
        grant = None if self._calls.buffered else await self._calls.grant_async()
        steps = self._begin(grant) if grant is not None else None
        whole, kept = Whole(self._calls.inspection.most), self._kept()
        if steps is None and grant is not None:
            # The whole is decided about, and charged, at the end.
            await grant.withdraw_async()
        try:
            async for chunk in _each(self._chunks):
                if steps is None:
                    self._guarded(partial(whole.feed, chunk))
                    continue
                kept = _keep(kept, chunk)
                for piece in _nonempty(await elsewhere(waits, partial(self._guarded, partial(steps.feed, chunk)))):
                    yield piece
            if steps is None:
                release = partial(self._calls.release, whole.content())
                released = await (
                    self._calls.release_async(whole.content()) if elsewhere is _in_thread else elsewhere(True, release)
                )
                for chunk in self._wholly(whole, released):
                    yield chunk
                return
            rest = _nonempty(await elsewhere(waits or kept is not None, partial(self._end, steps, kept)))
        except Exception:
            if not self._over:
                await elsewhere(True, partial(self._broken_off, whole, kept))
            raise
        except (GeneratorExit, CancelledError):
            self._reader_left()
            raise
        for piece in rest:
            yield piece

    def _begin(self, grant: Grant) -> Chunks | None:
        """How the stream goes on after the decision; None if it needs the whole. Raises NotReleased."""
        self._over, self._scanned = False, None
        decision = grant.decision
        self.released = Released(False, None, decision, grant=grant)
        if decision.decision != "allow" or decision.unmetered:
            raise NotReleased(self._report(self.released))
        self._orders = read = self._guarded(partial(ordered, decision, self._calls.fulfilled))
        steps: Chunks | None = self._guarded(partial(self._steps, read))
        self._scanned, self.buffered = steps, steps is None
        return steps

    def _report(self, released: Released, gone: Mapping[str, int] | None = None) -> Released:
        """Sets and reports the result, once. `gone` is how far each text has left, if the stream ended early."""
        self._over = True
        self.released = result = self._calls.report(released, read=self._orders, gone=gone)
        return result

    def _gone(self) -> Mapping[str, int]:
        return self._scanned.gone() if self._scanned is not None else {}

    def _reader_left(self) -> None:
        """The reader has stopped before the end: the findings are reported all the same."""
        if not self._over and self._scanned is not None and self.released is not None:
            self._report(replace(self.released, findings=self._found()), self._gone())

    def _broken_off(self, whole: Whole, kept: Whole | None) -> None:
        """The chunks have ended in an error: text that has arrived and was not inspected is inspected, and its findings
        are reported."""
        if self._over:
            return
        if self._scanned is None:
            if whole.names:
                self._report(replace(self._calls.inspected(whole.content()), allowed=False, text=None))
            return
        gone = self._gone()
        with suppress(*FAILURES):
            self._scanned.look()
        if self.released is not None:
            self._report(self._tried(replace(self.released, findings=self._found()), kept), gone)

    def _found(self) -> tuple[ContentFinding, ...]:
        return self._scanned.found if self._scanned is not None else ()

    def _steps(self, read: Orders) -> Chunks | None:
        known, keys = (
            self._calls.inspection.registry(self._calls.tenant),
            self._calls.inspection.keys(self._calls.tenant),
        )
        check_replacements(read, known)
        wide = width(read.kinds, known)
        if wide is None or read.withhold is not None:
            return None
        look, watch = partial(find, kinds=read.kinds, known=known), None
        if self._calls.needs.cutting.reads_whole_text:
            watch = self._watch(known)
            if watch is None:
                return None
        starts, quiet = begins(read.kinds, known), partial(nothing_begins, kinds=read.kinds, known=known)
        wait = _wait(read.kinds, known)
        return Chunks(
            lambda: TextStream(look, read, keys, wide, starts, quiet, wait),
            self._calls.inspection.most,
            read.truncate,
            watch,
        )

    def _kept(self) -> Whole | None:
        """Collects the whole for rules on trial, if they read the text."""
        return Whole(self._calls.inspection.most) if self._calls.tries else None

    def _watch(self, known: Registry) -> Watch | None:
        """Evaluates the rules that cut the stream on what has arrived; None if one of them needs the whole."""
        calls, resource, needs = self._calls, self._calls.resource(), self._calls.needs.cutting
        finds = bool(needs.attributes & {KINDS, FOUND})
        kinds = frozenset(kinds_of(needs, known)) if finds else frozenset[str]()
        wide = width(kinds, known)
        if wide is None:
            return None

        def judge(come: StreamSoFar) -> None:
            seen = measured(come.content, needs, come.size, calls.inspection)
            decision = calls.decide({**resource, **seen, **(as_attributes(come.found) if finds else {})})
            if decision.decision != "allow" or decision.unmetered:
                raise CutOff(decision, come.found)

        look, keeps = partial(find, kinds=kinds, known=known), bool(needs.attributes & {"text", "scores"})
        starts, least = begins(kinds, known), LEAST if "scores" in needs.attributes else 0
        wait = SHORTEST_STEP if _asks_others(kinds, known) else 0
        return Watch(lambda: WatchedText(look, wide, starts, wait), judge, keeps, calls.inspection.most, least)

    def _tried(self, released: Released, whole: Whole | None) -> Released:
        """Adds the results of rules on trial for the whole, with their findings. Nothing depends on them."""
        if whole is None:
            return released
        try:
            tried, findings = self._calls.tried(whole.content())
        except FAILURES:
            return released
        seen = tuple(dict.fromkeys((*released.findings, *findings)))
        return replace(released, decision=replace(released.decision, tried=tried), findings=seen)

    def _guarded(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except CutOff as cut:
            before = self.released
            grant = before.grant if before is not None else None
            findings = self._found() or cut.found
            result = self._report(Released(False, None, cut.decision, findings, grant=grant), self._gone())
            raise NotReleased(result, cut=True) from None
        except FAILURES as error:
            code = codes.NOT_LOOKED_AT if isinstance(error, Unscannable) else codes.NOT_CARRIED_OUT
            before = self.released
            decision, grant = (before.decision, before.grant) if before is not None else (Decision("deny"), None)
            why = (RuleError("", code.id, str(error)),)
            result = self._report(Released(False, None, decision, self._found(), why, grant=grant), self._gone())
            raise NotReleased(result) from None

    def _end(self, steps: Chunks, kept: Whole | None) -> list[Any]:
        rest: list[Any] = self._guarded(steps.finish)
        before = self.released
        if before is not None:
            released = Released(True, None, before.decision, self._found(), grant=before.grant)
            self._report(self._tried(released, kept))
        return rest

    def _wholly(self, whole: Whole, released: Released) -> list[Any]:
        self.released, self._over = released, True
        if not released.allowed:
            raise NotReleased(released)
        return _nonempty(whole.rebuilt(released.text))


async def _in_thread(waits: bool, work: Callable[[], Any]) -> Any:
    """In a thread, if the work may wait for somebody."""
    return await in_text_thread(work) if waits else work()


def _keep(kept: Whole | None, chunk: Any) -> Whole | None:
    """Stops collecting above the limit: then the results of rules on trial are unknown."""
    if kept is None:
        return None
    try:
        kept.feed(chunk)
    except Unscannable:
        return None
    return kept


def _asks_others(kinds: Iterable[str], known: Registry) -> bool:
    return any(one.look is None for one in needed(kinds, known))


def _wait(kinds: Iterable[str], known: Registry) -> int:
    """How many characters a text waits for before it is scanned."""
    wait = WAIT * max(0, len(needed(kinds, known)) - FEW)
    return max(wait, SHORTEST_STEP) if _asks_others(kinds, known) else wait


def _nonempty(chunks: Iterable[Any]) -> list[Any]:
    """Leaves out texts of which nothing remains."""
    return [chunk for chunk in chunks if chunk != ""]


def _each(chunks: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterable[Any]:
    return chunks if isinstance(chunks, AsyncIterable) else _in_turn(chunks)


async def _in_turn(chunks: Iterable[Any]) -> AsyncIterator[Any]:
    for chunk in chunks:
        yield chunk
