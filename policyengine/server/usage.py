"""Usage over HTTP, for administrators: `GET /v1/usage` and `/v1/usage/changes`, `POST /v1/usage/reset`, `credit`,
`raise`. A caller that is bound to a tenant is told of that tenant's meters, and changes no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response

from policyengine.authzen import endpoints, read
from policyengine.authzen.errors import Malformed
from policyengine.callers.caller import Caller
from policyengine.engine import Engine
from policyengine.server import encode
from policyengine.server.engine_slot import EngineSlot
from policyengine.server.errors import RequestError
from policyengine.server.json_members import number_in
from policyengine.server.pipeline import Question, Reply
from policyengine.state.usage import row_json
from policyengine.state.usage_calls import LONGEST, NoMeter

_WANTED = ("rule", "tenant", "model", "day")


def questions() -> dict[str, Question]:
    return {
        f"{endpoints.USAGE}/{what}": Question(f"usage_{what}", partial(change, what), thread_body=0, kind="waiting")
        for what in ("reset", "credit", "raise")
    }


def change(what: str, engine: Engine, body: bytes, caller: Caller) -> Reply:
    """`{"rule", "key", "amount", "seconds", "why"}`. Raises Malformed and RequestError."""
    value = read.json_object(body)
    rule, key, why = value.get("rule"), value.get("key", []), value.get("why", "")
    if type(rule) is not str or type(why) is not str or len(why) > LONGEST:
        raise Malformed("`rule` and `why` must be texts")
    if type(key) is not list or not all(isinstance(each, str | int | float | dict) for each in key):
        raise Malformed("`key` must be a list of texts, numbers or references")
    details: dict[str, Any] = {"why": why, "by": caller.label, "tenant": caller.tenant}
    if what != "reset":
        details["amount"] = number_in(value, "amount")
    if what == "raise":
        details["seconds"] = number_in(value, "seconds")
    calls: dict[str, Any] = {
        "reset": engine.meters.reset,
        "credit": engine.meters.credit,
        "raise": engine.meters.raise_,
    }
    try:
        made = calls[what](rule, *key, **details)
    except NoMeter as error:
        raise RequestError(404, str(error)) from None
    except ValueError as error:
        raise Malformed(str(error)) from None
    return Reply(encode.value_body({"change": asdict(made)}), (), 0)


def add_routes(app: FastAPI, slot: EngineSlot) -> None:
    # In threads of their own: they wait for the store.
    @app.get(endpoints.USAGE, tags=["operation"], summary="What limits have counted", name="usage")
    def usage(request: Request) -> Response:
        """By meter, or summed by what `by` names, such as `tenant,day`. `rule`, `tenant`, `model` and `day` narrow
        it."""
        asked = request.query_params
        if unknown := sorted(set(asked) - {*_WANTED, "by"}):
            raise RequestError(400, f"unknown parameter: `{unknown[0]}`")
        wanted = {name: asked[name] for name in _WANTED if name in asked}
        bound = request.scope["caller"].tenant
        if bound is not None:
            if wanted.get("tenant", bound) != bound:
                raise RequestError(403, "the caller is bound to another tenant")
            wanted["tenant"] = bound
        meters, by = slot.ready().meters, [each for each in asked.get("by", "").split(",") if each]
        try:
            rows: Any = meters.sums(*by, **wanted) if by else meters.usage(**wanted)
        except ValueError as error:
            raise RequestError(400, str(error)) from None
        return _answer({"usage": [row_json(row, by) for row in rows]})

    @app.get(f"{endpoints.USAGE}/changes", tags=["operation"], summary="What was done to limits", name="usage_changes")
    def changes(request: Request) -> Response:
        changes_made = slot.ready().meters.changes(tenant=request.scope["caller"].tenant)
        return _answer({"changes": [asdict(each) for each in changes_made]})


def _answer(value: Mapping[str, Any]) -> Response:
    return Response(encode.value_body(value), media_type="application/json")
