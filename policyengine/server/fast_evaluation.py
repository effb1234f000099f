"""The fast path for evaluations that wait for nothing: read, decided and answered in one go.

In: an engine and the body of an evaluation or a batch, from a caller without bindings. Out: the answer that
`evaluation.py` would give, or None, and then nothing has happened. None means that the request presents an approval,
visits very many elements, cannot be read by the fast reader, or takes more than one turn of the event loop. A law holds
the two paths together.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from policyengine.authzen import fast_read
from policyengine.engine import Engine
from policyengine.model.decision import Decision
from policyengine.server import encode
from policyengine.server.access.request_hints import AccessHints
from policyengine.server.batch_budget import SLICE, is_little
from policyengine.server.metering import answered
from policyengine.server.record import DirectAnswer
from policyengine.state.authorize import APPROVAL


def evaluate(engine: Engine, body: bytes, *, desk: AccessHints) -> DirectAnswer | None:
    """The Access Evaluation API."""
    few = engine.snapshot.evaluator.quantifier_counts.cheap_elements
    if len(body) > few and body.count(b",") >= few:
        return None
    asked = fast_read.parts(body)
    if asked is None:
        return None
    principal, action, resource, context = asked
    if context is None:
        context = {}
    elif APPROVAL in context:
        return None
    decision = engine.decide(principal=principal, action=action, resource=resource, context=context)
    known = _answers.get(id(decision))
    if known is None or known[0] is not decision:
        known = _answer(decision, context, desk)
        if known is None:
            return None
    decision, answer, allows = known
    return DirectAnswer(answer, (asked,), (decision,), allows)


def evaluate_batch(
    engine: Engine, body: bytes, *, desk: AccessHints, max_batch: int, max_work: int
) -> DirectAnswer | None:
    """The Access Evaluations API. Every item is answered by the same snapshot."""
    evaluator = engine.snapshot.evaluator
    quantifier_counts = evaluator.quantifier_counts
    if quantifier_counts.single or quantifier_counts.nested:
        # Each item may look at everything in the defaults.
        return None
    asked = fast_read.few(body, min(max_batch, SLICE))
    if asked is None or not is_little(len(asked), len(body), max_work):
        return None
    if any(map(_context_of, asked)) and any(APPROVAL in parts[3] for parts in asked if parts[3]):
        return None
    entries = evaluator.direct_entries
    try:
        # Like `Evaluator.decide`, without a call for each item.
        decisions = [
            entries[action][resource["type"]][principal["type"]](principal, resource, context)  # type: ignore[index]
            for principal, action, resource, context in asked
        ]
    except Exception:  # noqa: BLE001 - whatever it is, the long way decides
        decisions = []
        for parts in asked:
            decision = evaluator.decide(*parts)
            if decision.errors:
                return None
            decisions.append(decision)
    # The entry under an identity is for the decision with this identity.
    known = list(map(_answers.get, map(id, decisions)))
    if not all(known):
        for number, (decision, parts) in enumerate(zip(decisions, asked, strict=True)):
            if known[number] is None:
                # Errors are additional work.
                answer = None if decision.errors else _answer(decision, parts[3] or {}, desk)
                known[number] = answer
                if answer is None:
                    return None
                decisions[number] = answer[0]
    bodies = [each[1] for each in known]  # type: ignore[index]
    allowed = [each.decision for each in decisions].count("allow")
    return DirectAnswer(encode.batch_body(bodies), asked, decisions, allowed)


_context_of = itemgetter(3)
# A decision, its bytes, and 1 if it allows.
_Answer = tuple[Decision, bytes, int]
# Answers that do not depend on the context, by identity, each with the decision itself: see `encode.py`.
_answers: dict[int, _Answer] = {}
_MOST = 4096


def _answer(decision: Decision, context: Mapping[str, Any], desk: AccessHints) -> _Answer | None:
    """The answer for a decision; None if it needs more: how to ask for an approval, or a rule on trial, which is
    counted."""
    if decision.tried or (decision.approvals and desk.signer is not None):
        return None
    made = answered(decision, context)
    made_answer = made, encode.decision_body(made), int(made.decision == "allow")
    if not (decision.obligations or decision.limits or decision.errors or decision.approvals):
        if len(_answers) >= _MOST:
            _answers.clear()
        _answers[id(decision)] = made_answer
    return made_answer
