"""The types of requests in the contract.

Names are AuthZEN's. An unknown member is ignored (AuthZEN 1.0, "JSON Serialization"), except an attribute beside an
entity's `id`, which is read. Nothing is converted: a value of another type is refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from policyengine.authzen.engine_arguments import Semantic
from policyengine.authzen.entities import IDENTITY, both_places, members_problem, parents_problem, shown
from policyengine.filters.descriptions import STORES

Text = Annotated[str, Field(min_length=1)]


def _absent() -> Any:
    """The default of a member that may be left out but must not be null."""
    return None


class _In(BaseModel):
    """Unknown members stay in `model_extra`."""

    model_config = ConfigDict(strict=True, extra="allow")


def _refuse(found: str) -> None:
    if found:
        raise ValueError(found)


class _Attributed(_In):
    properties: dict[str, Any] = Field({}, description="attributes, by name; they may also stand beside `properties`")

    def check(self, identity: tuple[str, ...]) -> None:
        beside = self.model_extra or {}
        if name := both_places(self.properties, beside.keys() | (self.model_fields_set - {*identity}), identity):
            raise ValueError(f"`{shown(name)}` stands both beside and in `properties`")
        _refuse(members_problem(self.properties, "properties") or members_problem(beside, ""))


class _Parented(_Attributed):
    parents: list[Parent] = Field([], description="the groups, folders, ... that it is directly in; or a property")

    @model_validator(mode="after")
    def _is_entity(self) -> Self:
        self.check(IDENTITY)
        if "parents" in self.properties:
            _refuse(parents_problem(self.properties["parents"], "properties.parents"))
        return self


class _Entity(_Parented):
    type: Text
    id: Text


class Parent(_Entity):
    """An entity that another entity is in."""


class Subject(_Entity):
    """Who asks."""


class Resource(_Entity):
    """What is asked for."""


class Action(_Attributed):
    """What is to be done."""

    name: Text

    @model_validator(mode="after")
    def _is_action(self) -> Self:
        self.check(("name",))
        return self


class Context(_In):
    """The circumstances. A member may be an entity with `properties`, such as the subject's agent."""

    supported_obligations: list[str] = Field(
        [], description="the obligation types that the caller can do; an allow that owes another is a deny"
    )
    metered_limits: bool | list[str] = Field(
        default=False,
        description="the limits that the caller meters, by name, or true for all; where another applies, an evaluation "
        "is a deny",
    )

    @model_validator(mode="after")
    def _entities(self) -> Self:
        _refuse(members_problem(self.model_extra or {}, ""))
        return self


class _Asked(_In):
    @model_validator(mode="after")
    def _without_approvals(self) -> Self:
        # Approvals are verified state. A caller cannot claim one.
        if self.model_extra and "approved" in self.model_extra:
            raise ValueError("`approved` is not a part of a request")
        return self


class EvaluationRequest(_Asked):
    subject: Subject
    action: Action
    resource: Resource
    context: Context = Context()


class EvaluationItem(_Asked):
    """One evaluation of a batch. An entity that is missing here is the whole top-level one."""

    subject: Subject = Field(default_factory=_absent)
    action: Action = Field(default_factory=_absent)
    resource: Resource = Field(default_factory=_absent)
    context: Context = Field(default_factory=_absent)


class Options(_In):
    evaluations_semantic: Semantic = Field(
        "execute_all", description="answer every evaluation, or stop after the first deny, or after the first permit"
    )


class EvaluationsRequest(EvaluationItem):
    """Many evaluations at once. Without `evaluations` it is an EvaluationRequest, and answered as one."""

    options: Options = Options()
    evaluations: list[EvaluationItem] = []


class _Sought(_Parented):
    """What is sought: its type, and attributes that every result has unless the entity source says otherwise."""

    type: Text
    id: Any = Field(default_factory=_absent, description="ignored")


class SoughtSubject(_Sought):
    """The subjects to look for."""


class SoughtResource(_Sought):
    """The resources to look for."""


class Page(_In):
    """The part of the results to return. With a `token`, everything else must be as in the request before."""

    limit: Annotated[int, Field(ge=0)] = Field(
        default_factory=_absent, description="no more results than this; without it, as many as the service gives"
    )
    token: Text = Field(default_factory=_absent, description="the `next_token` of the page before")
    properties: dict[str, Any] = Field({}, description="ignored")


class _SearchRequest(_Asked):
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


class FilterRequest(_Asked):
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
    fulfils: list[str] = Field([], description="the obligation types that the caller fulfils for what it fetches")
    explain: bool = Field(False, description="say in `residual` what is left of the policies")

    @model_validator(mode="after")
    def _exact_about_a_store(self) -> Self:
        if self.exact and "backend" not in self.model_fields_set:
            raise ValueError("`exact` needs a `backend`")
        return self
