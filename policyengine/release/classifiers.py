"""Classifiers that somebody plugs in: a text to a score, which rules read and which decides nothing by itself.

One that fails, takes too long, answers no number from 0 to 1, or finds every worker busy is *absent*: a rule that reads
its score errs, and a rule that asks `has` first has said what is to happen then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import BoundedSemaphore
from time import monotonic
from typing import TypeVar

from policyengine.late import library

httpx2 = library("httpx2")
Score = Callable[[str], float]
T = TypeVar("T")

# Calls that may run at a time, in one process. One more is not waited for.
WORKERS = 16
LARGEST = 65_536
"""So many bytes an answer may have."""

_pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="classifier")
_free = BoundedSemaphore(WORKERS)


@dataclass(frozen=True, slots=True)
class HttpClassifier:
    """Asks a service: `POST url` with `{"text": ...}`, answered with `{"score": 0.0 to 1.0}`. `seconds` is the longest
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
            # Neither an answer without an end nor one that comes drop by drop keeps a worker.
            for part in answer.iter_bytes():
                data += part
                if len(data) > LARGEST or monotonic() > until:
                    raise ValueError("more than a score")
        return json.loads(data)["score"]  # type: ignore[no-any-return]


def scores(text: str, classifiers: Mapping[str, Score], seconds: float) -> dict[str, float]:
    """The scores that came within so many seconds, by name. Never raises."""
    running: dict[Future[float], str] = {}
    for name, classify in classifiers.items():
        if _free.acquire(blocking=False):
            running[_pool.submit(_run, classify, text)] = name
    done, _ = wait(running, timeout=seconds)
    arrived = {running[each]: each.result() for each in done if each.exception() is None}
    return {name: float(score) for name, score in arrived.items() if _is_score(score)}


def in_time(call: Callable[[str], T], text: str, seconds: float) -> T:
    """What a call answers within so many seconds. Raises TimeoutError if it does not, or finds every worker busy, and
    what the call raises."""
    if not _free.acquire(blocking=False):
        raise TimeoutError
    return _pool.submit(_run, call, text).result(seconds)


def _run(call: Callable[[str], T], text: str) -> T:
    try:
        return call(text)
    finally:
        _free.release()


def _is_score(score: object) -> bool:
    return isinstance(score, int | float) and not isinstance(score, bool) and 0.0 <= score <= 1.0
