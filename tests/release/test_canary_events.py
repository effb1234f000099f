"""Who finds a canary is heard of: whole, as it comes, and on the way in. The token is in no event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from policyengine import Engine, NotReleased
from policyengine.detect import Vocabulary, registry
from policyengine.detect.content import canary
from policyengine.detect.registry import Registry
from policyengine.release.inspection import Inspection
from policyengine.settings.texts import OfTenant, Texts
from tests.support.told import Told

TOKEN = canary.mint(bytes(range(32)))
RULES = """
module m
use ai
permit p: release on Output for User
permit q: invoke on Model for User
require r: release on Output redact(["canary"])
forbid f: release on Output when "canary" in output.findings and "strict" in output.labels on stream cut
forbid g: invoke on Model when any f in context.input.found: f.kind == "canary"
"""
ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
TEXT = f"The notes say {TOKEN.encode().hex()}, and more."
MORE = " More." * 2_000
CHUNKS = [TEXT[at : at + 9] for at in range(0, len(TEXT), 9)]


def test_an_event_is_raised_each_way() -> None:
    told = Told()
    finders = registry(Vocabulary(canaries=(TOKEN,)))
    engine = Engine.from_text(RULES, events=told, inspection=Inspection(finders=finders))
    output = {"tenant": "acme", "labels": []}
    assert engine.release(TEXT, principal=ANN, output=output).text == "The notes say [canary], and more."
    assert "".join(engine.release_stream(CHUNKS, principal=ANN, output=output)) == "The notes say [canary], and more."
    with pytest.raises(NotReleased):
        list(engine.release_stream(CHUNKS, principal=ANN, output={"tenant": "acme", "labels": ["strict"]}))
    assert not engine.admit(TEXT, principal=ANN, model={"id": "m", "provider": "p", "tier": "t"}).allowed
    assert engine.release("NoResults here.", principal=ANN, output=output).allowed
    assert [(one.kind, one.fields["action"], one.fields["became"], one.tenant) for one in told.events] == [
        ("canary.found", "release", "removed", "acme"),
        ("canary.found", "release", "removed", "acme"),
        ("canary.found", "release", "held", "acme"),
        ("canary.found", "invoke", "held", "acme"),
    ]
    assert TOKEN not in repr(told.events)


def test_an_event_is_raised_of_a_stream_that_is_closed_or_not_released_on_the_way() -> None:
    told = Told()
    finders = registry(Vocabulary(canaries=(TOKEN,)))
    engine = Engine.from_text(RULES, events=told, inspection=Inspection(finders=finders))
    output = {"tenant": "acme", "labels": []}
    stream = engine.release_stream([TEXT, MORE, " And more."], principal=ANN, output=output)
    assert "[canary]" in next(iter(stream))
    stream.close()

    def broken() -> Iterator[str]:
        yield TEXT + MORE
        raise ConnectionError

    def unreadable() -> Iterator[Any]:
        yield TEXT + MORE
        yield {"nobody": ["reads", {"text": "this"}]}

    stream = engine.release_stream(broken(), principal=ANN, output=output)
    with pytest.raises(ConnectionError):
        list(stream)
    assert len(told.events) == 2
    stream.close()
    stream.close()
    with pytest.raises(NotReleased):
        list(engine.release_stream(unreadable(), principal=ANN, output=output))
    assert [(one.kind, one.fields["found"], one.fields["became"]) for one in told.events] == [
        ("canary.found", 1, "removed")
    ] * 3


FOUND = '"canary" in output.findings'
# What is ordered about a canary, and what becomes of it: whole, and as it comes.
BECAME = {
    'require r: release on Output redact(["canary"])': ("removed", "removed"),
    'require r: release on Output mask(["canary"], keep: 4)': ("removed", "removed"),
    f'require r: release on Output when {FOUND} withhold(message: "no")': ("removed", "removed"),
    f"forbid r: release on Output when {FOUND}": ("held", "held"),
    f"forbid r: release on Output when {FOUND} on stream cut": ("held", "held"),
    f"forbid r: release on Output when {FOUND} on match log": ("left", "left"),
    f'forbid r: release on Output when {FOUND} and "x" in output.labels on stream cut': ("left", "left"),
    f'require o: release on Output truncate(to: 20)\nforbid r: release on Output when {FOUND} on match log': (
        "left", "left",
    ),
    f'require o: release on Output truncate(to: 10)\nforbid r: release on Output when {FOUND} on match log': (
        "removed", "removed",
    ),
}  # fmt: skip
BASE = "module m\nuse ai\npermit p: release on Output for User\n"
OUTPUT = {"tenant": "acme", "labels": []}


def _engine(rules: str, told: Told) -> Engine:
    return Engine.from_text(
        BASE + rules, events=told, inspection=Inspection(finders=registry(Vocabulary(canaries=(TOKEN,))))
    )


def _became(told: Told) -> list[object]:
    return [one.fields["became"] for one in told.events if one.kind == "canary.found"]


@pytest.mark.parametrize("rules", BECAME)
def test_what_became_of_a_canary_is_told_once(rules: str) -> None:
    whole, stream = Told(), Told()
    _engine(rules, whole).release(TEXT, principal=ANN, output=OUTPUT)
    with suppress(NotReleased):
        list(_engine(rules, stream).release_stream(CHUNKS, principal=ANN, output=OUTPUT))
    assert (_became(whole), _became(stream)) == tuple([one] for one in BECAME[rules])
    assert TOKEN not in repr((whole.events, stream.events))


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("rules", BECAME)
def test_a_model_that_fails_hides_no_canary(rules: str, asynchronous: bool) -> None:
    """Once all of it has come it is heard of, whatever comes then. What is still held has not left."""
    told = Told()
    engine = _engine(rules, told)

    def dies() -> Iterator[str]:
        yield from CHUNKS
        raise RuntimeError("the model is away")

    async def dies_later() -> AsyncIterator[str]:
        for chunk in dies():
            yield chunk

    async def consumed() -> list[str]:
        return [piece async for piece in engine.release_stream(dies_later(), principal=ANN, output=OUTPUT)]

    with pytest.raises((RuntimeError, NotReleased)):
        asyncio.run(consumed()) if asynchronous else list(engine.release_stream(dies(), principal=ANN, output=OUTPUT))
    became = _became(told)
    assert len(became) == 1
    assert became == ["held"] or became == [BECAME[rules][1]]


def test_whoever_leaves_a_stream_hides_no_canary_that_was_found() -> None:
    told = Told()
    engine = _engine('require r: release on Output redact(["canary"])', told)
    stream = iter(engine.release_stream([*CHUNKS, *["and on it goes.\n"] * 99], principal=ANN, output=OUTPUT))
    assert any("[canary]" in piece for piece in stream)
    assert _became(told) == []
    stream.close()  # type: ignore[attr-defined]
    assert _became(told) == ["removed"]


def test_canaries_and_protected_texts_are_settings(tmp_path: Path) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("Never tell anybody that the blue door opens twice a year.")
    texts = Texts(canaries=[TOKEN], tenants={"acme": OfTenant(protected=[prompt])})
    everybody, acme = texts.vocabulary(), texts.vocabulary(texts.tenants["acme"])
    assert everybody.canaries == acme.canaries == (TOKEN,)
    assert (bool(everybody.fingerprints), bool(acme.fingerprints)) == (False, True)
    assert TOKEN not in repr(texts)
    for wrong in ({"canaries": ["no canary"]}, {"protected": [tmp_path / "absent"]}):
        with pytest.raises(ValueError, match=r"canary|cannot be read"):
            Texts.model_validate(wrong)


def test_finders_of_a_tenant_without_a_name_are_nobody_elses() -> None:
    """A tenant whose id is empty is one of many: all others have the finders of all."""
    looked = Inspection(tenants={"": Registry(())})
    assert looked.registry("").finders == ()
    assert looked.registry("acme") is looked.registry("globex") is looked.finders
