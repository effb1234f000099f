"""An evaluation that a limit concerns is not an allow unless somebody meters it: the caller, or the service itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from policyengine import Engine
from policyengine.client import Client
from tests.server.serving import EVALUATION, EVALUATIONS, SEARCH_ACTION, SEARCH_RESOURCE, SEARCH_SUBJECT, serving

POLICIES = """
module m
use ai
obligation audit(note: String)

permit models: invoke on Model
permit tools: call on Tool
tool send()

limit rate: invoke on Model
  at most 2 requests per 1h by principal

limit budget: invoke on Model
  when context has cost
  at most 1 of cost.usd per day by principal

limit sends: call on Tool
  at most 1 concurrent by principal

require noted: invoke on Model
  when context has cost
  audit(note: "spent")
"""
ANN: dict[str, Any] = {"type": "User", "id": "ann", "properties": {"tenant": "acme"}}
ASKED: dict[str, Any] = {"subject": ANN, "action": {"name": "invoke"}, "resource": {"type": "Model", "id": "m"}}
REQUIRED = ["metering_required"]
ENTITIES = '[{"type": "User", "id": "ann", "tenant": "acme"}, {"type": "Model", "id": "m"}]'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("metering")
    (folder / "policy.pol").write_text(POLICIES, encoding="utf-8")
    (folder / "entities.json").write_text(ENTITIES, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    with serving(folder, entities=folder / "entities.json") as client:
        yield client


@pytest.fixture
def metering(folder: Path, tmp_path: Path) -> Iterator[httpx.Client]:
    with serving(
        folder, evaluation="authorize", state=f"sqlite:///{tmp_path}/state.db", max_metered_batch=4,
        entities=folder / "entities.json",
    ) as client:  # fmt: skip
        yield client


def ask(client: httpx.Client, path: str = EVALUATION, **more: Any) -> Any:
    answer = client.post(path, json={**ASKED, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def found(client: httpx.Client, **context: Any) -> list[int]:
    """How many of each kind a search finds."""
    searches = {
        SEARCH_SUBJECT: {**ASKED, "subject": {"type": "User"}},
        SEARCH_RESOURCE: {**ASKED, "resource": {"type": "Model"}},
        SEARCH_ACTION: {name: ASKED[name] for name in ("subject", "resource")},
    }
    return [len(ask_for(client, path, {**body, "context": context})["results"]) for path, body in searches.items()]


def ask_for(client: httpx.Client, path: str, body: Any) -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


# ---- a service that decides ----


def test_nobody_meters_so_it_is_denied(client: httpx.Client) -> None:
    for _ in range(2):
        answer = ask(client)
        assert answer["decision"] is False
        assert answer["context"]["reasons"] == REQUIRED
        assert answer["context"]["limits"] == ["m.rate"]
        assert [error["code"] for error in answer["context"]["errors"]] == REQUIRED


@pytest.mark.parametrize(
    ("said", "decision"),
    [
        (True, True),
        (["m.rate"], True),
        (["m.rate", "m.sends", "m.gone"], True),
        (False, False),
        ([], False),
        (["m.sends"], False),
    ],
)
def test_a_caller_says_what_it_meters(client: httpx.Client, said: Any, decision: bool) -> None:
    assert ask(client, context={"metered_limits": said})["decision"] is decision


@pytest.mark.parametrize("said", [1, "m.rate", {"m.rate": True}, [1], None])
def test_what_names_no_limits_is_refused(client: httpx.Client, said: Any) -> None:
    assert client.post(EVALUATION, json={**ASKED, "context": {"metered_limits": said}}).status_code == 400


def test_each_limit_that_applies_is_to_be_metered(client: httpx.Client) -> None:
    cost = {"cost": {"usd": 0.5, "tokens": 1}}
    assert ask(client, context={**cost, "metered_limits": ["m.rate"]})["context"]["reasons"] == REQUIRED
    answer = ask(client, context={**cost, "metered_limits": ["m.budget", "m.rate"]})
    assert answer["decision"] is True
    assert answer["context"]["obligations"]


def test_a_denial_stays_what_it_was(client: httpx.Client) -> None:
    answer = ask(client, action={"name": "release"}, resource={"type": "Output", "id": "o"})
    assert answer["decision"] is False
    assert answer["context"]["reasons"] == []


def test_each_item_of_a_batch_is_denied_for_itself(client: httpx.Client) -> None:
    items = [{"context": {"metered_limits": True}}, {}, {"context": {"metered_limits": ["m.rate"]}}]
    answers = ask(client, EVALUATIONS, evaluations=items)["evaluations"]
    assert [each["decision"] for each in answers] == [True, False, True]
    assert answers[1]["context"]["reasons"] == REQUIRED
    stopped = ask(client, EVALUATIONS, evaluations=items, options={"evaluations_semantic": "permit_on_first_permit"})
    assert len(stopped["evaluations"]) == 1


def test_a_search_finds_what_an_evaluation_allows(client: httpx.Client) -> None:
    assert found(client) == [0, 0, 0]
    assert found(client, metered_limits=["m.sends"]) == [0, 0, 0]
    assert found(client, metered_limits=True) == [1, 1, 1]


def test_so_does_a_filter(client: httpx.Client) -> None:
    body = {**ASKED, "resource": {"type": "Model"}}
    assert ask_for(client, "/v1/filter", body)["kind"] == "never"
    assert ask_for(client, "/v1/filter", {**body, "context": {"metered_limits": True}})["kind"] != "never"


def test_a_client_says_what_it_meters(client: httpx.Client, folder: Path) -> None:
    engine = Engine.load(folder, cache=False, entities=folder / "entities.json")
    asked: dict[str, Any] = {
        "principal": {"type": "User", "id": "ann", "tenant": "acme"}, "action": "invoke",
        "resource": {"type": "Model", "id": "m"},
    }  # fmt: skip
    with Client(str(client.base_url)) as pdp:
        assert pdp.decide(**asked).reasons == ("metering_required",)
        for metered in (True, ["m.rate"], ("m.sends",), False):
            there, here = pdp.decide(**asked, metered=metered), engine.decide(**asked, metered=metered)
            assert there.allowed is here.allowed is (metered not in (False, ("m.sends",)))
        many = [{**asked, "metered": True}, asked, {**asked, "metered": ["m.rate"]}]
        assert [each.allowed for each in pdp.decide_many(many)] == [True, False, True]
        sought = {"principal": asked["principal"], "action": "invoke", "resource_type": "Model"}
        assert pdp.search_resources(**sought) == []
        assert pdp.search_resources(**sought, metered=True) == engine.search_resources(**sought, metered=True) != []
        with pytest.raises(TypeError, match="metered"):
            pdp.decide(**asked, metered="m.rate")


# ---- a service that meters ----


def test_every_evaluation_is_charged(metering: httpx.Client) -> None:
    answers = [ask(metering) for _ in range(3)]
    assert [each["decision"] for each in answers] == [True, True, False]
    assert answers[1]["context"]["meters"][0]["remaining"] == 0
    assert "limits" not in answers[0]["context"]
    assert "reservation" not in answers[0]["context"]
    assert answers[2]["context"]["denied_by"] == ["m.rate"]
    assert answers[2]["context"]["retry_after"] > 0


def test_nobody_is_left_in_flight(metering: httpx.Client) -> None:
    """What was allowed has been settled, so that the next one has its turn."""
    call = {"action": {"name": "call"}, "resource": {"type": "Tool", "id": "send", "properties": {"args": {}}}}
    assert [ask(metering, **call)["decision"] for _ in range(3)] == [True, True, True]


def test_a_caller_that_cannot_do_what_it_owes_is_not_charged(metering: httpx.Client) -> None:
    context = {"cost": {"usd": 1, "tokens": 1}}
    assert not ask(metering, context={**context, "supported_obligations": []})["decision"]
    assert ask(metering, context={**context, "supported_obligations": ["audit"]})["decision"]
    assert not ask(metering, context={**context, "supported_obligations": ["audit"]})["decision"]


def test_equal_items_are_charged_each_and_the_rest_not_at_all(metering: httpx.Client) -> None:
    stop = {"evaluations_semantic": "deny_on_first_deny"}
    answers = ask(metering, EVALUATIONS, evaluations=[{}, {}, {}, {}], options=stop)["evaluations"]
    assert [each["decision"] for each in answers] == [True, True, False]
    assert metering.post(EVALUATIONS, json={**ASKED, "evaluations": [{}] * 5}).status_code == 413


def test_an_item_that_is_no_request_is_denied_alone(metering: httpx.Client) -> None:
    answers = ask(metering, EVALUATIONS, evaluations=[{"subject": 5}, {}])["evaluations"]
    assert [each["decision"] for each in answers] == [False, True]
    assert answers[0]["context"]["error"]["status"] == 400


def test_a_client_need_not_meter(metering: httpx.Client) -> None:
    asked: dict[str, Any] = {
        "principal": {"type": "User", "id": "ann", "tenant": "acme"}, "action": "invoke",
        "resource": {"type": "Model", "id": "m"},
    }  # fmt: skip
    with Client(str(metering.base_url)) as pdp:
        assert [each.allowed for each in pdp.decide_many([asked, asked, asked])] == [True, True, False]
        assert pdp.search_resources(principal=asked["principal"], action="invoke", resource_type="Model") != []
