"""Of very many rules that determine a decision or cannot be evaluated, some are listed, and how many there are is said;
what a request lacks is found out once for all rules that read it first."""

from __future__ import annotations

from typing import Any

import pytest

from policyengine.bundle import Snapshot, load_text
from policyengine.compile import bucket
from policyengine.evaluate.interpret import Env
from policyengine.ir.nodes import Rule
from policyengine.model.decision import MOST_LISTED
from tests.support.evaluators import FAST, evaluator, reference

COUNT = 3 * MOST_LISTED
DOCUMENT = {"type": "Document", "id": "d", "tenant": "acme", "owner": "u1", "classification": 1, "labels": []}
USER = {"type": "User", "id": "ann", "tenant": "acme", "roles": [], "email": "ann@acme"}
CONDITIONS = {
    "by a key": 'document.owner == "u{n}" and document.tenant == "x"',
    "without a key": "document.classification > {n}",
    "behind another": 'document.tenant == "acme" and document.classification > {n}',
    "in turns": 'if document.classification > {n} then "a" in document.labels else document.owner == "u"',
    "of the principal": '"r{n}" in principal.roles and document.owner == "u{n}"',
}
ODD: list[dict[str, Any]] = [
    {}, {"owner": None}, {"owner": 5}, {"classification": "1"}, {"labels": "a"}, {"classification": 10_000},
]  # fmt: skip


def _snapshot(kind: str, condition: str) -> Snapshot:
    rules = [f"{kind} r{n}: retrieve on Document when {condition.replace('{n}', str(n))}" for n in range(COUNT)]
    text = "\n".join(["use ai", "permit all: retrieve on Document", *rules])
    loaded = load_text(text)
    assert loaded.snapshot is not None, [d.message for d in loaded.diagnostics[:3]]
    return loaded.snapshot


@pytest.mark.parametrize("kind", ["forbid", "permit"])
@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_the_fast_way_lists_what_the_interpreter_lists(kind: str, condition: str) -> None:
    snapshot = _snapshot(kind, condition)
    documents = [{**DOCUMENT, **odd} for odd in ODD]
    documents += [{k: v for k, v in DOCUMENT.items() if k != name} for name in ("owner", "classification", "labels")]
    asked = [{"principal": USER, "action": "retrieve", "resource": document} for document in documents]
    asked += [{**one, "principal": {"type": "User", "id": "bob"}} for one in asked[:3]]
    for fast in [evaluator(snapshot, each) for each in FAST]:
        for one in (*asked, *asked, *asked):
            assert fast.decide(**one) == reference(snapshot, one)


def test_of_many_some_are_listed() -> None:
    snapshot = _snapshot("forbid", CONDITIONS["by a key"])
    without = {name: value for name, value in DOCUMENT.items() if name != "owner"}
    found = reference(snapshot, {"principal": USER, "action": "retrieve", "resource": without})
    assert [error.message for error in found.errors] == [f"attribute `owner` is missing, in {COUNT} rules"]
    assert (len(found.determining), found.determining_total) == (MOST_LISTED, COUNT)
    assert found.errors_total == COUNT
    assert f"and {COUNT - MOST_LISTED} more" in found.summary


@pytest.mark.parametrize("condition", ["without a key", "behind another", "in turns", "of the principal"])
def test_the_interpreter_is_not_asked_of_each(condition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = _snapshot("forbid", CONDITIONS[condition])
    asked: list[str] = []
    holds = bucket.holds

    def counted(rule: Rule, env: Env) -> bool:
        asked.append(rule.name)
        return holds(rule, env)

    monkeypatch.setattr(bucket, "holds", counted)
    lacking = {name: value for name, value in DOCUMENT.items() if name not in ("classification", "owner")}
    found = snapshot.evaluator.decide(USER, "retrieve", lacking)
    if condition == "of the principal":
        found = snapshot.evaluator.decide({"type": "User", "id": "bob"}, "retrieve", DOCUMENT)
    assert found.errors_total == COUNT
    assert not asked
