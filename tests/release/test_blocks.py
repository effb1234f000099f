"""Texts in several blocks and messages: a value that goes on in the next one is one value, as it is in a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations_with_replacement
from typing import Any

import pytest

from policyengine import Engine
from policyengine.release.inspection import Inspection
from tests.release.test_admission import MODEL, OPEN
from tests.release.test_release import ANN, HEAD, KEY, OUTPUT

VALUES = {"email": "bob@acme.com", "secret": "AKIAIOSFODNN7EXAMPL2", "credit_card": "4111 1111 1111 1111"}
ORDERS = ('redact(["{}"])', 'mask(["{}"], keep: 4)', 'hash(["{}"])', 'replace(["{}"], with: "n/a")')
CASES = [(kind, order.format(kind)) for kind in VALUES for order in ORDERS]

Parts = list[str]


def block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def engine(head: str, rules: str) -> Engine:
    return Engine.from_text(head + rules, inspection=Inspection(key=KEY))


def cuts(text: str) -> Iterator[Parts]:
    """Every cut in three, empty parts among them."""
    for one, other in combinations_with_replacement(range(len(text) + 1), 2):
        yield [text[:one], text[one:other], text[other:]]


def texts(value: Any) -> Parts:
    """The texts that were said, in order."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return texts(value.get("content", value.get("text", [])))


# The shapes in which three texts that are one are handed in.
SHAPES: dict[str, Callable[[Parts], Any]] = {
    "texts": list,
    "blocks": lambda parts: [block(part) for part in parts],
    "message": lambda parts: {"role": "assistant", "content": [block(part) for part in parts]},
    "messages": lambda parts: [{"role": "assistant", "content": part} for part in parts],
    "blocks in messages": lambda parts: [
        {"role": "assistant", "content": [block(parts[0]), block(parts[1])]},
        {"role": "assistant", "content": [block(parts[2])]},
    ],
    "a tool between": lambda parts: [
        block(parts[0]),
        {"type": "tool_use", "id": "t1", "name": "send", "input": {"to": "nobody"}},
        block(parts[1]),
        {"type": "thinking", "thinking": "and on", "signature": ""},
        block(""),
        block(parts[2]),
    ],
    "choices": lambda parts: {"choices": [{"index": 0, "message": {"content": parts, "role": "assistant"}}]},
}


def deltas(parts: Parts) -> list[Any]:
    return [
        {"type": "content_block_delta", "index": at, "delta": {"type": "text_delta", "text": part}}
        for at, part in enumerate(parts)
    ]


@pytest.mark.parametrize(("kind", "order"), CASES)
def test_blocks_leave_as_their_stream_does(kind: str, order: str) -> None:
    """release([b1, b2, b3]) = stream(b1, b2, b3), block by block, for every cut of a value over three blocks."""
    asked = engine(HEAD, f"require scrub: release on Output {order}")
    for parts in cuts(f"it is {VALUES[kind]}, no more"):
        streamed = [
            chunk["delta"]["text"] for chunk in asked.release_stream(deltas(parts), principal=ANN, output=OUTPUT)
        ]
        answer = asked.release([block(part) for part in parts], principal=ANN, output=OUTPUT)
        assert answer.allowed
        assert [part["text"] for part in answer.text] == streamed
        assert VALUES[kind] not in "".join(streamed)


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_every_shape_of_blocks_is_one_text(shape: str) -> None:
    asked = engine(HEAD, 'require scrub: release on Output redact(["email"])')
    for parts in cuts("to bob@acme.com, now"):
        answer = asked.release(SHAPES[shape](parts), principal=ANN, output=OUTPUT)
        said = answer.text["choices"][0]["message"]["content"] if shape == "choices" else answer.text
        assert "".join(text for text in texts(said)) == "to [email], now", parts


def admitted(shape: str, parts: Parts) -> Any:
    match shape:
        case "blocks":
            return [{"role": "user", "content": [block(part) for part in parts]}]
        case "messages":
            return [{"role": "user", "content": part} for part in parts]
        case "parts of Gemini":
            return [{"role": "user", "parts": [{"text": part} for part in parts]}]
        case "an image between":
            image = {"type": "image_url", "image_url": {"url": "https://acme.com/x.png"}}
            return [{"role": "user", "content": [block(parts[0]), image, block(parts[1]), block(parts[2])]}]
        case "the result of a tool":
            result = {"type": "tool_result", "tool_use_id": "t", "content": [block(part) for part in parts]}
            return [{"role": "user", "content": [result]}]
        case _:
            return [{"role": "tool", "tool_call_id": "t", "content": [block(part) for part in parts]}]


@pytest.mark.parametrize(
    "shape", ["blocks", "messages", "parts of Gemini", "an image between", "the result of a tool", "a tool's message"]
)
@pytest.mark.parametrize("kind", sorted(VALUES))
def test_what_goes_in_is_read_on_over_blocks_and_messages(shape: str, kind: str) -> None:
    """A rule finds it, and an order leaves nothing of it, however it is cut."""
    denies = engine(OPEN, f'forbid those: invoke on Model when "{kind}" in context.input.findings')
    scrubs = engine(OPEN, f'require scrub: invoke on Model redact(["{kind}"])')
    whole = scrubs.admit(f"it is {VALUES[kind]}, now", principal=ANN, model=MODEL).messages
    for parts in cuts(f"it is {VALUES[kind]}, now"):
        given = admitted(shape, parts)
        assert not denies.admit(given, principal=ANN, model=MODEL).allowed, parts
        left = scrubs.admit(given, principal=ANN, model=MODEL).messages
        said = [text for message in left for text in texts(message.get("parts", message))]
        assert "".join(said) == whole, parts


def test_a_value_over_two_blocks_is_one_finding_where_it_begins() -> None:
    reads = 'forbid those: release on Output when any one in output.found: one.kind == "email"'
    asked = engine(HEAD, reads)
    answer = asked.release([block("to bob@ac"), block("me.com")], principal=ANN, output=OUTPUT)
    assert [(one.kind, one.path, one.start, one.end) for one in answer.findings] == [("email", "/0/text", 3, 15)]
    scrubs = engine(HEAD, 'require scrub: release on Output redact(["email"])')
    answer = scrubs.release([block("to bob@ac"), block("me.com")], principal=ANN, output=OUTPUT)
    assert [(one.path, one.start, one.end) for one in answer.findings] == [("/0/text", 3, 15)]


def test_a_value_that_ends_with_its_block_is_found_too() -> None:
    """Read on, it would be something else: a key has so many letters, and no more."""
    asked = engine(HEAD, 'require scrub: release on Output redact(["secret"])')
    answer = asked.release([block("AKIAIOSFODNN7EXAMPL2"), block("Hello")], principal=ANN, output=OUTPUT)
    assert [part["text"] for part in answer.text] == ["[secret.aws_access_key]", "Hello"]


def test_other_texts_of_a_value_are_read_by_themselves() -> None:
    asked = engine(HEAD, 'require scrub: release on Output redact(["email"])')
    for value in ({"a": "bob@ac", "b": "me.com"}, [["bob@ac", "x"], ["me.com", "y"]],
                  [{"name": "bob@ac", "text": "me.com"}], [{"type": "thinking", "thinking": "bob@ac"}, block("me.com")],
                  {"choices": [{"message": {"role": "assistant", "content": "bob@ac"}},
                               {"message": {"role": "assistant", "content": "me.com"}}]}):  # fmt: skip
        assert asked.release(value, principal=ANN, output=OUTPUT).text == value
