"""The contract as an OpenAPI document: its schemas, and an operation for each question."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from policyengine.authzen import examples
from policyengine.authzen.answers import (
    ActionSearchResponse,
    EntitySearchResponse,
    EvaluationResponse,
    EvaluationsResponse,
    FilterResponse,
    Problem,
)
from policyengine.authzen.endpoints import (
    EVALUATION,
    EVALUATIONS,
    FILTER,
    SEARCH_ACTION,
    SEARCH_RESOURCE,
    SEARCH_SUBJECT,
)
from policyengine.authzen.openapi_operations import NAMED, OPERATIONS, Operation
from policyengine.authzen.requests import (
    ActionSearchRequest,
    EvaluationRequest,
    EvaluationsRequest,
    FilterRequest,
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
    Problem,
    *NAMED,
)


def schemas() -> dict[str, Any]:
    """The JSON schemas of all types, by name."""
    _, definitions = models_json_schema([(model, "validation") for model in _MODELS], ref_template=_REF)
    made: dict[str, Any] = definitions["$defs"]
    return made


def paths() -> dict[str, Any]:
    """The operation of each path."""
    evaluation = _operation(
        "Decide one request",
        EvaluationRequest.__name__,
        {"retrieval": examples.ONE, "tool call by an agent": examples.TOOL_CALL},
        {"$ref": _REF.format(model=EvaluationResponse.__name__)},
        examples.ALLOWED,
    )
    either = [{"$ref": _REF.format(model=model.__name__)} for model in (EvaluationsResponse, EvaluationResponse)]
    evaluations = _operation(
        "Decide many requests",
        EvaluationsRequest.__name__,
        {"two documents": examples.MANY},
        {"anyOf": either},
        {"evaluations": [examples.ALLOWED, examples.ALLOWED]},
    )
    posts = {EVALUATION: evaluation, EVALUATIONS: evaluations, **_searches()}
    made: dict[str, dict[str, Any]] = {path: {"post": post} for path, post in posts.items()}
    for one in OPERATIONS:
        made.setdefault(one.path, {})[one.method] = _endpoint(one)
    return made


def _endpoint(one: Operation) -> dict[str, Any]:
    made = _operation(one.summary, None, one.examples or {}, one.response, one.example, one.about, one.answer)
    made["responses"] = {one.status if code == "200" else code: each for code, each in made["responses"].items()}
    if one.request is None:
        del made["requestBody"]
    else:
        made["requestBody"]["required"] = not one.is_optional
        made["requestBody"]["content"]["application/json"]["schema"] = one.request
    if "{id}" in one.path:
        made["parameters"].append({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}})
        made["responses"]["404"] = {"description": "There is no such thing", "content": _PROBLEM}
    return made


_PROBLEM = {"application/problem+json": {"schema": {"$ref": _REF.format(model=Problem.__name__)}}}


def _searches() -> dict[str, dict[str, Any]]:
    entities = {"$ref": _REF.format(model=EntitySearchResponse.__name__)}
    return {
        SEARCH_SUBJECT: _operation(
            "Search subjects that may do something",
            SubjectSearchRequest.__name__,
            {"who may retrieve a document": examples.WHO},
            entities,
            {"results": [{"type": "User", "id": "ann"}, {"type": "User", "id": "bob"}]},
            about="search",
            answer="What the entity source knows and a decision would allow without owing anything, by id",
        ),
        SEARCH_RESOURCE: _operation(
            "Search resources that something may be done to",
            ResourceSearchRequest.__name__,
            {"the first document": examples.WHICH},
            entities,
            {"page": {"next_token": "aGVyZQ==", "count": 1}, "results": [{"type": "Document", "id": "d1"}]},
            about="search",
            answer="What the entity source knows and a decision would allow without owing anything, by id",
        ),
        FILTER: _operation(
            "Make a filter for a store",
            FilterRequest.__name__,
            {"for PostgreSQL": examples.FILTER},
            {"$ref": _REF.format(model=FilterResponse.__name__)},
            examples.FILTERED,
            about="filter",
            answer="Which resources may be seen, and the query that finds them",
        ),
        SEARCH_ACTION: _operation(
            "Search actions that may be done",
            ActionSearchRequest.__name__,
            {"on a document": examples.WHAT},
            {"$ref": _REF.format(model=ActionSearchResponse.__name__)},
            {"results": [{"name": "retrieve"}]},
            about="search",
            answer="The declared actions that a decision would allow without owing anything, by name",
        ),
    }


def _operation(
    summary: str,
    request: str | None,
    examples: dict[str, Any],
    response: dict[str, Any],
    example: dict[str, Any],
    about: str = "evaluation",
    answer: str = "The decision",
) -> dict[str, Any]:
    refusals = {
        "400": "The request is malformed",
        "401": "The credentials are missing, or not accepted",
        "403": "The caller has not the scope, or asks about others",
        "413": "The request is too large",
        "429": "Too many requests, or failed attempts; Retry-After says how long to wait",
        "500": "An error in the service; there is no decision",
        "503": "No policies are loaded yet, or there is too much to do",
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
            **{code: {"description": text, "content": _PROBLEM} for code, text in refusals.items()},
        },
    }
