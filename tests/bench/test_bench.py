"""The bench measures what it says: its subjects agree on every decision, and two results compare.

No time is asserted.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from bench import compare, results
from bench.goals import goals
from bench.oopsla.graph import Application
from bench.options import Options
from bench.workloads import bundle, callers, documents, faults, hostile_requests, loops, mentions, oopsla, vectors, w3
from policyengine import Engine

ROOT = Path(__file__).parents[2]
REQUESTS = documents.requests(seed=2, count=200)


@pytest.mark.parametrize("variant", documents.VARIANTS)
@pytest.mark.parametrize("shape", documents.SHAPES)
@pytest.mark.parametrize("irrelevant", [0, 12])
def test_engine_and_floor_agree(variant: documents.Variant, shape: documents.Shape, irrelevant: int) -> None:
    engine = Engine.from_text(documents.policy(variant, shape, irrelevant))
    expected = [documents.FLOORS[variant](*request) for request in REQUESTS]
    assert loops.decisions(engine, REQUESTS) == expected
    assert 0.2 < sum(expected) / len(expected) < 0.6, "the requests are not a mix"


def test_many_documents_agree() -> None:
    engine = Engine.from_text(documents.policy("attribute"))
    found = [document for _, document in REQUESTS]
    expected = w3.by_hand(w3.PRINCIPAL, found)
    assert w3.by_decide_many(engine, w3.PRINCIPAL, found) == expected
    assert 0 < len(expected) < len(found)


def test_every_credential_is_accepted() -> None:
    found = callers.run(Options(quick=True))
    assert {row.subject for row in found.rows} == {callers.FLOOR, callers.KEY, callers.TOKEN}


def test_every_rule_errs_for_what_is_amiss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "CASES", [(shape, 100) for shape in faults.CONDITIONS])
    monkeypatch.setattr(Options, "rounds", 2)
    found = faults.run(Options(quick=True))
    assert {row.subject for row in found.rows} == set(faults.RESOURCES)
    assert len(found.rows) == 2 * len(faults.CONDITIONS) * len(faults.RESOURCES)


def test_the_sources_of_elements_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Options, "rounds", 2)
    found = mentions.run(Options(quick=True))
    assert {(row.case, row.subject) for row in found.rows} == {
        (case, name) for case in mentions.STATED for name in mentions.CONDITIONS
    }
    measured = [goal for goal in goals(found) if goal.text.startswith("sources of an element")]
    assert len(measured) == 2
    assert all(goal.measured for goal in measured)


def test_a_filtered_search_fetches_little() -> None:
    found = vectors.run(Options(quick=True))
    fetched = {row.subject: row.value for row in found.rows if row.unit == "rows"}
    assert fetched[vectors.ENGINE] == vectors.K
    assert fetched[vectors.AT_BEST] > 10 * vectors.K
    assert fetched[vectors.SEARCH_THEN_FILTER] >= fetched[vectors.AT_BEST]


@pytest.mark.parametrize("application", oopsla.APPLICATIONS, ids=lambda application: application.name)
def test_applications_decide_both_ways(application: Application) -> None:
    graphs, requests = oopsla.graphs(application, 10, seed=1)
    engines = oopsla.engines(application, graphs)
    decisions = [engines[n].decide(principal=p, action=a, resource=r) for n, p, a, r in requests]
    assert {decision.allowed for decision in decisions} == {True, False}
    assert not [decision.errors for decision in decisions if decision.errors]


def test_bundles_load(tmp_path: Path) -> None:
    bundle.write(tmp_path, 60)
    engine = Engine.load(tmp_path)
    assert len(engine.snapshot.policies.rules) == 60
    assert engine.decide(**bundle.REQUEST).allowed  # type: ignore[arg-type]
    compile(bundle.python(60), "floor.py", "exec")


def _saved(path: Path, ratio: float, rate: float) -> Path:
    rows = [
        results.Row("w1", "attribute", "floor", 100.0, "ns/decision", 1.0, "floor"),
        results.Row("w1", "attribute", "engine", 100.0 * ratio, "ns/decision", ratio, "floor", 1.0, 2.0),
        results.Row("http", "single", "engine", rate, "requests/s"),
    ]
    results.save(path, results.Results(rows), {"cpu": "a", "load": [0, 0, 0]}, {})
    return path


def test_results_come_back(tmp_path: Path) -> None:
    found, machine = results.load(_saved(tmp_path / "one.json", 3.0, 10.0))
    assert machine["cpu"] == "a"
    assert asdict(found.rows[1])["ratio"] == 3.0


def test_compare(tmp_path: Path) -> None:
    old, new = _saved(tmp_path / "old.json", 4.0, 10.0), _saved(tmp_path / "new.json", 2.0, 5.0)
    changes = {change.key: change for change in compare.compare(*(json.loads(f.read_text()) for f in (old, new)))}
    assert changes["w1", "attribute", "engine"].factor == 2.0, "less time is better"
    assert changes["http", "single", "engine"].factor == 0.5, "fewer requests are worse"
    assert len(changes) == 2, "what is 1 by definition is left out"
    done = subprocess.run([sys.executable, "bench/compare.py", old, new], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "better" in done.stdout
    assert "worse" in done.stdout


def test_hostile_requests_are_taken_for_what_they_hold() -> None:
    for kind, make in hostile_requests.KINDS.items():
        path, body = make()
        assert path.startswith("/"), kind
        # More would be refused for its size alone.
        assert 0 < len(body) < 1 << 20, kind
