"""What every HTTP request goes through: identify, authenticate, limit, handle, record.

In: an ASGI request of any method and path. Out: its answer. This is the outermost application and holds all the others,
so there is no other way in. A step that is not there costs nothing.

    identify       its X-Request-ID, or one made for it
    authenticate   who asks: a Caller, or a Refusal
    limit          whether this caller may ask here and now: None, or a Refusal
    handle         the question at this path; anything else goes to `rest`, the application with all other routes
    record         the counts, and a DecisionRecord for each decision to whoever wants one
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policyengine.authzen.paths import ACCESS_REQUESTS
from policyengine.authzen.refused import Malformed
from policyengine.callers.caller import ANONYMOUS, Caller
from policyengine.callers.refusal import Refusal
from policyengine.compile.making import ONLY_MADE, Unmade
from policyengine.engine import Engine
from policyengine.server.aside import Aside, Kind
from policyengine.server.body import Disconnected, check_headers, read_body
from policyengine.server.errors import RequestError, error_body, log, send_json
from policyengine.server.hygiene import added
from policyengine.server.metrics import Tally
from policyengine.server.pdp import Pdp
from policyengine.server.record import Decided, Record, records
from policyengine.server.request_id import Identify, first

# A body from this size on, in bytes, takes milliseconds.
THREAD_BODY = 32 * 1024
# How many requests there may be at once, where nobody says.
CONCURRENCY = 128
# So often a request waits for code; one that needs more is handled in a thread that makes it.
TRIES = 4
# The name of what no route names.
OTHER = "other"
# The name of a task of the Access Request and Approval profile.
ACCESS_TASK = "access_task"

# The body of a 200, the decisions in it, and the number of items that were no requests.
Answer = tuple[bytes, Sequence[Decided], int]
# An answer that takes long, in slices: the event loop has its turn after each.
Slices = Generator[None, None, Answer]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that says more than its body. `status_if_asked` is its status for whoever asks with `?status=` for
    it; `status` is that for anybody else."""

    body: bytes
    decided: Sequence[Decided]
    failed: int
    headers: Sequence[tuple[bytes, bytes]] = ()
    status_if_asked: int = 200
    status: int = 200


Handler = Callable[..., Answer | Slices | Reply]
# Answers a stream of events with one, and says what was decided about it. The last is told what to do in a thread.
Streamer = Callable[
    [Engine, Caller, Receive, Send, bytes, str, Callable[[Callable[[], Any]], Awaitable[Any]]],
    Awaitable[Sequence[Decided]],
]
EVENTS = b"text/event-stream"


@dataclass(frozen=True, slots=True)
class Incoming:
    """What the steps before `handle` see of a request. `endpoint` is its name, `headers` the first of each name."""

    endpoint: str
    headers: Mapping[bytes, bytes]
    scope: Scope
    request_id: str


Authenticate = Callable[[Incoming], Awaitable[Caller | Refusal]]
Limit = Callable[[Caller, Incoming], Awaitable[Refusal | None]]


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of one service; those that are None, and an empty `record`, are not there."""

    authenticate: Authenticate | None = None
    limit: Limit | None = None
    record: tuple[Record, ...] = ()


def never(_: Engine, __: bytes) -> Kind | None:
    return None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked with a JSON body. `name` is its label; a body of `thread_body` bytes or more, or one that `aside`
    tells, is handled in a thread, so that it holds nobody up: in one for what it does, `kind` unless `aside` says
    otherwise. `stream` answers a body of server-sent events. With `headed` the handler is told the headers; with `bare`
    there may be no body."""

    name: str
    handle: Handler
    thread_body: int = THREAD_BODY
    stream: Streamer | None = None
    aside: Callable[[Engine, bytes], Kind | None] = never
    headed: bool = False
    bare: bool = False
    kind: Kind = "computing"


class Pipeline:
    """An ASGI application. `questions` are answered at POST to their paths, and those that `family` finds at paths with
    something of their own in them; everything else by `rest`, of whose paths `names` has the names."""

    def __init__(
        self,
        questions: Mapping[str, Question],
        rest: ASGIApp,
        names: Mapping[str, str],
        pdp: Pdp,
        tally: Tally,
        max_body_bytes: int,
        steps: Steps = Steps(),
        family: Callable[[str], Question | None] = lambda _: None,
        aside: Aside | None = None,
    ) -> None:
        self.questions = questions
        self.rest = rest
        self.names = names
        self.pdp = pdp
        self.tally = tally
        self.max_body_bytes = max_body_bytes
        self.steps = steps
        self.family = family
        self.aside = aside or Aside(CONCURRENCY)
        self._identify = Identify()
        self._admits_all = steps.authenticate is None and steps.limit is None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._without_request(scope, receive, send)
            return
        started = perf_counter()
        headers = first(scope["headers"])
        identifier = self._identify(headers)
        path: str = scope["path"]
        if root := scope.get("root_path"):
            path = path.removeprefix(root)
        question = self.questions.get(path) or self.family(path)
        if scope["method"] == "GET" and path in self.names:
            question = None  # what is asked for at this path, and not said to it
        name = question.name if question is not None else self.names.get(path) or _named(path)
        more: Sequence[tuple[bytes, bytes]] = ()
        try:
            caller = ANONYMOUS
            if not self._admits_all:
                caller = await self._admit(Incoming(name, headers, scope, identifier.decode("ascii")))
            if question is None:
                status = await self._hand_over(scope, receive, send, identifier, caller)
                if status:
                    self.tally.endpoint(name)(status, perf_counter() - started)
                return
            if scope["method"] != "POST":
                raise RequestError(405, "method not allowed", ((b"allow", b"POST"),))
            if question.stream is not None and headers.get(b"content-type", b"").startswith(EVENTS):
                ready = self.pdp.ready()
                with self.aside.streaming():
                    decided = await question.stream(
                        ready, caller, receive, send, identifier, scope["scheme"], self.aside.look
                    )
                self._recorded(name, caller, identifier, decided, 0, started)
                self.tally.endpoint(name)(200, perf_counter() - started)
                return
            asked = b""
            if not question.bare or headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers:
                check_headers(scope["headers"], headers, self.max_body_bytes)
                message = await receive()
                asked = message.get("body", b"")
                if not 0 < len(asked) < self.max_body_bytes or message.get("more_body"):
                    asked = await read_body(message, receive, self.max_body_bytes)
            engine = self.pdp.ready()
            handle = partial(question.handle, headers=headers) if question.headed else question.handle
            answer = await self._answer(question, handle, engine, asked, caller)
            status = 200
            if isinstance(answer, Reply):
                body, decided, failed, more = answer.body, answer.decided, answer.failed, answer.headers
                status = answer.status
                if scope["query_string"] == b"status=%d" % answer.status_if_asked:
                    status = answer.status_if_asked
            else:
                body, decided, failed = answer
            self._recorded(name, caller, identifier, decided, failed, started)
        except Malformed as error:
            status, body = 400, error_body(400, error.message, identifier.decode("ascii"))
        except RequestError as error:
            status, more = error.status, error.headers
            body = error_body(error.status, error.message, identifier.decode("ascii"), error.type)
        except RecursionError:
            status, body = 400, error_body(400, "the request is nested too deeply", identifier.decode("ascii"))
        except Disconnected:
            return
        except Exception:  # noqa: BLE001 - logged, and never a decision
            log.exception("unexpected error", request_id=identifier.decode("ascii"), path=scope["path"])
            status, body = 500, error_body(500, "internal error", identifier.decode("ascii"))
        self.tally.endpoint(name)(status, perf_counter() - started)
        await send_json(send, status, body, identifier, scope["scheme"], more)

    async def _answer(
        self, question: Question, handle: Handler, engine: Engine, asked: bytes, caller: Caller
    ) -> Answer | Reply:
        """What it is answered. Code that it needs and that is not there is made first, for all who wait for it."""
        for _ in range(TRIES):
            kind = question.aside(engine, asked)
            try:
                if kind is None and len(asked) < question.thread_body:
                    with ONLY_MADE:
                        answer = handle(engine, asked, caller)
                else:
                    answer = await self.aside.run(kind or question.kind, handle, engine, asked, caller)
                return await self._in_turns(answer) if isinstance(answer, Generator) else answer
            except Unmade as unmade:
                await self.aside.make(unmade)
        return await self.aside.run(question.kind, _whole, handle, engine, asked, caller)

    async def _in_turns(self, slices: Slices) -> Answer:
        answer = _sliced(slices)
        if answer is None:
            async with self.aside.slicing:
                while answer is None:
                    await asyncio.sleep(0)
                    answer = _sliced(slices)
        return answer

    def _recorded(
        self, name: str, caller: Caller, identifier: bytes, decided: Sequence[Decided], failed: int, started: float
    ) -> None:
        self.tally.decisions(decided, failed)
        if decided and self.steps.record:
            made = records(identifier.decode("ascii"), name, caller, decided, perf_counter() - started)
            for record in self.steps.record:
                record(made)

    async def _admit(self, incoming: Incoming) -> Caller:
        """The caller, if it may ask this. Raises RequestError."""
        caller = ANONYMOUS
        if self.steps.authenticate is not None:
            found = await self.steps.authenticate(incoming)
            if isinstance(found, Refusal):
                raise RequestError(found.status, found.message, found.headers)
            caller = found
        if self.steps.limit is not None:
            refused = await self.steps.limit(caller, incoming)
            if refused is not None:
                raise RequestError(refused.status, refused.message, refused.headers)
        return caller

    async def _hand_over(self, scope: Scope, receive: Receive, send: Send, identifier: bytes, caller: Caller) -> int:
        """The status with which the other routes answer. An error there is a 500, as long as nothing was sent."""
        status, complete = 0, False

        async def sending(message: Message) -> None:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = added([*message.get("headers", ()), (b"x-request-id", identifier)], scope["scheme"])
                message["headers"] = headers
            complete = message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        try:
            await self.rest({**scope, "caller": caller, "request_id": identifier.decode("ascii")}, receive, sending)
        except Exception:
            log.exception("unexpected error", request_id=identifier.decode("ascii"), path=scope["path"])
            if status and not complete:
                raise
            if not status:
                status = 500
                body = error_body(500, "internal error", identifier.decode("ascii"))
                await send_json(send, 500, body, identifier, scope["scheme"])
        return status

    async def _without_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Starting and stopping go to the other application; nothing is served over a WebSocket."""
        if scope["type"] == "lifespan":
            await self.rest(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})


def _named(path: str) -> str:
    """The name of a path with something of its own in it, that is no question."""
    return ACCESS_TASK if path.startswith(f"{ACCESS_REQUESTS}/") else OTHER


def _sliced(slices: Slices) -> Answer | None:
    """The answer, if this slice is the last."""
    try:
        with ONLY_MADE:
            next(slices)
    except StopIteration as done:
        answer: Answer = done.value
        return answer
    return None


def at_once(slices: Slices) -> Answer:
    """The answer, for where nobody else waits."""
    while True:
        try:
            next(slices)
        except StopIteration as done:
            answer: Answer = done.value
            return answer


def _whole(handle: Handler, engine: Engine, asked: bytes, caller: Caller) -> Answer | Reply:
    answer = handle(engine, asked, caller)
    return at_once(answer) if isinstance(answer, Generator) else answer
