"""State in Redis (6.2 or newer, or Valkey): shared by the processes of many machines.

One static script carries out each operation: `approvals.lua` and `transaction.lua` beside this file. Needs `pip install
policyengine-ai[redis]`. A command that does not answer in time is not sent again: whether it was carried out is not
known, and a second time would charge twice.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import Callable, Mapping
from dataclasses import asdict
from hashlib import sha1
from pathlib import Path
from typing import Any, assert_never
from weakref import WeakKeyDictionary

import msgspec
from msgspec import structs

from policyengine.state.apply import held_charge
from policyengine.state.approval_operations import (
    ApprovalOperation,
    CloseTicket,
    DecideTicket,
    Enter,
    Keep,
    OpenTicket,
    TellTicket,
)
from policyengine.state.block_operations import KEY, MOST, Impose, ReadBlocks
from policyengine.state.operations import (
    Cancel,
    Charge,
    Commit,
    Document,
    Done,
    Found,
    Hold,
    Label,
    OpenSession,
    Operation,
    Outcome,
    Read,
    ReadSession,
    Refusal,
    Refused,
    Rejected,
    Release,
    Renew,
    Settle,
    Use,
    lease_key,
)
from policyengine.state.store import StoreError
from policyengine.state.stores import compact
from policyengine.state.stores.compact import Compact
from policyengine.state.windows import Calendar, Concurrent, Sliding, Window

SCRIPT = b"".join(
    Path(__file__).with_name(name).read_bytes() for name in ("form.lua", "approvals.lua", "transaction.lua")
)
DIGEST = sha1(SCRIPT).hexdigest()

# For commits that charge meters and do nothing else, which nearly all are.
PLAIN = Path(__file__).with_name("commit.lua").read_bytes()
PLAIN_DIGEST = sha1(PLAIN).hexdigest()

# Every key begins with it, so that state can share a database with others.
PREFIX = "policyengine:"

# So long one command may take, in seconds.
DEADLINE = 1.0


class Redis:
    """A store behind a URL of redis-py. `now` is a clock for tests, in microseconds; without it the server's own
    counts. Raises StoreError for a server that cannot be asked, or that would throw away what it is to remember."""

    def __init__(
        self, url: str, now: Callable[[], int] | None = None, deadline: float = DEADLINE, prefix: str = PREFIX
    ) -> None:
        try:
            import redis
            import redis.asyncio
            import redis.asyncio.retry
            import redis.backoff
            import redis.retry
        except ImportError:
            raise StoreError("a state store in Redis needs redis-py: `pip install policyengine-ai[redis]`") from None
        self._library: Any = redis
        self._failures: tuple[type[BaseException], ...] = (redis.RedisError, OSError, *self._more_failures(redis))
        self._unknown_script = redis.exceptions.NoScriptError
        self._url = url
        self._now = now
        self._deadline = deadline
        self._prefix = prefix
        self._compact = Compact()
        self._clients: WeakKeyDictionary[AbstractEventLoop, Any] = WeakKeyDictionary()
        try:
            self._client: Any = self._connect(redis, redis.retry.Retry)
            policies = self._policies()
        except self._failures as error:
            raise StoreError(f"the state store cannot be asked: {error}") from error
        for policy in policies:
            if policy != "noeviction":
                raise StoreError(f"the state store may forget what it is to remember: its maxmemory-policy is {policy}")

    def _more_failures(self, library: Any) -> tuple[type[BaseException], ...]:
        return ()

    def _connect(self, library: Any, retry: Any) -> Any:
        """A client; `library` is that of the sync or of the async ones."""
        return library.Redis.from_url(self._url, **self._settings(retry))

    def _policies(self) -> list[str]:
        """What each server does when its memory is full."""
        return [self._client.info("memory").get("maxmemory_policy", "noeviction")]

    def run(self, operation: Operation) -> Outcome:
        return self._run(operation, self._prefix)

    async def run_async(self, operation: Operation) -> Outcome:
        return await self._run_async(operation, self._prefix)

    def _run(self, operation: Operation, prefix: str) -> Outcome:
        try:
            plain = self._plain(operation, prefix)
            if plain is not None:
                done = compact.outcome(self._call(PLAIN_DIGEST, PLAIN, plain), operation)  # type: ignore[arg-type]
                if done is not None:
                    return done
            return _outcome(self._call(DIGEST, SCRIPT, self._asked(operation, prefix)), len(prefix))
        except self._failures as error:
            raise StoreError(f"the state store cannot be asked: {error}") from error

    async def _run_async(self, operation: Operation, prefix: str) -> Outcome:
        client = self._of_this_loop()
        try:
            plain = self._plain(operation, prefix)
            if plain is not None:
                told = await self._call_async(client, PLAIN_DIGEST, PLAIN, plain)
                done = compact.outcome(told, operation)  # type: ignore[arg-type]
                if done is not None:
                    return done
            told = await self._call_async(client, DIGEST, SCRIPT, self._asked(operation, prefix))
        except self._failures as error:
            raise StoreError(f"the state store cannot be asked: {error}") from error
        return _outcome(told, len(prefix))

    def _call(self, digest: str, script: bytes, arguments: tuple[Any, ...]) -> Any:
        try:
            return self._client.execute_command("EVALSHA", digest, *arguments)
        except self._unknown_script:
            # A server that was started anew does not know it.
            return self._client.execute_command("EVAL", script, *arguments)

    async def _call_async(self, client: Any, digest: str, script: bytes, arguments: tuple[Any, ...]) -> Any:
        try:
            return await client.execute_command("EVALSHA", digest, *arguments)
        except self._unknown_script:
            return await client.execute_command("EVAL", script, *arguments)

    def close(self) -> None:
        """Closes the sync connections; those of an event loop go with it, or with `close_async`."""
        self._client.close()

    async def close_async(self) -> None:
        client = self._clients.pop(get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def _of_this_loop(self) -> Any:
        loop = get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            library = self._library.asyncio
            client = self._clients[loop] = self._connect(library, library.retry.Retry)
        return client

    def _settings(self, retry: Any) -> dict[str, Any]:
        return {
            "socket_timeout": self._deadline,
            "socket_connect_timeout": self._deadline,
            "retry": retry(self._library.backoff.NoBackoff(), 0),
        }

    def _asked(self, operation: Operation, prefix: str) -> tuple[Any, ...]:
        keys = [prefix + key for key in operation.keys]
        return len(keys), *keys, _ENCODER.encode(_told(operation, prefix)), self._time()

    def _plain(self, operation: Operation, prefix: str) -> tuple[Any, ...] | None:
        """What the script for plain commits is asked; None where it is another operation."""
        if type(operation) is not Commit or (asked := self._compact.asked(operation, prefix)) is None:
            return None
        keys, charges, lease = asked
        return len(keys) + 1, *keys, prefix + lease_key(operation.id), self._time(), charges, lease

    def _time(self) -> str:
        return "" if self._now is None else str(self._now())


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(strict=False)


# ---- to the script ----


def _told(operation: Operation, prefix: str) -> dict[str, Any]:
    match operation:
        case Commit():
            told: dict[str, Any] = {
                "operation": "commit",
                "id": operation.id,
                "owner": operation.owner,
                "lease_key": prefix + lease_key(operation.id),
                "lease": operation.lease,
                "keep": operation.keep,
                "memo": operation.memo,
                "charges": _charges(operation.charges, prefix),
                "held": operation.held,
            }
            if operation.elsewhere:
                told["elsewhere"] = [
                    {**held_charge(charge, 0), "meter": prefix + charge.meter} for charge in operation.elsewhere
                ]
            if (session := operation.session) is not None:
                told["session"] = {
                    **_holder(session, session.life, prefix),
                    "labels": session.labels,
                    "call": session.call,
                    "opens": session.opens,
                }
                if session.version is not None:
                    told["session"]["version"] = session.version
            if operation.approval is not None:
                told["approval"] = {**asdict(operation.approval), "key": prefix + operation.approval.key}
            if operation.once is not None:
                told |= {"once": prefix + operation.once, "body": operation.body}
            return told
        case Hold():
            charges = _charges(operation.charges, prefix)
            return {"operation": "hold", "id": operation.id, "lasting": operation.lasting, "charges": charges}
        case Release():
            return {**_lease("release", operation, prefix), "charges": _charges(operation.charges, prefix)}
        case Settle():
            return {
                **_lease("settle", operation, prefix),
                "actual": {prefix + meter: amount for meter, amount in operation.actual},
                "windows": {prefix + meter: _window(window) for meter, window in operation.windows},
                "final": operation.final,
            }
        case Renew():
            return {**_lease("renew", operation, prefix), "lease": operation.lease}
        case Cancel():
            return _lease("cancel", operation, prefix)
        case OpenSession():
            return {"operation": "open_session", "session": _holder(operation, operation.life, prefix)}
        case ReadSession():
            return {
                "operation": "read_session",
                "session": _holder(operation, operation.life, prefix),
                "attempted": operation.attempted,
                "opens": operation.opens,
            }
        case Label():
            return {
                "operation": "label",
                "session": _holder(operation, 0, prefix),
                "add": operation.add,
                "remove": operation.remove,
                "completed": operation.completed,
            }
        case Read():
            return {"operation": "read", "named": [prefix + key for key in operation.named]}
        case ReadBlocks():
            return {"operation": "read_blocks", "key": prefix + KEY, "version": operation.version}
        case Impose():
            return {"operation": "impose", "key": prefix + KEY, **structs.asdict(operation), "most": MOST}
        case OpenTicket() | DecideTicket() | CloseTicket() | TellTicket() | Enter() | Keep():
            return {"operation": _TICKETS[type(operation)], **_ticket(operation, prefix)}
    assert_never(operation)


_TICKETS: Mapping[type[ApprovalOperation], str] = {
    OpenTicket: "open_ticket",
    DecideTicket: "decide_ticket",
    CloseTicket: "close_ticket",
    TellTicket: "tell_ticket",
    Enter: "enter",
    Keep: "keep",
}


def _ticket(operation: ApprovalOperation, prefix: str) -> dict[str, Any]:
    """The members of an operation on approvals; those that name a key with the prefix, and none that says nothing."""
    told = {name: value for name, value in asdict(operation).items() if value is not None}
    for name in ("key", "index", "once", "token"):
        if told.get(name):
            told[name] = prefix + told[name]
        else:
            told.pop(name, None)
    return told


def _charges(charges: tuple[Charge, ...], prefix: str) -> list[dict[str, Any]]:
    return [
        {
            "meter": prefix + charge.meter,
            "rule": charge.rule,
            "by": charge.by,
            "window": _window(charge.window),
            "ceiling": charge.ceiling,
            "amount": charge.amount,
            "block_for": charge.block_for,
            "advisory": charge.advisory,
        }
        for charge in charges
    ]


def _lease(name: str, operation: Settle | Renew | Cancel | Release, prefix: str) -> dict[str, Any]:
    return {
        "operation": name,
        "id": operation.id,
        "owner": operation.owner,
        "lease_key": prefix + lease_key(operation.id),
    }


def _holder(session: Any, life: int, prefix: str) -> dict[str, Any]:
    return {"key": prefix + session.key, "tenant": session.tenant, "principal": session.principal, "life": life}


def _window(window: Window) -> dict[str, Any]:
    match window:
        case Sliding(width):
            return {"kind": "sliding", "width": width}
        case Calendar(periods):
            return {"kind": "calendar", "periods": periods}
        case Concurrent():
            return {"kind": "concurrent"}
    assert_never(window)


# ---- from the script ----


def _outcome(told: bytes, prefix: int) -> Outcome:
    """The outcome; keys without the `prefix` characters that this store puts before them."""
    kind, *rest = _DECODER.decode(told)
    match kind:
        case "done":
            now, uses, *more = rest
            return Done(now, tuple(Use(rule, key[prefix:], *told) for rule, key, *told in uses), *more)
        case "refused":
            now, refusals = rest
            return Refused(
                now,
                tuple(
                    Refusal(rule, key[prefix:], used, ceiling, None if at < 0 else at)
                    for rule, key, used, ceiling, at in refusals
                ),
            )
        case "rejected":
            return Rejected(rest[0])
        case "found":
            now, documents = rest
            return Found(now, tuple(_document(document, prefix) for document in documents))
    raise StoreError("the state store gave an answer that cannot be read")


def _document(document: Any, prefix: int) -> Document | None:
    """The document as the other stores have it. Lua does not tell an empty object from an empty list."""
    if not isinstance(document, Mapping):
        return None
    told = {k: {} if k in ("calls", "leases", "open", "entries") and v == [] else v for k, v in document.items()}
    for name in ("charges", "elsewhere"):
        if name in told:
            told[name] = [{**held, "meter": held["meter"][prefix:]} for held in told[name]]
    return told
