"""AuthZEN's JSON, written down: for the OpenAPI page, and for clients that are generated from it.

The models are the contract; `decode.py` is what requests go through, and accepts exactly what the request models accept
(a test holds the two together). Names are AuthZEN's.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from policyengine.filters.described import STORES
from policyengine.server.decode import Semantic

Text = Annotated[str, Field(min_length=1)]


def _absent() -> Any:
    """The default of what may be left out but must not be null."""
    return None


class _In(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Out(BaseModel):
    model_config = ConfigDict(extra="forbid")


# ---- requests ----


class EntityReference(_In):
    """An entity by its identity."""

    type: Text
    id: Text


class _Entity(EntityReference):
    properties: dict[str, Any] = Field({}, description="attributes, by name")
    parents: list[Parent] = Field([], description="the groups, folders, ... that it is directly in; or a property")

    @model_validator(mode="after")
    def _one_parents(self) -> Self:
        _check_parents(self.properties, self.model_fields_set)
        return self


def _check_parents(properties: dict[str, Any], given: set[str]) -> None:
    if "parents" in properties:
        if "parents" in given:
            raise ValueError("`parents` stands both beside and in `properties`")
        TypeAdapter(list[Parent]).validate_python(properties["parents"])


class Parent(_Entity):
    """What an entity is in."""


class Subject(_Entity):
    """Who asks."""


class Resource(_Entity):
    """What is asked for."""


class Action(_In):
    """What is to be done."""

    name: Text
    properties: dict[str, Any] = Field({}, description="attributes, by name")


class Context(BaseModel):
    """The circumstances. A member may be an entity with `properties`, such as the subject's agent."""

    model_config = ConfigDict(strict=True, extra="allow")

    supported_obligations: list[str] = Field(
        [], description="the obligation types that the caller can do; an allow that owes another is a deny"
    )

    @model_validator(mode="after")
    def _entities(self) -> Self:
        _check_entities(self.model_extra or {})
        return self


def _check_entities(members: dict[str, Any]) -> None:
    """Where a member, at any depth, has an entity's shape, it must be one, and have its attributes in one place."""
    for value in members.values():
        match value:
            case {"type": str(), "id": str(), "properties": dict(properties)}:
                if not value.keys() <= {"type", "id", "properties", "parents"}:
                    raise ValueError("attributes stand both beside and in `properties`")
                _Entity.model_validate(value)
                _check_entities(properties)
            case dict():
                _check_entities(value)


class EvaluationRequest(_In):
    subject: Subject
    action: Action
    resource: Resource
    context: Context = Context()


class EvaluationItem(_In):
    """One evaluation of a batch. An entity that is missing here is the whole top-level one."""

    subject: Subject = Field(default_factory=_absent)
    action: Action = Field(default_factory=_absent)
    resource: Resource = Field(default_factory=_absent)
    context: Context = Field(default_factory=_absent)


class Options(_In):
    evaluations_semantic: Semantic = Field(
        "execute_all", description="answer every evaluation, or stop after the first deny, or after the first permit"
    )


class EvaluationsRequest(_In):
    """Many evaluations at once. Without `evaluations` it is an EvaluationRequest, and answered as one."""

    subject: Subject = Field(default_factory=_absent)
    action: Action = Field(default_factory=_absent)
    resource: Resource = Field(default_factory=_absent)
    context: Context = Context()
    options: Options = Options()
    evaluations: list[EvaluationItem] = []


class _Sought(_In):
    """What is sought: its type, and attributes that every result has where the entity source says nothing else."""

    type: Text
    id: Any = Field(default_factory=_absent, description="ignored")
    properties: dict[str, Any] = Field({}, description="attributes, by name")
    parents: list[Parent] = Field([], description="the groups, folders, ... that each is directly in; or a property")

    @model_validator(mode="after")
    def _one_parents(self) -> Self:
        _check_parents(self.properties, self.model_fields_set)
        return self


class SoughtSubject(_Sought):
    """Who may."""


class SoughtResource(_Sought):
    """What it may be done to."""


class Page(_In):
    """The part of the results to return. With a `token`, all else is as it was in the request before."""

    limit: Annotated[int, Field(ge=0)] = Field(
        default_factory=_absent, description="no more results than this; without it, as many as the service gives"
    )
    token: Text = Field(default_factory=_absent, description="the `next_token` of the page before")
    properties: dict[str, Any] = Field({}, description="ignored")


class _SearchRequest(_In):
    context: Context = Context()
    page: Page = Page()


class SubjectSearchRequest(_SearchRequest):
    subject: SoughtSubject
    action: Action
    resource: Resource


class ResourceSearchRequest(_SearchRequest):
    subject: Subject
    action: Action
    resource: SoughtResource


class ActionSearchRequest(_SearchRequest):
    """Which actions, each asked about without attributes."""

    subject: Subject
    resource: Resource


class FilterRequest(_In):
    """Which resources of a type the subject may see. Its `properties` are attributes that all of them have."""

    subject: Subject
    action: Action
    resource: SoughtResource
    context: Context = Context()
    backend: dict[str, Any] = Field(
        default_factory=_absent,
        description=f"the store to ask: `store` (one of {', '.join(STORES)}), `columns` and options",
    )
    exact: bool = Field(False, description="refuse (400) rather than answer with a query that finds more")
    fulfils: list[str] = Field([], description="the obligation types that the caller does for whatever it fetches")


# ---- answers ----


class Obligation(_Out):
    """What the caller must do to honour the decision, whichever it is."""

    id: str
    type: Literal["step-up", "notification", "session_termination", "custom"]
    properties: dict[str, Any] = Field(description="for `custom`, `action` is the name of the obligation type")


class Approval(_Out):
    """An approval without which the request stays denied."""

    rule: str
    by: dict[str, str]
    within: str | None = Field(None, description='such as "15m"')


class RuleError(_Out):
    """A rule that could not be evaluated; `rule` is empty where the request as a whole is at fault."""

    rule: str
    code: str
    message: str


class Error(_Out):
    status: int
    message: str


class DecisionContext(_Out):
    reasons: list[str] = Field([], description="the public reasons of the determining rules")
    determining: list[str] = Field([], description="the rules that made it so")
    revision: str = Field(description="the policies that answered")
    summary: str = Field("", description="one line without any value of the request")
    obligations: list[Obligation] | None = None
    approvals: list[Approval] | None = None
    limits: list[str] | None = Field(None, description="the limits that meter the allowed request")
    labels: list[str] | None = Field(None, description="the labels that the session carries from then on")
    errors: list[RuleError] | None = None
    error: Error | None = Field(None, description="in a batch: why this evaluation is no request")


class EvaluationResponse(_Out):
    """`decision` is true for every allow; with `context.obligations`, only for a caller that does them all."""

    decision: bool
    context: DecisionContext


class EvaluationsResponse(_Out):
    """The answers, in the order of the requests; fewer where the semantic stopped early."""

    evaluations: list[EvaluationResponse]


class Reference(_Out):
    """A subject or resource that was found."""

    type: str
    id: str


class ActionName(_Out):
    """An action that was found."""

    name: str


class PageInfo(_Out):
    """There when the request has a `page`, and when there are more results than these."""

    next_token: str = Field(description="for the next page; empty where there is none")
    count: int = Field(description="the number of results in this answer")


class EntitySearchResponse(_Out):
    """By id, each once."""

    page: PageInfo | None = None
    results: list[Reference]


class ActionSearchResponse(_Out):
    """By name, each once."""

    page: PageInfo | None = None
    results: list[ActionName]


class FilterResponse(_Out):
    """`always`: all may be seen; `never`: none. Unless `exact` is true, the query may find more than may be seen, and
    each find must be put to an evaluation; it never finds less."""

    kind: Literal["always", "never", "conditional"]
    exact: bool | None = Field(description="null where no backend is named")
    query: dict[str, Any] | None = Field(description="what the store takes; for SQL `where` and `params`")
    rechecked: list[str] = Field(description="the conditions that the store is not asked for exactly")
    residual: str = Field(description="what is left of the policies, as readable text")
    revision: str
    errors: list[RuleError] | None = Field(None, description="what is wrong with the question; `kind` is then never")


class ErrorResponse(_Out):
    error: Error


class Metadata(_Out):
    policy_decision_point: str
    access_evaluation_endpoint: str
    access_evaluations_endpoint: str
    search_subject_endpoint: str
    search_resource_endpoint: str
    search_action_endpoint: str
    supported_obligations: list[str] = Field(description="the obligation types that the loaded policies can impose")


class Health(_Out):
    status: Literal["ok"]


class Readiness(_Out):
    """`degraded`: the policies of `revision` answer, and newer ones were refused for what `diagnostics` says."""

    status: Literal["loading", "ready", "degraded"]
    revision: str | None = None
    diagnostics: list[dict[str, Any]] | None = None
