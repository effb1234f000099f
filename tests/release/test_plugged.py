"""Finders that somebody plugs in: one that fails, is slow or says nonsense lets nothing out, whole or as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from policyengine import Engine, NotReleased
from policyengine.detect import Finder, Finding, Pattern, Vocabulary
from policyengine.detect.registry import Registry, registry
from policyengine.release.inspection import Inspection

RULES = """
module m
use ai
permit p: release on Output for User
require r: release on Output redact(["name", "email"])
"""
ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
TEXT = "Planted Bob wrote to planted@acme.com."
END = Event()


def slow(text: str) -> Any:
    END.wait(30)
    return []


def broken(text: str) -> Any:
    raise ValueError(text)


SAYING: dict[str, Callable[[str], Any]] = {
    "slow": slow,
    "broken": broken,
    "none": lambda text: None,
    "beyond the text": lambda text: [Finding("name", 0, len(text) + 1, 0.9, "names")],
    "another kind": lambda text: [Finding("email", 0, 1, 0.9, "names")],
}


@pytest.fixture(scope="module", autouse=True)
def ended() -> Any:
    yield
    END.set()


def test_nobody_waits_for_the_finders_that_are_built_in() -> None:
    words = Vocabulary(patterns=(Pattern("own.case", "CASE-[0-9]{4}"),), words=(("own.project", "bluebird"),))
    inspection = Inspection(finders=registry(words))
    assert not inspection.waits
    assert inspection.registry("acme") is inspection.finders


@pytest.mark.parametrize("width", [None, 40])
@pytest.mark.parametrize("how", SAYING)
def test_nothing_leaves(how: str, width: int | None) -> None:
    names = Finder("names", frozenset({"name"}), width, SAYING[how])
    finders = Registry((*registry().finders, names))
    engine = Engine.from_text(RULES, inspection=Inspection(finders=finders, seconds=0.05))
    released = engine.release(TEXT, principal=ANN, output={})
    assert (released.allowed, released.text) == (False, None)
    assert "lanted" not in f"{released!r}"
    stream = engine.release_stream([TEXT[:9], TEXT[9:]], principal=ANN, output={})
    with pytest.raises(NotReleased, match="names"):
        list(stream)

    async def at_once() -> bool:
        return (await engine.release_async(TEXT, principal=ANN, output={})).allowed

    assert asyncio.run(at_once()) is False


def test_a_sound_one_is_asked() -> None:
    names = Finder("names", frozenset({"name"}), 40, lambda text: [
        Finding("name", at, at + 3, 0.9, "names") for at in [text.find("Bob")] if at >= 0
    ])  # fmt: skip
    engine = Engine.from_text(RULES, inspection=Inspection(finders=Registry((*registry().finders, names))))
    assert engine.release(TEXT, principal=ANN, output={}).text == "Planted [name] wrote to [email]."
    assert "".join(engine.release_stream([*TEXT], principal=ANN, output={})) == "Planted [name] wrote to [email]."

    async def come() -> str:
        return "".join([piece async for piece in engine.release_stream([*TEXT], principal=ANN, output={})])

    assert asyncio.run(come()) == "Planted [name] wrote to [email]."


@pytest.mark.parametrize(
    ("rules", "before", "after"),
    [
        ('require r: release on Output redact(["name"])', True, True),
        ('require r: release on Output unless "admin" in principal.roles redact(["name"])', True, True),
        ('require r: release on Output when "admin" in principal.roles redact(["name"])', True, False),
        ('forbid r: release on Output when "name" in output.findings on stream cut', True, True),
        ('require r: release on Output withhold(message: "no")', True, True),
        ('require r: release on Output redact(["email"])', False, False),
    ],
)
def test_a_stream_that_waits_for_its_end_says_so_before(rules: str, before: bool, after: bool) -> None:
    names = Finder("names", frozenset({"name"}), None, lambda text: [])
    base = "module m\nuse ai\npermit p: release on Output for User\n"
    engine = Engine.from_text(base + rules, inspection=Inspection(registry(plugged=[names])))
    stream = engine.release_stream(["a few ", "words"], principal=ANN, output={})
    assert stream.buffered is before
    assert len([*stream]) == (1 if after else 2)
    assert stream.buffered is after


NAMED = 'require r: release on Output redact(["name"{}])'


@pytest.mark.parametrize("others", ["", ', "email"', ', "secret", "iban"'])
def test_a_finder_that_is_not_wide_holds_little_back(others: str) -> None:
    """Whatever finders are beside it, and it is not asked for each chunk."""
    asked: list[int] = []

    def names(text: str) -> list[Finding]:
        asked.append(len(text))
        at = text.find("Bob")
        return [Finding("name", at, at + 3, 0.9, "names")] if at >= 0 else []

    finders = registry(plugged=[Finder("names", frozenset({"name"}), 16, names)])
    base = "module m\nuse ai\npermit p: release on Output for User\n"
    engine = Engine.from_text(base + NAMED.format(others), inspection=Inspection(finders))
    came = 0

    def coming() -> Any:
        nonlocal came
        for word in ("a few words and then some " * 40 + "for Bob only").split(" "):
            came += len(word) + 1
            yield word + " "

    went, farthest = "", 0
    for piece in engine.release_stream(coming(), principal=ANN, output={}):
        went += piece
        farthest = max(farthest, came - len(went))
    assert went == "a few words and then some " * 40 + "for [name] only "
    assert farthest < 128
    assert len(asked) < 3 * came / 32


def test_what_is_no_way_to_look_at_texts_is_refused_at_once() -> None:
    async def later(text: str) -> list[Finding]:
        return []

    async def score(text: str) -> float:
        return 0.1

    wrong: list[Callable[[], object]] = [
        lambda: Engine.from_text(RULES, inspection=registry()),  # type: ignore[arg-type]
        lambda: Inspection(finders=[]),  # type: ignore[arg-type]
        lambda: Inspection(Vocabulary()),  # type: ignore[arg-type]
        lambda: Inspection(tenants={"acme": Vocabulary()}),  # type: ignore[dict-item]
        lambda: Inspection(registry(plugged=[Finder("later", frozenset({"x"}), None, later)])),  # type: ignore[arg-type]
        lambda: Inspection(classifiers={"later": score}),  # type: ignore[dict-item]
    ]
    said = []
    for make in wrong:
        with pytest.raises(TypeError) as caught:
            make()
        said.append(str(caught.value))
    assert "Inspection(finders=registry(...)), not Registry" in said[0]
    assert [line.rpartition(" ")[2] for line in said[1:4]] == ["list", "Vocabulary", "Vocabulary"]
    assert all("`later`" in line and "not an async one" in line for line in said[4:])
