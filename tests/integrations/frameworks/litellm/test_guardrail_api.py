"""The proxy with its own generic guardrail, which asks the service; nothing of ours runs in it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import litellm
import pytest
from litellm.proxy import proxy_server
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.auth.user_api_key_auth import user_api_key_auth
from litellm.proxy.guardrails.guardrail_hooks.generic_guardrail_api import GenericGuardrailAPI

from tests.integrations.agents.world import POLICIES, Ran, Script
from tests.integrations.frameworks.litellm.host import declared, serving
from tests.integrations.frameworks.litellm.test_callback import EVIL, MAIL, SAID, deltas
from tests.integrations.frameworks.litellm.upstream import answering
from tests.server.serving import serving_at


def drop_table(name: str) -> None: ...


def send_mail(to: str, body: str) -> None: ...


@pytest.fixture(autouse=True)
def somebody() -> Any:
    """Every request is Ann's."""

    async def ann() -> UserAPIKeyAuth:
        return UserAPIKeyAuth(user_id="ann", team_id="acme", request_route="/chat/completions")

    proxy_server.app.dependency_overrides[user_api_key_auth] = ann
    yield
    proxy_server.app.dependency_overrides.clear()


def asked(path: Path, script: Script, *bodies: Any, rewrites: bool = True, **guardrail: Any) -> Any:
    (path / "policy.pol").write_text(POLICIES, encoding="utf-8")
    ran = Ran()
    settings = {"enabled": True, "attributes": {"tenant": "user_api_key_team_id"}, "rewrites": rewrites}

    async def work(base: str) -> list[Any]:
        gate = GenericGuardrailAPI(
            api_base=base, guardrail_name="gate", default_on=True, event_hook=["pre_call", "post_call"], **guardrail
        )
        with answering(script, ran) as url:
            async with await serving(url, [gate]) as client:
                return [
                    await client.post("/chat/completions", json={"model": "m", "messages": SAID, **one})
                    for one in bodies
                ]

    with serving_at(path, guardrail=settings) as (host, port):
        answers = asyncio.run(work(f"http://{host}:{port}"))
    litellm.callbacks = []
    return answers, ran


def test_calls_texts_and_tools_are_decided(tmp_path: Path) -> None:
    script: Script = [[MAIL], [EVIL], "I wrote to eve@evil.org."]
    tools = [declared(send_mail), declared(drop_table)]
    (mail, evil, text, none), ran = asked(tmp_path, script, {"tools": tools}, {}, {}, {"tools": [tools[1]]})
    assert mail.json()["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "send_mail"
    assert ran.shown == [["send_mail"], [], []]
    assert evil.status_code == 400
    assert "`send_mail` may not run" in evil.text
    assert text.json()["choices"][0]["message"]["content"] == "I wrote to [email]."
    assert none.status_code == 400


WHOLE = {"streaming_buffer_until_moderated": True}
EACH = {"streaming_transform_mode": "incremental_diff", "streaming_sampling_rate": 1}


def test_a_stream_is_released_where_the_proxy_is_told_how(tmp_path: Path) -> None:
    (answer,), _ = asked(tmp_path, ["I wrote to eve@evil.org today, as I was told to."], {"stream": True}, **EACH)
    said = "".join(choice["delta"].get("content") or "" for choice in deltas(answer))
    assert said.strip() == "I wrote to [email] today, as I was told to."
    assert "eve@evil.org" not in answer.text


def test_a_denied_call_in_a_stream_comes_only_where_the_proxy_does_not_wait(tmp_path: Path) -> None:
    """In every other mode it is streamed first; then the stream ends with the reason."""
    (answer,), _ = asked(tmp_path, [[EVIL]], {"stream": True}, **WHOLE)
    assert "`send_mail` may not run" in answer.text
    assert "eve@evil.org" not in answer.text


def test_what_the_proxy_would_drop_of_a_text_is_blocked(tmp_path: Path) -> None:
    (answer,), _ = asked(tmp_path, ["I wrote to eve@evil.org."], {}, rewrites=False)
    assert (answer.status_code, "eve@evil.org" in answer.text) == (400, False)


def test_a_service_that_is_away_lets_nothing_through(tmp_path: Path) -> None:
    ran = Ran()

    async def work() -> Any:
        gate = GenericGuardrailAPI(
            api_base="http://127.0.0.1:9", guardrail_name="gate", default_on=True, event_hook=["pre_call", "post_call"]
        )
        with answering(["hi"], ran) as url:
            async with await serving(url, [gate]) as client:
                return await client.post("/chat/completions", json={"model": "m", "messages": SAID})

    assert (asyncio.run(work()).status_code >= 400, ran.shown) == (True, [])
