"""The work that one batch may ask for: counted, bounded, and given back to the event loop in slices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from policyengine.authzen import fast_read
from policyengine.callers.caller import ANONYMOUS
from policyengine.engine import Engine
from policyengine.server.access.request_hints import AccessHints
from policyengine.server.batch_budget import ERROR, SLICE
from policyengine.server.bind import Binding
from policyengine.server.errors import RequestError
from policyengine.server.evaluation import evaluate_batch
from policyengine.server.pipeline import Answer, Slices
from policyengine.settings.model import Settings
from tests.server.serving import EVALUATIONS, serving

POLICY = """use ai
extend Document { x?: Int, y: Int }
permit all: retrieve on Document
forbid many: retrieve on Document when document has x and document.x > 1
forbid broken: retrieve on Document when document.id == "never" and document.y > 1
"""
BINDING = Binding(Settings(policies=Path("."), insecure=True).tenants.tenancy())
ASKED = {"subject": {"type": "User", "id": "ann"}, "action": {"name": "retrieve"}}


def document(id_: object, **properties: Any) -> dict[str, Any]:
    return {"resource": {"type": "Document", "id": str(id_), "properties": properties}}


def chain(length: int) -> dict[str, Any]:
    agent: dict[str, Any] = {"type": "Agent", "id": f"a{length}"}
    return {**agent, "properties": {"delegated_by": chain(length - 1)}} if length > 1 else agent


def _counted(slices: Slices) -> tuple[int, Answer]:
    """How often the event loop had its turn, and the answer."""
    count = 0
    while True:
        try:
            next(slices)
            count += 1
        except StopIteration as done:
            return count, done.value


class Counted:
    """How often a batch gave the loop back, and how often it decided."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine = Engine.from_text(POLICY)
        for action in ("retrieve", "call"):
            self.engine.decide(principal=ASKED["subject"], action=action, resource=document(0)["resource"])
        self.slices = self.decisions = 0
        evaluator = self.engine.snapshot.evaluator
        decide = evaluator.decide

        def counted(*args: Any) -> Any:
            self.decisions += 1
            return decide(*args)

        monkeypatch.setattr(evaluator, "decide", counted)

    def ask(self, items: list[Any], max_work: int = 100_000, **members: Any) -> Answer:
        body = json.dumps({**ASKED, **members, "evaluations": items}).encode()
        found = evaluate_batch(
            self.engine, body, ANONYMOUS, binding=BINDING, desk=AccessHints(None), max_batch=10_000, max_work=max_work
        )
        if isinstance(found, tuple):
            return found
        self.slices, answer = _counted(found)
        return answer


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


def test_ten_thousand_plain_items_are_answered_in_slices(counted: Counted) -> None:
    body, decided, failed = counted.ask([document(i) for i in range(10_000)])
    answers = json.loads(body)["evaluations"]
    assert (len(answers), len(decided), failed) == (10_000, 10_000, 0)
    assert all(each["decision"] for each in answers)
    assert counted.decisions == 10_000
    assert counted.slices == (10_000 - 1) // SLICE


def test_fifty_items_are_one_slice(counted: Counted) -> None:
    counted.ask([document(i) for i in range(50)])
    assert counted.slices == 0


@pytest.mark.parametrize("item", [document(1), {**document(1), "action": {"name": "call", "x": 1}}, {"subject": 1}])
def test_equal_items_are_answered_once(counted: Counted, item: Any) -> None:
    body, _, _ = counted.ask([item] * 10_000, context={"agent": chain(16)})
    assert len(set(map(str, json.loads(body)["evaluations"]))) == 1
    assert counted.decisions <= 1
    assert counted.slices == 0


def refused(counted: Counted, *args: Any, **members: Any) -> str:
    with pytest.raises(RequestError) as error:
        counted.ask(*args, **members)
    assert error.value.status == 413
    return error.value.message


def test_many_agents_for_many_items_are_refused_before_anything_is_decided(counted: Counted) -> None:
    items = [document(i) for i in range(10_000)]
    message = refused(counted, items, context={"agent": chain(16)})
    assert "100000 units of work" in message
    assert counted.decisions == 0
    principal = {**ASKED["subject"], "properties": {"delegated_by": chain(15)}}  # type: ignore[dict-item]
    refused(counted, items, subject=principal)
    assert counted.decisions == 0


def test_large_defaults_count_for_each_item(counted: Counted) -> None:
    items = [document(i) for i in range(1_000)]
    refused(counted, items, context={"note": "x" * 200_000})
    assert counted.decisions == 0
    counted.ask(items, context={"note": "x" * 20_000})
    assert counted.decisions == 1_000


def test_rules_that_err_count_more(counted: Counted) -> None:
    items = [document(i, x="one") for i in range(500)]
    body, _, _ = counted.ask(items)
    assert all(each["context"]["errors"] for each in json.loads(body)["evaluations"])
    assert counted.slices >= 500 * (1 + ERROR) // SLICE - 1
    counted.decisions = 0
    message = refused(counted, items[:100], max_work=550)
    assert "each rule that cannot be evaluated" in message
    assert counted.decisions == 550 // (1 + ERROR) + 1


def test_no_work_is_done_past_the_last_answer(counted: Counted) -> None:
    items = [document(i, x=i) for i in range(100)]
    body, _, _ = counted.ask(items, options={"evaluations_semantic": "deny_on_first_deny"})
    assert len(json.loads(body)["evaluations"]) == 3
    assert counted.decisions == 3


def test_a_batch_is_answered_by_one_snapshot(counted: Counted) -> None:
    items = [document(i) for i in range(2 * SLICE)]
    body = json.dumps({**ASKED, "evaluations": items}).encode()
    found = evaluate_batch(
        counted.engine, body, ANONYMOUS, binding=BINDING, desk=AccessHints(None), max_batch=10_000, max_work=100_000
    )
    assert not isinstance(found, tuple)
    next(found)
    counted.engine._snapshot = Engine.from_text(POLICY + "forbid now: retrieve on Document\n").snapshot
    answers = json.loads(_counted(found)[1][0])["evaluations"]
    assert all(each["decision"] for each in answers)
    assert len({each["context"]["revision"] for each in answers}) == 1


def test_the_service_refuses_with_the_bound(tmp_path: Path) -> None:
    (tmp_path / "p.pol").write_text(POLICY, encoding="utf-8")
    with serving(tmp_path, max_work=100) as client:
        answer = client.post(EVALUATIONS, json={**ASKED, "evaluations": [document(i) for i in range(101)]})
        assert answer.status_code == 413
        assert "more than 100 units of work" in answer.text
        answer = client.post(EVALUATIONS, json={**ASKED, "evaluations": [document(i) for i in range(100)]})
        assert answer.status_code == 200


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (",    \n", ": ")])
def test_what_stands_between_items_is_no_part_of_them_and_defaults_are(separators: tuple[str, str]) -> None:
    def sizes(count: int, filling: str) -> list[int]:
        whole = {**ASKED, "context": {"x": filling}, "evaluations": [document(i) for i in range(count)]}
        found = fast_read.batch(json.dumps(whole, separators=separators).encode())
        assert found is not None
        return list(found.sizes)

    assert max(sizes(5_000, "")) < 400
    assert min(sizes(5_000, "f" * 10_000)) > 10_000
    assert max(sizes(2, "f" * 10_000)) == max(sizes(9, "f" * 10_000))
