"""Who finds a canary is heard of: whole, as it comes, and on the way in. The token is in no event."""

from __future__ import annotations

from collections.abc import Iterator
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
    assert engine.release("Nothing here.", principal=ANN, output=output).allowed
    assert [(one.kind, one.fields["action"], one.fields["released"], one.tenant) for one in told.events] == [
        ("canary.found", "release", True, "acme"),
        ("canary.found", "release", True, "acme"),
        ("canary.found", "release", False, "acme"),
        ("canary.found", "invoke", False, "acme"),
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
    assert len(told.events) == 1
    stream.close()
    stream.close()
    with pytest.raises(NotReleased):
        list(engine.release_stream(unreadable(), principal=ANN, output=output))
    assert [(one.kind, one.fields["found"], one.fields["released"]) for one in told.events] == [
        ("canary.found", 1, False)
    ] * 3


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
