"""What a quantifier asks of a collection that is the same for all its elements, and of the provenance: both are gone
through once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policyengine import Engine
from policyengine.model import provenance
from tests.support.evaluators import reference
from tests.support.steps import steps

POLICIES = """module m
use ai
entity Folder in Group
extend Document { some: List<String>, few: List<String>, many: List<String>, groups: List<Group>, owner: String }
extend Document { folders: List<Folder> }
action weigh on Document
permit among: weigh on Document when CONDITION or document.owner == "nobody"
"""
CONDITIONS = {
    "a list": "(any x in document.some: any y in document.few: x == y or y in document.many)",
    "groups": "(any x in document.some: any f in document.folders: x == f.id or f in document.groups)",
    "in three": "(any x in document.some: all y in document.few: any z in document.few: x == z or y in document.many)",
}
FEW, MANY = 100, 200


def asked(count: int) -> dict[str, Any]:
    """A document of which `owner` is missing: the rule has no value, and the specification says where."""
    numbers = [str(n) for n in range(count)]
    groups = [{"type": "Group", "id": n} for n in numbers]
    lists = {"some": numbers, "few": ["x"], "many": [f"m{n}" for n in numbers], "groups": groups}
    document = {"type": "Document", "id": "d", "folders": [{"type": "Folder", "id": "f"}], **lists}
    return {"principal": {"type": "User", "id": "u"}, "action": "weigh", "resource": document}


ASK: dict[str, Callable[[Engine, dict[str, Any]], Any]] = {
    "decide": lambda engine, request: engine.decide(**request),
    "explain": lambda engine, request: engine.explain(**request),
    "specification": lambda engine, request: reference(engine.snapshot, request),
}


@pytest.mark.parametrize("how", ASK)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_twice_as_many_elements_are_twice_the_work(condition: str, how: str) -> None:
    engine = Engine.from_text(POLICIES.replace("CONDITION", CONDITIONS[condition]))
    assert engine.decide(**asked(FEW)).errors[0].code == "POL501"
    work = {count: steps(lambda count=count: ASK[how](engine, asked(count))) for count in (FEW, MANY)}
    assert work[MANY] < 2.2 * work[FEW]


TOLD = """module m
use ai
tool mail(to: List<String>)
context nobody: Bool
permit told: call on Tool::"mail" when (any x in tool.args.to: "web" in sources(x)) or context.nobody
"""


@pytest.mark.parametrize("last", [[{"source": "user", "trusted": True}], 7], ids=["good", "malformed"])
@pytest.mark.parametrize("how", ASK)
def test_twice_as_much_provenance_is_twice_the_work(how: str, last: Any) -> None:
    engine, work = Engine.from_text(TOLD), {}
    for count in (FEW, MANY):
        said = {f"/to/{n}": [{"source": "user", "trusted": True}] for n in range(count)}
        tool = {"type": "Tool", "id": "mail", "args": {"to": [str(n) for n in range(count)]}}
        request = {
            "principal": {"type": "User", "id": "u"}, "action": "call", "resource": tool,
            "context": {"provenance": {**said, f"/to/{count - 1}": last}},
        }  # fmt: skip
        assert engine.decide(**request).errors
        work[count] = steps(lambda request=request: ASK[how](engine, request))
    assert work[MANY] < 2.2 * work[FEW]


LEVELS = """module m
use ai
extend User { level: Int }
tool mail(to: List<String>)
permit told: call on Tool::"mail" when CONDITION
"""
SEARCHED = {
    "in each of many": " or ".join(f'("web{n}" in sources(tool.args.to) and principal.level > {n})' for n in range(9)),
    "of each element": 'all x in tool.args.to: "user" in sources(x) or principal.level > 100',
}
SEARCHES: dict[str, Callable[[Engine, dict[str, Any]], Any]] = {
    "principals": lambda engine, request: engine.search_principals(
        principal_type="User", **{name: part for name, part in request.items() if name != "principal"}
    ),
    "resources": lambda engine, request: engine.search_resources(
        principal=request["principal"], action="call", resource_type="Tool",
        resource={"args": request["resource"]["args"]}, context=request["context"],
    ),
    "actions": lambda engine, request: engine.search_actions(
        principal=request["principal"], resource=request["resource"], context=request["context"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", SEARCHES)
@pytest.mark.parametrize("condition", SEARCHED)
def test_a_search_reads_provenance_once(condition: str, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    users = [{"type": "User", "id": f"u{n}", "level": n} for n in range(20)]
    engine = Engine.from_text(LEVELS.replace("CONDITION", SEARCHED[condition]), entities=users)
    read: list[Any] = []

    def counted(said: Any) -> Any:
        read.append(said)
        return stated(said)

    stated = provenance.stated
    monkeypatch.setattr(provenance, "stated", counted)
    work = {}
    for count in (FEW, FEW, MANY):
        said = {f"/to/{n}": [{"source": "user", "trusted": True}] for n in range(count)}
        tool = {"type": "Tool", "id": "mail", "args": {"to": [str(n) for n in range(count)]}}
        request = {
            "principal": users[3], "action": "call", "resource": tool, "context": {"provenance": said},
        }  # fmt: skip
        read.clear()
        work[count] = steps(lambda request=request: SEARCHES[how](engine, request))
        assert len([one for one in read if one == said]) == 1
    assert work[MANY] < 2.2 * work[FEW]


def test_many_rules_find_malformed_provenance_once() -> None:
    rules = {count: "".join(f"forbid f{n}: {_READS}\n" for n in range(count)) for count in (1, 101)}
    work: dict[tuple[int, int], int] = {}
    for count, text in rules.items():
        engine = Engine.from_text(TOLD + text)
        for size in (FEW, MANY):
            said = {**{f"/to/{n}": [{"source": "user", "trusted": True}] for n in range(size)}, "/to": 7}
            tool = {"type": "Tool", "id": "mail", "args": {"to": ["x"]}}
            request = {"principal": {"type": "User", "id": "u"}, "action": "call", "resource": tool}
            request["context"] = {"provenance": said}
            engine.decide(**request)
            work[count, size] = steps(lambda engine=engine, request=request: engine.decide(**request))
    # What more of it costs is the same for few rules and for many.
    assert work[101, MANY] - work[101, FEW] < 3 * (work[1, MANY] - work[1, FEW])


_READS = 'call on Tool::"mail" when "web" in sources(tool.args.to)'
