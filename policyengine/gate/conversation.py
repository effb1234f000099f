"""A conversation that arrives whole with every request, as chat interfaces send it: the new part goes to a session.

The messages are those of OpenAI's chat completions. Messages with the user's role are the user's words. The result of a
tool is observed once, under the name of the tool whose call it answers, and the model gets what it may have of it. The
client runs the tools, so its results are taken as given. A result without a call is refused.

    for result in conversation.new(messages):
        conversation.keep(result, session.observe(result.call, result.value))
    messages = conversation.for_model(messages)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cachetools import LRUCache

from policyengine.diagnostics import codes
from policyengine.evaluate.combine import denied
from policyengine.gate.call import Observed, ToolCall
from policyengine.gate.results import given_back, looked_at
from policyengine.gate.session import Session
from policyengine.model.decision import RuleError
from policyengine.model.json_text import parse_json
from policyengine.model.values import Fault

# The most calls and results of a conversation that are remembered. Forgotten results are observed again.
MOST = 10_000
_STATED = denied(RuleError("", codes.MALFORMED.id, "this call was not decided in this conversation"), "")

Message = Mapping[str, Any]


class Unreadable(ValueError):
    """The messages have an unknown form. The text of the error may be shown."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool returned: `text` as in the messages, `value` as rules read it."""

    key: tuple[str, str]
    call: ToolCall
    text: str = field(repr=False)
    value: Any = field(repr=False)


class Conversation:
    """One conversation, which is one session of the gate."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._calls: LRUCache[str, ToolCall] = LRUCache(MOST)
        self._kept: LRUCache[tuple[str, str], str] = LRUCache(MOST)

    def decided(self, id_: str, call: ToolCall) -> None:
        """Remembers a call that was decided here; its result settles what it reserved."""
        self._calls[id_] = call

    def new(self, messages: Sequence[Any]) -> list[ToolResult]:
        """The results that have not been observed yet, in order. Also gives the session the user's words. Raises
        Unreadable."""
        for message in _each(messages):
            if message.get("role") == "user":
                for text in _texts(message):
                    self.session.say(text)
        return [one for one in self._results(messages) if one.key not in self._kept]

    def keep(self, result: ToolResult, seen: Observed) -> None:
        """Remembers what the model may have of a result."""
        self._kept[result.key] = str(given_back(result.text, result.value, seen))

    def for_model(self, messages: Sequence[Any]) -> list[Any]:
        """The messages, with what the model may have of each result. Raises Unreadable, and KeyError for a result that
        was not observed."""
        results = {one.key: self._kept[one.key] for one in self._results(messages)}
        shown = []
        for message in messages:
            if message.get("role") != "tool":
                shown.append(message)
                continue
            text = "".join(_texts(message))
            content = results[_key(str(message["tool_call_id"]), text)]
            shown.append(message if content == text else {**message, "content": content})
        return shown

    def _results(self, messages: Sequence[Any]) -> Iterator[ToolResult]:
        said: dict[str, ToolCall] = {}
        for message in _each(messages):
            if message.get("role") == "assistant":
                said |= {id_: stated(name, args) for id_, name, args in calls_of(message)}
            elif message.get("role") == "tool":
                id_ = str(message.get("tool_call_id"))
                if id_ not in said:
                    raise Unreadable("a tool result answers no call: send the message with the call as well")
                decided = self._calls.get(id_)
                call = decided if decided is not None and decided.tool == said[id_].tool else said[id_]
                text = "".join(_texts(message))
                yield ToolResult(_key(id_, text), call, text, looked_at(text))
            elif message.get("role") == "function":
                raise Unreadable("`function` messages are not read: use `tool`")


def stated(tool: str, args: Any) -> ToolCall:
    """A call that the host says has run, and that nobody here decided about: it is used only to observe its result."""
    given = args if isinstance(args, Mapping) else {}
    return ToolCall(tool, True, given, _STATED, given)


def calls_of(message: Message) -> list[tuple[str, str, Any]]:
    """The calls in a message of a model: id, name, arguments. Arguments that are not JSON stay text, and the
    gate refuses them. Raises Unreadable for a call that is not of a function."""
    calls, said = [], message.get("tool_calls")
    if said is not None and not isinstance(said, list | tuple):
        raise Unreadable("`tool_calls` must be a list")
    for one in said or ():
        function = one.get("function") if isinstance(one, Mapping) else None
        if not isinstance(function, Mapping) or one.get("type") not in (None, "function"):
            raise Unreadable("a tool call must be of type `function` and have a `function`")
        calls.append((str(one.get("id")), str(function.get("name")), read_arguments(function.get("arguments"))))
    return calls


def read_arguments(given: Any) -> Any:
    """The arguments that a model gave. Text that is not JSON stays text, and the gate refuses it. So does text in which
    a key occurs twice, or anything else that readers of JSON read differently: a different call could run than was
    decided about."""
    if not isinstance(given, str):
        return given
    try:
        return parse_json(given or "{}")
    except Fault:
        return given


def beginning(messages: Sequence[Any]) -> str:
    """A name for a conversation that has none: everything up to the user's first words."""
    first = next((at for at, one in enumerate(_each(messages)) if one.get("role") == "user"), len(messages))
    said = json.dumps(list(messages[: first + 1]), sort_keys=True, default=str)
    return sha256(said.encode("utf-8", "surrogatepass")).hexdigest()


def _each(messages: Sequence[Any]) -> Iterator[Message]:
    for message in messages:
        if not isinstance(message, Mapping):
            raise Unreadable("a message must be an object")
        yield message


def _texts(message: Message) -> list[str]:
    """The texts of a message; other parts are ignored."""
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    if content is None:
        return []
    if not isinstance(content, Sequence):
        raise Unreadable("the content of a message must be a text or a list of parts")
    if message.get("role") == "tool" and not all(_is_text(part) for part in content):
        raise Unreadable("a tool result may only have parts of type `text`")
    return [part["text"] for part in content if _is_text(part)]


def _is_text(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _key(id_: str, text: str) -> tuple[str, str]:
    return id_, sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
