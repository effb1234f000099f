"""The evaluation endpoints of AuthZEN 1.0: one request, or many. Bytes in, the bytes of the answer out."""

from __future__ import annotations

from functools import cache as cached

from policyengine.authzen import fast_read, read
from policyengine.authzen.engine_arguments import Batch, DecideArguments
from policyengine.authzen.errors import Malformed, Misspelt
from policyengine.bundle import Snapshot
from policyengine.callers.caller import Caller
from policyengine.diagnostics import codes
from policyengine.engine import Engine
from policyengine.evaluate.combine import denied
from policyengine.model.decision import Decision, RuleError
from policyengine.server import encode
from policyengine.server.access.denials import Denials, in_batch
from policyengine.server.access.request_hints import AccessHints
from policyengine.server.batch_budget import SLICE, BatchBudget
from policyengine.server.bind import Binding, Forbidden
from policyengine.server.disconnects import while_wanted
from policyengine.server.errors import RequestError
from policyengine.server.metering import answered
from policyengine.server.pipeline import Answer, Slices
from policyengine.server.record import Decided
from policyengine.server.thread_pools import Kind
from policyengine.state.authorize import APPROVAL


def way_of(engine: Engine, body: bytes) -> Kind | None:
    """How a request may delay others: it presents an approval, and so waits for a store; or it visits very many
    elements."""
    if presents(body):
        return "waiting"
    few = engine.snapshot.evaluator.quantifier_counts.cheap_elements
    return "computing" if len(body) > few and body.count(b",") >= few else None


def presents(body: bytes) -> bool:
    """Whether a request may present an approval: its name occurs, or a letter is escaped."""
    if b'"approval"' in body:
        return True
    # Searching for one byte is faster than for several.
    return b"\\" in body and (b"\\u006" in body or b"\\u007" in body)


def evaluate(engine: Engine, body: bytes, caller: Caller, *, binding: Binding, desk: AccessHints) -> Answer:
    """The Access Evaluation API. Raises Malformed, and Forbidden."""
    try:
        if caller.is_bound:
            asked = read.evaluation(binding.silent(caller, read.json_object(body)))
        else:
            asked = fast_read.evaluation(body) or read.evaluation(read.json_object(body))
    except Misspelt as error:
        return encode.decision_body(_misspelt(error, engine.snapshot.revision)), (), 1
    return _alone(engine, asked, caller, binding, desk, body)


def evaluate_batch(
    engine: Engine, body: bytes, caller: Caller, *, binding: Binding, desk: AccessHints, max_batch: int, max_work: int
) -> Answer | Slices:
    """The Access Evaluations API. Every item is answered by the same snapshot. Raises Malformed and RequestError."""
    try:
        if caller.is_bound:
            batch = read.batch(binding.silent(caller, read.json_object(body)))
        else:
            batch = fast_read.batch(body) or read.batch(read.json_object(body))
    except Misspelt as error:
        return encode.decision_body(_misspelt(error, engine.snapshot.revision)), (), 1
    if not isinstance(batch, Batch):
        return _alone(engine, batch, caller, binding, desk, body)
    if len(batch.order) > max_batch:
        raise RequestError(413, f"there are more than {max_batch} evaluations")
    snapshot = engine.snapshot
    raw = cached(lambda: binding.silent(caller, read.json_object(body)))
    denials = Denials(desk, caller, lambda at: in_batch(raw(), batch.order)(at))
    budget = BatchBudget(max_work, batch, snapshot.world, snapshot.evaluator.quantifier_counts)
    answers = _answers(engine, snapshot, batch, budget, caller, binding, denials)
    # A batch that is in a thread for another reason stays there.
    return while_wanted(answers) if way_of(engine, body) else answers


def _answers(
    engine: Engine,
    snapshot: Snapshot,
    batch: Batch,
    budget: BatchBudget,
    caller: Caller,
    binding: Binding,
    denials: Denials,
) -> Slices:
    """Answers equal items once, except those that present an approval, as each uses it. Yields to the event loop after
    each slice of work."""
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
            answer = _item(engine, snapshot, batch.items[at], caller, binding, denials, at)
            if not _presents(batch.items[at]):
                answered[at] = answer
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


def _presents(item: DecideArguments | Malformed) -> bool:
    return not isinstance(item, Malformed) and APPROVAL in item["context"]


def _item(
    engine: Engine,
    snapshot: Snapshot,
    item: DecideArguments | Malformed,
    caller: Caller,
    binding: Binding,
    denials: Denials,
    at: int,
) -> tuple[bytes, Decided | None, bool]:
    if isinstance(item, Malformed):
        if isinstance(item, Misspelt):
            return encode.decision_body(_misspelt(item, snapshot.revision)), None, False
        return encode.failed_body(400, item.message, snapshot.revision), None, False
    if caller.is_bound:
        try:
            item = binding.arguments(caller, snapshot, item)
        except Forbidden as refused:
            return encode.failed_body(refused.status, refused.message, snapshot.revision), None, False
    context = item["context"]
    if APPROVAL in context:
        body, made = denials.presented(engine, item, at)
        return body, made, made[1].decision == "allow"
    decision = snapshot.evaluator.decide(item["principal"], item["action"], item["resource"], context)
    decision = answered(decision, context)
    body = denials.body(decision, item, snapshot, at) if decision.approvals else encode.decision_body(decision)
    return body, (item, decision), decision.decision == "allow"


def _alone(
    engine: Engine, request: DecideArguments, caller: Caller, binding: Binding, desk: AccessHints, sent: bytes
) -> Answer:
    """The answer to a request that is checked and decided with one snapshot."""
    snapshot = engine.snapshot
    asked = binding.arguments(caller, snapshot, request) if caller.is_bound else request
    context = asked["context"]
    if APPROVAL in context:
        body, made = _denials(desk, caller, binding, sent).presented(engine, asked)
        return body, (made,), 0
    principal, action, resource = asked["principal"], asked["action"], asked["resource"]
    if caller.is_bound:
        decision = snapshot.evaluator.decide(principal, action, resource, context)
    else:
        decision = engine.decide(principal=principal, action=action, resource=resource, context=context)
    decision = answered(decision, context)
    if decision.approvals:
        return _denials(desk, caller, binding, sent).body(decision, asked, snapshot), ((asked, decision),), 0
    return encode.decision_body(decision), ((asked, decision),), 0


def _denials(desk: AccessHints, caller: Caller, binding: Binding, sent: bytes) -> Denials:
    return Denials(desk, caller, lambda _: binding.silent(caller, read.json_object(sent)))


def _misspelt(error: Misspelt, revision: str) -> Decision:
    return denied(RuleError("", codes.MISSPELT.id, error.message), revision)
