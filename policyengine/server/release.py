"""The endpoints for texts: release and admission of whole texts, and restoring tokenized values.

A request is that of an evaluation without action and resource. `POST /v1/release` has `text`, or `json` for a value,
and `output`, `sources`, `expected`; `POST /v1/admit` has `messages` or `text`, and `model`. Both may have `session` and
`fulfilled`. The answer's `released` is the decision once all obligations have been carried out; the text that may go on
is beside it. `?status=403` asks for that status if nothing may.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policyengine.authzen import read
from policyengine.authzen.errors import Malformed, Misspelt
from policyengine.callers.caller import Caller
from policyengine.diagnostics import codes
from policyengine.engine import Engine
from policyengine.evaluate.combine import denied
from policyengine.model.decision import RuleError
from policyengine.release.released import Released
from policyengine.release.tracing import kinds_and_counts
from policyengine.release.validity import Expected
from policyengine.server import encode
from policyengine.server.bind import Binding
from policyengine.server.json_members import names_in, object_in, objects_in, text_in
from policyengine.server.pipeline import Reply

_RELEASE = frozenset({"text", "json", "output", "sources", "expected", "session", "fulfilled"})
_ADMIT = frozenset({"text", "messages", "model", "session", "fulfilled"})
_DETOKENIZE = frozenset({"text", "output", "session", "fulfilled"})
FORBIDDEN = 403


def release(engine: Engine, body: bytes, caller: Caller, *, binding: Binding) -> Reply:
    """`POST /v1/release`. Raises Malformed and RequestError."""
    value = read.json_object(body)
    if ("text" in value) == ("json" in value):
        raise Malformed("either `text` or `json` is required: what is to be released")
    if "text" in value and type(value["text"]) is not str:
        raise Malformed("`text` must be a text")
    try:
        asked = asked_to_release(engine, value, caller, binding)
    except Misspelt as error:
        return _misspelt(engine, error)
    released = engine.release(value.get("text", value.get("json")), **asked)
    about = {"principal": asked["principal"], "action": "release", "resource": {"type": "Output", **asked["output"]}}
    return _reply(released, about, "json" if "json" in value else "text")


def asked_to_release(engine: Engine, value: dict[str, Any], caller: Caller, binding: Binding) -> dict[str, Any]:
    """The arguments of `Engine.release` and `release_stream`, except the text. Raises Malformed, Misspelt and
    RequestError."""
    output = object_in(value, "output")
    resource = {"type": "Output", "id": str(output.pop("id", "output")), "properties": output}
    asked = _evaluation(engine, value, caller, binding, _RELEASE, "release", resource)
    known = asked["resource"]
    return {
        "principal": asked["principal"],
        "context": asked["context"],
        "output": {name: part for name, part in known.items() if name != "type"},
        "sources": objects_in(value, "sources"),
        "expected": _expected(value),
        "session": text_in(value, "session"),
        # A caller that chooses ids could choose a session that has seen nothing.
        "opens": False,
        "fulfilled": names_in(value, "fulfilled"),
    }


def admit(engine: Engine, body: bytes, caller: Caller, *, binding: Binding) -> Reply:
    """`POST /v1/admit`. Raises Malformed and RequestError."""
    value = read.json_object(body)
    if ("text" in value) == ("messages" in value):
        raise Malformed("either `text` or `messages` is required: what is to go in")
    given = value.get("text", value.get("messages"))
    if type(given) is not (str if "text" in value else list):
        raise Malformed("`text` must be a text, and `messages` a list")
    model = object_in(value, "model")
    if type(model.get("id")) is not str:
        raise Malformed("`model` must have an `id`")
    resource = {"type": "Model", "id": model.pop("id"), "properties": model}
    try:
        asked = _evaluation(engine, value, caller, binding, _ADMIT, "invoke", resource)
    except Misspelt as error:
        return _misspelt(engine, error)
    admitted = engine.admit(
        given,
        principal=asked["principal"],
        model=asked["resource"],
        context=asked["context"],
        session=text_in(value, "session"),
        opens=False,
        fulfilled=names_in(value, "fulfilled"),
    )
    return _reply(admitted, asked, "text" if "text" in value else "messages")


def detokenize(engine: Engine, body: bytes, caller: Caller, *, binding: Binding) -> Reply:
    """`POST /v1/detokenize`. Raises Malformed and RequestError."""
    value = read.json_object(body)
    if type(value.get("text")) is not str:
        raise Malformed("`text` must be a text")
    output = object_in(value, "output")
    resource = {"type": "Output", "id": str(output.pop("id", "output")), "properties": output}
    try:
        asked = _evaluation(engine, value, caller, binding, _DETOKENIZE, "detokenize", resource)
    except Misspelt as error:
        return _misspelt(engine, error)
    given = engine.detokenize(
        value["text"],
        principal=asked["principal"],
        output={name: part for name, part in asked["resource"].items() if name != "type"},
        context=asked["context"],
        session=text_in(value, "session"),
        opens=False,
        fulfilled=names_in(value, "fulfilled"),
    )
    return _reply(given, asked, "text")


def released_value(released: Released, name: str) -> dict[str, Any]:
    """The answer about a text: the text that may go on, as `name`, the decision, and the findings, without any
    value."""
    answer = encode.decision_value(released.decision)
    answer["released"] = released.allowed
    if released.allowed:
        answer[name] = released.text
    elif released.errors:
        answer["context"]["summary"] = released.reason
        errors = [{"rule": error.rule, "code": error.code, "message": error.message} for error in released.errors]
        answer["context"]["errors"] = [*answer["context"].get("errors", ()), *errors]
    if released.findings:
        answer["findings"] = [
            {
                "kind": finding.kind, "start": finding.start, "end": finding.end,
                "score": finding.score, "detector": finding.detector,
                **({"path": finding.path} if finding.path else {}),
                **({"source": finding.source} if finding.source else {}),
            }
            for finding in released.findings
        ]  # fmt: skip
    if released.invalid:
        answer["invalid"] = [{"path": violation.path, "demand": violation.demand} for violation in released.invalid]
    if released.grant is not None and released.grant.id and released.allowed:
        answer["reservation"] = {"id": released.grant.id, "expires_at": released.grant.expires_at}
    return answer


def _reply(released: Released, asked: Any, name: str) -> Reply:
    body = encode.body_in_parts(released_value(released, name))
    # The record of a decision has the resource's type and id, and nothing else of it.
    about = {
        **asked,
        "resource": {part: asked["resource"].get(part, "output") for part in ("type", "id")},
        "context": {},
    }
    decided: Any = ((about, released.decision),)
    return Reply(body, decided, 0, headers(released), 200 if released.allowed else FORBIDDEN)


def headers(released: Released) -> tuple[tuple[bytes, bytes], ...]:
    """The result in headers, for a gateway that does not read the body: whether the text may go on, and the number of
    findings of each kind."""
    kinds = kinds_and_counts(released.findings)
    went = b"true" if released.allowed else b"false"
    findings = ((b"x-policyengine-findings", kinds.encode("ascii", "replace")),) if kinds else ()
    return ((b"x-policyengine-released", went), *findings)


def _misspelt(engine: Engine, error: Misspelt) -> Reply:
    refused = denied(RuleError("", codes.MISSPELT.id, error.message), engine.revision)
    answer = {**encode.decision_value(refused), "released": False}
    return Reply(encode.value_body(answer), (), 1, status_if_asked=FORBIDDEN)


def _evaluation(
    engine: Engine,
    value: dict[str, Any],
    caller: Caller,
    binding: Binding,
    own: frozenset[str],
    action: str,
    resource: dict[str, Any],
) -> Any:
    value = binding.silent(caller, {name: part for name, part in value.items() if name not in own})
    asked = read.evaluation({**value, "action": {"name": action}, "resource": resource})
    return binding.arguments(caller, engine.snapshot, asked)


def _expected(value: Mapping[str, Any]) -> Expected | None:
    expected = value.get("expected")
    if expected is None:
        return None
    if type(expected) is not dict or not expected.keys() <= {"schema", "pattern", "media_type"}:
        raise Malformed("`expected` must have exactly one of `schema`, `pattern` and `media_type`")
    try:
        return Expected(**expected)
    except (ValueError, TypeError):
        raise Malformed("`expected` must have a schema, pattern or media type that can be used") from None
