"""The OpenAPI document: FastAPI's description of its own routes, and the contract, whose questions are not routes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from policyengine.authzen import openapi as contract


def document(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """A function that makes the document once, to stand in for `app.openapi`."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            made.setdefault("components", {}).setdefault("schemas", {}).update(contract.schemas())
            for path, methods in contract.paths().items():
                made["paths"][path] = {**methods, **made["paths"].get(path, {})}
            app.openapi_schema = made
        return app.openapi_schema

    return openapi
