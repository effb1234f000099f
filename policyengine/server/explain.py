"""`POST /v1/explain`: the decision about a request, and the reasons for it.

The request is that of an evaluation, and so is the decision. The answer also says what each rule about the action said.
No approval is used, nothing is charged, and nothing is marked; the current state of limits and sessions is not read.
"""

from __future__ import annotations

import json
from typing import Any

from policyengine.authzen import read
from policyengine.authzen.engine_arguments import DecideArguments
from policyengine.authzen.errors import Malformed, Misspelt
from policyengine.bundle import Snapshot
from policyengine.callers.caller import Caller
from policyengine.diagnostics import codes
from policyengine.engine import Engine
from policyengine.explain.display import decision_json
from policyengine.explain.explanation import Explanation, unexplained
from policyengine.model.decision import RuleError
from policyengine.server.bind import Binding
from policyengine.server.errors import RequestError
from policyengine.server.metering import answered
from policyengine.server.obligations import negotiate
from policyengine.server.pipeline import Answer
from policyengine.state.authorize import APPROVAL

# An explanation shows what the request has, several times.
MOST_ASKED = 65_536
# The most characters of conditions, with the values that they read.
MOST_SHOWN = 1_048_576
# Down to this depth an explanation is written part by part: each rule of each actor by itself.
PARTED = 4


def answer_explain(engine: Engine, body: bytes, caller: Caller, *, binding: Binding, charged: bool) -> Answer:
    """`charged`: evaluations of this service are charged, so the caller need not meter them. Raises Malformed,
    RequestError, and Forbidden."""
    if len(body) > MOST_ASKED:
        raise RequestError(413, f"a decision is explained for requests of at most {MOST_ASKED} bytes")
    value = binding.silent(caller, read.json_object(body))
    try:
        asked = read.evaluation(value)
    except Misspelt as error:
        refused = unexplained(RuleError("", codes.MISSPELT.id, error.message), engine.revision)
        return _bytes(refused.as_json()), (), 0
    if APPROVAL in asked["context"]:
        raise Malformed("an explanation uses no approval; leave out `context.approval`")
    explanation, own, snapshot = _explained(engine, asked, caller, binding)
    decision, context = explanation.decision, own["context"]
    honoured = negotiate(decision, context) if charged else answered(decision, context)
    answer = explanation.as_json(MOST_SHOWN)
    parts: list[Any] = [part for actor in explanation.actors for part in (*actor.rules, *actor.closest)]
    del explanation
    # Freeing everything at once would delay all requests.
    while parts:
        parts.pop()
    if honoured is not decision:
        answer |= {"decision": decision_json(honoured), "why": honoured.errors[0].message}
    # Policies may read on from the caller's entities to those of others.
    if binding.shows_others(caller, snapshot, [*own.values(), answer["actors"]]):
        answer |= {"why": answer["decision"]["summary"], "actors": [], "withheld": True}
    return _bytes(answer), (), 0


def _explained(
    engine: Engine, asked: DecideArguments, caller: Caller, binding: Binding
) -> tuple[Explanation, DecideArguments, Snapshot]:
    """The explanation, its request, and its snapshot."""
    while True:
        snapshot = engine.snapshot
        own = binding.arguments(caller, snapshot, asked)
        explanation = engine.explain(
            principal=own["principal"], action=own["action"], resource=own["resource"], context=own["context"]
        )
        # If policies were loaded meanwhile, the request was not checked against their entities.
        if explanation.decision.revision == snapshot.revision:
            return explanation, own, snapshot


def _bytes(value: dict[str, Any]) -> bytes:
    return _text(value, PARTED).encode("ascii")


def _text(value: Any, parted: int) -> str:
    """The same text as `json.dumps`, which would write it in one go that nothing can interrupt."""
    if parted and type(value) is dict:
        return f"{{{','.join(f'{_dumps(name)}:{_text(part, parted - 1)}' for name, part in value.items())}}}"
    if parted and type(value) is list:
        return f"[{','.join(_text(part, parted - 1) for part in value)}]"
    return _dumps(value)


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
