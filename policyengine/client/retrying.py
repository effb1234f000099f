"""When to try again: after a failure of the network, or when the service says that it has too much to do.

Asking for a decision changes nothing, so that it may be asked again. All tries together end at one deadline.
"""

from __future__ import annotations

from typing import Any

from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception, stop_after_attempt, stop_before_delay
from tenacity.wait import wait_random_exponential

from policyengine.client.exchange import Unavailable

_BACKOFF = wait_random_exponential(multiplier=0.05, max=1.0)


def _again(error: BaseException) -> bool:
    return isinstance(error, Unavailable) and error.again


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    said = error.wait if isinstance(error, Unavailable) else None
    return max(said or 0.0, _BACKOFF(state))


def _options(attempts: int, seconds: float) -> dict[str, Any]:
    return {
        # A wait beyond the deadline is not begun.
        "stop": stop_after_attempt(attempts) | stop_before_delay(seconds),
        "wait": _wait,
        "retry": retry_if_exception(_again),
        "reraise": True,
    }


def retrying(attempts: int, seconds: float) -> Retrying:
    return Retrying(**_options(attempts, seconds))


def async_retrying(attempts: int, seconds: float) -> AsyncRetrying:
    return AsyncRetrying(**_options(attempts, seconds))
