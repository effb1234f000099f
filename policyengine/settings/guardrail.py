"""Settings about LiteLLM's generic guardrail API: whether this service answers it, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]


class GuardrailSettings(BaseModel):
    """How requests of a LiteLLM proxy are decided, and the parts of a request that the proxy does not send."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    enabled: bool = Field(False, description="answer at /beta/litellm_basic_guardrail_api")
    decides: list[Literal["invoke", "call", "release"]] = Field(
        ["invoke", "call", "release"], description="the actions to decide about"
    )
    principal_type: Text = Field("User", description="the type of the user whose key a request has")
    attributes: dict[str, Text] = Field(
        {}, description='the user\'s attributes, each from a field of the key, as in {tenant = "user_api_key_team_id"}'
    )
    output: dict[str, str] = Field({}, description="the attributes of the output of a model")
    tokens: int | None = Field(None, gt=0, description="the estimated tokens of a call of a model, which are charged")
    rewrites: bool = Field(
        False,
        description="whether the proxy carries out changes of a text, also in a stream; if it does not, "
        "a text that would have to be changed is blocked",
    )
    approvals: bool = Field(
        False,
        description="whether a call that lacks only an approval asks for one; it runs when the model makes it "
        "again in the same conversation, after somebody has approved it",
    )
