"""The evaluation endpoints of AuthZEN 1.0: one request, or many.

Plain ASGI, as this is the path of every decision: read, decode, decide, encode, send. A decision takes microseconds and
is made in the event loop; a body of `thread_body` bytes or more is handled in a worker thread, so that it holds nobody
up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter

from starlette.types import Receive, Scope, Send

from policyengine.engine import Engine
from policyengine.model.decision import Decision
from policyengine.server import decode, encode
from policyengine.server.body import Disconnected, check_headers, read_body
from policyengine.server.errors import Malformed, RequestError, error_body, log, send_json
from policyengine.server.log import DecisionLog
from policyengine.server.metrics import Tally
from policyengine.server.obligations import negotiate
from policyengine.server.pdp import Pdp
from policyengine.server.request_id import Identify, first
from policyengine.server.usual import usual

# A body from this size on, in bytes, takes milliseconds.
THREAD_BODY = 32 * 1024

Decided = tuple[decode.Arguments, Decision]


# The body of a 200, the decisions in it, and the number of items that were no requests.
Answer = tuple[bytes, Sequence[Decided], int]
Handler = Callable[[Engine, bytes], Answer]


def evaluate(engine: Engine, body: bytes) -> Answer:
    """The Access Evaluation API. Raises RequestError."""
    return _one(engine, usual(body) or decode.evaluation(decode.json_object(body)))


def evaluate_batch(engine: Engine, body: bytes, max_batch: int) -> Answer:
    """The Access Evaluations API. Every item is answered by the same snapshot. Raises RequestError."""
    batch = decode.batch(decode.json_object(body))
    if not isinstance(batch, decode.Batch):
        return _one(engine, batch)
    if len(batch.items) > max_batch:
        raise RequestError(413, f"there are more than {max_batch} evaluations")
    requests = [item for item in batch.items if not isinstance(item, Malformed)]
    found = engine.decide_many(requests)
    revision = found[0].revision if found else engine.snapshot.revision
    decisions = iter(found)
    stop = _STOP[batch.semantic]
    bodies: list[bytes] = []
    decided: list[Decided] = []
    for item in batch.items:
        if isinstance(item, Malformed):
            bodies.append(encode.failed_body(item, revision))
            allowed = False
        else:
            decision = negotiate(next(decisions), item["context"])
            bodies.append(encode.decision_body(decision))
            decided.append((item, decision))
            allowed = decision.decision == "allow"
        if allowed is stop:
            break
    return encode.batch_body(bodies), decided, len(bodies) - len(decided)


# The first decision of this value is the last one returned.
_STOP = {"execute_all": None, "deny_on_first_deny": False, "permit_on_first_permit": True}


def _one(engine: Engine, request: decode.Arguments) -> Answer:
    context = request["context"]
    decision = engine.decide(
        principal=request["principal"], action=request["action"], resource=request["resource"], context=context
    )
    if decision.obligations:
        decision = negotiate(decision, context)
    return encode.decision_body(decision), ((request, decision),), 0


class Endpoint:
    """An ASGI endpoint that answers a JSON body with `handle`; `name` is its label in the metrics.

    It stands outside of all middleware, so it echoes the request's identifier itself, and turns what nobody expected
    into a 500 without a decision.
    """

    def __init__(
        self,
        name: str,
        handle: Handler,
        pdp: Pdp,
        identify: Identify,
        max_body_bytes: int,
        tally: Tally,
        decision_log: DecisionLog,
        thread_body: int = THREAD_BODY,
    ) -> None:
        self.handle = handle
        self.pdp = pdp
        self.identify = identify
        self.max_body_bytes = max_body_bytes
        self.count = tally.endpoint(name)
        self.tally = tally
        self.log = decision_log
        self.thread_body = thread_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        headers = first(scope["headers"])
        identifier = self.identify(headers)
        try:
            check_headers(scope["headers"], headers, self.max_body_bytes)
            message = await receive()
            asked: bytes = message.get("body", b"")
            if not 0 < len(asked) < self.max_body_bytes or message.get("more_body"):
                asked = await read_body(message, receive, self.max_body_bytes)
            engine = self.pdp.ready()
            if len(asked) < self.thread_body:
                body, decided, failed = self.handle(engine, asked)
            else:
                body, decided, failed = await asyncio.to_thread(self.handle, engine, asked)
            status = 200
            self.tally.decisions(decided, failed)
            if self.log.enabled:
                self.log.decisions(decided, identifier.decode("ascii"), perf_counter() - started)
        except RequestError as error:
            status, body = error.status, error_body(error.status, error.message)
        except RecursionError:
            status, body = 400, error_body(400, "the request is nested too deeply")
        except Disconnected:
            return
        except Exception:  # noqa: BLE001 - logged, and never a decision
            log.exception("unexpected error", request_id=identifier.decode("ascii"), path=scope["path"])
            status, body = 500, error_body(500, "internal error")
        self.count(status, perf_counter() - started)
        await send_json(send, status, body, identifier)
