"""After a reload nobody waits for code to be made: what was asked of the policies before is ready when they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from policyengine import Engine
from tests.support.steps import steps

HEAD = "module m\nuse ai\nextend User { clearance: Int }\n"
ASKED: dict[str, Any] = {
    "principal": {"type": "User", "id": "u", "tenant": "t", "clearance": 3},
    "action": "retrieve",
    "resource": {"type": "Document", "id": "d", "tenant": "t", "owner": "o", "classification": 2, "labels": []},
}


def _rules(number: int, more: str = "") -> str:
    rules = (
        f"permit p{n}: retrieve on Document for User when document.classification > {n} and principal.clearance > {n}"
        for n in range(number)
    )
    return HEAD + "\n".join(rules) + f"\n{more}\n"


def test_the_first_request_after_a_reload_makes_no_code(tmp_path: Path) -> None:
    file = tmp_path / "m.pol"
    file.write_text(_rules(60))
    engine = Engine.load(tmp_path, cache=False)
    first = steps(lambda: engine.decide(**ASKED))
    engine.filter(principal=ASKED["principal"], action="retrieve", resource_type="Document")
    file.write_text(_rules(60, 'forbid f: retrieve on Document when document.owner == "x"'))
    assert engine.reload().ok
    assert steps(lambda: engine.decide(**ASKED)) < first / 5
    assert engine.decide(**ASKED).determining == ("m.p0", "m.p1")


def test_what_was_never_asked_for_is_not_prepared(tmp_path: Path) -> None:
    file = tmp_path / "m.pol"
    file.write_text(_rules(10))
    engine = Engine.load(tmp_path, cache=False)
    file.write_text(_rules(11))
    assert engine.reload().ok
    assert not engine.snapshot.evaluator.entries


def test_twice_as_many_rules_on_one_action_load_in_twice_the_work() -> None:
    Engine.from_text(_rules(3)).decide(**ASKED)

    def work(number: int) -> int:
        return steps(lambda: Engine.from_text(_rules(number)).decide(**ASKED))

    assert work(200) < 2.2 * work(100)
