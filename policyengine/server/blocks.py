"""The kill switch over HTTP, for administrators: `POST /v1/block`, `POST /v1/unblock`, `GET /v1/blocks`; and `POST
/v1/admin/void`, for a store whose restoration no node could notice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Response

from policyengine.authzen import read
from policyengine.authzen.errors import Malformed
from policyengine.blocks.block import LONGEST, Block
from policyengine.callers.caller import Caller
from policyengine.engine import Engine
from policyengine.server import encode
from policyengine.server.engine_slot import EngineSlot
from policyengine.server.json_members import number_in
from policyengine.server.pipeline import Reply
from policyengine.state.windows import SECOND


def block(engine: Engine, body: bytes, caller: Caller) -> Reply:
    """`{"kind", "id", "seconds", "why"}`; without `seconds`, for ever. Raises Malformed and RequestError."""
    value = read.json_object(body)
    seconds = number_in(value, "seconds") if value.get("seconds") is not None else None
    try:
        made = engine.blocks.block(
            _text(value, "kind"),  # type: ignore[arg-type]
            _text(value, "id"),
            seconds=seconds,
            why=_text(value, "why"),
            by=caller.label,
        )
    except ValueError as error:
        raise Malformed(str(error)) from None
    return _reply({"block": shown(made)})


def unblock(engine: Engine, body: bytes, caller: Caller) -> Reply:
    """`{"kind", "id", "why"}`. Raises Malformed and RequestError."""
    value = read.json_object(body)
    kind, id_ = _text(value, "kind"), _text(value, "id")
    try:
        engine.blocks.unblock(kind, id_, why=_text(value, "why"), by=caller.label)  # type: ignore[arg-type]
    except ValueError as error:
        raise Malformed(str(error)) from None
    return _reply({})


def void(engine: Engine, body: bytes, caller: Caller) -> Reply:
    """`{"why"}`, or nothing. Raises Malformed and RequestError."""
    value = read.json_object(body) if body.strip() else {}
    if unknown := sorted(set(value) - {"why"}):
        raise Malformed(f"unknown member: `{unknown[0][:LONGEST]}`")
    before = engine.blocks.void(why=_text(value, "why"), by=caller.label)
    return _reply({"before": before})


def add_routes(app: FastAPI, slot: EngineSlot) -> None:
    # In a thread, as it waits for the store.
    @app.get("/v1/blocks", tags=["operation"], summary="Who and what is blocked")
    def blocks() -> Response:
        blocked = slot.ready().blocks.list()
        return Response(encode.value_body({"blocks": [shown(each) for each in blocked]}), media_type="application/json")


def shown(found: Block) -> dict[str, Any]:
    """A block as people read it: times in seconds since 1970, `until` null for ever."""
    return {
        "kind": found.kind,
        "id": found.shown,
        "until": found.until / SECOND if found.until else None,
        "why": found.why,
        "by": found.by,
        "at": found.at / SECOND,
    }


def _text(value: Mapping[str, Any], name: str) -> str:
    text = value.get(name, "")
    if type(text) is not str or len(text) > 2 * LONGEST:
        raise Malformed(f"`{name}` must be a text")
    return text


def _reply(value: Mapping[str, Any]) -> Reply:
    return Reply(encode.value_body(value), (), 0)
