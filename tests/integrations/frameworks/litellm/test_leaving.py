"""Streams that end before their end: whoever reads one leaves, or the model fails."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import uvicorn
from litellm.proxy import proxy_server
from litellm.types.utils import Delta, ModelResponseStream, StreamingChoices

from policyengine import Engine
from policyengine.detect import Vocabulary, registry
from policyengine.detect.content import canary
from policyengine.integrations.litellm import PolicyProxy
from policyengine.release.inspection import Inspection
from tests.integrations.agents.world import ANN
from tests.integrations.frameworks.litellm.host import serving
from tests.mcp.shop import free_port
from tests.support.told import Told

TOKEN = canary.mint(bytes(range(32)))
RULES = """
use ai
permit out: release on Output for User
permit model: invoke on Model for User
require scrub: release on Output redact(["canary"])
limit at_once: invoke on Model at most 1 concurrent by principal
"""
BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}


def gated() -> tuple[PolicyProxy, Engine, Told]:
    told = Told()
    inspection = Inspection(finders=registry(Vocabulary(canaries=(TOKEN,))))
    engine = Engine.from_text(RULES, events=told, inspection=inspection)
    return PolicyProxy(engine, principal=ANN, model={}, output={"tenant": "acme"}), engine, told


def found(told: Told) -> list[Any]:
    return [one.fields["became"] for one in told.events if one.kind == "canary.found"]


def is_free(engine: Engine) -> bool:
    """Whether no call of a model is held to be going on."""
    asked = engine.authorize(principal=ANN, action="invoke", resource={"type": "Model", "id": "m"})
    asked.withdraw()
    return asked.decision.allowed


def waited(until: Callable[[], bool]) -> bool:
    end = time.monotonic() + 30
    while not until() and time.monotonic() < end:
        time.sleep(0.02)
    return until()


def chunk(text: str) -> ModelResponseStream:
    return ModelResponseStream(choices=[StreamingChoices(index=0, delta=Delta(content=text))])


@pytest.mark.parametrize("leaves", [True, False], ids=["the reader leaves", "the model fails"])
def test_all_of_a_stream_ends_at_once(leaves: bool) -> None:
    gate, engine, told = gated()
    closed: list[bool] = []

    async def model() -> AsyncGenerator[Any]:
        try:
            yield chunk(f"The notes say {TOKEN.encode().hex()}, and more." + " More." * 2_000)
            for _ in range(20):
                yield chunk("more ")
            raise ConnectionError
        finally:
            closed.append(True)

    async def steps() -> None:
        data = {**BODY, "proxy_server_request": {"body": BODY}}
        data = await gate.async_pre_call_hook(None, None, data, "acompletion")
        reading = gate.async_post_call_streaming_iterator_hook(None, model(), data)
        said = (await anext(reading)).choices[0].delta.content
        assert said.startswith("The notes say [canary], and more.")
        if leaves:
            await reading.aclose()
        else:
            with pytest.raises(ConnectionError):
                async for _ in reading:
                    pass
        assert (found(told), closed, is_free(engine)) == (["removed"], [True], True)

    asyncio.run(steps())


@contextmanager
def talking(fails: bool, left: threading.Event) -> Iterator[str]:
    """The URL of a model that says its canary and goes on until nobody listens; or fails."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            self.say(f"The notes say {TOKEN.encode().hex()}, and more." + " More." * 2_000)
            try:
                while not fails:
                    self.say("more ")
                    time.sleep(0.02)
                for _ in range(20):
                    self.say("more ")
                self.wfile.write(b"data: {not json}\n\n")
            except OSError:
                left.set()

        def say(self, text: str) -> None:
            whole = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            one = {**whole, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
            self.wfile.write(f"data: {json.dumps(one)}\n\n".encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def listening(gate: PolicyProxy, model: str) -> Iterator[str]:
    """The URL of the proxy, as a server of its own."""
    assert not asyncio.run(serving(model, [gate])).is_closed
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(proxy_server.app, port=port, lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert waited(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{port}/chat/completions"
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.mark.parametrize("fails", [False, True], ids=["the reader leaves", "the model fails"])
def test_a_stream_through_the_proxy_ends_with_its_reader_and_with_its_model(fails: bool) -> None:
    gate, engine, told = gated()
    left = threading.Event()
    said = ""
    with talking(fails, left) as model, listening(gate, model) as proxy:
        with httpx.stream("POST", proxy, json=BODY, timeout=60) as answer:
            for line in answer.iter_lines():
                said += line
                if not fails and "[canary]" in said:
                    break
        assert "[canary]" in said
        assert TOKEN.encode().hex() not in said
        assert waited(lambda: found(told) == ["removed"])
        assert waited(lambda: is_free(engine))
        assert fails or left.wait(30)
