"""LiteLLM's proxy, before a model that plays a script, and behind an agent that knows nothing of the gate."""

from __future__ import annotations

import asyncio
import json
import os
from base64 import b64encode
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import httpx
import litellm
from litellm.proxy import proxy_server

from policyengine.integrations.litellm import PolicyProxy
from tests.integrations.agents.world import ANN, Asks, Ran, finished
from tests.integrations.frameworks.litellm.upstream import answering


def declared(function: Any) -> dict[str, Any]:
    names = list(function.__annotations__.keys() - {"return"})
    properties = {name: {"type": "string"} for name in names}
    parameters = {"type": "object", "properties": properties, "required": names}
    told = {"name": function.__name__, "description": str(function.__doc__), "parameters": parameters}
    return {"type": "function", "function": told}


async def serving(url: str, callbacks: list[Any]) -> httpx.AsyncClient:
    """A client of the proxy, with one model behind it."""
    litellm.callbacks = callbacks
    proxy_server.llm_router = litellm.Router(
        model_list=[{"model_name": "m", "litellm_params": {"model": "openai/m", "api_base": url, "api_key": "none"}}],
        num_retries=0,
    )
    proxy_server.llm_model_list = proxy_server.llm_router.get_model_list()
    transport = httpx.ASGITransport(app=proxy_server.app)
    return httpx.AsyncClient(transport=transport, base_url="http://proxy", timeout=60)


def run(asks: Asks) -> Ran:
    ran = Ran()
    functions = {one.__name__: one for one in asks.tools.functions()}

    async def work() -> Any:
        gate = PolicyProxy(asks.engine, principal=ANN, model=asks.model, cost=asks.cost, output=asks.output)
        content: Any = asks.prompt or "go"
        if asks.image is not None:
            url = f"data:image/png;base64,{b64encode(asks.image).decode()}"
            content = [{"type": "text", "text": content}, {"type": "image_url", "image_url": {"url": url}}]
        messages: list[Any] = [{"role": "user", "content": content}]
        with answering(asks.script, ran) as url:
            async with await serving(url, [gate]) as client:
                while True:
                    body = {"model": "m", "messages": messages, "tools": [declared(one) for one in functions.values()]}
                    answer = await client.post("/chat/completions", json={**body, "stream": asks.streamed})
                    if answer.status_code != 200:
                        raise PermissionError(answer.text)
                    choice = whole(answer.text) if asks.streamed else answer.json()["choices"][0]
                    messages.append({name: part for name, part in choice["message"].items() if part is not None})
                    calls = choice["message"].get("tool_calls") or []
                    results = await asyncio.gather(*(called(functions, one) for one in calls))
                    messages += results
                    if choice["finish_reason"] == "stop":
                        return choice["message"]["content"]

    ran.final = finished(ran, work, asks)
    return ran


def whole(stream: str) -> dict[str, Any]:
    """The choice that comes in the pieces of a stream."""
    text, calls, finish = "", {}, ""
    for line in stream.split("\n"):
        for choice in json.loads(line.removeprefix("data: "))["choices"] if line.startswith("data: {") else ():
            text += choice["delta"].get("content") or ""
            finish = choice.get("finish_reason") or finish
            for one in choice["delta"].get("tool_calls") or ():
                call = calls.setdefault(one["index"], {"id": one.get("id"), "type": "function", "function": {}})
                call["function"] = {
                    "name": one["function"].get("name") or call["function"].get("name"),
                    "arguments": call["function"].get("arguments", "") + (one["function"].get("arguments") or ""),
                }
    message = {"role": "assistant", "content": text.strip() or None, "tool_calls": list(calls.values()) or None}
    return {"message": message, "finish_reason": finish}


async def called(functions: Any, call: Any) -> dict[str, Any]:
    try:
        said = await functions[call["function"]["name"]](**json.loads(call["function"]["arguments"]))
    except ValueError as error:
        said = str(error)
    return {"role": "tool", "tool_call_id": call["id"], "content": said}
