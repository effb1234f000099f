"""What is found out for one caller and used for others, where the values of callers are the same or differ."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from policyengine import Engine
from policyengine.bounded_cache import BoundedCache
from policyengine.partial import formula_skeleton, lowered_rules, predicate, residual
from tests.support.evaluators import reference

SCHEMA = """\
entity Team in Team {}
entity User in Team { tenant: String, nick: String, level: Int, teams: Set<String> }
entity Doc in Team { tenant: String, owner: String, level: Int, tags: Set<String> }
action read on Doc for User
"""
RULES = (
    # Two values of the caller for one of the document: the same, or not.
    "permit p: read on Doc when doc.tenant == principal.tenant and doc.tenant == principal.nick",
    "permit p: read on Doc when doc.tenant == principal.tenant\n"
    "permit q: read on Doc when doc.tenant == principal.nick",
    "permit p: read on Doc when doc.level < principal.level\n"
    "forbid f: read on Doc when doc.tenant != principal.nick\n"
    "forbid g: read on Doc when doc.tenant == principal.tenant",
    # The same as a constant, or not.
    'permit p: read on Doc when doc.tenant == principal.tenant and doc.tenant == "a"',
    'permit p: read on Doc when doc.owner == principal.nick\nforbid f: read on Doc when doc.owner != "a"',
    'permit p: read on Doc when contains_any(doc.tags, principal.teams)\npermit q: read on Doc when "a" in doc.tags',
    # Alternatives that together are the same as a constant, or not.
    'permit p: read on Doc when doc.tenant in ["a", "b"]\n'
    " and (doc.tenant == principal.tenant or doc.tenant == principal.nick)",
    'permit p: read on Doc when contains_any(doc.tags, ["a", "b"])\n'
    " and (principal.tenant in doc.tags or principal.nick in doc.tags)",
    'permit p: read on Doc when contains_any(doc.tags, ["a", "b"])\n'
    " and (doc.level < 1 or principal.tenant in doc.tags or principal.nick in doc.tags)",
    "permit p: read on Doc when (doc.owner == principal.tenant or doc.owner == principal.nick)\n"
    ' and (doc.level < 1 or doc.owner == "a" or doc.owner == "b")',
    # The same as a constant that comes later, or not.
    'permit p: read on Doc when if doc.tenant == principal.tenant then doc.tenant == "a" else doc.owner == "a"',
    "permit p: read on Doc\nforbid f: read on Doc\n"
    ' unless if doc.owner == principal.nick then doc.owner == "a" else "a" in doc.tags',
    # Rules that differ in nothing but what is the same for all callers.
    'permit p: read on Doc when doc.owner == "a" or doc.level < principal.level\n'
    'permit q: read on Doc when doc.owner == "b" or doc.level < principal.level',
    'permit p: read on Doc when doc.owner == "a" and doc.level < principal.level\n'
    'permit q: read on Doc when doc.owner == "b" and doc.level < principal.level',
    'permit p: read on Doc\nforbid f: read on Doc when doc.owner == "a" or doc.level < principal.level\n'
    'forbid g: read on Doc when doc.owner == "b" or doc.level < principal.level',
    'permit p: read on Doc\nforbid f: read on Doc when doc.owner == "a" and doc.level < principal.level\n'
    'forbid g: read on Doc when doc.owner == "b" and doc.level < principal.level',
    # Rules that are found by what they ask of the caller, one of them by several answers.
    'permit p: read on Doc when principal in [Team::"a", Team::"b"] and doc.level < principal.level\n'
    'permit q: read on Doc for User in Team::"a" when doc.owner == "a"\n'
    'forbid f: read on Doc when "a" in principal.teams and doc.tenant == "a"\n'
    'forbid g: read on Doc when contains_any(principal.teams, ["a", "b"]) and doc.tenant == principal.nick\n'
    'forbid h: read on Doc for User::"a" when doc.owner == "b"',
)


def callers() -> list[dict[str, Any]]:
    """All that the rules can tell apart, some of them malformed."""
    found: list[dict[str, Any]] = [
        {
            "type": "User", "id": tenant, "tenant": tenant, "nick": nick, "level": level, "teams": teams,
            "parents": [{"type": "Team", "id": team} for team in teams],
        }
        for tenant, nick, level, teams in product("ab", "ab", (1, 2), ([], ["a"], ["b", "a"]))
    ]  # fmt: skip
    bad: list[dict[str, Any]] = [
        {"parents": "a"}, {"teams": ["a", 1]}, {"level": "1"}, {"nick": None}, {"tenant": []}
    ]  # fmt: skip
    return [*found, *({**found[-1], **one} for one in bad)]


DOCUMENTS: list[dict[str, Any]] = [
    {"type": "Doc", "id": "d", "tenant": tenant, "owner": owner, "level": level, "tags": tags}
    for tenant, owner, level, tags in product("ab", "abc", (0, 1), ([], ["a"], ["b"]))
] + [{"type": "Doc", "id": "d", "level": 0}, {"type": "Doc", "id": "d", "owner": "c", "tags": "a"}]


def check(engine: Engine, asking: list[dict[str, Any]]) -> None:
    for caller in asking:
        found = engine.filter(principal=caller, action="read", resource_type="Doc")
        for document in DOCUMENTS:
            asked = {"principal": caller, "action": "read", "resource": document}
            assert found.matches(document) is reference(engine.snapshot, asked).allowed, (caller, document)


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("backwards", [False, True])
def test_each_caller_has_a_filter_of_its_own(rules: str, backwards: bool) -> None:
    engine = Engine.from_text(SCHEMA + rules)
    asking = [*callers(), *callers()]
    check(engine, asking[::-1] if backwards else asking)


@pytest.mark.parametrize("rules", RULES)
def test_the_first_callers_decide_nothing_for_the_others(rules: str) -> None:
    every = callers()
    for number in range(0, len(every), 3):
        check(Engine.from_text(SCHEMA + rules), [every[number]] * 3 + every[::4])


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((lowered_rules, "MAX_WHOLES"), (formula_skeleton, "MAX_BRANCHES"), (residual, "MAX_GAPS")):
        monkeypatch.setattr(module, name, 1)
    check(Engine.from_text(SCHEMA + RULES[-1]), [*callers(), *callers()])


@pytest.mark.parametrize("large", [2, 200])
@pytest.mark.parametrize("rules", RULES)
def test_a_new_shape_is_asked_part_by_part(rules: str, large: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And then by a function for the whole, unless it is too large for one."""
    for name, value in (("SMALL", 0), ("FEW", 0), ("MANY", 3), ("LARGE", large), ("_seen", BoundedCache(2))):
        monkeypatch.setattr(predicate, name, value)
    check(Engine.from_text(SCHEMA + rules), callers()[::5])


@pytest.mark.parametrize("kinds", [("permit",), ("forbid",), ("permit", "forbid")])
@pytest.mark.parametrize("rules", [RULES[2], RULES[8], RULES[-1]])
def test_many_rules_that_say_the_same_to_all(rules: str, kinds: tuple[str, ...]) -> None:
    """So many that what they come to is not looked into for each caller."""
    more = [
        f'{kind} {kind}{number}: read on Doc when doc.level == {number % 2} and doc.owner == "a{number}"'
        for kind in kinds
        for number in range(lowered_rules.MAX_WEIGHT + 10)
    ]
    more += [f'{kind} {kind}: read on Doc when doc.owner == "c" and "a" in doc.tags' for kind in kinds[-1:]]
    check(Engine.from_text("\n".join([SCHEMA, rules, *more])), callers()[::5] * 2)
