"""The evaluation endpoints of a service that meters: every evaluation is an authorize, settled at its estimate.

So limits also work for gateways that do not know of them. Obligations, refusals and misspelt members are handled as in
`evaluation.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from policyengine.authzen import read
from policyengine.authzen.engine_arguments import Batch, DecideArguments
from policyengine.authzen.errors import Malformed, Misspelt
from policyengine.callers.caller import Caller
from policyengine.diagnostics import codes
from policyengine.engine import Engine
from policyengine.evaluate.combine import denied
from policyengine.model.decision import RuleError
from policyengine.server import encode, grants
from policyengine.server.access.denials import Denials, in_batch
from policyengine.server.access.request_hints import AccessHints
from policyengine.server.bind import Binding, Forbidden
from policyengine.server.errors import RequestError
from policyengine.server.obligations import negotiate
from policyengine.server.pipeline import Answer, Reply
from policyengine.server.record import Decided
from policyengine.state.authorize import APPROVAL
from policyengine.state.grant import Grant, SettleError, grant_json
from policyengine.state.store import StoreError

# A lease is settled at once. If that fails, it ends soon, and so does what it holds in flight.
LEASE = 10.0


def evaluate(engine: Engine, body: bytes, caller: Caller, *, binding: Binding, desk: AccessHints) -> Reply:
    """The Access Evaluation API. Raises Malformed and RequestError."""
    try:
        value = binding.silent(caller, read.json_object(body))
        asked = read.evaluation(value)
    except Misspelt as error:
        return Reply(_misspelt(error, engine), (), 1)
    return _answer_one(engine, asked, caller, binding, Denials(desk, caller, lambda _: value))


def evaluate_batch(
    engine: Engine, body: bytes, caller: Caller, *, binding: Binding, desk: AccessHints, max_batch: int
) -> Answer | Reply:
    """The Access Evaluations API. Every item is charged separately, equal ones too. Raises Malformed and
    RequestError."""
    try:
        value = binding.silent(caller, read.json_object(body))
        batch = read.batch(value)
    except Misspelt as error:
        return Reply(_misspelt(error, engine), (), 1)
    if not isinstance(batch, Batch):
        return _answer_one(engine, batch, caller, binding, Denials(desk, caller, lambda _: value))
    if len(batch.order) > max_batch:
        raise RequestError(413, f"there are more than {max_batch} evaluations, and each is metered")
    bodies: list[bytes] = []
    decided: list[Decided] = []
    denials = Denials(desk, caller, in_batch(value, batch.order))
    for content, made, allowed in _answers(engine, batch, caller, binding, denials):
        bodies.append(content)
        if made is not None:
            decided.append(made)
        if allowed is _STOP[batch.semantic]:
            break
    return encode.batch_body(bodies), decided, len(bodies) - len(decided)


# The first decision of this value is the last one returned, and the last one charged.
_STOP = {"execute_all": None, "deny_on_first_deny": False, "permit_on_first_permit": True}


def _answers(
    engine: Engine, batch: Batch, caller: Caller, binding: Binding, denials: Denials
) -> Iterator[tuple[bytes, Decided | None, bool]]:
    for at in batch.order:
        item = batch.items[at]
        if isinstance(item, Misspelt):
            yield _misspelt(item, engine), None, False
        elif isinstance(item, Malformed):
            yield encode.failed_body(400, item.message, engine.revision), None, False
        else:
            try:
                answer = _answer_one(engine, item, caller, binding, denials, at)
            except Forbidden as refused:
                yield encode.failed_body(refused.status, refused.message, engine.revision), None, False
                continue
            [made] = answer.decided
            yield answer.body, made, made[1].decision == "allow"


def _answer_one(
    engine: Engine, request: DecideArguments, caller: Caller, binding: Binding, denials: Denials, at: int = 0
) -> Reply:
    asked = binding.arguments(caller, engine.snapshot, request)
    context = asked["context"]
    grant = engine.authorize(
        **asked, caller=grants.owner(caller), lease=LEASE, opens=False, tenant=caller.tenant,
        approval=denials.desk.presented(context) if APPROVAL in context else None,
        accepts=partial(negotiate, context=context),
    )  # fmt: skip
    decision = grants.honoured(grant, context)
    if decision.decision == "allow":
        _settled(grant)
    # They have been metered, so the caller need not do it.
    answer = encode.decision_value(replace(decision, limits=()))
    answer["context"] |= _limits_json(grant) | denials.of_grant(grant, engine, at)
    return Reply(encode.value_body(answer), ((asked, decision),), 0, grants.headers(grant), grants.status(grant))


def _settled(grant: Grant) -> None:
    if grant.id:
        try:
            grant.settle()
        except (SettleError, StoreError):
            # What was reserved stays charged.
            return


def _limits_json(grant: Grant) -> dict[str, Any]:
    """The state of the limits; there is nothing left to settle."""
    return {name: value for name, value in grant_json(grant).items() if name != "reservation"}


def _misspelt(error: Misspelt, engine: Engine) -> bytes:
    return encode.decision_body(denied(RuleError("", codes.MISSPELT.id, error.message), engine.revision))
