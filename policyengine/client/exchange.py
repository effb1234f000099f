"""What is said to a service and what it says, as bytes: no I/O. AuthZEN's words stay here.

An answer is believed only if it is whole: a status of 200, JSON of the right shape, one decision for each question.
Everything else raises Unavailable, of which `denial` makes a denial.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from policyengine.authzen import endpoints
from policyengine.authzen.answers import (
    ActionSearchResponse,
    EntitySearchResponse,
    EvaluationResponse,
    EvaluationsResponse,
    ExplainResponse,
    FilterResponse,
)
from policyengine.authzen.answers import Obligation as WireObligation
from policyengine.authzen.answers import Trial as WireTrial
from policyengine.diagnostics.safe_text import visible
from policyengine.model.decision import Approval, Decision, Obligation, RuleError, Trial
from policyengine.model.json_text import parse_json
from policyengine.model.values import Fault, json_default

Flat = Mapping[str, Any]
CODE = "unavailable"
_NAMES = {"step-up": "step_up"}
M = TypeVar("M", bound=BaseModel)
# The characters of what a service says is wrong.
_LONGEST = 1_000
_RETRYABLE = frozenset({429, 502, 503, 504})


class Unavailable(Exception):
    """There is no answer. `status` is that of HTTP, None if there was none; `wait` are the seconds to wait before
    trying again, if the service says so; `again` is whether trying again may help; `detail` is what the service says is
    wrong, empty if it says nothing."""

    def __init__(
        self, why: str, status: int | None = None, wait: float | None = None, again: bool = False, detail: str = ""
    ) -> None:
        super().__init__(why)
        self.detail = detail
        self.status = status
        self.wait = wait
        self.again = again


@dataclass(frozen=True, slots=True)
class ClientQuestion:
    """What is sent, and where. One that is no `is_repeatable` changes something each time: it is sent once."""

    path: str
    body: bytes
    method: str = "POST"
    is_repeatable: bool = True


# ---- questions ----


def evaluation(
    principal: Flat, action: str | Flat, resource: Flat, context: Flat | None, approved: Collection[str],
    metered: Collection[str] | bool = (),
) -> ClientQuestion:  # fmt: skip
    """Raises Unavailable for what is not a request, and for approvals, which no request can state; TypeError for a
    `metered` that is none."""
    if approved:
        raise Unavailable("approvals cannot be stated in a request")
    return question(endpoints.EVALUATION, _request(principal, action, resource, metering(context, metered)))


def metering(context: Flat | None, metered: Collection[str] | bool) -> Flat | None:
    """The context of a caller that meters these limits; True for all of them. Raises TypeError for a text or a mapping,
    which would hold more than they name."""
    if isinstance(metered, str | bytes | Mapping):
        raise TypeError("`metered` must be a collection of names of limits")
    if not metered or not isinstance(context, Mapping | None):
        return context
    return {**(context or {}), "metered_limits": metered is True or sorted(metered)}


def evaluations(requests: Iterable[Mapping[str, Any]]) -> ClientQuestion:
    """`requests` are mappings with the keywords of `decide`. Raises Unavailable for what is not a request."""
    try:
        items = [_one_of_many(**each) for each in requests]
    except (KeyError, TypeError, AttributeError):
        raise Unavailable("one of the requests is not valid") from None
    return question(endpoints.EVALUATIONS, {"evaluations": items})


def _one_of_many(
    *, principal: Flat, action: str | Flat, resource: Flat, context: Flat | None = None,
    approved: Collection[str] | None = (), metered: Collection[str] | bool | None = (),
) -> dict[str, Any]:  # fmt: skip
    if approved:
        raise Unavailable("approvals cannot be stated in a request")
    return _request(principal, action, resource, metering(context, metered or ()))


def search(path: str, parts: Mapping[str, Any], context: Flat | None, token: str | None) -> ClientQuestion:
    """`parts` are the principal, action and resource that are given; what is sought has no id. Raises Unavailable for
    what is not a request."""
    body = _request(parts["principal"], parts.get("action"), parts["resource"], context)
    if token is not None:
        body["page"] = {"token": token}
    return question(path, body)


def filtering(
    principal: Flat, action: str | Flat, resource: Flat, context: Flat | None, backend: Flat | None, exact: bool,
    fulfilled: Sequence[str],
) -> ClientQuestion:  # fmt: skip
    body = {**_request(principal, action, resource, context), "fulfils": list(fulfilled)}
    if backend is not None:
        body |= {"backend": dict(backend), "exact": exact}
    return question(endpoints.FILTER, body)


def explaining(principal: Flat, action: str | Flat, resource: Flat, context: Flat | None) -> ClientQuestion:
    """Raises Unavailable for what is not a request."""
    return question(endpoints.EXPLAIN, _request(principal, action, resource, context))


def _request(principal: Flat, action: str | Flat | None, resource: Flat, context: Flat | None) -> dict[str, Any]:
    """The request; without an action, if that is what is sought. Raises Unavailable for what is none."""
    # A list without elements and a list of pairs would become objects, and say something else.
    if not isinstance(context, Mapping | None):
        raise Unavailable("the context must be an object")
    try:
        body_sent = {"subject": _entity(principal), "resource": _entity(resource)}
        if action is not None:
            body_sent["action"] = _action(action)
        return body_sent if context is None else {**body_sent, "context": dict(context)}
    except (TypeError, ValueError, AttributeError, KeyError):
        raise Unavailable("the request is not valid") from None


def sought(type_: str, known: Flat | None) -> Flat:
    """A type, and what is known of all that are of it. Raises Unavailable where that is no object."""
    if not isinstance(known, Mapping | None):
        raise Unavailable("the attributes of what is sought must be an object")
    return {**(known or {}), "type": type_}


def _entity(flat: Flat) -> dict[str, Any]:
    if not isinstance(flat, Mapping):
        raise TypeError("an entity must be a mapping")
    identity = {name: flat[name] for name in ("type", "id") if name in flat}
    properties = {name: value for name, value in flat.items() if name not in ("type", "id")}
    return {**identity, "properties": properties} if properties else identity


def _action(action: str | Flat) -> dict[str, Any]:
    if isinstance(action, str):
        return {"name": action}
    properties = {name: value for name, value in action.items() if name != "name"}
    return {"name": action["name"], **({"properties": properties} if properties else {})}


def question(path: str, body: Mapping[str, Any], **more: Any) -> ClientQuestion:
    """Raises Unavailable for what cannot be written."""
    try:
        _check_keys(body)
        return ClientQuestion(
            path, json.dumps(body, separators=(",", ":"), allow_nan=False, default=json_default).encode("utf-8"), **more
        )
    except (TypeError, ValueError, RecursionError, UnicodeEncodeError):
        raise Unavailable("the request cannot be written as JSON") from None


def _check_keys(value: Any) -> None:
    """Raises TypeError for a key that is no text: the writer would make one of `5`, and the service find a member that
    an engine does not."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            if not isinstance(key, str):
                raise TypeError("a key must be a text")
            _check_keys(each)
    elif isinstance(value, list | tuple):
        for each in value:
            _check_keys(each)


# ---- answers ----


def decision(status: int, headers: Mapping[str, str], body: bytes) -> Decision:
    """The decision that a service answers with. Raises Unavailable."""
    return _decision(answer(EvaluationResponse, status, headers, body))


def decisions(
    requests: Sequence[Mapping[str, Any]], status: int, headers: Mapping[str, str], body: bytes
) -> list[Decision]:
    """The decision of each of the requests. Raises Unavailable."""
    answers = answer(EvaluationsResponse, status, headers, body).evaluations
    if len(answers) != len(requests):
        raise Unavailable(f"there are {len(answers)} answers to {len(requests)} requests")
    return [met(_decision(one), asked.get("metered", ())) for one, asked in zip(answers, requests, strict=True)]


def entities(status: int, headers: Mapping[str, str], body: bytes) -> tuple[list[dict[str, str]], str | None]:
    """References, and the token of the next page if there is one. Raises Unavailable."""
    page = answer(EntitySearchResponse, status, headers, body)
    results = [{"type": each.type, "id": each.id} for each in page.results]
    return results, (page.page.next_token or None) if page.page is not None else None


def names(status: int, headers: Mapping[str, str], body: bytes) -> tuple[list[str], str | None]:
    """Names of actions; else as `entities`."""
    page = answer(ActionSearchResponse, status, headers, body)
    return [each.name for each in page.results], (page.page.next_token or None) if page.page is not None else None


def filtered(status: int, headers: Mapping[str, str], body: bytes) -> FilterResponse:
    """What a store is to be asked. Raises Unavailable."""
    return answer(FilterResponse, status, headers, body)


def explained(status: int, headers: Mapping[str, str], body: bytes) -> ExplainResponse:
    """Why a decision is what it is. Raises Unavailable."""
    return answer(ExplainResponse, status, headers, body)


def met(found: Decision, metered: Collection[str] | bool) -> Decision:
    """The decision for a caller that meters these limits; True for all of them. Raises TypeError for a text or a
    mapping, which would hold more than they name."""
    if isinstance(metered, str | Mapping):
        raise TypeError("`metered` must be a collection of names of limits")
    if not metered or not found.limits:
        return found
    return replace(found, metered=frozenset(found.limits if metered is True else set(found.limits) & set(metered)))


def denial(error: Unavailable) -> Decision:
    """The decision where there is none."""
    return Decision("deny", errors=(RuleError("", CODE, f"no decision: {error}"),))


def answer(model: type[M], status: int, headers: Mapping[str, str], body: bytes) -> M:
    """What a service says, in the shape that it has to have. Raises Unavailable."""
    if status != 200:
        said = f"the service answered {status}"
        raise Unavailable(said, status, _wait(headers), status in _RETRYABLE, _detail(headers, body))
    try:
        return model.model_validate(parse_json(body), strict=True)
    except (Fault, ValidationError, RecursionError):
        raise Unavailable("the answer of the service is not valid", status) from None


def _detail(headers: Mapping[str, str], body: bytes) -> str:
    """What problem details say, as far as a person reads."""
    if not headers.get("content-type", "").startswith("application/problem+json"):
        return ""
    try:
        details = parse_json(body)
    except (Fault, RecursionError):
        return ""
    detail = details.get("detail") if isinstance(details, dict) else None
    return visible(detail[:_LONGEST]) if isinstance(detail, str) else ""


def _wait(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 8 else None


def _decision(found: EvaluationResponse) -> Decision:
    said = found.context
    errors = [RuleError(each.rule, each.code, each.message) for each in said.errors or []]
    if said.error is not None:
        errors.append(RuleError("", CODE, f"no decision: {said.error.message}"))
    return Decision(
        "allow" if found.decision and said.error is None else "deny",
        tuple(said.determining),
        tuple(said.reasons),
        tuple(_obligation(each) for each in said.obligations or []),
        tuple(Approval(each.rule, dict(each.by), each.within, each.uses, each.of) for each in said.approvals or []),
        tuple(said.limits or []),
        tuple(said.labels or []),
        tuple(errors),
        said.revision,
        determining_total=said.determining_total or 0,
        errors_total=said.errors_total or 0,
        tried=tuple(map(_trial, said.tried or [])),
    )


def _trial(found: WireTrial) -> Trial:
    error = RuleError(found.rule, found.error.code, found.error.message) if found.error is not None else None
    return Trial(found.rule, found.kind, found.decision, found.changes, tuple(found.obligations), error)


def _obligation(found: WireObligation) -> Obligation:
    properties = dict(found.properties)
    if found.type != "custom":
        return Obligation(found.id, _NAMES.get(found.type, found.type), properties)
    name = properties.pop("action", None)
    # One that nobody knows is one that nobody fulfils.
    return Obligation(found.id, name if isinstance(name, str) else "custom", properties)
