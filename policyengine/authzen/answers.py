"""The types of answers in the contract. Names are AuthZEN's."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Out(BaseModel):
    model_config = ConfigDict(extra="forbid")


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
    uses: int = Field(1, description="how often it may be used")
    of: int = Field(1, description="how many different people must approve")


class RuleError(_Out):
    """A rule that could not be evaluated; `rule` is empty where the request as a whole is at fault."""

    rule: str
    code: str
    message: str


class TrialError(_Out):
    """Why a rule on trial could not be evaluated."""

    code: str
    message: str


class Trial(_Out):
    """What a rule with `on match log` would have done in force. The decision does not depend on it."""

    rule: str
    kind: Literal["permit", "forbid", "require", "label"]
    decision: Literal["allow", "deny"] = Field(description="what the decision would have been")
    changes: bool = Field(description="whether the decision, what is owed or the labels would have been different")
    obligations: list[str] = Field([], description="the types of the obligations that it would have imposed")
    error: TrialError | None = None


class Error(_Out):
    status: int
    message: str


class MeterReading(_Out):
    """The state of a limit after the request. `resets_at` is when it would be empty if nothing else came."""

    rule: str
    used: float
    ceiling: float
    remaining: float
    resets_at: float = Field(description="seconds since 1970")


class AccessRequestHint(_Out):
    """A denial that can be submitted, with its token, until it expires."""

    endpoint: str
    expires_at: str
    binding_token: str


class UsedApproval(_Out):
    id: str
    approved_until: str


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
    determining_total: int | None = Field(None, description="how many rules made it so, where not all are listed")
    errors_total: int | None = Field(
        None, description="how many rules could not be evaluated, where not all are listed"
    )
    tried: list[Trial] | None = Field(None, description="what rules with `on match log` would have done")
    meters: list[MeterReading] | None = Field(None, description="what the limits say, where the request was charged")
    denied_by: list[str] | None = Field(None, description="the limits without room")
    retry_after: int | None = Field(None, description="after how many seconds there would be room; null for never")
    metered: bool | None = Field(None, description="false where the state store was away, and the limits allow that")
    reason: str | None = Field(None, description="why an approval is missing, or did not help")
    evaluation_id: str | None = Field(None, description="the id of this evaluation, to submit with its denial")
    evaluated_at: str | None = None
    access_request: AccessRequestHint | None = Field(None, description="how to ask for the approvals that are missing")
    approval: UsedApproval | None = Field(None, description="the approval that was used")
    next_action: Literal["request", "retry", "none"] | None = Field(None, description="after an approval did not help")
    error: Error | None = Field(None, description="in a batch: why this evaluation is not a request")


class EvaluationResponse(_Out):
    """`decision` is true for every allow; with `context.obligations`, only for a caller that fulfils them all."""

    decision: bool
    context: DecisionContext


class EvaluationsResponse(_Out):
    """The answers, in the order of the requests; fewer if the semantic stopped early."""

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
    each result must be evaluated; it never finds less."""

    kind: Literal["always", "never", "conditional"]
    exact: bool | None = Field(description="null where no backend is named")
    query: dict[str, Any] | None = Field(description="what the store takes; for SQL `where` and `params`")
    rechecked: list[str] = Field(description="the conditions that the store is not asked for exactly")
    residual: str | None = Field(None, description="with `explain`: what is left of the policies, as readable text")
    revision: str
    errors: list[RuleError] | None = Field(None, description="what is wrong with the question; `kind` is then never")


class ExplainResponse(_Out):
    """The decision of an evaluation and, for each who must be allowed, what each rule about the action said, which is
    `withheld` if it would reveal something of another tenant."""

    decision: dict[str, Any]
    why: str
    actors: list[dict[str, Any]]
    withheld: bool = False


class Problem(_Out):
    """What is wrong with a request (RFC 9457)."""

    type: str = Field(description="`about:blank`, or the name that a profile gives the problem")
    title: str
    status: int
    detail: str
    request_id: str = Field(description="the X-Request-ID of the answer")


class Metadata(_Out):
    policy_decision_point: str
    access_evaluation_endpoint: str
    access_evaluations_endpoint: str
    search_subject_endpoint: str
    search_resource_endpoint: str
    search_action_endpoint: str
    supported_obligations: list[str] = Field(description="the obligation types that the loaded policies can impose")
    access_request_endpoint: str | None = Field(None, description="where a denial is submitted, to be approved")
    jwks_uri: str | None = Field(None, description="the keys with which this service signs")
    capabilities: list[str] | None = None


class Health(_Out):
    status: Literal["ok"]


class NotWatched(_Out):
    """Changes of files are not reported, as `sources` cannot be watched; the files are checked twice a second."""

    since: str
    why: str | None = Field(None, description="for administrators only")
    sources: list[str] | None = Field(None, description="for administrators only")


class WorkerState(_Out):
    """One of several worker processes. One that does not answer in a second is `unknown`."""

    status: Literal["ready", "degraded", "unknown"]
    revision: str
    since: str | None = Field(None, description="since when it is `degraded`")
    pid: int | None = Field(None, description="for administrators only")


class Voided(_Out):
    """What began before this time is void: sessions and approvals of all tenants."""

    before: float = Field(description="in seconds since 1970, by the clock of the state store")


class Readiness(_Out):
    """`degraded`: the policies of `revision` answer, and newer ones were refused for what `diagnostics` says, which
    administrators are told; or fewer workers answer than there should be. Of several workers this speaks for all."""

    status: Literal["loading", "ready", "degraded"]
    revision: str | None = None
    since: str | None = Field(None, description="since when it is `degraded`")
    diagnostics: list[dict[str, Any]] | None = None
    not_watched: NotWatched | None = None
    workers: list[WorkerState] | None = Field(None, description="each of several worker processes")
    workers_missing: int | None = Field(None, description="how many more there should be")
