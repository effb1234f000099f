"""LiteLLM's proxy: a callback that gates every chat completion, so that agents behind it need no change.

    gate = PolicyProxy(engine, principal=lambda key: {"type": "User", "id": key.user_id})     # in gate.py
    litellm_settings: {callbacks: ["gate.gate"]}                       # in the configuration of the proxy

Every request carries the whole conversation: what the user said and what tools returned is read from it. Before the
model is called, its use and its input are decided, a budget is reserved, and tools that could not be called are left
out. Afterwards the budget is settled from the usage, each call of a tool is decided, and the text is released. A call
that may not run is replaced by its reason, and `finish_reason` is `content_filter`. In a stream, calls wait for the
end. Put the callback last, so that it decides about a request after others have rewritten it.

What the gate cannot check is refused: interfaces other than chat completions, tools that run at the provider of the
model or in the proxy, and unknown parameters (`parameters` adds known ones).
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_hex
from typing import Any

import litellm
from cachetools import TTLCache
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import ProxyException

from policyengine.call_approvals import Repeated
from policyengine.engine import Engine
from policyengine.gate.call import ToolCall
from policyengine.gate.conversation import Conversation, Unreadable, beginning, read_arguments
from policyengine.gate.models import ModelCall, ModelTerms
from policyengine.gate.run_call import called_async
from policyengine.release.released import NotReleased

# So many conversations are remembered at a time, each for so many seconds; so many answers are waited for.
CONVERSATIONS, ANSWERS, LIFE = 10_000, 100_000, 86_400.0
# The name of the mark of a request that was decided.
MARK = "policyengine"
_CHAT = frozenset({"completion", "acompletion"})
# What a client may ask for: nothing of it brings other tools, models or messages.
_PARAMETERS = frozenset({
    "frequency_penalty", "litellm_session_id", "logit_bias", "max_completion_tokens", "max_tokens", "messages",
    "metadata", "model", "n", "parallel_tool_calls", "presence_penalty", "reasoning_effort", "response_format", "seed",
    "service_tier", "stop", "stream", "stream_options", "temperature", "timeout", "tool_choice", "tools", "top_p",
    "user", "verbosity",
})  # fmt: skip
# The texts of an answer that are released, and all that may stay beside them.
_SAID = ("content", "reasoning_content")
_KEPT = frozenset({*_SAID, "role", "tool_calls"})

Known = Mapping[str, Any]


@dataclass
class _Pending:
    """A request whose answer is on its way."""

    conversation: Conversation
    asked: ModelCall
    model: str


class PolicyProxy(CustomLogger):
    """principal, agent: whose request it is, and the agent that acts for them; each also a function of the
        authenticated key (`UserAPIKeyAuth`).
    model: attributes of the model, beside its `id`, the name in the request; None where models are not decided about.
    cost: what a call of the model is estimated to cost, such as `{"tokens": 4000}`; that is reserved.
    output: the attributes of what the model says; None where it is not released.
    entities: what the host knows at the start, also as a function of the key.
    parameters: more parameters that requests may have.
    approvals: whether a call that needs an approval asks for one in the store; it goes on when the model makes it again
        in the same conversation, after somebody has approved it there."""

    enforces_request_content = True

    def __init__(
        self,
        engine: Engine,
        *,
        principal: Known | Callable[[Any], Known],
        agent: Known | Callable[[Any], Known] | None = None,
        model: Known | None = None,
        cost: Known | None = None,
        output: Known | None = None,
        entities: Iterable[Any] | Callable[[Any], Iterable[Any]] = (),
        parameters: Collection[str] = (),
        approvals: bool = False,
    ) -> None:
        super().__init__()
        self._engine = engine
        self._principal = principal
        self._agent = agent
        self._model = model
        self._cost = cost
        self._output = output
        self._entities = entities if callable(entities) else tuple(entities)
        self._parameters = _PARAMETERS | frozenset(parameters)
        self._approve = Repeated(engine).approval_async if approvals else None
        self._conversations: TTLCache[str, Conversation] = TTLCache(CONVERSATIONS, LIFE)
        self._pending: TTLCache[str, _Pending] = TTLCache(ANSWERS, LIFE)

    def __init_subclass__(cls, **_: Any) -> None:
        """The proxy calls only what the class of a callback has itself: one made of this would not be called."""
        raise TypeError("PolicyProxy: no class may be made of it, as the proxy would not call its hooks")

    # ---- before the model is asked ----

    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: Any, call_type: Any) -> Any:
        """The request as it goes on. Raises ProxyException for one that does not."""
        kind = str(getattr(call_type, "value", call_type))
        if kind not in _CHAT:
            raise _refused(f"`{kind}` is not gated, and refused")
        self._must_be_last()
        self._must_be_plain(data)
        try:
            conversation = await self._conversation(data, user_api_key_dict)
            messages = await _observed(conversation, data["messages"])
            data = await _with_tools(conversation, data)
        except Unreadable as error:
            raise _refused(str(error)) from None
        asked = await self._terms(data).admit_async(conversation.session, messages)
        if not asked.allowed:
            raise _refused(asked.reason)
        mark = token_hex(16)
        self._pending[mark] = _Pending(conversation, asked, str(data.get("model")))
        return {**data, "messages": list(asked.messages), "metadata": {**(data.get("metadata") or {}), MARK: mark}}

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: Any,
        messages: Any,
        request_kwargs: Any = None,
        parent_otel_span: Any = None,
    ) -> Any:
        """Where the router asks another model than the one that was decided about, as it does when one fails, that is
        decided as well; none is left where it is denied."""
        pending = self._pending.get(_mark(request_kwargs or {}))
        if pending is None:
            return []
        if self._model is None or model == pending.model:
            return healthy_deployments
        session = pending.conversation.session
        asked = await ModelTerms({**self._model, "id": model}, self._cost).admit_async(session, messages)
        if not asked.allowed:
            return []
        await pending.asked.ended_async()
        pending.asked, pending.model = asked, model
        return healthy_deployments

    def _must_be_last(self) -> None:
        """Raises ProxyException where a callback of the host's own comes after this one, and could change a request or
        an answer that was decided."""
        callbacks = list(litellm.callbacks)
        if self not in callbacks:
            return
        for callback in callbacks[callbacks.index(self) + 1 :]:
            if isinstance(callback, CustomLogger) and not type(callback).__module__.startswith("litellm."):
                raise _refused("another callback comes after the gate, which has to be the last", 500)

    def _must_be_plain(self, data: Known) -> None:
        sent = (data.get("proxy_server_request") or {}).get("body")
        if not isinstance(sent, Mapping) or not isinstance(data.get("messages"), list):
            raise _refused("this is not a chat completion of a client")
        unknown = sorted(str(name) for name in sent if name not in self._parameters)
        if unknown:
            raise _refused(f"`{unknown[0]}` is not gated, and refused")
        if data.get("stream") and data.get("n") not in (None, 1):
            raise _refused("a stream of several answers is not gated, and refused")

    async def _conversation(self, data: Known, key: Any) -> Conversation:
        principal = self._principal(key) if callable(self._principal) else self._principal
        agent = self._agent(key) if callable(self._agent) else self._agent
        named = data.get("litellm_session_id") or (data.get("metadata") or {}).get("session_id")
        whose = [principal.get(name) for name in ("type", "id", "tenant")] + [agent and agent.get("id")]
        identity = [whose, str(named) if named else None, None if named else beginning(data["messages"])]
        name = sha256(json.dumps(identity, default=str).encode("utf-8", "surrogatepass")).hexdigest()
        if name not in self._conversations:
            known = self._entities(key) if callable(self._entities) else self._entities
            session = await self._engine.session_async(
                principal=principal, agent=agent, entities=known, name=f"litellm:{name}"
            )
            self._conversations.setdefault(name, Conversation(session))
        conversation: Conversation = self._conversations[name]
        return conversation

    def _terms(self, data: Known) -> ModelTerms:
        model = None if self._model is None else {**self._model, "id": str(data.get("model"))}
        return ModelTerms(model, self._cost, self._output)

    # ---- after it ----

    async def async_post_call_success_hook(self, data: Any, user_api_key_dict: Any, response: Any) -> Any:
        pending = self._decided(data)
        await pending.asked.settle_async(_tokens(response))
        for choice in response.choices:
            await self._answered(pending.conversation, choice, self._terms(data))
        return response

    async def async_post_call_failure_hook(
        self, request_data: Any, original_exception: Any, user_api_key_dict: Any, traceback_str: Any = None
    ) -> None:
        pending = self._pending.pop(_mark(request_data), None)
        if pending is not None:
            await pending.asked.ended_async()

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: Any
    ) -> AsyncGenerator[Any]:
        """The text as it may go, and at the end the calls that may run."""
        pending = self._decided(request_data)
        whole: list[Any] = []
        # Whoever leaves ends all of it, at once: what was found is told, and the model is asked for no more.
        async with (
            pending.asked,
            aclosing(_without_calls(response, whole)) as chunks,
            aclosing(self._released(pending.conversation, chunks)) as released,
        ):
            async for chunk in released:
                yield chunk
        built = litellm.stream_chunk_builder(whole, messages=request_data["messages"])
        await pending.asked.settle_async(_tokens(built))
        if built is None or not built.choices:
            return
        choice = built.choices[0]
        # Its text has gone, as far as it may.
        choice.message.content = choice.message.reasoning_content = None
        await self._answered(pending.conversation, choice, ModelTerms())
        yield _last(whole[-1], choice)

    def _decided(self, data: Known) -> _Pending:
        """Raises ProxyException for an answer to what was not decided here."""
        pending = self._pending.pop(_mark(data), None)
        if pending is None:
            raise _refused("this request was not decided")
        decided: _Pending = pending
        return decided

    async def _released(self, conversation: Conversation, chunks: AsyncIterator[Any]) -> AsyncGenerator[Any]:
        if self._output is None:
            async for chunk in chunks:
                yield chunk
            return
        stream = conversation.session.release_stream(chunks, output=self._output)
        try:
            async for chunk in stream:
                yield chunk
        except NotReleased as error:
            raise _refused(str(error)) from None
        finally:
            await stream.aclose()

    async def _answered(self, conversation: Conversation, choice: Any, terms: ModelTerms) -> None:
        """One answer, with the calls that may run, on their final arguments, and the texts that may be had."""
        message = choice.message
        if terms.output is not None:
            for name in [name for name in _fields(message) if name not in _KEPT]:
                setattr(message, name, None)
            for name in _SAID:
                if text := getattr(message, name, None):
                    setattr(message, name, await terms.release_async(conversation.session, str(text)))
        kept, refused = [], []
        for call in message.tool_calls or ():
            name, given = str(call.function.name), read_arguments(call.function.arguments)
            decided = await called_async(conversation.session, name, given, self._approve)
            if not decided.allowed:
                refused.append(decided.reason)
                continue
            conversation.decided(str(call.id), decided)
            kept.append(_final(call, decided))
        if getattr(message, "function_call", None) is not None:
            message.function_call = None
            refused.append("`function_call` is not gated; use `tools`")
        message.tool_calls = kept or None
        if refused:
            message.content = "\n".join([*([message.content] if message.content else []), *refused])
            choice.finish_reason = "tool_calls" if kept else "content_filter"


async def _observed(conversation: Conversation, messages: list[Any]) -> list[Any]:
    for result in conversation.new(messages):
        conversation.keep(result, await conversation.session.observe_async(result.call, result.value))
    return conversation.for_model(messages)


async def _with_tools(conversation: Conversation, data: Mapping[str, Any]) -> dict[str, Any]:
    """The request with the tools that could be called. Raises Unreadable for one that runs elsewhere."""
    made = dict(data)
    if not data.get("tools"):
        return made
    names = [_function(tool) for tool in data["tools"]]
    shown = set(await conversation.session.tools_async(names))
    made["tools"] = [tool for tool, name in zip(data["tools"], names, strict=True) if name in shown]
    chosen = data.get("tool_choice")
    if not made["tools"] or (isinstance(chosen, Mapping) and _function(chosen) not in shown):
        made.pop("tool_choice", None)
    if not made["tools"]:
        made.pop("tools")
        made.pop("parallel_tool_calls", None)
    return made


def _function(tool: Any) -> str:
    function = tool.get("function") if isinstance(tool, Mapping) and tool.get("type") == "function" else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise Unreadable("only tools of type `function` are gated: a tool that the provider runs is not allowed")
    return str(function["name"])


def _final(call: Any, decided: ToolCall) -> Any:
    if decided.changed:
        call.function.arguments = json.dumps(dict(decided.arguments or {}), ensure_ascii=False)
    return call


def _fields(message: Any) -> list[str]:
    return [*type(message).model_fields, *(message.model_extra or {})]


def _mark(data: Known) -> str:
    return str((data.get("metadata") or {}).get(MARK))


def _tokens(response: Any) -> int | None:
    """What the model says it used; None where it says nothing, and the estimate stays."""
    usage = getattr(response, "usage", None)
    used = getattr(usage, "total_tokens", None)
    return used if isinstance(used, int) and used > 0 else None


async def _without_calls(chunks: AsyncIterator[Any], whole: list[Any]) -> AsyncGenerator[Any]:
    """The chunks of a stream with nothing but texts; `whole` has all of them as they came. It ends the stream when it
    ends."""
    try:
        async for chunk in chunks:
            whole.append(chunk.model_copy(deep=True))
            for choice in chunk.choices:
                for name in [name for name in _fields(choice.delta) if name not in (*_SAID, "role")]:
                    setattr(choice.delta, name, None)
                choice.finish_reason = None
            yield chunk
    finally:
        if (close := getattr(chunks, "aclose", None)) is not None:
            await close()


def _last(like: Any, choice: Any) -> Any:
    """A chunk that ends a stream, with what is left of the answer."""
    calls = [
        {
            "index": at, "id": call.id, "type": "function",
            "function": {"name": call.function.name, "arguments": call.function.arguments},
        }
        for at, call in enumerate(choice.message.tool_calls or ())
    ]  # fmt: skip
    last = like.model_copy(deep=True)
    delta = litellm.types.utils.Delta(content=choice.message.content, tool_calls=calls or None)
    last.choices = [litellm.types.utils.StreamingChoices(index=0, delta=delta, finish_reason=choice.finish_reason)]
    return last


def _refused(reason: str, status: int = 403) -> ProxyException:
    return ProxyException(message=reason, type="policy_denied", param=None, code=status)
