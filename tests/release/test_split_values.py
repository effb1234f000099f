"""Classifiers that hang hold up those that wait for them, and nothing else of the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from threading import Event

from policyengine import Engine
from policyengine.detect import Finder, registry
from policyengine.release.classifiers import WORKERS
from policyengine.release.inspection import Inspection

BASE = """
module m
use ai
permit own: release on Output for User
permit talk: invoke on Model for User
require s: release on Output redact(["email"])
"""
HARM = 'forbid h: release on Output when output.scores has ["harm"] and output.scores["harm"] > 0.5\n'
UNKNOWN = 'forbid u: release on Output unless output.scores has ["harm"] because "nobody knows"\n'
NAMES = 'require n: release on Output redact(["own.name"])\n'
ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
# Longer than anything here takes; what fails, fails by it.
LONG = 120.0
ASKED = 2 * WORKERS + 8


def test_only_those_wait_who_ask_a_classifier_that_hangs() -> None:
    go_on, entered = Event(), []

    def hangs(text: str) -> float:
        entered.append(text)
        go_on.wait(LONG)
        return 0.1

    slow = Engine.from_text(BASE + HARM + UNKNOWN, inspection=Inspection(classifiers={"harm": hangs}, seconds=LONG))
    fast = Engine.from_text(
        BASE, inspection=Inspection(registry(plugged=[Finder("x", frozenset({"x"}), 8, lambda text: [])]))
    )

    async def chunks() -> AsyncIterator[str]:
        for part in ("bob@ac", "me.com "):
            yield part

    async def at_once() -> tuple[list[str], int, list[str]]:
        asked = [asyncio.create_task(slow.release_async("x", principal=ANN, output={})) for _ in range(ASKED)]
        while len(entered) < WORKERS or sum(task.done() for task in asked) < ASKED - WORKERS:
            await asyncio.sleep(0)
        messages = [{"role": "user", "content": "Whom do I ask?"}]
        said = [
            (await fast.admit_async(messages, principal=ANN, model={"id": "m"})).messages[0]["content"],
            (await fast.release_async("bob@acme.com", principal=ANN, output={})).text,
            "".join([piece async for piece in fast.release_stream(chunks(), principal=ANN, output={})]),
            await asyncio.to_thread(lambda: "the application's own"),
        ]
        waiting = sum(not task.done() for task in asked)
        # Beyond the bound nobody waits: the score is unknown at once, and the rule that asks says so.
        denied = [task.result().reason for task in asked if task.done()]
        go_on.set()
        assert sum(each.allowed for each in await asyncio.gather(*asked)) == WORKERS
        return said, waiting, denied

    async def in_time() -> tuple[list[str], int, list[str]]:
        return await asyncio.wait_for(at_once(), LONG / 2)

    try:
        said, waiting, denied = asyncio.run(in_time())
    finally:
        go_on.set()
    assert said == ["Whom do I ask?", "[email]", "[email] ", "the application's own"]
    assert waiting == WORKERS
    assert denied == ["nobody knows"] * (ASKED - WORKERS)
    assert len(entered) == WORKERS


def test_why_a_finder_did_not_answer_is_said_and_no_value() -> None:
    go_on = Event()

    def hangs(text: str) -> list[object]:
        go_on.wait(LONG)
        return []

    def raises(text: str) -> list[object]:
        raise KeyError(text)

    def reason(find: object, seconds: float = 0.02) -> str:
        finder = Finder("names", frozenset({"own.name"}), None, find)  # type: ignore[arg-type]
        engine = Engine.from_text(BASE + NAMES, inspection=Inspection(registry(plugged=[finder]), seconds=seconds))
        return engine.release("planted", principal=ANN, output={}).reason

    try:
        assert reason(raises, LONG) == "detector `names` failed: it raised KeyError"
        late = {reason(hangs) for _ in range(WORKERS)}
        assert late == {"detector `names` did not answer within 0.02 seconds"}
        assert reason(hangs) == f"detector `names` was not asked: {WORKERS} calls at once are under way"
    finally:
        go_on.set()
