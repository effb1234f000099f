"""The chunks of other libraries' streams: the texts in a chunk, and the same chunk with other texts.

These are plain texts, chat completion chunks of OpenAI and events of its Responses API, events of Anthropic's messages,
and message chunks of LangChain, as objects or as dictionaries. Every text in a chunk is either one that is released, or
the name of something. A chunk with text at any other place is refused, because its meaning is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from policyengine.release.content import Unscannable

# Texts that name something. Longer texts are not taken for names.
NAMES = frozenset({
    "chunk_position", "created", "event", "finish_reason", "id", "item_id", "model", "model_name", "model_provider",
    "name", "object", "obfuscation", "phase", "response_id", "role", "service_tier", "status", "stop_reason",
    "stop_sequence", "system_fingerprint", "type",
})  # fmt: skip
LONGEST_NAME = 256

# Texts by their place, in each provider's format, and the kind of text.
_DELTAS = {
    "content": "text", "reasoning_content": "reasoning", "reasoning": "reasoning", "refusal": "text",
    "text": "text", "thinking": "reasoning",
}  # fmt: skip
# These belong to whatever runs tools: arguments are never rewritten, and wait until all text has left.
_CALLS = frozenset({"tool_calls", "function_call", "tool_call_chunks", "partial_json", "invalid_tool_calls"})
# Events that repeat what has been streamed: the stream goes on without them.
_REPEATS = (".done", ".completed", ".added", ".created", ".in_progress", ".incomplete", "_stop", "_start")

# What distinguishes the blocks of a stream of events.
_NUMBERS = ("output_index", "content_index", "summary_index", "index")

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """A chunk as its texts: (channel, text). `rebuilt` makes it again with the same number of texts. `blocks` gives the
    block of each text, as far as chunks name it."""

    texts: tuple[tuple[str, str], ...]
    rebuilt: Callable[[Sequence[str]], Any] = field(repr=False)
    calls_tool: bool = False
    blocks: tuple[str, ...] = ()


def read(chunk: Any) -> Delta:
    """The texts of a chunk. Raises Unscannable if its format is unknown, or it has text in an unknown field."""
    if isinstance(chunk, str):
        return Delta((("text", chunk),), lambda texts: texts[0], blocks=("",))
    data = _as_object(chunk)
    places: list[tuple[Path, str]] = []
    emptied: list[Path] = []
    repeats = str(data.get("type", "")).endswith(_REPEATS)
    calls = _calls_tool(data)
    for path, text in _texts(data):
        if any(part in _CALLS for part in path) or (calls and path[-1] in ("delta", "arguments", "name")):
            calls = True
        elif (channel := _channel(path, data)) is not None and not repeats:
            places.append((path, channel))
        elif path[-1] in NAMES and len(text) <= LONGEST_NAME:
            continue
        elif repeats or not text:
            emptied.append(path)
        else:
            raise Unscannable(
                "a chunk of the stream has text in an unknown field: send only its text, or leave the field out"
            )
    texts = tuple((channel, str(_at(data, path))) for path, channel in places)

    def rebuilt(others: Sequence[str]) -> Any:
        made = deepcopy(data)
        for (path, _), text in zip(places, others, strict=True):
            _put(made, path, text)
        for path in emptied:
            _put(made, path, "")
        return made if isinstance(chunk, Mapping) else type(chunk).model_validate(made)

    return Delta(texts, rebuilt, calls, tuple(_block(path, data) for path, _ in places))


def _as_object(chunk: Any) -> dict[str, Any]:
    if isinstance(chunk, Mapping):
        return dict(chunk)
    dump = getattr(chunk, "model_dump", None)
    data = dump() if callable(dump) else None
    if not isinstance(data, dict):
        raise Unscannable("a chunk of the stream must be a text, or a chunk of OpenAI, Anthropic or LangChain")
    return data


def _texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    match value:
        case str():
            yield path, value
        case Mapping():
            for key, item in value.items():
                yield from _texts(item, (*path, str(key)))
        case list() | tuple():
            for at, item in enumerate(value):
                yield from _texts(item, (*path, at))
        case None | bool() | int() | float():
            return
        case _:
            raise Unscannable("a chunk of the stream holds a value that is not JSON: convert it to text first")


def _channel(path: Path, data: Mapping[str, Any]) -> str | None:
    """The channel of the text at this place; None if there is no such text."""
    match path:
        case ("choices", int(_), "delta", str(name)) if name in _DELTAS:
            choice = _at(data, path[:2])
            return f"{choice.get('index', 0)}:{_DELTAS[name]}"
        case ("delta",) if str(data.get("type", "")).endswith("text.delta"):
            return "reasoning" if "reasoning" in str(data["type"]) else "text"
        case ("delta", str(name)) if name in _DELTAS:
            return _DELTAS[name]
        case ("content",) | ("content", int(_), "text"):
            return "text"
        case ("content", int(_), "thinking" | "reasoning"):
            return "reasoning"
    return None


def _block(path: Path, data: Mapping[str, Any]) -> str:
    """The block of a message that a text is in."""
    match path:
        case ("content", int(number), _):
            return str(_at(data, path[:2]).get("index", number))
        case ("delta", *_):
            return ".".join(str(data.get(name, "")) for name in _NUMBERS)
    return ""


def _calls_tool(data: Mapping[str, Any]) -> bool:
    return "function_call_arguments" in str(data.get("type", ""))


def _at(data: Any, path: Path) -> Any:
    for part in path:
        data = data[part]
    return data


def _put(data: Any, path: Path, text: str) -> None:
    _at(data, path[:-1])[path[-1]] = text
