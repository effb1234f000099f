"""The PDP's metadata (AuthZEN 1.0, "Policy Decision Point Metadata") at its well-known place.

`policy_decision_point` must be the URL that the client used, or the client rejects the document; behind a proxy, set
POLICYENGINE_PUBLIC_URL.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response

from policyengine.authzen.answers import Metadata
from policyengine.authzen.endpoints import EVALUATION, EVALUATIONS, SEARCH_ACTION, SEARCH_RESOURCE, SEARCH_SUBJECT
from policyengine.server.access.request_hints import AccessHints
from policyengine.server.engine_slot import EngineSlot
from policyengine.server.obligations import wire_types

ACCESS_REQUEST = "urn:openid:authzen:capability:access-request"
WELL_KNOWN = "/.well-known/authzen-configuration"


def add_routes(app: FastAPI, slot: EngineSlot, public_url: str | None, desk: AccessHints) -> None:
    # The well-known text goes between the host and the path of the base URL (RFC 8615).
    suffix = urlsplit(public_url).path if public_url else ""

    @app.get(
        WELL_KNOWN + suffix,
        tags=["metadata"],
        summary="What this PDP offers, and where",
        response_model_exclude_none=True,
    )
    async def metadata(request: Request, response: Response) -> Metadata:
        base = public_url or f"{request.url.scheme}://{request.url.netloc}"
        engine = slot.ready()
        # A reload may change the obligations, so clients should not cache this for long.
        response.headers["Cache-Control"] = "max-age=60"
        return Metadata(
            policy_decision_point=base,
            access_evaluation_endpoint=base + EVALUATION,
            access_evaluations_endpoint=base + EVALUATIONS,
            search_subject_endpoint=base + SEARCH_SUBJECT,
            search_resource_endpoint=base + SEARCH_RESOURCE,
            search_action_endpoint=base + SEARCH_ACTION,
            supported_obligations=wire_types(engine.snapshot.obligations),
            access_request_endpoint=desk.endpoint if desk.signer is not None else None,
            jwks_uri=desk.jwks_uri if desk.signer is not None else None,
            capabilities=[ACCESS_REQUEST] if desk.signer is not None else None,
        )
