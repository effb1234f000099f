"""The steps that every HTTP request goes through: identify, authenticate, limit, handle, record.

In: an ASGI request of any method and path. Out: its answer. This is the outermost application and holds all others, so
there is no other way in. A step that is not configured costs nothing.

    identify       its X-Request-ID, or one made for it
    authenticate   who asks: a Caller, or a Refusal
    limit          whether this caller may ask here and now: None, or a Refusal
    handle         the question at this path; anything else goes to `rest`, the application with all other routes
    record         the counts, and a DecisionRecord for each decision to whoever wants one

A request that waits for nothing needs no task: `directly` takes the same steps in one go, and leaves what it cannot
settle to the application.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from policyengine.authzen.endpoints import ACCESS_REQUESTS
from policyengine.authzen.engine_arguments import arguments
from policyengine.authzen.errors import Malformed
from policyengine.callers.caller import ANONYMOUS, Caller
from policyengine.callers.refusal import Refusal
from policyengine.compile.compile_on_demand import ONLY_MADE, Unmade
from policyengine.engine import Engine
from policyengine.server.body import Disconnected, check_headers, check_values, read_body
from policyengine.server.disconnects import in_thread, in_turns, while_wanted
from policyengine.server.engine_slot import EngineSlot
from policyengine.server.errors import AWAY, RequestError, error_body, log, send_json
from policyengine.server.metrics import Tally
from policyengine.server.other_routes import hand_over
from policyengine.server.record import Decided, DirectAnswer, Record, records
from policyengine.server.request_id import Identify, first
from policyengine.server.thread_pools import Kind, ThreadPools
from policyengine.state.store import StoreError

# From this size on, in bytes, a body takes milliseconds.
THREAD_BODY = 32 * 1024
# The default number of requests at once.
CONCURRENCY = 128
# How often a request waits for code; after that, a thread handles it and makes the code.
TRIES = 4
# The name of requests without a route.
OTHER = "other"
# The name of a task of the Access Request and Approval profile.
ACCESS_TASK = "access_task"

# The body of a 200, the decisions in it, and the number of items that were not requests.
Answer = tuple[bytes, Sequence[Decided], int]
# A long answer, in slices: the event loop has its turn after each.
Slices = Generator[None, None, Answer]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with more than a body. `status_if_asked` is its status for callers that ask for it with `?status=`;
    `status` is its status for all others."""

    body: bytes
    decided: Sequence[Decided]
    failed: int
    headers: Sequence[tuple[bytes, bytes]] = ()
    status_if_asked: int = 200
    status: int = 200


Handler = Callable[..., Answer | Slices | Reply]
# Answers a stream of events with one, and returns the decisions about it. The last argument runs work in a thread.
Streamer = Callable[
    [Engine, Caller, Receive, Send, bytes, str, Callable[[Callable[[], Any]], Awaitable[Any]]],
    Awaitable[Sequence[Decided]],
]
EVENTS = b"text/event-stream"


@dataclass(frozen=True, slots=True)
class Incoming:
    """What the steps before `handle` see of a request. `endpoint` is its name, `headers` are the first of each name."""

    endpoint: str
    headers: Mapping[bytes, bytes]
    scope: Scope
    request_id: str


@dataclass(slots=True)
class Peer:
    """The ends of a connection, as in ASGI. `shown` is the credential that it showed last, and the result of checking
    it."""

    server: tuple[str, int | None] | None
    client: tuple[str, int] | None
    shown: tuple[bytes, Callable[[], Caller | None]] | None = None


Headers = Mapping[bytes, bytes]
Authenticate = Callable[[Incoming], Awaitable[Caller | Refusal]]
Limit = Callable[[Caller, Incoming], Awaitable[Refusal | None]]
# Like `Authenticate`, for a caller that is known without waiting; otherwise None, and nothing has happened.
Known = Callable[[Peer, Headers], Caller | None]
# Like `Limit`, without waiting; it receives the name of the endpoint.
Refuses = Callable[[Caller, str], Refusal | None]


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of one service. Steps that are None, and an empty `record`, are skipped. `known` and `refuses` are the
    forms of the first two that do not wait; if a step lacks such a form, nothing is answered directly."""

    authenticate: Authenticate | None = None
    limit: Limit | None = None
    record: tuple[Record, ...] = ()
    known: Known | None = None
    refuses: Refuses | None = None

    @property
    def is_direct(self) -> bool:
        """Whether all steps can be taken without waiting."""
        waits = self.authenticate is not None and self.known is None
        return not waits and (self.limit is None or self.refuses is not None)


def never(_: Engine, __: bytes) -> Kind | None:
    return None


@dataclass(frozen=True, slots=True)
class Question:
    """A question with a JSON body. `name` is its label. It is handled in a thread if its body has `thread_body` bytes
    or more, or if `thread_kind` says so: in a thread of the kind that `thread_kind` returns, or else of `kind`.
    `direct` answers plain requests in one go, and returns None for others. `stream` answers a body of server-sent
    events. With `headed`, the handler receives the headers; with `bare`, the body may be missing."""

    name: str
    handle: Handler
    thread_body: int = THREAD_BODY
    stream: Streamer | None = None
    thread_kind: Callable[[Engine, bytes], Kind | None] = never
    headed: bool = False
    bare: bool = False
    kind: Kind = "computing"
    direct: Callable[[Engine, bytes], DirectAnswer | None] | None = None


@dataclass(slots=True)
class _Request:
    """A request on its way. `caller` is set once it has been admitted, `failed` if that ended in an error."""

    question: Question | None
    name: str
    headers: Headers
    identifier: bytes
    started: float
    caller: Caller | None = None
    failed: Exception | None = None
    may_be_plain: bool = True


# The body of a 200, and the identifier of the request.
Said = tuple[bytes, bytes]


class Pipeline:
    """An ASGI application. `questions` are answered at POST to their paths, and those that `family` finds at paths with
    something of their own in them; everything else by `rest`, of whose paths `names` has the names."""

    def __init__(
        self,
        questions: Mapping[str, Question],
        rest: ASGIApp,
        names: Mapping[str, str],
        slot: EngineSlot,
        tally: Tally,
        max_body_bytes: int,
        steps: Steps = Steps(),
        family: Callable[[str], Question | None] = lambda _: None,
        threads: ThreadPools | None = None,
    ) -> None:
        self.questions = questions
        self.rest = rest
        self.names = names
        self.slot = slot
        self.tally = tally
        self.max_body_bytes = max_body_bytes
        self.steps = steps
        self.family = family
        self.threads = threads or ThreadPools(CONCURRENCY)
        self._identify = Identify()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._without_request(scope, receive, send)
            return
        started = perf_counter()
        headers = first(scope["headers"])
        path: str = scope["path"]
        if root := scope.get("root_path"):
            path = path.removeprefix(root)
        question = self.questions.get(path) or self.family(path)
        if scope["method"] == "GET" and path in self.names:
            question = None  # a GET reads what is at this path, and is for another route
        name = question.name if question is not None else self.names.get(path) or _named(path)
        await self._go_on(_Request(question, name, headers, self._identify(headers), started), scope, receive, send)

    def direct_questions(self) -> Mapping[bytes, Question]:
        """The questions that `directly` can answer, by path."""
        questions = self.questions.items() if self.steps.is_direct else ()
        return {path.encode("ascii"): each for path, each in questions if each.direct is not None}

    def directly(self, question: Question, peer: Peer, headers: Headers, body: bytes) -> Said | ASGIApp:
        """All steps in one go, for a POST that is in order: `headers` has all of them, and `body` is JSON by its type
        and no larger than allowed. What cannot be settled so is for the application that is returned: this one, or what
        goes on where this has come to."""
        started = perf_counter()
        engine, steps, caller = self.slot.engine, self.steps, ANONYMOUS
        failed: Exception | None = None
        try:
            if engine is None or not steps.is_direct:
                return self
            if steps.known is not None:
                if (known := steps.known(peer, headers)) is None:
                    return self
                caller = known
            identifier = self._identify(headers)
            if steps.refuses is not None and (refused := steps.refuses(caller, question.name)) is not None:
                failed = _refusal(refused)
            elif (plain := self._direct_answer(question, engine, body, caller)) is not None:
                self._record_direct(question.name, caller, identifier, plain, started)
                self.tally.endpoint(question.name)(200, perf_counter() - started)
                return plain.body, identifier
        except Exception as error:  # noqa: BLE001 - it is answered there, as every error is
            failed, identifier = error, self._identify(headers)
        request = _Request(question, question.name, headers, identifier, started, caller, failed, may_be_plain=False)
        return partial(self._go_on, request)

    def _direct_answer(self, question: Question, engine: Engine, body: bytes, caller: Caller) -> DirectAnswer | None:
        if question.direct is None or len(body) >= question.thread_body or caller.is_bound:
            return None
        try:
            with ONLY_MADE:
                return question.direct(engine, body)
        except (Exception, Unmade):  # noqa: BLE001 - whatever it is, the other way knows what to make of it
            return None

    def _record_direct(self, name: str, caller: Caller, identifier: bytes, plain: DirectAnswer, started: float) -> None:
        self.tally.decided_plainly(plain.allowed, len(plain.decisions))
        if self.steps.record:
            decided = list(zip(map(arguments, plain.asked), plain.decisions, strict=True))
            self._record(name, caller, identifier, decided, started)

    async def _go_on(self, request: _Request, scope: Scope, receive: Receive, send: Send) -> None:
        """Takes the remaining steps."""
        question, name, headers = request.question, request.name, request.headers
        identifier, started = request.identifier, request.started
        more: Sequence[tuple[bytes, bytes]] = ()
        try:
            if request.failed is not None:
                raise request.failed
            caller = request.caller
            if caller is None:
                caller = await self._admit(name, headers, scope, identifier)
            if question is None:
                status = await hand_over(self.rest, scope, receive, send, identifier, caller)
                if status:
                    self.tally.endpoint(name)(status, perf_counter() - started)
                return
            if scope["method"] != "POST":
                raise RequestError(405, "method not allowed", ((b"allow", b"POST"),))
            if question.stream is not None and headers.get(b"content-type", b"").startswith(EVENTS):
                ready = self.slot.ready()
                with self.threads.streaming():
                    decided = await question.stream(
                        ready, caller, receive, send, identifier, scope["scheme"], self.threads.look
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
                check_values(asked)
            engine = self.slot.ready()
            status = 200
            plain = self._direct_answer(question, engine, asked, caller) if request.may_be_plain else None
            if plain is not None:
                body = plain.body
                self._record_direct(name, caller, identifier, plain, started)
            else:
                handle = partial(question.handle, headers=headers) if question.headed else question.handle
                answer = await self._answer(question, handle, engine, asked, caller, receive)
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
        except StoreError:
            status, body = 503, error_body(503, AWAY, identifier.decode("ascii"))
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
        self, question: Question, handle: Handler, engine: Engine, asked: bytes, caller: Caller, receive: Receive
    ) -> Answer | Reply:
        """The answer. Code that it needs and that does not exist is made first, once for all requests that wait for it.
        Raises Disconnected if nobody waits any more."""
        work = engine, asked, caller
        for _ in range(TRIES):
            kind = question.thread_kind(engine, asked)
            try:
                if kind is None and len(asked) < question.thread_body:
                    with ONLY_MADE:
                        answer = handle(*work)
                else:
                    answer = await in_thread(self.threads, kind or question.kind, receive, handle, *work)
                return await in_turns(self.threads, answer, receive) if isinstance(answer, Generator) else answer
            except Unmade as unmade:
                await self.threads.make(unmade)
        return await in_thread(self.threads, question.kind, receive, _whole, handle, *work)

    def _recorded(
        self, name: str, caller: Caller, identifier: bytes, decided: Sequence[Decided], failed: int, started: float
    ) -> None:
        self.tally.decisions(decided, failed)
        if decided and self.steps.record:
            self._record(name, caller, identifier, decided, started)

    def _record(
        self, name: str, caller: Caller, identifier: bytes, decided: Sequence[Decided], started: float
    ) -> None:  # fmt: skip
        made = records(identifier.decode("ascii"), name, caller, decided, perf_counter() - started)
        for record in self.steps.record:
            record(made)

    async def _admit(self, name: str, headers: Headers, scope: Scope, identifier: bytes) -> Caller:
        """The caller, if it may ask this. Raises RequestError."""
        caller, steps = ANONYMOUS, self.steps
        if steps.authenticate is None and steps.limit is None:
            return caller
        incoming = Incoming(name, headers, scope, identifier.decode("ascii"))
        if steps.authenticate is not None:
            admitted = await steps.authenticate(incoming)
            if isinstance(admitted, Refusal):
                raise _refusal(admitted)
            caller = admitted
        if steps.limit is not None:
            refused = await steps.limit(caller, incoming)
            if refused is not None:
                raise _refusal(refused)
        return caller

    async def _without_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Startup and shutdown go to the other application; nothing is served over a WebSocket."""
        if scope["type"] == "lifespan":
            await self.rest(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})


def _refusal(refused: Refusal) -> RequestError:
    return RequestError(refused.status, refused.message, refused.headers)


def _named(path: str) -> str:
    """The name of a path with something of its own in it, that is no question."""
    return ACCESS_TASK if path.startswith(f"{ACCESS_REQUESTS}/") else OTHER


def _whole(handle: Handler, engine: Engine, asked: bytes, caller: Caller) -> Answer | Reply:
    answer = handle(engine, asked, caller)
    return while_wanted(answer) if isinstance(answer, Generator) else answer
