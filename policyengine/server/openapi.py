"""The OpenAPI document: what FastAPI knows of its own routes, and the evaluation endpoints, which are plain ASGI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from policyengine.server.metadata import EVALUATION, EVALUATIONS, FILTER, SEARCH_ACTION, SEARCH_RESOURCE, SEARCH_SUBJECT
from policyengine.server.wire import (
    ActionSearchRequest,
    ActionSearchResponse,
    EntitySearchResponse,
    ErrorResponse,
    EvaluationRequest,
    EvaluationResponse,
    EvaluationsRequest,
    EvaluationsResponse,
    FilterRequest,
    FilterResponse,
    ResourceSearchRequest,
    SubjectSearchRequest,
)

_REF = "#/components/schemas/{model}"
_MODELS: tuple[type[BaseModel], ...] = (
    EvaluationRequest,
    EvaluationsRequest,
    EvaluationResponse,
    EvaluationsResponse,
    SubjectSearchRequest,
    ResourceSearchRequest,
    ActionSearchRequest,
    EntitySearchResponse,
    ActionSearchResponse,
    FilterRequest,
    FilterResponse,
    ErrorResponse,
)

_ONE = {
    "subject": {"type": "User", "id": "ann", "properties": {"tenant": "acme", "roles": ["support"]}},
    "action": {"name": "retrieve"},
    "resource": {
        "type": "Document",
        "id": "d1",
        "properties": {"tenant": "acme", "owner": "bob", "classification": 1, "labels": []},
    },
}
_TOOL_CALL = {
    "subject": {"type": "User", "id": "ann", "properties": {"tenant": "acme", "roles": ["support"]}},
    "action": {"name": "call"},
    "resource": {"type": "Tool", "id": "issue_refund", "properties": {"args": {"amount": 40, "order": "A-1"}}},
    "context": {
        "agent": {"type": "Agent", "id": "helper", "properties": {"tenant": "acme"}},
        "supported_obligations": ["custom"],
    },
}
_MANY = {
    "subject": _ONE["subject"],
    "action": _ONE["action"],
    "options": {"evaluations_semantic": "execute_all"},
    "evaluations": [{"resource": {"type": "Document", "id": "d1"}}, {"resource": {"type": "Document", "id": "d2"}}],
}
_WHO = {"subject": {"type": "User"}, "action": _ONE["action"], "resource": {"type": "Document", "id": "d1"}}
_WHICH = {
    "subject": _ONE["subject"],
    "action": _ONE["action"],
    "resource": {"type": "Document"},
    "page": {"limit": 1},
}
_FILTER = {
    "subject": _ONE["subject"],
    "action": _ONE["action"],
    "resource": {"type": "Document"},
    "backend": {"store": "postgresql", "columns": {"id": "id", "tenant": "tenant_id", "*": {"json": "data"}}},
}
_FILTERED = {
    "kind": "conditional",
    "exact": True,
    "query": {"where": '(document."tenant_id" = %s)', "params": ["acme"]},
    "rechecked": [],
    "residual": "# CONDITIONAL: it depends on the Document\n",
    "revision": "1f0c2b7a9d3e",
}
_WHAT = {"subject": _ONE["subject"], "resource": _ONE["resource"]}
_ALLOWED = {
    "decision": True,
    "context": {
        "reasons": [],
        "determining": ["support.own_documents"],
        "revision": "1f0c2b7a9d3e",
        "summary": "allowed by `support.own_documents`",
    },
}


def document(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """A function that makes the document once, to stand in for `app.openapi`."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    return openapi


def _document(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    _, definitions = models_json_schema([(model, "validation") for model in _MODELS], ref_template=_REF)
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(definitions["$defs"])
    evaluation = _operation(
        "Decide one request",
        EvaluationRequest.__name__,
        {"retrieval": _ONE, "tool call by an agent": _TOOL_CALL},
        {"$ref": _REF.format(model=EvaluationResponse.__name__)},
        _ALLOWED,
    )
    either = [{"$ref": _REF.format(model=model.__name__)} for model in (EvaluationsResponse, EvaluationResponse)]
    evaluations = _operation(
        "Decide many requests",
        EvaluationsRequest.__name__,
        {"two documents": _MANY},
        {"anyOf": either},
        {"evaluations": [_ALLOWED, _ALLOWED]},
    )
    posts = {EVALUATION: evaluation, EVALUATIONS: evaluations, **_searches()}
    made["paths"] = {**{path: {"post": post} for path, post in posts.items()}, **made["paths"]}
    return made


def _searches() -> dict[str, dict[str, Any]]:
    entities = {"$ref": _REF.format(model=EntitySearchResponse.__name__)}
    return {
        SEARCH_SUBJECT: _operation(
            "Search subjects that may do something",
            SubjectSearchRequest.__name__,
            {"who may retrieve a document": _WHO},
            entities,
            {"results": [{"type": "User", "id": "ann"}, {"type": "User", "id": "bob"}]},
            about="search",
            answer="What the entity source knows and a decision would allow without owing anything, by id",
        ),
        SEARCH_RESOURCE: _operation(
            "Search resources that something may be done to",
            ResourceSearchRequest.__name__,
            {"the first document": _WHICH},
            entities,
            {"page": {"next_token": "aGVyZQ==", "count": 1}, "results": [{"type": "Document", "id": "d1"}]},
            about="search",
            answer="What the entity source knows and a decision would allow without owing anything, by id",
        ),
        FILTER: _operation(
            "Make a filter for a store",
            FilterRequest.__name__,
            {"for PostgreSQL": _FILTER},
            {"$ref": _REF.format(model=FilterResponse.__name__)},
            _FILTERED,
            about="filter",
            answer="Which resources may be seen, and the query that finds them",
        ),
        SEARCH_ACTION: _operation(
            "Search actions that may be done",
            ActionSearchRequest.__name__,
            {"on a document": _WHAT},
            {"$ref": _REF.format(model=ActionSearchResponse.__name__)},
            {"results": [{"name": "retrieve"}]},
            about="search",
            answer="The declared actions that a decision would allow without owing anything, by name",
        ),
    }


def _operation(
    summary: str,
    request: str,
    examples: dict[str, Any],
    response: dict[str, Any],
    example: dict[str, Any],
    about: str = "evaluation",
    answer: str = "The decision",
) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": _REF.format(model=ErrorResponse.__name__)}}}
    refusals = {
        "400": "The request is malformed",
        "413": "The request is too large",
        "500": "An error in the service; there is no decision",
        "503": "No policies are loaded yet",
    }
    return {
        "tags": [about],
        "summary": summary,
        "operationId": summary.lower().replace(" ", "_"),
        "parameters": [
            {
                "name": "X-Request-ID",
                "in": "header",
                "required": False,
                "schema": {"type": "string"},
                "description": "Returned with the answer, and written to the log",
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": _REF.format(model=request)},
                    "examples": {name: {"value": value} for name, value in examples.items()},
                }
            },
        },
        "responses": {
            "200": {
                "description": answer,
                "content": {"application/json": {"schema": response, "example": example}},
            },
            **{code: {"description": text, "content": error} for code, text in refusals.items()},
        },
    }
