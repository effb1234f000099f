"""The PDP's metadata (AuthZEN 1.0, "Policy Decision Point Metadata") at its well-known place.

`policy_decision_point` must be the URL that the client used, or the client rejects the document; behind a proxy, say it
with POLICYENGINE_PUBLIC_URL.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response

from policyengine.server.obligations import wire_types
from policyengine.server.pdp import Pdp
from policyengine.server.wire import Metadata

WELL_KNOWN = "/.well-known/authzen-configuration"
EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"
FILTER = "/v1/filter"
SEARCH_SUBJECT = "/access/v1/search/subject"
SEARCH_RESOURCE = "/access/v1/search/resource"
SEARCH_ACTION = "/access/v1/search/action"


def add_routes(app: FastAPI, pdp: Pdp, public_url: str | None) -> None:
    # The well-known text goes between the host and the path of the base URL (RFC 8615).
    suffix = urlsplit(public_url).path if public_url else ""

    @app.get(WELL_KNOWN + suffix, tags=["metadata"], summary="What this PDP offers, and where")
    async def metadata(request: Request, response: Response) -> Metadata:
        base = public_url or f"{request.url.scheme}://{request.url.netloc}"
        engine = pdp.ready()
        # A reload may change the obligations, so that nobody should keep this for long.
        response.headers["Cache-Control"] = "max-age=60"
        return Metadata(
            policy_decision_point=base,
            access_evaluation_endpoint=base + EVALUATION,
            access_evaluations_endpoint=base + EVALUATIONS,
            search_subject_endpoint=base + SEARCH_SUBJECT,
            search_resource_endpoint=base + SEARCH_RESOURCE,
            search_action_endpoint=base + SEARCH_ACTION,
            supported_obligations=wire_types(engine.snapshot.obligations),
        )
