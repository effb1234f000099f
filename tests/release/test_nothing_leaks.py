"""Nothing that is written shows a value: a text with planted values goes every way, and what is said is searched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from policyengine import Engine, NotReleased
from policyengine.detect.finder import Finder
from policyengine.detect.registry import Registry, registry
from policyengine.events.event import Event
from policyengine.explain.display import decision_json
from policyengine.release.inspection import Inspection
from policyengine.release.released import Released
from tests.server.serving import serving

PLANTED = (
    "bob.planted@acme.com",
    "4111 1111 1111 1111",
    "ghp_1Ry94ZBDZ2wDMlyT1MqGG6FbAMl6Gx0IfpPf",
    "bluebird-planted",
)
TEXT = f"Write to {PLANTED[0]}, card {PLANTED[1]}, token {PLANTED[2]}, project {PLANTED[3]}."
ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
RULES = """
module leaks
use ai
permit all_of_it: release on Output for User
permit models: invoke on Model for User
require scrub: release on Output redact(["email", "credit_card", "secret", "project"])
require scrub_in: invoke on Model redact(["email", "credit_card", "secret", "project"])
"""
DENYING = {
    "found": 'forbid f: release on Output when any f in output.found: f.kind == "email" because "no"',
    "text": 'forbid f: release on Output when output.text like "*planted*"',
    "scores": 'forbid f: release on Output when output.scores["harm"] > 0.5',
    "tried": 'forbid f: release on Output when output.text like "*planted*" on match log',
    "cut": 'forbid f: release on Output when output.text like "*planted*" on stream cut',
    "withheld": 'require w: release on Output withhold(message: "later")',
    "unknown": 'require w: release on Output redact(["projekt"])',
}


class Told:
    def __init__(self) -> None:
        self.said: list[str] = []

    def send(self, event: Event) -> None:
        self.said.append(f"{event.kind} {dict(event.fields)} {event.tenant}")

    def close(self) -> None:
        """Nothing to close."""


def broken(text: str) -> Any:
    raise ValueError(f"cannot read {text}")


def finders() -> dict[str, Registry]:
    whole = registry()
    project = Finder("project", frozenset({"project"}), None, broken)
    return {"built in": whole, "one that fails": Registry((*whole.finders, project))}


def account(released: Released) -> str:
    said = (released.findings, released.errors, released.reason, released.invalid, released.decision)
    return f"{said!r} {json.dumps(decision_json(released.decision))} {released.decision.summary}"


def clean(said: str) -> None:
    assert [value for value in PLANTED if value in said or value[:12] in said or value[-12:] in said] == []


@pytest.mark.parametrize("rule", sorted(DENYING))
@pytest.mark.parametrize("known", sorted(finders()))
def test_in_process(rule: str, known: str, capfd: pytest.CaptureFixture[str]) -> None:
    told = Told()
    inspection = Inspection(finders=finders()[known], classifiers={"harm": broken})
    engine = Engine.from_text(f"{RULES}{DENYING[rule]}\n", inspection=inspection, events=told)
    said = [account(engine.release(TEXT, principal=ANN, output={}))]
    said.append(account(engine.release({"to": [TEXT]}, principal=ANN, output={})))
    said.append(account(engine.admit([{"role": "user", "content": TEXT}], principal=ANN, model={"id": "m"})))
    stream = engine.release_stream([TEXT[at : at + 7] for at in range(0, len(TEXT), 7)], principal=ANN, output={})
    gone = ""
    try:
        gone = "".join(stream)
    except NotReleased as error:
        said += [str(error), repr(error)]
    assert not any(value in gone for value in PLANTED[:3])
    assert stream.released is not None
    said.append(account(stream.released))
    clean("\n".join([*said, *told.said, *capfd.readouterr()]))


def test_in_a_service(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "leaks.pol").write_text(f"{RULES}{DENYING['tried']}\n{DENYING['found'].replace('f:', 'g:', 1)}\n")
    texts = {"words": {"project": [PLANTED[3]]}}
    with serving(tmp_path, texts=texts, log_level="debug", decision_log="info") as client:
        subject = {"type": "User", "id": "ann", "properties": {"tenant": "acme", "roles": []}}
        said = [
            client.post("/v1/release", json={"subject": subject, "text": TEXT}).text,
            client.post("/v1/release", json={"subject": subject, "json": {"a": TEXT}}).text,
            client.post("/v1/release", json={"subject": subject, "text": TEXT, "json": TEXT}).text,
            client.post("/v1/admit", json={"subject": subject, "model": {"id": "m"}, "text": TEXT}).text,
            client.post("/v1/detokenize", json={"subject": subject, "text": TEXT}).text,
            client.post("/v1/release", content=f'{{"text": "{TEXT}",').text,
        ]
        events = [{"subject": subject}, *(TEXT[at : at + 9] for at in range(0, len(TEXT), 9)), [TEXT]]
        body = "".join(f"data: {json.dumps(one)}\n\n" for one in events)
        said.append(client.post("/v1/release", content=body, headers={"content-type": "text/event-stream"}).text)
        said.append(client.get("/metrics").text)
    assert "policyengine_decisions_total" in said[-1]
    assert "decision" in said[0]
    clean("\n".join([*said, *capfd.readouterr()]))
