"""The input of a model, as segments and files: a text, a file, or messages in the form of model interfaces.

Every text in a message is scanned, wherever it is, except its role and types. The role of the message determines whose
words a text is. A tool's result is the words of a tool, whatever message carries it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from policyengine.release.content import DEEPEST, MOST_SEGMENTS, Content, Segment, Unscannable
from policyengine.release.text_runs import APART, TEXT, channel, several
from policyengine.release.uploads import File, Opened, open_file

# Texts that name the kind of something. Longer texts do not count.
_NAMES = frozenset({"media_type", "mime_type", "role", "type"})
_LONGEST_NAME = 64
# Members that hold the bytes of a file in base64.
_BYTES = frozenset({"base64", "data", "file_data", "image_base64"})
_SOURCES = {
    "ai": "assistant", "assistant": "assistant", "developer": "system", "function": "tool", "human": "user",
    "retrieved": "retrieved", "system": "system", "tool": "tool", "user": "user",
}  # fmt: skip
# The sources whose words are trusted: the operator of the system, and the user.
TRUSTED = frozenset({"system", "user"})
UNKNOWN = "unknown"
_BY_THEMSELVES = frozenset({"retrieved", "tool"})

SourceOf = Callable[[Mapping[str, Any]], str | None]
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Input:
    """The input of a model. The segments of a file come after all others; `content.rebuilt` makes the messages again,
    and refuses if that would change a file that cannot be written."""

    content: Content
    files: tuple[Opened, ...] = ()


@dataclass(frozen=True, slots=True)
class _Words:
    """Whose words a text is, what it is part of, and where the enclosing result of a tool begins, if there is one."""

    source: str
    channel: str = APART
    result: Path = ()


@dataclass(frozen=True, slots=True)
class _JoinableText:
    """A text that may continue in another: its number, and that of its message."""

    number: int
    message: int
    words: _Words


def read_input(given: Any, source_of: SourceOf | None = None) -> Input:
    """The texts and files of the input. Raises Unscannable for anything else."""
    match given:
        case str():
            return Input(Content((Segment(given, source="user"),), lambda texts: texts[0], plain=True))
        case File():
            return _file(given)
        case list() | tuple():
            return _messages(given, source_of)
        case Mapping():
            return _messages([given], source_of)
    raise Unscannable("the input must be a text, a file, a message or a list of messages")


def _file(file: File) -> Input:
    opened = open_file(file)
    segments = _file_segments(opened)

    def rebuilt(texts: Sequence[str]) -> File:
        if list(texts) == [segment.text for segment in segments]:
            return file
        if not opened.plain:
            raise Unscannable(
                "a rule redacts a file, and only UTF-8 text can be rewritten: deny the file, or send its text"
            )
        return File(file.name, texts[0].encode())

    beside = tuple((number,) for number, segment in enumerate(segments) if segment.text)
    return Input(Content(segments, rebuilt, beside=(beside,) if len(beside) > 1 else ()), (opened,))


def _file_segments(opened: Opened) -> tuple[Segment, ...]:
    return tuple(Segment(text, path=f"file:{opened.name}", source="user") for text in opened.texts)


def _messages(given: Sequence[Any], source_of: SourceOf | None) -> Input:
    places: list[tuple[Path, Segment]] = []
    joinable: list[_JoinableText] = []
    files: list[tuple[Path, Opened]] = []
    for at, message in enumerate(given):
        if source_of is None and (text := _only_text(message)) is not None:
            source = _SOURCES.get(message["role"], UNKNOWN)
            places.append(((at, "content"), Segment(text, path=f"/{at}/content", source=source)))
            if text:
                joinable.append(_JoinableText(len(places) - 1, at, _Words(source, TEXT)))
            continue
        plain = _as_object(message)
        source = (source_of(plain) if source_of is not None else None) or _SOURCES.get(_role(plain), UNKNOWN)
        for path, text, words in _texts(plain, (), _Words(source)):
            if _place(plain, (at, *path), text, words.source, places, files) and text and words.channel:
                joinable.append(_JoinableText(len(places) - 1, at, words))
    inner = [segment for _, segment in places]
    opened = [segment for _, file in files for segment in _file_segments(file)]
    if len(inner) + len(opened) > MOST_SEGMENTS:
        raise Unscannable(f"the messages have more than {MOST_SEGMENTS} texts: send fewer at a time")

    def rebuilt(texts: Sequence[str]) -> list[Any]:
        own, rest = texts[: len(inner)], texts[len(inner) :]
        if any(text != segment.text for segment, text in zip(opened, rest, strict=True)):
            raise Unscannable(
                "a rule redacts a file inside a message, which cannot be rewritten: deny it, or send its text"
            )
        changed = {path: text for (path, segment), text in zip(places, own, strict=True) if text != segment.text}
        touched = frozenset(path[:offset] for path in changed for offset in range(1, len(path) + 1))
        return [_with(message, (at,), changed, touched) for at, message in enumerate(given)]

    runs, offset = _runs(joinable), len(inner)
    beside = list(_in_order(joinable, runs))
    for _, file in files:
        beside.append(
            tuple((number,) for number in range(offset, offset + len(file.texts)) if opened[number - len(inner)].text)
        )
        offset += len(file.texts)
    content = Content((*inner, *opened), rebuilt, runs=runs, beside=tuple(one for one in beside if len(one) > 1))
    return Input(content, tuple(file for _, file in files))


def _only_text(message: Any) -> str | None:
    """The text of a message that has only a role and a text, as most have; None for any other."""
    if type(message) is not dict or len(message) != 2:
        return None
    role, content = message.get("role"), message.get("content")
    if type(role) is not str or type(content) is not str or not 0 < len(role) <= _LONGEST_NAME:
        return None
    return None if content.startswith("data:") else content


def _runs(joinable: Sequence[_JoinableText]) -> tuple[tuple[int, ...], ...]:
    """The texts that form one: those of a message, and of consecutive messages of one source. A tool's result, or a
    search's, is one by itself."""
    groups: dict[tuple[int, str], list[int]] = {}
    turn, previous = 0, None
    for one in joinable:
        speaker = one.words.source, one.words.result, one.message if one.words.source in _BY_THEMSELVES else -1
        turn, previous = turn + (speaker != previous), speaker
        groups.setdefault((turn, one.words.channel), []).append(one.number)
    return several(groups.values())


def _in_order(
    joinable: Sequence[_JoinableText], runs: Sequence[tuple[int, ...]]
) -> Iterator[tuple[tuple[int, ...], ...]]:
    """How a model reads the texts: all of them, and those of one speaker, with those of others left out."""
    begins = {number: run for run in runs for number in run}
    order: dict[tuple[int, ...], str] = {
        begins.get(one.number, (one.number,)): one.words.source for one in joinable if one.words.channel == TEXT
    }
    yield tuple(order)
    sources = list(dict.fromkeys(order.values()))
    for source in sources if len(sources) > 1 else ():
        yield tuple(reading for reading, whose in order.items() if whose == source)


def _place(
    message: Mapping[str, Any],
    path: Path,
    text: str,
    source: str,
    places: list[tuple[Path, Segment]],
    files: list[tuple[Path, Opened]],
) -> bool:
    """Adds a text to its place. Returns whether it is one."""
    if path[-1] in _NAMES and len(text) <= _LONGEST_NAME:
        return False
    if (data := _bytes(path, text)) is not None:
        name = next((str(part["filename"]) for part in _enclosing(message, path[1:]) if "filename" in part), "")
        files.append((path, open_file(File(name, data))))
        return False
    places.append((path, Segment(text, path="".join(f"/{part}" for part in path), source=source)))
    return True


def _bytes(path: Path, text: str) -> bytes | None:
    """The bytes of a file that is in a message as base64."""
    if text.startswith("data:"):
        head, _, body = text.partition(",")
        if not head.endswith(";base64"):
            return None
    elif path[-1] in _BYTES:
        body = text
    else:
        return None
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise Unscannable("a file inside a message is not valid base64: encode it again") from None


def _enclosing(message: Any, path: Path) -> Iterator[Mapping[str, Any]]:
    """The objects around the place, the nearest first."""
    levels = [message]
    for part in path[:-1]:
        message = message[part]
        levels.append(message)
    yield from (level for level in reversed(levels) if isinstance(level, Mapping))


def _as_object(message: Any) -> Mapping[str, Any]:
    if isinstance(message, str):
        return {"role": "user", "content": message}
    if isinstance(message, Mapping):
        return message
    dump = getattr(message, "model_dump", None)
    data = dump() if callable(dump) else None
    if not isinstance(data, Mapping):
        raise Unscannable("a message must be a text, an object of JSON, or have a `model_dump` that returns one")
    return data


def _role(message: Mapping[str, Any]) -> str:
    return str(message.get("role") or message.get("type") or "")


def _texts(value: Any, path: Path, words: _Words) -> Iterator[tuple[Path, str, _Words]]:
    if len(path) > DEEPEST:
        raise Unscannable(f"a message nests deeper than {DEEPEST} levels: send it flatter, or as one text")
    match value:
        case str():
            yield path, value, words
        case Mapping():
            if value.get("type") in ("tool_result", "function_call_output", "mcp_tool_result"):
                words = _Words("tool", words.channel, path)
            for key, item in value.items():
                if not isinstance(key, str):
                    raise Unscannable("a message has a key that is not a text: send JSON")
                yield from _texts(item, (*path, key), replace(words, channel=channel(value, key, words.channel)))
        case list() | tuple():
            for at, item in enumerate(value):
                yield from _texts(item, (*path, at), words)
        case None | bool() | int() | float():
            return
        case _:
            raise Unscannable("a message holds a value that is not JSON: convert it to text first")


def _with(value: Any, path: Path, changed: Mapping[Path, str], touched: frozenset[Path]) -> Any:
    """The message with other texts in it, of the same type."""
    if path not in touched:
        return value
    match value:
        case str():
            return changed[path] if path in changed else changed[(*path, "content")]
        case Mapping():
            return {key: _with(item, (*path, key), changed, touched) for key, item in value.items()}
        case list() | tuple():
            return [_with(item, (*path, at), changed, touched) for at, item in enumerate(value)]
    return type(value).model_validate(_with(value.model_dump(), path, changed, touched))
