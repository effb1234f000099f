"""A reload between looking at a text and deciding about it: whoever decides is told all that its rules read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from policyengine import Engine, NotReleased

ANN = {"type": "User", "id": "ann"}
RULES = """use ai
permit out: release on Output
permit in: invoke on Model
forbid iban: release on Output when "iban" in output.findings
forbid iban_in: invoke on Model when "iban" in context.input.findings
"""
NEWER = """forbid mail: release on Output when "email" in output.findings
forbid mail_in: invoke on Model when "email" in context.input.findings
"""
TEXT = "write to bob@acme.com"
CALLS: dict[str, Callable[[Engine], Any]] = {
    "release": lambda engine: engine.release(TEXT, principal=ANN),
    "release_async": lambda engine: asyncio.run(engine.release_async(TEXT, principal=ANN)),
    "admit": lambda engine: engine.admit(TEXT, principal=ANN, model={"id": "m"}),
    "admit_async": lambda engine: asyncio.run(engine.admit_async(TEXT, principal=ANN, model={"id": "m"})),
}


@pytest.mark.parametrize("reloads", [0, 1, 1_000])
@pytest.mark.parametrize("call", CALLS)
def test_what_was_looked_for_is_what_the_deciding_rules_read(
    call: str, reloads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies = tmp_path / "p.pol"
    policies.write_text(RULES)
    engine = Engine.load(tmp_path)
    done: list[int] = []

    def racing(looking: Callable[..., Any], *given: Any) -> Any:
        looked = looking(*given)
        if len(done) < reloads:
            # Each is another revision, and every second one denies.
            more = NEWER if len(done) % 2 == 0 else ""
            policies.write_text(RULES + more + f"permit r{len(done)}: detokenize on Output\n")
            assert engine.reload().ok
            done.append(1)
        return looked

    for step in ("_check", "_admission"):
        monkeypatch.setattr(engine, step, partial(racing, getattr(engine, step)))
    answer = CALLS[call](engine)
    assert answer.allowed is (reloads == 0)
    assert bool(done) is (reloads > 0)


STRICTER = {
    "forbid": 'forbid mail: release on Output when "email" in output.findings',
    "redact": 'require scrub: release on Output redact(["email"])',
    "truncate": "require short: release on Output truncate(to: 5)",
    "withhold": 'require no: release on Output withhold(message: "no")',
}


@pytest.mark.parametrize("when", ["made", "reading"])
@pytest.mark.parametrize("rule", STRICTER)
def test_a_stream_is_decided_by_the_rules_of_its_first_decision(rule: str, when: str, tmp_path: Path) -> None:
    """It is decided when somebody reads from it, and then to its end: none of it is by two sets of rules."""
    policies = tmp_path / "p.pol"
    policies.write_text("use ai\npermit out: release on Output\n")
    engine = Engine.load(tmp_path)

    def reload() -> None:
        policies.write_text(f"use ai\npermit out: release on Output\n{STRICTER[rule]}\n")
        assert engine.reload().ok

    def chunks() -> Iterator[str]:
        if when == "reading":
            reload()
        yield "write to bob@"
        yield "acme.com, "
        yield "x" * 3_000

    stream = engine.release_stream(chunks(), principal=ANN)
    if when == "made":
        reload()
    gone = ""
    with suppress(NotReleased):
        for chunk in stream:
            gone += chunk
    assert ("bob@acme.com" in gone) is (when == "reading")
    assert (len(gone) == 3_023) is (when == "reading")
