"""The evaluation endpoints of AuthZEN 1.0: one request, or many. Bytes in, the bytes of the answer out."""

from __future__ import annotations

from policyengine.authzen import quick, read
from policyengine.authzen.arguments import Arguments, Batch
from policyengine.authzen.refused import Malformed, Misspelt
from policyengine.bundle import Snapshot
from policyengine.callers.caller import Caller
from policyengine.diagnostics import codes
from policyengine.engine import Engine
from policyengine.evaluate.combine import denied
from policyengine.model.decision import Decision, RuleError
from policyengine.server import encode
from policyengine.server.bind import Binding, Forbidden
from policyengine.server.errors import RequestError
from policyengine.server.metering import answered
from policyengine.server.pipeline import Answer, Slices
from policyengine.server.record import Decided
from policyengine.server.work import SLICE, Budget


def evaluate(engine: Engine, body: bytes, caller: Caller, *, binding: Binding) -> Answer:
    """The Access Evaluation API. Raises Malformed, and Forbidden."""
    try:
        if caller.is_bound:
            asked = read.evaluation(binding.silent(caller, read.json_object(body)))
        else:
            asked = quick.evaluation(body) or read.evaluation(read.json_object(body))
    except Misspelt as error:
        return encode.decision_body(_misspelt(error, engine.snapshot.revision)), (), 1
    return _one(engine, asked) if not caller.is_bound else _bound(engine, asked, caller, binding)


def evaluate_batch(
    engine: Engine, body: bytes, caller: Caller, *, binding: Binding, max_batch: int, max_work: int
) -> Answer | Slices:
    """The Access Evaluations API. Every item is answered by the same snapshot. Raises Malformed and RequestError."""
    try:
        if caller.is_bound:
            batch = read.batch(binding.silent(caller, read.json_object(body)))
        else:
            batch = quick.batch(body) or read.batch(read.json_object(body))
    except Misspelt as error:
        return encode.decision_body(_misspelt(error, engine.snapshot.revision)), (), 1
    if not isinstance(batch, Batch):
        return _one(engine, batch) if not caller.is_bound else _bound(engine, batch, caller, binding)
    if len(batch.order) > max_batch:
        raise RequestError(413, f"there are more than {max_batch} evaluations")
    snapshot = engine.snapshot
    return _answers(snapshot, batch, Budget(max_work, batch, snapshot.world), caller, binding)


def _answers(snapshot: Snapshot, batch: Batch, budget: Budget, caller: Caller, binding: Binding) -> Slices:
    """Answers equal items once. Gives the event loop back after each slice of work."""
    stop = _STOP[batch.semantic]
    answered: list[tuple[bytes, Decided | None, bool] | None] = [None] * len(batch.items)
    bodies: list[bytes] = []
    decided: list[Decided] = []
    done = 0
    for at in batch.order:
        answer = answered[at]
        if answer is None:
            if done >= SLICE:
                done = 0
                yield
            answer = answered[at] = _item(snapshot, batch.items[at], caller, binding)
            done += budget.spend(at, answer[1])
        body, made, allowed = answer
        bodies.append(body)
        if made is not None:
            decided.append(made)
        if allowed is stop:
            break
    return encode.batch_body(bodies), decided, len(bodies) - len(decided)


# The first decision of this value is the last one returned.
_STOP = {"execute_all": None, "deny_on_first_deny": False, "permit_on_first_permit": True}


def _item(
    snapshot: Snapshot, item: Arguments | Malformed, caller: Caller, binding: Binding
) -> tuple[bytes, Decided | None, bool]:
    if isinstance(item, Misspelt):
        return encode.decision_body(_misspelt(item, snapshot.revision)), None, False
    if isinstance(item, Malformed):
        return encode.failed_body(400, item.message, snapshot.revision), None, False
    if caller.is_bound:
        try:
            item = binding.arguments(caller, snapshot, item)
        except Forbidden as refused:
            return encode.failed_body(refused.status, refused.message, snapshot.revision), None, False
    context = item["context"]
    decision = snapshot.evaluator.decide(item["principal"], item["action"], item["resource"], context)
    decision = answered(decision, context)
    return encode.decision_body(decision), (item, decision), decision.decision == "allow"


def _bound(engine: Engine, request: Arguments, caller: Caller, binding: Binding) -> Answer:
    """The answer to a request that is looked at, and decided, with one snapshot."""
    snapshot = engine.snapshot
    asked = binding.arguments(caller, snapshot, request)
    decision = snapshot.evaluator.decide(asked["principal"], asked["action"], asked["resource"], asked["context"])
    decision = answered(decision, asked["context"])
    return encode.decision_body(decision), ((asked, decision),), 0


def _one(engine: Engine, request: Arguments) -> Answer:
    context = request["context"]
    decision = engine.decide(
        principal=request["principal"], action=request["action"], resource=request["resource"], context=context
    )
    decision = answered(decision, context)
    return encode.decision_body(decision), ((request, decision),), 0


def _misspelt(error: Misspelt, revision: str) -> Decision:
    return denied(RuleError("", codes.MISSPELT.id, error.message), revision)
