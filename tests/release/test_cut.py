"""`on stream cut`: a beginning of what would go without the rule, and then the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine import Engine, InvalidPolicies, NotReleased
from policyengine.release.inspection import Inspection
from policyengine.release.service import Releases
from tests.support.examples import few

BASE = """
module cut
use ai
permit all_of_it: release on Output for User
require scrub: release on Output redact(["email"])
"""
SECRETS = 'forbid secrets: release on Output when "secret" in output.findings because "a secret" on stream cut\n'
LONG = "forbid long: release on Output when output.size > 900 on stream cut\n"
TEXT = 'forbid words: release on Output when output.text like "*plan b*" on stream cut\n'
HARM = 'forbid harm: release on Output when output.scores["harm"] > 0.5 on stream cut\n'
ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
PARTS = ("a few words of prose ", "bob@acme.com ", "AKIAIOSFODNN7EXAMPL2 ", "plan b ", "4111 1111 1111 1111 ", "\n")


def harm(text: str) -> float:
    return 0.9 if "plan b" in text else 0.1


WITHOUT = Engine.from_text(BASE)
CUTTING = {
    name: Engine.from_text(BASE + rule, inspection=Inspection(classifiers={"harm": harm}))
    for name, rule in {
        "secrets": SECRETS,
        "long": LONG,
        "text": TEXT,
        "harm": HARM,
        "all": SECRETS + LONG + TEXT,
    }.items()
}


def run(engine: Releases, chunks: list[Any]) -> tuple[list[Any], bool]:
    """What went, and whether it was cut."""
    gone: list[Any] = []
    stream = engine.release_stream(chunks, principal=ANN, output={})
    assert not stream.buffered
    ended = None
    try:
        gone.extend(stream)
    except NotReleased as error:
        ended = error
    assert ended is None or (ended.cut, ended.released.allowed) == (True, False)
    return gone, ended is not None


@few(4)
@given(
    st.sampled_from(sorted(CUTTING)),
    st.lists(st.sampled_from(PARTS), max_size=60).map("".join),
    st.lists(st.integers(1, 60), min_size=1, max_size=60),
)
def test_what_goes_is_a_beginning_of_what_would_go_without(name: str, text: str, sizes: list[int]) -> None:
    chunks, at = [], 0
    for size in sizes:
        chunks.append(text[at : at + size])
        at += size
    chunks.append(text[at:])
    whole = WITHOUT.release(text, principal=ANN, output={}).text
    gone, cut = run(CUTTING[name], chunks)
    assert whole.startswith("".join(gone))
    # It ends where the rule holds of the whole, and where it holds of the whole it ends.
    assert cut is not CUTTING[name].release(text, principal=ANN, output={}).allowed
    assert cut or "".join(gone) == whole
    if name in ("secrets", "all"):
        assert "AKIA" not in "".join(gone)


def test_deltas_and_async_streams_are_cut_as_well() -> None:
    prose = "a few words of prose, and then some. " * 60
    chunks = [{"choices": [{"index": 0, "delta": {"content": part}}]} for part in (prose, "AKIAIOSFODNN7", "EXAMPL2 x")]
    gone, cut = run(CUTTING["secrets"], [*chunks, *chunks])
    assert cut
    assert "AKIA" not in str(gone)

    async def coming() -> AsyncIterator[str]:
        for part in (prose, prose, " AKIAIOSFODNN7EXAMPL2 ", prose):
            yield part

    async def consumed() -> tuple[str, bool]:
        text = ""
        try:
            async for piece in CUTTING["secrets"].release_stream(coming(), principal=ANN, output={}):
                text += piece
        except NotReleased as error:
            return text, error.cut
        return text, False

    text, cut = asyncio.run(consumed())
    assert cut
    assert text
    assert (prose * 2).startswith(text)


def test_a_classifier_that_fails_cuts() -> None:
    def broken(text: str) -> float:
        raise RuntimeError(text)

    engine = Engine.from_text(BASE + HARM, inspection=Inspection(classifiers={"harm": broken}))
    gone: list[str] = []
    with pytest.raises(NotReleased):
        gone.extend(engine.release_stream(["hello ", "there"], principal=ANN, output={}))
    assert gone == []


def test_a_classifier_is_asked_a_few_times_whatever_the_chunks() -> None:
    asked: list[int] = []

    def counts(text: str) -> float:
        asked.append(len(text))
        return 0.1

    engine = Engine.from_text(BASE + HARM, inspection=Inspection(classifiers={"harm": counts}))
    list(engine.release_stream(["abc"] * 50, principal=ANN, output={}))
    # Of nothing, before it begins: one that is away lets nothing go.
    assert asked == [0, 150]
    asked.clear()
    list(engine.release_stream(["abc"] * 4_000, principal=ANN, output={}))
    assert asked[:2] == [0, 258]
    assert len(asked) < 40
    assert all(later - earlier >= 256 for earlier, later in pairwise(asked[:-1]))


def test_the_event_loop_goes_on_while_a_classifier_is_asked() -> None:
    """Each time it is asked, from the first on, it answers once the event loop has had a turn."""
    turn, answered = Event(), []

    def answers_then(text: str) -> float:
        turn.clear()
        answered.append(turn.wait(30))
        return 0.1

    engine = Engine.from_text(BASE + HARM, inspection=Inspection(classifiers={"harm": answers_then}, seconds=60))

    async def turning() -> None:
        while True:
            turn.set()
            await asyncio.sleep(0.001)

    async def consumed() -> str:
        beside = asyncio.create_task(turning())
        stream = engine.release_stream(["a few words of prose "] * 60, principal=ANN, output={})
        text = "".join([piece async for piece in stream])
        beside.cancel()
        return text

    assert asyncio.run(consumed()) == "a few words of prose " * 60
    assert answered == [True] * len(answered)
    assert len(answered) > 3


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("permit more: release on Output for User on stream cut", "POL713"),
        ("forbid more: invoke on Model on stream cut", "POL713"),
        ("forbid broken: release on Output unless output.valid on stream cut", "POL713"),
        ("limit few: release on Output on match log at most 1 requests per hour by principal.id", "POL713"),
        ("prove it: never allow release on Output on match log", "POL713"),
        ("forbid odd: release on Output on match cut", "POL101"),
        ("forbid twice: release on Output on match log on match log", "POL105"),
    ],
)
def test_a_rule_without_that_mode_is_refused(rule: str, code: str) -> None:
    with pytest.raises(InvalidPolicies, match=code):
        Engine.from_text(f"{BASE}{rule}\n")
