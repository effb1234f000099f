"""Streams: the chunks of others come out as they are, with what may go of their texts, and nothing that may not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk

from policyengine import Engine
from policyengine.release.inspection import Inspection
from policyengine.release.released import NotReleased
from tests.release.test_release import ANN, HEAD, OUTPUT, broken, engine

SCRUB = 'require scrub: release on Output redact(["email"])'
TEXT = "write to bob@acme.com, not to eve@acme.com\n" * 40


def streamed(rules: str, chunks: Iterable[Any], output: dict[str, Any] | None = None) -> list[Any]:
    return list(engine(rules).release_stream(chunks, principal=ANN, output=OUTPUT | (output or {})))


def pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1, 7, 400, 10_000])
def test_a_stream_releases_what_the_whole_would(size: int) -> None:
    whole = engine(SCRUB).release(TEXT, principal=ANN, output=OUTPUT).text
    assert "".join(streamed(SCRUB, pieces(TEXT, size))) == whole
    assert "@" not in whole


def test_a_stream_goes_as_it_comes() -> None:
    sent: list[str] = []

    def chunks() -> Iterable[str]:
        for piece in pieces(TEXT * 3, 10):
            sent.append(piece)
            yield piece

    stream = engine(SCRUB).release_stream(chunks(), principal=ANN, output=OUTPUT)
    next(iter(stream))
    assert not stream.buffered
    assert len("".join(sent)) < len(TEXT)


def test_the_async_form_takes_async_chunks() -> None:
    async def chunks() -> AsyncIterator[str]:
        for piece in pieces(TEXT, 9):
            yield piece

    async def collected() -> str:
        stream = engine(SCRUB).release_stream(chunks(), principal=ANN, output=OUTPUT)
        return "".join([piece async for piece in stream])

    assert asyncio.run(collected()) == "".join(streamed(SCRUB, [TEXT]))


def test_a_rule_that_looks_at_the_text_holds_it_to_the_end() -> None:
    rules = f'{SCRUB} forbid long: release on Output when output.size > 20 because "too long"'
    assert streamed(rules, ["a@b", ".com"]) == ["[email]"]
    with pytest.raises(NotReleased, match="too long"):
        streamed(rules, ["x"] * 21)


def test_a_denied_stream_gives_nothing() -> None:
    with pytest.raises(NotReleased, match="no permit applies") as refused:
        streamed("", ["hello"], {"tenant": "globex"})
    assert refused.value.released.decision.decision == "deny"


def test_what_fails_on_the_way_ends_the_stream() -> None:
    with pytest.raises(NotReleased):
        streamed('require scrub: release on Output hash(["email"])', [TEXT])
    from policyengine.detect.finder import Finder
    from policyengine.detect.registry import Registry

    finders = Registry((Finder("email", frozenset({"email"}), 100, broken),))
    stream = engine(SCRUB, finders=finders).release_stream(["bob@acme.com"], principal=ANN, output=OUTPUT)
    with pytest.raises(NotReleased) as refused:
        list(stream)
    assert "bob" not in repr(refused.value.released)


def test_truncation_counts_what_is_released() -> None:
    rules = f"{SCRUB} require short: release on Output truncate(to: 12)"
    assert "".join(streamed(rules, ["to bob@", "acme.com or to nobody"])) == "to [email] o"


def test_more_than_may_be_held_ends_the_stream() -> None:
    rule = "forbid long: release on Output when output.size > 1000"
    asked = Engine.from_text(HEAD + rule, inspection=Inspection(most=100))
    with pytest.raises(NotReleased, match="longer than 100 characters"):
        list(asked.release_stream(["x" * 60, "x" * 60], principal=ANN, output=OUTPUT))


# ---- the chunks of others ----


def openai(text: str, name: str = "content", choice: int = 0) -> dict[str, Any]:
    delta = {"role": "assistant", name: text}
    return {
        "id": "c-1", "object": "chat.completion.chunk", "model": "m",
        "choices": [{"index": choice, "delta": delta, "finish_reason": None}],
    }  # fmt: skip


def anthropic(text: str, block: int = 0) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": block, "delta": {"type": "text_delta", "text": text}}


def test_a_value_is_found_over_the_chunks_of_openai() -> None:
    out = streamed(SCRUB, [openai("to bob@a"), openai("cme.com "), openai("now"), openai("", "refusal")])
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in out) == "to [email] now"
    assert all(chunk["model"] == "m" for chunk in out)


def test_what_stands_for_a_value_is_said_behind_an_empty_chunk() -> None:
    """The first delta of many models is empty, and has gone before the value comes."""
    out = streamed(SCRUB, [openai(""), openai("bob@acme.com wrote "), openai(""), openai("eve@acme.com")])
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in out) == "[email] wrote [email]"
    assert "".join(streamed(SCRUB, ["", "bob@acme.com", ""])) == "[email]"


def test_choices_and_reasoning_are_texts_of_their_own() -> None:
    mixed = [openai("bob@a"), openai("x", choice=1), openai("eve@", "reasoning_content"), openai("cme.com"),
             openai("b.org", "reasoning_content")]  # fmt: skip
    out = streamed(SCRUB, mixed)
    texts: dict[tuple[int, str], str] = {}
    for chunk in out:
        choice = chunk["choices"][0]
        for name in ("content", "reasoning_content"):
            key = (choice["index"], name)
            texts[key] = texts.get(key, "") + choice["delta"].get(name, "")
    assert [texts[0, "content"], texts[0, "reasoning_content"], texts[1, "content"]] == ["[email]", "[email]", "x"]


def test_a_value_that_goes_on_in_the_next_block_is_one_value() -> None:
    stop = {"type": "content_block_stop", "index": 0}
    start = {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}
    out = streamed(SCRUB, [anthropic("bob@ac"), stop, start, anthropic("me.com!", 1), {"type": "message_stop"}])
    assert [chunk["type"] for chunk in out] == [
        "content_block_delta", "content_block_stop", "content_block_start", "content_block_delta", "message_stop"
    ]  # fmt: skip
    assert [out[0]["delta"]["text"], out[3]["delta"]["text"]] == ["[email]", "!"]


def test_messages_of_langchain_come_out_as_such() -> None:
    out = streamed(
        SCRUB, [AIMessageChunk(content="bob@"), AIMessageChunk(content="acme.com"), AIMessageChunk(content="")]
    )
    assert all(isinstance(chunk, AIMessageChunk) for chunk in out)
    assert "".join(str(chunk.content) for chunk in out) == "[email]"


def test_calls_of_tools_come_last_and_unchanged() -> None:
    call = {"id": "c", "choices": [{"index": 0, "delta": {"tool_calls": [
        {"index": 0, "function": {"name": "send", "arguments": '{"to": "bob@acme.com"}'}}]}}]}  # fmt: skip
    out = streamed(SCRUB, [call, openai("done")])
    assert out[-1] == call
    with pytest.raises(NotReleased):
        streamed(f"{SCRUB} forbid long: release on Output when output.size > 3", [call, openai("done")])


def test_an_event_that_repeats_the_text_goes_without_it() -> None:
    out = streamed(
        SCRUB,
        [
            {"type": "response.output_text.delta", "item_id": "i", "delta": "bob@acme.com"},
            {"type": "response.output_text.done", "item_id": "i", "text": "bob@acme.com"},
        ],
    )
    assert [out[0]["delta"], out[1]["text"]] == ["[email]", ""]


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": [{"delta": {"content": "x"}, "logprobs": {"content": [{"token": "bob@acme.com"}]}}]},
        {"type": "surprise", "payload": "bob@acme.com"},
        {"id": "bob@acme.com " * 100},
        {"data": b"bob@acme.com"},
        object(),
        7,
    ],
)
def test_a_text_at_a_place_that_nobody_reads_ends_the_stream(chunk: Any) -> None:
    with pytest.raises(NotReleased):
        streamed(SCRUB, [chunk])


@pytest.mark.parametrize("order", ['withhold(message: "ask a person")', 'redact(["email"])'])
def test_a_stream_is_charged_once(order: str) -> None:
    asked = engine(f"""
    limit few: release on Output at most 2 requests per 1h by principal
    require scrub: release on Output {order}
    """)
    for _ in range(2):
        assert list(asked.release_stream(["bob@acme.com"], principal=ANN, output=OUTPUT))
    with pytest.raises(NotReleased):
        list(asked.release_stream(["bob@acme.com"], principal=ANN, output=OUTPUT))


class Source:
    """Chunks, and how many of them were asked for before it was closed."""

    def __init__(self) -> None:
        self.asked = 0
        self.closed = False

    def chunks(self) -> Iterator[str]:
        try:
            for piece in ("to bob@acme.com and ", "to ann@ac", "me.com."):
                self.asked += 1
                yield piece
        finally:
            self.closed = True

    async def coming(self) -> AsyncIterator[str]:
        for piece in self.chunks():
            yield piece


def test_a_stream_that_is_closed_gives_nothing_more() -> None:
    source = Source()
    stream = engine(SCRUB).release_stream(source.chunks(), principal=ANN, output=OUTPUT)
    assert next(iter(stream)) == "to [email] and "
    stream.close()
    stream.close()
    assert (source.asked, source.closed) == (1, True)
    assert list(stream) == []
    released = stream.released
    assert released is not None
    assert (released.allowed, released.decision.decision) == (False, "allow")
    assert [one.kind for one in released.findings] == ["email"]


@pytest.mark.parametrize("is_async", [True, False])
def test_an_async_stream_that_is_closed_gives_nothing_more(is_async: bool) -> None:
    source = Source()

    async def read() -> list[str]:
        chunks = source.coming() if is_async else source.chunks()
        stream = engine(SCRUB).release_stream(chunks, principal=ANN, output=OUTPUT)
        async with aclosing(stream):
            first = await anext(aiter(stream))
        assert stream.released is not None
        assert not stream.released.allowed
        assert [one.kind for one in stream.released.findings] == ["email"]
        return [first, *[piece async for piece in stream]]

    assert asyncio.run(read()) == ["to [email] and "]
    assert source.asked == 1


def test_a_stream_that_is_closed_before_it_begins_decides_nothing() -> None:
    source = Source()
    stream = engine(SCRUB).release_stream(source.chunks(), principal=ANN, output=OUTPUT)
    stream.close()
    assert list(stream) == []
    assert (stream.released, source.asked) == (None, 0)


def test_a_stream_that_is_closed_at_its_end_stays_released() -> None:
    stream = engine(SCRUB).release_stream(Source().chunks(), principal=ANN, output=OUTPUT)
    assert "".join(stream) == "to [email] and to [email]."
    stream.close()
    assert stream.released is not None
    assert stream.released.allowed


def test_an_async_stream_is_not_closed_without_waiting() -> None:
    stream = engine(SCRUB).release_stream(Source().coming(), principal=ANN, output=OUTPUT)
    with pytest.raises(TypeError, match="aclose"):
        stream.close()


def test_a_stream_that_waits_for_its_end_gives_nothing_once_it_is_closed() -> None:
    rules = 'forbid f: release on Output when "iban" in output.findings'
    source = Source()

    async def read() -> list[str]:
        started, go_on = asyncio.Event(), asyncio.Event()

        async def slow() -> AsyncIterator[str]:
            for piece in source.chunks():
                started.set()
                yield piece
                await go_on.wait()

        stream = engine(rules).release_stream(slow(), principal=ANN, output=OUTPUT)
        task = asyncio.create_task(_all(stream))
        await started.wait()
        task.cancel()
        given = await asyncio.gather(task, return_exceptions=True)
        await stream.aclose()
        assert stream.released is None
        return [str(type(each).__name__) for each in given]

    assert asyncio.run(read()) == ["CancelledError"]
    assert source.asked == 1


async def _all(stream: AsyncIterable[Any]) -> list[Any]:
    return [piece async for piece in stream]
