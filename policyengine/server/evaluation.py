"""The evaluation endpoints of AuthZEN 1.0: one request, or many. Bytes in, the bytes of the answer out."""

from __future__ import annotations

from policyengine.callers.caller import Caller
from policyengine.engine import Engine
from policyengine.server import decode, encode
from policyengine.server.errors import Malformed, RequestError
from policyengine.server.obligations import negotiate
from policyengine.server.pipeline import Answer
from policyengine.server.record import Decided
from policyengine.server.usual import usual


def evaluate(engine: Engine, body: bytes, _: Caller) -> Answer:
    """The Access Evaluation API. Raises RequestError."""
    return _one(engine, usual(body) or decode.evaluation(decode.json_object(body)))


def evaluate_batch(engine: Engine, body: bytes, _: Caller, *, max_batch: int) -> Answer:
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
