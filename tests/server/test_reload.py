"""Reload under load: files are rewritten, every third time broken, while requests are answered.

No request fails, no answer mixes two revisions, and what answers is always a version that was good.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.serving import EVALUATION, EVALUATIONS, serving

WRITES = 60
REQUEST = {
    "subject": {"type": "user", "id": "ann"},
    "action": {"name": "read"},
    "resource": {"type": "record", "id": "r"},
}


def version(number: int) -> str:
    """Even versions allow, odd ones deny, each by a rule named after itself; every third one is broken."""
    broken = "permit ((" if number % 3 == 2 else ""
    head = "module moving\nentity user\nentity record\naction read on record for user\n"
    effect = "forbid" if number % 2 else "permit"
    return f"{head}{effect} v{number}: read on record\n{broken}\n"


def write(path: Path, number: int) -> None:
    new = path.with_name("new.tmp")
    new.write_text(version(number), encoding="utf-8")
    os.replace(new, path)


@pytest.fixture
def moving(tmp_path: Path) -> Iterator[tuple[httpx.Client, Path]]:
    path = tmp_path / "moving.pol"
    write(path, 0)
    with serving(tmp_path, reload=True) as client:
        yield client, path


@pytest.mark.slow
def test_reload_under_load(moving: tuple[httpx.Client, Path]) -> None:
    client, path = moving
    answers: list[list[dict[str, Any]]] = []
    failures: list[Any] = []
    done = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=client.base_url, trust_env=False) as own:
            while not done.is_set():
                one = own.post(EVALUATION, json=REQUEST)
                many = own.post(EVALUATIONS, json={**REQUEST, "evaluations": [{}] * 20})
                if (one.status_code, many.status_code) != (200, 200):
                    failures.append((one.text, many.text))
                    return
                answers.append([one.json()])
                answers.append(many.json()["evaluations"])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, WRITES + 1):
        write(path, number)
        # Bursts with a rest in between, as editors and deployments write.
        time.sleep(0.25 if number % 5 == 0 else 0.02)
    last = next(number for number in range(WRITES, 0, -1) if number % 3 != 2)
    write(path, last)
    wait_for(client, f"moving.v{last}")
    done.set()
    for thread in threads:
        thread.join()

    assert not failures
    rules: dict[str, str] = {}
    for batch in answers:
        assert len({answer["context"]["revision"] for answer in batch}) == 1
        for answer in batch:
            (rule,) = answer["context"]["determining"]
            number = int(rule.removeprefix("moving.v"))
            assert number % 3 != 2
            assert answer["decision"] is (number % 2 == 0)
            assert rules.setdefault(answer["context"]["revision"], rule) == rule
    assert len(rules) > 1


@pytest.mark.slow
def test_a_broken_change_is_reported_and_the_last_good_one_keeps_answering(
    moving: tuple[httpx.Client, Path],
) -> None:
    client, path = moving
    ready = client.get("/readyz").json()
    write(path, 2)
    degraded = _wait(lambda: client.get("/readyz"), lambda answer: answer.json()["status"] == "degraded").json()
    assert degraded["revision"] == ready["revision"]
    assert degraded["diagnostics"][0]["location"]["line"] > 1
    assert determining(client) == ["moving.v0"]
    write(path, 4)
    wait_for(client, "moving.v4")
    assert client.get("/readyz").json()["status"] == "ready"
    assert 'policyengine_reloads_total{outcome="failed"} 1.0' in client.get("/metrics").text


@pytest.mark.slow
def test_the_gate_keeps_out_what_fails_its_tests(tmp_path: Path) -> None:
    path = tmp_path / "moving.pol"
    write(path, 0)
    with serving(tmp_path, reload=True, gate="tests") as client:
        wrong = 'test "wrong" {\n  principal user::"ann"\n  read on record::"r"\n  expect deny\n}\n'
        new = path.with_name("new.tmp")
        new.write_text(version(4) + wrong, encoding="utf-8")
        os.replace(new, path)
        _wait(lambda: client.get("/readyz"), lambda answer: answer.json()["status"] == "degraded")
        assert determining(client) == ["moving.v0"]


def determining(client: httpx.Client) -> list[str]:
    found: list[str] = client.post(EVALUATION, json=REQUEST).json()["context"]["determining"]
    return found


def wait_for(client: httpx.Client, rule: str) -> None:
    _wait(lambda: determining(client), lambda found: found == [rule])


def _wait(ask: Any, good: Any) -> Any:
    deadline = time.monotonic() + 60
    while True:
        answer = ask()
        if good(answer):
            return answer
        assert time.monotonic() < deadline, getattr(answer, "text", answer)
        time.sleep(0.05)
