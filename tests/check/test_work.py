"""What authors write is counted before work is spent on it: twice as much text is at most about twice as much work."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from policyengine.bundle import Loaded, load_text
from policyengine.check.environment import MAX_NODES, MAX_WRITTEN
from policyengine.diagnostics.suggest import MOST_COMPARED, nearest
from policyengine.model import operators
from policyengine.model.entities import MAX_ANCESTORS, PARENTS, world
from policyengine.model.values import Entity, Fault, Uid
from policyengine.syntax.parse import MAX_TEXT
from tests.support.steps import steps

HEAD = "module m\nuse ai\n"


def _load(*lines: str) -> Loaded:
    return load_text(HEAD + "\n".join(lines), "m.pol")


def _doubling(number: int) -> tuple[str, ...]:
    first = "define d0(d: Document): d.owner == principal.id"
    others = (f"define d{n}(d: Document): d{n - 1}(d) and d{n - 1}(d)" for n in range(1, number))
    return first, *others, f"permit p: retrieve on Document when d{number - 1}(document)"


def _circular(number: int) -> tuple[str, ...]:
    every = " and ".join(f"r{n}" for n in range(number))
    return *(f"define r{n}: {every}" for n in range(number)), "permit p: retrieve on Document when r0"


def _attributes(number: int) -> tuple[str, ...]:
    fields = ", ".join(f"attribute_{n}_of_thing: String" for n in range(number))
    rules = (f'permit p{n}: see on Thing when thing.atribute_{n}_of_thing == "x"' for n in range(number))
    return f"entity Thing {{ {fields} }}", "action see on Thing", *rules


@pytest.mark.parametrize("lines", [_doubling, _attributes])
def test_twice_as_much_is_twice_the_work(lines: Callable[[int], tuple[str, ...]]) -> None:
    _load(*lines(3))
    once, twice = steps(lambda: _load(*lines(60))), steps(lambda: _load(*lines(120)))
    assert twice < 2.2 * once


@pytest.mark.parametrize("lines", [_doubling(120), _circular(60)])
def test_what_explodes_is_refused_in_one_finding(lines: tuple[str, ...]) -> None:
    [finding] = _load(*lines).diagnostics
    assert finding.code.id == "POL221"


def test_all_rules_together_may_write_out_so_much() -> None:
    each = MAX_NODES // 10
    large = "define large: " + " or ".join(f'document.owner == "{n}"' for n in range(each // 4))
    rules = [f"permit p{n}: retrieve on Document when large" for n in range(3 * MAX_WRITTEN // each)]
    [finding] = _load(large, *rules).diagnostics
    assert (finding.code.id, finding.help) == ("POL221", "use large definitions in fewer rules")


def test_a_long_text_is_not_read() -> None:
    def rule(length: int) -> str:
        return f'permit p: retrieve on Document when document.owner == "{"x" * length}"'

    assert _load(rule(MAX_TEXT - 2)).snapshot is not None
    assert [d.code.id for d in _load(rule(MAX_TEXT)).diagnostics] == ["POL610"]


def test_a_name_is_compared_with_a_few_of_many() -> None:
    many = [f"attribute_{n}_of_thing" for n in range(10 * MOST_COMPARED)]
    assert nearest("atribute_17_of_thing", many) == "attribute_17_of_thing"
    assert nearest("attribute_17_of_thign", many) == "attribute_17_of_thing"
    assert nearest("x" * 1_000_000, many) == ""


def test_there_are_at_most_so_many_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [f'permit p{n}: retrieve on Document when matches(document.owner, "[a-b]{n}")' for n in range(4)]
    monkeypatch.setattr("policyengine.check.check.MAX_PATTERNS", 4)
    assert _load(*rules).snapshot is not None
    monkeypatch.setattr("policyengine.check.check.MAX_PATTERNS", 3)
    assert [d.code.id for d in _load(*rules).diagnostics] == ["POL611"]
    assert operators.pattern.cache_info().maxsize > operators.MAX_PATTERNS  # type: ignore[operator]


def test_a_hierarchy_beyond_its_limit_is_climbed_once() -> None:
    groups = [{"type": "Group", "id": str(n)} for n in range(MAX_ANCESTORS + 1)]
    known = world([{"type": "User", "id": "u", PARENTS: groups}])
    user = Entity(Uid("User", "u"), {})

    def ask() -> None:
        with pytest.raises(Fault, match="more than 100000 ancestors"):
            known.ancestors(user)

    assert steps(ask) > MAX_ANCESTORS
    assert steps(ask) < 1_000
