"""What is peculiar to the callback of the proxy: streams, tools and models from elsewhere, and who comes after it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy import proxy_server

from policyengine import Engine
from policyengine.integrations.litellm import PolicyProxy
from tests.integrations.agents.world import ANN, APPROVED, BUDGET, POLICIES, Ran, Script, approve_all
from tests.integrations.frameworks.litellm.host import declared, serving
from tests.integrations.frameworks.litellm.upstream import answering

SAID = [{"role": "user", "content": "write to b@c.de"}]
MAIL = ("send_mail", {"to": "b@c.de", "body": "x"})
EVIL = ("send_mail", {"to": "eve@evil.org", "body": "x"})


def asked(script: Script, *bodies: Any, gate: Any = None, after: Any = (), path: str = "/chat/completions") -> Any:
    """The answers to some requests, and what the model was given."""
    gate = gate or PolicyProxy(Engine.from_text(POLICIES), principal=ANN, output={"tenant": "acme"})
    ran = Ran()

    async def work() -> list[Any]:
        with answering(script, ran) as url:
            async with await serving(url, [gate, *after]) as client:
                return [await client.post(path, json={"model": "m", "messages": SAID, **one}) for one in bodies]

    return asyncio.run(work()), ran


def deltas(answer: Any) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n") if line.startswith("data: {")]
    return [choice for line in lines for choice in json.loads(line).get("choices", ())]


def test_a_stream_is_released_and_its_calls_come_at_the_end() -> None:
    script: Script = ["I wrote to eve@evil.org today.", [EVIL, MAIL]]
    (text, calls), _ = asked(script, {"stream": True}, {"stream": True})
    said = "".join(choice["delta"].get("content") or "" for choice in deltas(text))
    assert said.strip() == "I wrote to [email] today."
    called = [one for choice in deltas(calls) for one in choice["delta"].get("tool_calls") or ()]
    assert [(one["function"]["name"], json.loads(one["function"]["arguments"])) for one in called] == [MAIL]
    assert deltas(calls)[-1]["finish_reason"] == "tool_calls"
    assert "`send_mail` may not run" in calls.text
    assert "eve@evil.org" not in text.text + calls.text


def test_a_stream_is_settled_from_what_it_used() -> None:
    engine = Engine.from_text(BUDGET)
    gate = PolicyProxy(engine, principal=ANN, model={}, cost={"tokens": 90})
    (_, second), ran = asked(["one", "two"], {"stream": True}, {}, gate=gate)
    # 60 of 100 are used, and 90 have no room.
    assert (second.status_code, len(ran.shown)) == (403, 1)
    rest = {"principal": ANN, "action": "invoke", "resource": {"type": "Model", "id": "m"}}
    assert engine.authorize(**rest, context={"cost": {"tokens": 40}}).limits[0].used == 100  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "web_search"}]},
        {"tools": [{"type": "mcp", "server_url": "litellm_proxy", "require_approval": "never"}]},
        {"functions": [{"name": "drop_table"}]},
        {"fallbacks": ["another"]},
        {"extra_body": {"tools": []}},
        {"logprobs": True},
        {"n": 2, "stream": True},
        {"messages": [{"role": "tool", "tool_call_id": "never", "content": "x"}]},
    ],
)
def test_what_would_go_past_the_gate_is_refused(more: Any) -> None:
    (answer,), ran = asked(["hi"], more)
    assert (answer.status_code, ran.shown) == (403, [])


def test_other_interfaces_are_refused() -> None:
    for path in ("/v1/responses", "/v1/messages", "/v1/completions", "/v1/embeddings"):
        (answer,), ran = asked(["hi"], {"input": "hi", "prompt": "hi", "max_tokens": 5}, path=path)
        assert (answer.status_code >= 400, ran.shown) == (True, []), path


def test_no_tool_that_could_be_called_is_no_tool_at_all() -> None:
    def drop_table(name: str) -> None: ...

    forced = {"type": "function", "function": {"name": "drop_table"}}
    (answer,), ran = asked(["hi"], {"tools": [declared(drop_table)], "tool_choice": forced})
    assert (answer.status_code, ran.shown) == (200, [[]])


@pytest.mark.parametrize("allowed", [False, True])
def test_a_model_that_is_fallen_back_to_is_decided_as_well(allowed: bool) -> None:
    one = POLICIES if allowed else POLICIES.replace("invoke on Model for", 'invoke on Model::"m" for')
    gate = PolicyProxy(Engine.from_text(one), principal=ANN, model={})
    ran = Ran()

    async def work() -> Any:
        with answering(["hi"], ran) as url:
            async with await serving("http://127.0.0.1:9", [gate]) as client:
                other = {"model_name": "n", "litellm_params": {"model": "openai/n", "api_base": url, "api_key": "none"}}
                router = proxy_server.llm_router
                assert router is not None
                router.add_deployment(litellm.types.router.Deployment(**other))
                router.fallbacks = [{"m": ["n"]}]
                return await client.post("/chat/completions", json={"model": "m", "messages": SAID})

    answer = asyncio.run(work())
    assert (answer.status_code == 200, bool(ran.shown)) == (allowed, allowed)


class Later(CustomLogger):
    """A callback of the host's own."""

    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: Any, call_type: Any) -> Any:
        return data


def test_a_callback_after_the_gate_is_refused_and_no_class_is_made_of_it() -> None:
    (answer,), ran = asked(["hi"], {}, after=[Later()])
    assert (answer.status_code, ran.shown) == (500, [])
    with pytest.raises(TypeError):
        type("Mine", (PolicyProxy,), {})


def test_conversations_are_told_apart_by_their_id_and_whose_they_are() -> None:
    def principal(key: Any) -> Any:
        return {**ANN, "id": key.user_id or "nobody"}

    gate = PolicyProxy(Engine.from_text(POLICIES), principal=principal)
    other = [{"role": "user", "content": "hello"}]
    bodies = [{"litellm_session_id": "a"}, {"litellm_session_id": "a", "messages": other}]
    bodies += [{"litellm_session_id": "b", "messages": other}]
    answers, _ = asked([[MAIL], [MAIL], [MAIL]], *bodies, gate=gate)
    called = [bool(one.json()["choices"][0]["message"].get("tool_calls")) for one in answers]
    assert called == [True, True, False]


def test_an_approval_is_for_the_same_call_made_again() -> None:
    """A proxy has no interrupt: the client is told, and the approval is in the store."""
    engine = Engine.from_text(APPROVED)

    def script() -> Any:
        yield [("slow", {"name": "x"})]
        assert approve_all(engine) == ["{'name': 'x'}"]
        yield [("slow", {"name": "y"}), ("slow", {"name": "x"})]

    answers, _ = asked(script(), {}, {}, gate=PolicyProxy(engine, principal=ANN, approvals=True))
    first, second = (one.json()["choices"][0]["message"] for one in answers)
    assert not first.get("tool_calls")
    assert "`slow` has to be approved by Group finance first" in first["content"]
    assert [one["function"]["arguments"] for one in second["tool_calls"]] == ['{"name": "x"}']
