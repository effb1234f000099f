"""Plugged-in classifiers: from a text to a score. Rules read the score; it decides nothing by itself.

A score is *absent* if the classifier fails, takes too long, returns no number from 0 to 1, or exceeds the calls that
may run at once. A rule that reads an absent score errs; a rule that tests `has` first says what happens then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from threading import BoundedSemaphore, Thread
from time import monotonic
from typing import TypeVar

from policyengine.detect.finder import Unanswered
from policyengine.lazy_import import library

httpx2 = library("httpx2")
Score = Callable[[str], float]
T = TypeVar("T")

# The most calls that run at a time in one process. A further call is refused at once.
WORKERS = 16
LARGEST = 65_536
"""So many bytes an answer may have."""

_free = BoundedSemaphore(WORKERS)
# The context that a thread enters while it waits for calls, so that others can use its place.
Away = Callable[[], AbstractContextManager[None]]
_away: ContextVar[Away] = ContextVar("away", default=nullcontext)


@contextmanager
def going_away(away: Away) -> Iterator[None]:
    """A thread that waits for calls inside this context is `away` meanwhile."""
    token = _away.set(away)
    try:
        yield
    finally:
        _away.reset(token)


@dataclass(frozen=True, slots=True)
class HttpClassifier:
    """Calls a service: `POST url` with `{"text": ...}`, answered with `{"score": 0.0 to 1.0}`. `seconds` is the longest
    that one attempt may take."""

    url: str
    headers: Mapping[str, str] = ()  # type: ignore[assignment]
    seconds: float = 2.0

    def __call__(self, text: str) -> float:
        until, data = monotonic() + self.seconds, b""
        with httpx2.stream(
            "POST",
            self.url,
            json={"text": text},
            headers=dict(self.headers),
            timeout=self.seconds,
            follow_redirects=False,
        ) as answer:
            answer.raise_for_status()
            # An endless answer, or one that arrives byte by byte, must not occupy a thread.
            for part in answer.iter_bytes():
                data += part
                if len(data) > LARGEST or monotonic() > until:
                    raise ValueError("more than a score")
        return json.loads(data)["score"]  # type: ignore[no-any-return]


def scores(text: str, classifiers: Mapping[str, Score], seconds: float) -> dict[str, float]:
    """The scores that arrived within this time, by name. Never raises."""
    running: dict[Future[float], str] = {}
    for name, classify in classifiers.items():
        if (future := _begun(classify, text)) is not None:
            running[future] = name
    done = _done(running, seconds)
    arrived = {running[each]: each.result() for each in done if each.exception() is None}
    return {name: float(score) for name, score in arrived.items() if _is_score(score)}


def in_time(call: Callable[[str], T], text: str, seconds: float) -> T:
    """The result of a call within this time. Raises Unanswered if it takes longer, or if too many calls are running,
    and the call's own errors."""
    future = _begun(call, text)
    if future is None:
        raise Unanswered(f"was not asked: {WORKERS} calls at once are under way")
    if not _done((future,), seconds):
        raise Unanswered(f"did not answer within {seconds:g} seconds")
    return future.result()


def _done(running: Iterable[Future[T]], seconds: float) -> set[Future[T]]:
    """The calls that are done within this time."""
    running = set(running)
    if all(each.done() for each in running):
        return running
    with _away.get()():
        return wait(running, timeout=seconds).done


def _begun(call: Callable[[str], T], text: str) -> Future[T] | None:
    """Starts a call in a thread of its own, which does not keep the process from ending; None if too many are
    running."""
    if not _free.acquire(blocking=False):
        return None
    future: Future[T] = Future()
    thread = Thread(target=_run, args=(future, copy_context(), call, text), name="classifier", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        _free.release()
        return None
    return future


def _run(future: Future[T], context: Context, call: Callable[[str], T], text: str) -> None:
    try:
        answer = context.run(call, text)
    except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
        _free.release()
        future.set_exception(error)
    else:
        _free.release()
        future.set_result(answer)


def _is_score(score: object) -> bool:
    return isinstance(score, int | float) and not isinstance(score, bool) and 0.0 <= score <= 1.0
