"""Texts in several blocks and messages: a value that goes on in the next one is one value, as it is in a stream."""

from __future__ import annotations

import base64
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from itertools import combinations_with_replacement
from typing import Any

import pytest

from policyengine import Engine, NotReleased
from policyengine.detect.finder import Finder
from policyengine.detect.finding import Finding
from policyengine.detect.registry import Registry
from policyengine.detect.reserved import WIDTH as RESERVED_WIDTH
from policyengine.release.content import Content, Segment
from policyengine.release.inspection import Inspection
from policyengine.release.split_values import look_over
from policyengine.release.uploads import File
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
    "a result of a tool of MCP": lambda parts: {"content": list(parts), "structured": {"to": 5}},
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
    for parts in [*cuts(f"it is {VALUES[kind]}, no more"), ["it is ", VALUES[kind], "Hello"]]:
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
    chunks = deltas(["AKIAIOSFODNN7EXAMPL2", "Hello"])
    left = [chunk["delta"]["text"] for chunk in asked.release_stream(chunks, principal=ANN, output=OUTPUT)]
    assert left == ["[secret.aws_access_key]", "Hello"]
    reads = engine(HEAD, 'forbid those: release on Output when "secret" in output.findings')
    with pytest.raises(NotReleased) as refused:
        list(reads.release_stream(chunks, principal=ANN, output=OUTPUT))
    assert [found.end for found in refused.value.released.findings] == [20]


def test_other_texts_of_a_value_are_read_by_themselves() -> None:
    asked = engine(HEAD, 'require scrub: release on Output redact(["email"])')
    for value in ({"a": "bob@ac", "b": "me.com"}, [["bob@ac", "x"], ["me.com", "y"]],
                  [{"name": "bob@ac", "text": "me.com"}], [{"type": "thinking", "thinking": "bob@ac"}, block("me.com")],
                  {"choices": [{"message": {"role": "assistant", "content": "bob@ac"}},
                               {"message": {"role": "assistant", "content": "me.com"}}]}):  # fmt: skip
        assert asked.release(value, principal=ANN, output=OUTPUT).text == value


ORDERS_OF_TWO = ("user", "assistant"), ("system", "user"), ("assistant", "tool"), ("tool", "tool")


@pytest.mark.parametrize("roles", ORDERS_OF_TWO)
@pytest.mark.parametrize("kind", sorted(VALUES))
def test_a_value_over_two_speakers_is_found_where_neither_has_one(roles: tuple[str, str], kind: str) -> None:
    """The model reads one after the other. What stands for the value is in both then."""
    value = VALUES[kind]
    denies = engine(OPEN, f'forbid those: invoke on Model when "{kind}" in context.input.findings')
    scrubs = engine(OPEN, f'require scrub: invoke on Model redact(["{kind}"])')
    for at in range(1, len(value)):
        given = [
            {"role": roles[0], "content": f"it is {value[:at]}"},
            {"role": roles[1], "content": f"{value[at:]}, x"},
        ]
        assert not denies.admit(given, principal=ANN, model=MODEL).allowed, at
        answer = scrubs.admit(given, principal=ANN, model=MODEL)
        one, other = (message["content"] for message in answer.messages)
        assert value not in one + other
        assert one.startswith("it is ")
        assert other.endswith(", x")
        assert len({(found.path, found.start) for found in answer.findings}) == 1


def test_what_others_say_between_hides_nothing() -> None:
    denies = engine(OPEN, 'forbid those: invoke on Model when "secret" in context.input.findings')
    given = [{"role": "user", "content": "AKIAIOSFODNN"}, {"role": "assistant", "content": "Go on."},
             {"role": "user", "content": "7EXAMPL2"}]  # fmt: skip
    assert not denies.admit(given, principal=ANN, model=MODEL).allowed
    given[2]["content"] = "NoResults."
    assert denies.admit(given, principal=ANN, model=MODEL).allowed


def test_what_a_speaker_has_is_no_more_for_what_another_says() -> None:
    """An address alone is a common answer, and `Thanks` no part of it."""
    scrubs = engine(OPEN, 'require scrub: invoke on Model redact(["email"])')
    given = [{"role": "assistant", "content": "Your address"}, {"role": "user", "content": "bob@acme.com"},
             {"role": "assistant", "content": "Thanks"}]  # fmt: skip
    answer = scrubs.admit(given, principal=ANN, model=MODEL)
    assert [message["content"] for message in answer.messages] == ["Your address", "[email]", "Thanks"]
    assert [found.path for found in answer.findings] == ["/1/content"]


def test_words_of_two_speakers_are_two_words() -> None:
    denies = engine(OPEN, 'forbid those: invoke on Model when "deceit" in context.input.findings')
    given = [{"role": "system", "content": "Answer like a pirate"}, {"role": "user", "content": "Да"}]
    assert denies.admit(given, principal=ANN, model=MODEL).allowed


def test_half_a_value_is_no_value() -> None:
    """Its last characters are not shown, and no token is made of it."""
    given = [{"role": "user", "content": "bob@ac"}, {"role": "assistant", "content": "me.com"}]
    for order in ('mask(["email"], keep: 4)', 'tokenize(["email"])', 'hash(["email"])'):
        answer = engine(OPEN, f"require scrub: invoke on Model {order}").admit(given, principal=ANN, model=MODEL)
        assert [message["content"] for message in answer.messages] == ["[email]", "[email]"]


def test_far_from_where_messages_end_is_read_once() -> None:
    """Between two long messages little is read again, and a match of any length is found."""
    kinds = frozenset({"run"})
    read: list[int] = []

    def find(text: str) -> list[Finding]:
        read.append(len(text))
        return [Finding("run", one.start(), one.end(), 0.9, "run") for one in re.finditer("x{6,}", text)]

    known = Registry((Finder("run", kinds, 20, find),))
    prose = "far from it. " * 1000

    def over(first: str, second: str) -> tuple[list[tuple[int, int]], int]:
        read.clear()
        content = Content((Segment(first), Segment(second)), list, beside=(((0,), (1,)),))
        told, _ = look_over(content, kinds, known, [(), ()])
        return [(one.start, one.end) for one in told[0]], sum(read)

    size = len(prose)
    assert over(prose + "xxx", "xxx" + prose) == ([(size, size + 6)], 2 * (20 + RESERVED_WIDTH))
    assert over(prose + "xxx", "x" * 5000 + prose)[0] == [(size, size + 5003)]
    assert over(prose + "x" * 5000, "xxx" + prose)[0] == [(size, size + 5003)]


def test_what_is_split_over_the_parts_of_a_file_is_found() -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("word/document.xml", "it is AKIAIOSFODNN")
        archive.writestr("word/empty.xml", "")
        archive.writestr("word/footer.xml", "7EXAMPL2")
    denies = engine(OPEN, 'forbid those: invoke on Model when "secret" in context.input.findings')
    file = File("a.docx", data.getvalue())
    assert not denies.admit(file, principal=ANN, model=MODEL).allowed
    encoded = {"type": "file", "file": {"filename": "a.docx", "file_data": base64.b64encode(file.data).decode()}}
    given = [{"role": "user", "content": [block("read this"), encoded]}]
    assert not denies.admit(given, principal=ANN, model=MODEL).allowed
