"""LiteLLM's generic guardrail API: a proxy asks this service before and after a model, without any of our code in it.

Before the model, its use and its input are decided, the estimate is charged, tools for which no call could be allowed
are left out, and the results of tools are observed. After it, each call of a tool is decided, and the texts are
released as one. Every request carries the whole conversation; the answer to a request finds its conversation by the id
of the call.

What the API cannot express is blocked: that no tool is left (it ignores an empty list), and that a call runs with other
arguments. If the proxy drops changes to a text, as it does in a stream by default, `rewrites` stays off, and a text
that would change is blocked as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Lock
from typing import Any

from cachetools import LRUCache, TTLCache
from msgspec.structs import replace

from policyengine.authzen import read
from policyengine.authzen.errors import Malformed
from policyengine.call_approvals import Repeated
from policyengine.callers.caller import Caller
from policyengine.engine import Engine
from policyengine.gate.call import ToolCall
from policyengine.gate.conversation import Conversation, Unreadable, beginning, calls_of
from policyengine.gate.models import ModelTerms, text_for_each
from policyengine.gate.run_call import called
from policyengine.gate.session import Session
from policyengine.release.released import NotReleased
from policyengine.server import encode
from policyengine.server.bind import Binding
from policyengine.server.pipeline import Reply
from policyengine.settings.guardrail import GuardrailSettings
from policyengine.state.approval_calls import ApprovalError
from policyengine.state.store import StoreError

# The most conversations, and requests that wait for their answer, that are remembered; and for how many seconds.
CONVERSATIONS, ANSWERS, LIFE, SOON = 10_000, 100_000, 86_400.0, 3_600.0
# A stream is checked repeatedly: this many calls of one answer are decided only once.
CALLS = 1_000
WHO = "user_api_key_user_id"

Asked = Mapping[str, Any]


class Blocked(Exception):
    """The answer to a request that may not go on; its text may be shown."""


@dataclass
class _Talk:
    """A conversation, which handles one request at a time."""

    conversation: Conversation
    asks: Repeated
    lock: Lock = field(default_factory=Lock)


@dataclass
class _Open:
    """A request of a conversation, and the calls in its answer that were decided."""

    talk: _Talk
    calls: LRUCache[str, ToolCall] = field(default_factory=lambda: LRUCache(CALLS))


class Guardrail:
    def __init__(self, settings: GuardrailSettings, binding: Binding) -> None:
        self._settings = settings
        self._binding = binding
        self._lock = Lock()
        self._talks: TTLCache[str, _Talk] = TTLCache(CONVERSATIONS, LIFE)
        self._open: TTLCache[tuple[str, str], _Open] = TTLCache(ANSWERS, SOON)

    def __call__(self, engine: Engine, body: bytes, caller: Caller) -> Reply:
        """`POST /beta/litellm_basic_guardrail_api`. Raises Malformed and Forbidden."""
        asked = read.json_object(body)
        kind = asked.get("input_type")
        if kind not in ("request", "response"):
            raise Malformed("`input_type` must be `request` or `response`")
        call_id = asked.get("litellm_call_id")
        if type(call_id) is not str or not call_id:
            raise Malformed("`litellm_call_id` must be the id of a call")
        decided: list[Any] = []
        try:
            principal, context = self._who(engine, asked, caller)
            key = (_whose(caller, principal), call_id)
            if kind == "request":
                verdict = self._before(engine, asked, principal, context, key)
            else:
                verdict = self._after(asked, principal, key, decided)
        except (Blocked, Unreadable) as error:
            verdict = {"action": "BLOCKED", "blocked_reason": str(error)}
        return Reply(encode.value_body(verdict), decided, 0)

    def _who(self, engine: Engine, asked: Asked, caller: Caller) -> tuple[dict[str, Any], dict[str, Any]]:
        """The principal, as the proxy knows it from the key, and the context. Raises Blocked and Forbidden."""
        known = asked.get("request_data")
        if not isinstance(known, Mapping) or type(known.get(WHO)) is not str or not known[WHO]:
            raise Blocked("the key of this request has no user")
        attributes = {name: known[of] for name, of in self._settings.attributes.items() if known.get(of) is not None}
        subject = {"type": self._settings.principal_type, "id": known[WHO], "properties": attributes}
        resource = {"type": "Model", "id": str(asked.get("model") or "")}
        made = read.evaluation({"subject": subject, "action": {"name": "invoke"}, "resource": resource, "context": {}})
        bound = self._binding.arguments(caller, engine.snapshot, made)
        return dict(bound["principal"]), dict(bound["context"])

    # ---- before the model is asked ----

    def _before(
        self, engine: Engine, asked: Asked, principal: Asked, context: Asked, key: tuple[str, str]
    ) -> dict[str, Any]:
        messages, texts = asked.get("structured_messages"), _texts(asked)
        rows = messages if isinstance(messages, list) and messages else [_unknown(text) for text in texts]
        if rows is not messages and asked.get("images"):
            raise Blocked("an image cannot be checked")
        talk = self._talk(engine, principal, context, key[0], rows)
        session = talk.conversation.session
        with talk.lock:
            for result in talk.conversation.new(rows):
                talk.conversation.keep(result, session.observe(result.call, result.value))
            messages_now = talk.conversation.for_model(rows)
            changes: dict[str, Any] = {}
            if "call" in self._settings.decides:
                changes = self._tools(talk, asked)
            if "invoke" in self._settings.decides:
                model_call = self._terms(asked).admit(session, messages_now)
                if not model_call.allowed:
                    raise Blocked(model_call.reason)
                # The actual use is never reported: the estimate stays charged.
                model_call.settle(None)
                messages_now = list(model_call.messages)
        if messages_now != rows:
            if not self._settings.rewrites:
                raise Blocked("parts of what goes to the model would have to be changed")
            changes |= (
                {"structured_messages": messages_now}
                if rows is messages
                else {"texts": [message["content"] for message in messages_now]}
            )
        with self._lock:
            self._open[key] = _Open(talk)
        return {"action": "GUARDRAIL_INTERVENED", **changes} if changes else {"action": "NONE"}

    def _talk(self, engine: Engine, principal: Asked, context: Asked, whose: str, rows: list[Any]) -> _Talk:
        name = sha256(f"{whose}:{beginning(rows)}".encode()).hexdigest()
        with self._lock:
            talk: _Talk | None = self._talks.get(name)
        if talk is not None:
            return talk
        session = engine.session(principal=principal, context=context, name=f"litellm:{name}")
        with self._lock:
            made: _Talk = self._talks.setdefault(name, _Talk(Conversation(session), Repeated(engine)))
        return made

    def _tools(self, talk: _Talk, asked: Asked) -> dict[str, Any]:
        """The tools that could be called, if some could not. Raises Blocked if none is left."""
        tools = asked.get("tools") or []
        if not isinstance(tools, list):
            raise Blocked("`tools` must be a list")
        names = [_function(tool) for tool in tools]
        shown = set(talk.conversation.session.tools(names))
        kept = [tool for tool, name in zip(tools, names, strict=True) if name in shown]
        if tools and not kept:
            raise Blocked("none of these tools may be called")
        return {"tools": kept} if len(kept) < len(tools) else {}

    def _terms(self, asked: Asked) -> ModelTerms:
        cost = None if self._settings.tokens is None else {"tokens": self._settings.tokens}
        return ModelTerms({"id": str(asked.get("model") or "")}, cost, self._settings.output)

    # ---- after it ----

    def _after(self, asked: Asked, principal: Asked, key: tuple[str, str], decided: list[Any]) -> dict[str, Any]:
        with self._lock:
            opened: _Open | None = self._open.get(key)
        if opened is None:
            # It is unknown what its session has seen, and a new session would have seen nothing.
            raise Blocked("the request that this answers was not decided in this process")
        with opened.talk.lock:
            if "call" in self._settings.decides:
                for id_, name, args in calls_of({"tool_calls": asked.get("tool_calls")}):
                    self._called(opened, id_, name, args, principal, decided)
            if "release" in self._settings.decides:
                return self._released(opened.talk, asked, principal, decided)
        return {"action": "NONE"}

    def _called(self, found: _Open, id_: str, name: str, args: Any, principal: Asked, decided: list[Any]) -> None:
        conversation = found.talk.conversation
        identity = f"{id_}:{name}:{json.dumps(args, sort_keys=True)}"
        call: ToolCall | None = found.calls.get(identity)
        if call is None:
            call = found.calls[identity] = self._decided(found.talk, name, args)
            decided.append((_about(principal, "call", "Tool", name), call.decision))
        if not call.allowed:
            raise Blocked(call.reason)
        if call.changed:
            raise Blocked(f"`{name}` may run only with other arguments, which this proxy cannot pass on")
        conversation.decided(id_, call)

    def _decided(self, talk: _Talk, name: str, args: Any) -> ToolCall:
        """The call. If only an approval is missing, it is decided with an approval that was given for exactly this
        call, or has the request for one in its reason."""
        outcome = ""

        def approval(session: Session, asked: ToolCall) -> str | None:
            nonlocal outcome
            try:
                task = talk.asks.task(session, asked)
            except (ApprovalError, StoreError) as error:
                why = error.public_message if isinstance(error, StoreError) else error
                outcome = f". Nobody could be asked: {why}"
                return None
            outcome = f". The request for approval is `{task.id}`, and is {task.status}"
            return task.approval

        call = called(talk.conversation.session, name, args, approval if self._settings.approvals else None)
        return call if call.allowed or not outcome else replace(call, reason=call.reason + outcome)

    def _released(self, talk: _Talk, asked: Asked, principal: Asked, decided: list[Any]) -> dict[str, Any]:
        if asked.get("images"):
            raise Blocked("an image cannot be checked")
        texts = _texts(asked)
        if not any(texts):
            return {"action": "NONE"}
        # A value may continue in the next text, so all texts are released as one.
        whole: Any = texts if len(texts) > 1 else texts[0]
        released = talk.conversation.session.release(whole, output=self._settings.output)
        decided.append((_about(principal, "release", "Output", "output"), released.decision))
        if not released.allowed:
            raise Blocked(released.reason)
        released_texts = text_for_each(released, len(texts))
        if released_texts == texts and not self._settings.rewrites:
            return {"action": "NONE"}
        if not self._settings.rewrites:
            raise Blocked("parts of what the model said may not be released")
        # In a stream, later text may complete a finding in earlier text. If there are several texts, each may still
        # grow, and a value may continue in the next: all of them are held back until the end.
        held = [len(text) for text in released_texts]
        if len(texts) == 1:
            held[0] -= self._gone(talk, texts[0], released_texts[0])
        return {"action": "GUARDRAIL_INTERVENED", "texts": released_texts, "stream_holdback_chars": held}

    def _gone(self, talk: _Talk, text: str, released: str) -> int:
        """How much of an unfinished text could have been released by now."""

        def chunks() -> Iterable[str]:
            yield text
            raise _More

        gone = ""
        try:
            for chunk in talk.conversation.session.release_stream(chunks(), output=self._settings.output):
                gone += chunk
        except (_More, NotReleased):
            pass
        return len(gone) if released.startswith(gone) else 0


class _More(Exception):
    """There may be more text in the stream."""


def _whose(caller: Caller, principal: Asked) -> str:
    whose = [caller.kind, str(caller.id), *(str(principal.get(name)) for name in ("type", "id", "tenant"))]
    return sha256(json.dumps(whose).encode()).hexdigest()


def _texts(asked: Asked) -> list[str]:
    """The texts to check. Raises Blocked for anything that is not text, as it would not be checked."""
    texts = asked.get("texts") or []
    if type(texts) is not list or not all(type(text) is str for text in texts):
        raise Blocked("`texts` must be a list of texts")
    return list(texts)


def _unknown(text: str) -> dict[str, Any]:
    return {"role": "unknown", "content": text}


def _function(tool: Any) -> str:
    function = tool.get("function") if isinstance(tool, Mapping) and tool.get("type") == "function" else None
    if not isinstance(function, Mapping) or type(function.get("name")) is not str:
        raise Blocked("a tool that is not a function runs where it cannot be gated")
    return str(function["name"])


def _about(principal: Asked, action: str, type_: str, id_: str) -> dict[str, Any]:
    return {"principal": principal, "action": action, "resource": {"type": type_, "id": id_}, "context": {}}
