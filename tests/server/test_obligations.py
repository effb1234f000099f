"""Obligations over HTTP: the profile's shape, what a caller may say it supports, and never a bare true."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.server.serving import EVALUATION, EVALUATIONS, serving

POLICIES = """
module owed
use ai

permit releases: release on Output
permit models: invoke on Model
permit refunds: call on Tool
permit reads: retrieve on Document
  because "documents are for everybody"

require scrub: release on Output
  redact(["email"])

require mfa: invoke on Model
  step_up(acr_value: "gold")

require finance: call on Tool
  approval(by: Group::"finance", within: 15m)
"""

REDACT = {"type": "Output", "id": "o1"}, "release", "custom"
STEP_UP = {"type": "Model", "id": "m1"}, "invoke", "step-up"


@pytest.fixture(scope="module")
def owed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    path = tmp_path_factory.mktemp("owed") / "owed.pol"
    path.write_text(POLICIES, encoding="utf-8")
    with serving(path.parent) as client:
        yield client


def ask(resource: dict[str, Any], action: str, supported: list[str] | None = None) -> dict[str, Any]:
    request: dict[str, Any] = {
        "subject": {"type": "User", "id": "ann"},
        "action": {"name": action},
        "resource": resource,
    }
    if supported is not None:
        request["context"] = {"supported_obligations": supported}
    return request


@pytest.mark.parametrize(("resource", "action", "type_"), [REDACT, STEP_UP])
@pytest.mark.parametrize(
    "supported", [None, ["custom", "step-up"], ["custom", "step-up", "unheard-of"], ["redact", "step_up"]]
)
def test_an_allow_that_owes_says_so(
    owed: httpx.Client, resource: dict[str, Any], action: str, type_: str, supported: list[str] | None
) -> None:
    answer = owed.post(EVALUATION, json=ask(resource, action, supported)).json()
    assert answer["decision"] is True
    (obligation,) = answer["context"]["obligations"]
    assert set(obligation) == {"id", "type", "properties"}
    assert obligation["id"]
    assert obligation["type"] == type_


@pytest.mark.parametrize(("resource", "action", "type_"), [REDACT, STEP_UP])
@pytest.mark.parametrize("supported", [[], ["notification"], ["Redact", "stepup", "approval"]])
def test_an_allow_that_owes_what_the_caller_cannot_do_is_a_deny(
    owed: httpx.Client, resource: dict[str, Any], action: str, type_: str, supported: list[str]
) -> None:
    request = ask(resource, action, supported)
    answer = owed.post(EVALUATION, json=request).json()
    assert answer["decision"] is False
    name = "redact" if type_ == "custom" else type_
    assert answer["context"]["reasons"] == [f"the caller does not support the obligations it would owe: `{name}`"]
    assert answer["context"]["summary"].startswith("denied: ")
    assert [each["type"] for each in answer["context"]["obligations"]] == [type_]
    assert owed.post(EVALUATIONS, json={"evaluations": [request]}).json()["evaluations"] == [answer]


def test_types_of_the_profile_keep_their_properties_and_others_name_themselves(owed: httpx.Client) -> None:
    redact = owed.post(EVALUATION, json=ask(*REDACT[:2])).json()["context"]["obligations"][0]
    assert redact["properties"] == {"action": "redact", "kinds": ["email"]}
    step_up = owed.post(EVALUATION, json=ask(*STEP_UP[:2])).json()["context"]["obligations"][0]
    assert step_up["properties"] == {"acr_value": "gold"}


def test_a_missing_approval_is_a_deny_that_names_it(owed: httpx.Client) -> None:
    answer = owed.post(EVALUATION, json=ask({"type": "Tool", "id": "t1"}, "call")).json()
    assert answer["decision"] is False
    assert answer["context"]["approvals"] == [
        {"rule": "owed.finance", "by": {"type": "Group", "id": "finance"}, "within": "15m"}
    ]


def test_an_allow_that_owes_nothing_has_no_obligations(owed: httpx.Client) -> None:
    answer = owed.post(EVALUATION, json=ask({"type": "Document", "id": "d1"}, "retrieve", [])).json()
    assert answer["decision"] is True
    assert "obligations" not in answer["context"]


def test_the_metadata_advertises_what_the_policies_can_impose(owed: httpx.Client) -> None:
    metadata = owed.get("/.well-known/authzen-configuration").json()
    assert {"custom", "redact", "step-up"} <= set(metadata["supported_obligations"])
    assert "step_up" not in metadata["supported_obligations"]
