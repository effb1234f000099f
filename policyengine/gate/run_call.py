"""One call of a tool from its beginning to its end: decided, run, observed.

The host provides the function that runs the tool; it is called only if the call is allowed, with the arguments that
were decided about. An exception from a tool is read like a result: both are a stranger's words. A call that is cut off
stays charged, because nobody knows what it did, and its reservations end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from policyengine.gate.call import Observed, ToolCall
from policyengine.gate.results import given_back, looked_at
from policyengine.gate.session import Session
from policyengine.state.grant import SettleError
from policyengine.state.store import StoreError

# The session of the tool that is running here. An agent within a tool can find this session: its task then comes from a
# model, and not from its user.
_RUNNING: ContextVar[Session | None] = ContextVar("policyengine_running", default=None)

# Called if a call lacks only an approval: returns the id of an approval of this very call, or None.
Approve = Callable[[Session, ToolCall], str | None]
ApproveAsync = Callable[[Session, ToolCall], Awaitable[str | None]]


def _never(_: Any) -> bool:
    return False


def within() -> Session | None:
    """The session of the tool in which this code runs; None outside of a tool."""
    return _RUNNING.get()


class ToolFailed(Exception):
    """A tool raised an exception; this is the part of it that may be revealed."""


@dataclass(frozen=True, slots=True)
class Ran:
    """The outcome of a call. `value` is what the model may have: the result, or the reason why there is none. `seen` is
    None if the tool did not run, or is still running."""

    call: ToolCall
    value: Any = field(repr=False)
    seen: Observed | None = None

    @property
    def allowed(self) -> bool:
        """Whether the tool ran, and its result may be read."""
        return self.seen is not None and self.seen.allowed


def run(
    session: Session,
    tool: str,
    arguments: Mapping[str, Any],
    perform: Callable[[dict[str, Any]], Any],
    *,
    passes: tuple[type[BaseException], ...] = (),
    looks: Callable[[Any], Any] = looked_at,
    back: Callable[[Any, Any, Observed], Any] = given_back,
    approve: Approve | None = None,
) -> Ran:
    """Runs a tool, if it may run. `approve` is called if a person has to approve first. `passes` are exceptions that a
    framework raises to control itself: they are passed on unchanged. `looks` gives the form of a result that rules
    read, `back` turns what may be had of it into a result again. Raises the tool's exception if it may be revealed as
    it is, and ToolFailed if only a part may."""
    call = called(session, tool, arguments, approve)
    if not call.allowed:
        return Ran(call, call.reason)
    running = _RUNNING.set(session)
    try:
        result = perform(dict(call.arguments or {}))
    except passes:
        ended(call)
        raise
    except Exception as error:
        failure = _failure(error, session.observe(call, looked_at(str(error))))
        if failure is None:
            raise
        raise failure from None
    except BaseException:
        ended(call)
        raise
    finally:
        _RUNNING.reset(running)
    readable = looks(result)
    observed = session.observe(call, readable)
    return Ran(call, back(result, readable, observed), observed)


async def run_async(
    session: Session,
    tool: str,
    arguments: Mapping[str, Any],
    perform: Callable[[dict[str, Any]], Awaitable[Any]],
    *,
    passes: tuple[type[BaseException], ...] = (),
    looks: Callable[[Any], Any] = looked_at,
    back: Callable[[Any, Any, Observed], Any] = given_back,
    approve: ApproveAsync | None = None,
    decided: ToolCall | None = None,
    goes_on: Callable[[Any], bool] = _never,
) -> Ran:
    """As `run`, without blocking the event loop. `decided` is this very call, if the framework asked about it before,
    so that it is not decided and charged twice. If `goes_on` is true of a returned value, that is not a result yet: the
    host observes the result that comes later, and `observed` is None although the call was allowed."""
    if decided is not None and (decided.tool, dict(decided.proposed)) == (tool, dict(arguments)):
        call = decided
    else:
        if decided is not None:
            await ended_async(decided)
        call = await session.call_async(tool, arguments)
    call = await _approved_async(session, call, tool, arguments, approve)
    if not call.allowed:
        return Ran(call, call.reason)
    running = _RUNNING.set(session)
    try:
        result = await perform(dict(call.arguments or {}))
    except passes:
        await ended_async(call)
        raise
    except Exception as error:
        failure = _failure(error, await session.observe_async(call, looked_at(str(error))))
        if failure is None:
            raise
        raise failure from None
    except BaseException:
        await ended_async(call)
        raise
    finally:
        _RUNNING.reset(running)
    if goes_on(result):
        return Ran(call, result)
    readable = looks(result)
    observed = await session.observe_async(call, readable)
    return Ran(call, back(result, readable, observed), observed)


def called(session: Session, tool: str, arguments: Mapping[str, Any], approve: Approve | None = None) -> ToolCall:
    """The decision about a call; `approve` is called if it lacks only an approval."""
    call = session.call(tool, arguments)
    if approve is not None and _approvable(call) and (approval := approve(session, call)) is not None:
        return session.call(tool, arguments, approval=approval)
    return call


async def called_async(
    session: Session, tool: str, arguments: Mapping[str, Any], approve: ApproveAsync | None = None
) -> ToolCall:
    """As `called`, without blocking the event loop."""
    return await _approved_async(session, await session.call_async(tool, arguments), tool, arguments, approve)


async def _approved_async(
    session: Session, call: ToolCall, tool: str, arguments: Mapping[str, Any], approve: ApproveAsync | None
) -> ToolCall:
    if approve is not None and _approvable(call) and (approval := await approve(session, call)) is not None:
        return await session.call_async(tool, arguments, approval=approval)
    return call


def _approvable(call: ToolCall) -> bool:
    """Whether nothing but approvals is missing."""
    return call.grant is not None and call.grant.approvable


def ended(call: ToolCall) -> None:
    """Ends an allowed call whose outcome will stay unknown: it stays charged, and its reservations end."""
    if call.grant is not None and call.grant.id:
        with suppress(StoreError, SettleError):
            call.grant.settle()


async def ended_async(call: ToolCall) -> None:
    """As `ended`, even in a task that is being cancelled."""
    if call.grant is not None and call.grant.id:
        with suppress(StoreError, SettleError):
            await asyncio.shield(asyncio.ensure_future(call.grant.settle_async()))


def _failure(error: Exception, seen: Observed) -> ToolFailed | None:
    """The part of an error that may be revealed, if that is not all of it."""
    text = str(error)
    revealed = given_back(text, looked_at(text), seen)
    return None if revealed == text else ToolFailed(revealed)
