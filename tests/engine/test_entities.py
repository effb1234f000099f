"""Entities are checked against the schema when they are loaded: in process, on the command line, on reload."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from policyengine import Engine, InvalidPolicies
from policyengine.bundle import load_path, load_text
from policyengine.diagnostics.json_places import breaks, place
from tests.cli.conftest import Cli

POLICY = """module t
use ai
extend User { clearance: Int, home?: { city: String }, friends?: List<User>, tags?: Set<String>, note?: Json }
permit cleared: retrieve on Document for User
  when document.classification <= principal.clearance
"""
ANN = {"type": "User", "id": "ann"}
WRONG: list[tuple[dict[str, Any], str, str, str]] = [
    ({"clearence": 0}, "unknown attribute `clearence` on entity", "did you mean `clearance`?", '"clearence"'),
    ({"clearance": "0"}, "`clearance` should be Int", "", '"0"'),
    ({"clearance": True}, "`clearance` should be Int", "", "true"),
    ({"clearance": None}, "`clearance` should be Int", "", "null"),
    ({"home": {"city": "x", "zpi": 1}}, "unknown attribute `zpi` on `home`", "declared: `city`", '"zpi"'),
    ({"home": {"city": 5}}, "`city` should be String", "", "5"),
    ({"home": []}, "`home` should be { city: String }", "", "[]"),
    ({"tags": ["a", 5]}, "`tags` should be String", "", "5"),
    ({"tags": "a"}, "`tags` should be Set<String>", "", '"a"'),
    ({"friends": [{"type": "Usr", "id": "b"}]}, "`friends` should be User", "", '{"type": "Usr", "id": "b"}'),
    ({"friends": [{**ANN, "clearence": 1}]}, "unknown attribute", "did you mean `clearance`?", '"clearence"'),
    ({"parents": "staff"}, "`parents` is a list of entities", "", '"staff"'),
    ({"parents": [{"type": "Group"}]}, "textual `type` and `id`", "", '{"type": "Group"}'),
    ({"parents": [{"type": "Gruop", "id": "a"}]}, "unknown type `Gruop`", "did you mean `Group`?", '"Gruop"'),
    ({"type": "Usr"}, "unknown type `Usr`", "did you mean `User`?", '"Usr"'),
    ({"type": 5}, "textual `type` and `id`", "", '{"type": 5, "id": "ann"}'),
]  # fmt: skip


@pytest.mark.parametrize(("said", "message", "help_", "marked"), WRONG, ids=lambda value: str(value)[:30])
def test_a_misfit_is_refused_at_its_place(
    tmp_path: Path, said: dict[str, Any], message: str, help_: str, marked: str
) -> None:
    policies, entities = tmp_path / "t.pol", tmp_path / "entities.json"
    policies.write_text(POLICY)
    entities.write_text(json.dumps([{"type": "Group", "id": "ü"}, {**ANN, **said}], ensure_ascii=False))
    loaded = load_path(policies, entities)
    assert loaded.snapshot is None
    [found] = loaded.diagnostics
    assert found.code.id == "POL404"
    assert found.message.startswith(message) or message in found.message
    assert found.help == help_
    assert found.span.text == marked
    with pytest.raises(InvalidPolicies, match="POL404"):
        Engine.from_text(POLICY, entities=[{**ANN, **said}])


def test_what_is_missing_is_not_refused() -> None:
    engine = Engine.from_text(POLICY, entities=[ANN, {"type": "Group", "id": "g"}])
    assert engine.revision


def test_json_may_hold_anything() -> None:
    known = [{**ANN, "note": {"clearence": [1, None, "x"]}}]
    assert load_text(POLICY, entities=known).diagnostics == ()


def test_who_is_given_twice_is_told_at_the_second(tmp_path: Path) -> None:
    policies, entities = tmp_path / "t.pol", tmp_path / "entities.json"
    policies.write_text(POLICY)
    entities.write_text('[{"type": "User", "id": "ann"},\n {"type": "User", "id": "ann"}]')
    [found] = load_path(policies, entities).diagnostics
    assert found.message == '`User::"ann"` is given twice'
    assert found.span.line_col == (2, 25)


def test_of_many_misfits_some_are_told() -> None:
    known = [{"type": "User", "id": str(n), "clearence": n} for n in range(10_000)]
    found = load_text(POLICY, entities=known).diagnostics
    assert len(found) == 21
    assert found[-1].message == "there is more than these 20 findings about the entities"


def test_a_reload_with_misfits_changes_nothing(tmp_path: Path) -> None:
    policies, entities = tmp_path / "t.pol", tmp_path / "entities.json"
    policies.write_text(POLICY)
    entities.write_text(json.dumps([{**ANN, "clearance": 0}]))
    engine = Engine.load(policies, entities=entities)
    request = {"principal": {**ANN, "clearance": 9}, "action": "retrieve",
               "resource": {"type": "Document", "id": "d", "classification": 4}}  # fmt: skip
    assert not engine.decide(**request).allowed
    entities.write_text(json.dumps([{**ANN, "clearence": 0}]))
    assert not engine.reload().ok
    assert not engine.decide(**request).allowed


def test_check_takes_entities(tmp_path: Path) -> None:
    cli = Cli()
    policies, entities = tmp_path / "t.pol", tmp_path / "entities.json"
    policies.write_text(POLICY)
    entities.write_text('[\n  {"type": "User", "id": "ann", "clearence": 0}\n]')
    assert cli("check", policies, "--entities", entities, "--format", "concise") == 1
    assert cli.out.startswith(f"{entities}:2:33: error[POL404]: unknown attribute `clearence`")
    entities.write_text("[]")
    assert cli("check", policies, "-e", entities) == 0


@pytest.mark.parametrize(("text", "at"), [('[{"type": "User" "id"}]', 17), ("", 0), ("[1, 2", 5), ("[1] 2", 4)])
def test_broken_json_is_told_where_it_breaks(tmp_path: Path, text: str, at: int) -> None:
    policies, entities = tmp_path / "t.pol", tmp_path / "entities.json"
    policies.write_text(POLICY)
    entities.write_text(text)
    [found] = load_path(policies, entities).diagnostics
    assert found.code.id == "POL404"
    assert found.span.start == at
    assert "line" not in found.message


def test_places_in_json() -> None:
    text = ' { "a" : [ 1 , {"b\\u0063": [true, "x,]"]} ] , "é": {} } '
    assert text[slice(*place(text, ["a", 0]))] == "1"
    assert text[slice(*place(text, ["a", 1, "bc", 1]))] == '"x,]"'
    assert text[slice(*place(text, ["a", 1, "bc"], named=True))] == '"b\\u0063"'
    assert text[slice(*place(text, ["é"]))] == "{}"
    assert place(text, ["nothing"]) == (0, len(text))
    assert breaks(text) is None
