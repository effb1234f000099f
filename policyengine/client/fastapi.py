"""A dependency for FastAPI: the endpoint runs only if its request is allowed and owes nothing.

@app.get("/documents/{id}", dependencies=[Depends(allowed(pdp, question))])
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import HTTPException, Request

from policyengine.client.client import AsyncClient
from policyengine.model.decision import Decision


def allowed(
    client: AsyncClient, question: Callable[[Request], Mapping[str, Any]]
) -> Callable[[Request], Awaitable[Decision]]:
    """A dependency that gives the decision, or answers 403. `question` makes the keywords of `decide` of a request; one
    that raises refuses it."""

    async def dependency(request: Request) -> Decision:
        try:
            decision = await client.decide(**question(request))
        except Exception as error:
            raise HTTPException(403) from error
        if not decision.allowed:
            raise HTTPException(403, "; ".join(decision.reasons) or None)
        return decision

    return dependency
