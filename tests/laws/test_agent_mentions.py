"""An agent that is mentioned elsewhere in its request is one entity with that mention: generated code, which tells at
once that most requests mention nobody twice, decides as the interpreter does.
"""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine import Engine
from tests.support.evaluators import FAST, evaluator, reference

POLICIES = """
entity Group in Group {}
entity Team { level?: Int }
entity User in Group { level?: Int, bot?: Bot, team?: Team, delegated_by?: User }
entity Bot in Group { level?: Int, team?: Team, owner?: User, peers?: Set<Bot>, delegated_by?: Bot | User }
entity Doc in Group { level: Int, rank: Int, team?: Team, owner?: User, maker?: Bot }
action read on Doc
action meet on Bot
context agent: Bot | User
context host: Team
permit every: any on any
permit grouped: any on any when principal in Group::"g0"
forbid group: any on any for Bot in Group::"g1"
forbid high: any on any when principal has level and principal.level > 2
forbid level: read on Doc for Bot when doc.level > 1
forbid rank: read on Doc for User when doc.rank > 1
forbid team: any on any when resource has team and resource.team has level and resource.team.level > 1
forbid teams: any on any when principal has team and principal.team has level and principal.team.level > 1
forbid made: read on Doc when doc has maker and doc.maker has level and doc.maker.level > 1
forbid owned: any on any when resource has owner and resource.owner has level and resource.owner.level > 1
forbid bot: any on any when principal has bot and principal.bot in Group::"g1"
forbid peers: any on any when principal has peers and any p in principal.peers: (p has level and p.level > 1)
forbid met: meet on Bot when bot has level and bot.level > 1
forbid host: any on any when context has host and context.host has level and context.host.level > 1
"""

KNOWN = [
    {"type": "Bot", "id": "known", "level": 2, "delegated_by": {"type": "Bot", "id": "chief"}},
    {"type": "Bot", "id": "chief", "level": 2},
    {"type": "User", "id": "known", "level": 2, "delegated_by": {"type": "User", "id": "boss"}},
    {"type": "User", "id": "boss", "level": 2},
]
ENGINE = Engine.from_text(POLICIES, entities=KNOWN)
SNAPSHOT = ENGINE.snapshot
EVALUATORS = [evaluator(SNAPSHOT, kind) for kind in FAST]
IDS = st.sampled_from(("a", "a", "a", "b", "known"))
# Mostly the same, so that few requests contradict themselves, and so high that a level that is seen changes the answer.
LEVELS = st.sampled_from((2, 2, 2, 2, 2, 2, 2, 1))
GROUPS = st.lists(st.builds(lambda id_: {"type": "Group", "id": id_}, st.sampled_from(("g0", "g1"))), max_size=1)


def entities(type_: str, **attributes: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(type_), "id": IDS}, optional=attributes)


TEAMS = entities("Team", level=LEVELS)
NAMED_USERS, NAMED_BOTS = entities("User"), entities("Bot")
BARE_USERS, BARE_BOTS = entities("User", level=LEVELS, team=TEAMS), entities("Bot", level=LEVELS, team=TEAMS)
USERS = entities("User", level=LEVELS, team=TEAMS, bot=NAMED_BOTS | BARE_BOTS, parents=GROUPS)
PEERS = st.lists(NAMED_BOTS | BARE_BOTS, max_size=1)
BOTS = entities("Bot", level=LEVELS, team=TEAMS, owner=NAMED_USERS | BARE_USERS, peers=PEERS, parents=GROUPS)
DOCUMENTS = entities(
    "Doc", level=LEVELS, rank=LEVELS, team=TEAMS, owner=NAMED_USERS | BARE_USERS, maker=NAMED_BOTS | BARE_BOTS
)  # fmt: skip


@st.composite
def agents(draw: Any) -> dict[str, Any]:
    """A chain that can nearly always be followed: agents that differ, the bots before the users."""
    ids = draw(st.permutations(("a", "b", "c", "known")))
    types = draw(st.sampled_from(("B", "B", "BB", "BBB", "BU", "BBU", "U", "UU")))
    chain = [
        {**draw(BARE_BOTS | BOTS if kind == "B" else BARE_USERS), "id": id_}
        for kind, id_ in zip(types, ids, strict=False)
    ]
    if draw(st.integers(0, 9)) == 0:
        chain.append(draw(BARE_BOTS | BARE_USERS))
    for agent, delegator in reversed(list(pairwise(chain))):
        agent["delegated_by"] = delegator
    return chain[0]


@st.composite
def asked(draw: Any) -> dict[str, Any]:
    context = {"agent": draw(agents())}
    if draw(st.integers(0, 5)) == 0:
        context["host"] = draw(TEAMS)
    principal = draw(BARE_USERS | USERS | BARE_BOTS | BOTS)
    if draw(st.integers(0, 9)) == 0:
        principal = {**principal, "delegated_by": draw(agents())}
    action, resource = draw(st.sampled_from((("read", DOCUMENTS), ("read", DOCUMENTS), ("meet", BOTS))))
    return {"principal": principal, "action": action, "resource": draw(resource), "context": context}


@given(st.lists(asked(), min_size=10, max_size=20))
def test_generated_code_is_the_interpreter(requests: list[dict[str, Any]]) -> None:
    expected = [reference(SNAPSHOT, one) for one in requests]
    for fast in EVALUATORS:
        # The first time code is made for it, the second time it runs.
        for _ in range(2):
            assert [fast.decide(**one) for one in requests] == expected


# ---- every way in which two mentions can meet ----


def of(type_: str, id_: str, **attributes: Any) -> dict[str, Any]:
    return {"type": type_, "id": id_, **attributes}


TEAM, USER, BOT = of("Team", "t", level=2), of("User", "a", level=2), of("Bot", "a", level=2)
PRINCIPALS = [
    of("User", "a"),
    of("User", "c", team=of("Team", "t")),
    of("User", "c", bot=of("Bot", "a")),
    of("User", "c", delegated_by=USER),
    of("Bot", "a", level=1),
    of("Bot", "c", owner=of("User", "a")),
]
CHAINS = [
    of("Bot", "a"),
    BOT,
    of("Bot", "b", team=TEAM),
    of("Bot", "b", owner=USER),
    of("Bot", "b", peers=[BOT]),
    of("Bot", "known"),
    of("Bot", "known", delegated_by=of("Bot", "d", team=TEAM)),
    of("Bot", "b", delegated_by=BOT),
    of("Bot", "b", delegated_by=USER),
    of("Bot", "b", delegated_by=of("Bot", "b")),
    of("User", "b", delegated_by=BOT),
    USER,
]
RESOURCES = [
    of("Doc", "d", level=0, rank=2),
    of("Doc", "d", level=2, rank=0),
    of("Doc", "d", level=0, rank=0, team=of("Team", "t")),
    of("Doc", "d", level=0, rank=0, owner=of("User", "a")),
    of("Doc", "d", level=0, rank=0, maker=of("Bot", "a")),
    of("Bot", "a"),
    of("Bot", "e", team=of("Team", "t")),
]
HOSTS: list[dict[str, Any]] = [{}, {"host": TEAM}]


def test_wherever_an_agent_is_mentioned() -> None:
    differ = 0
    for principal, agent, resource, host in product(PRINCIPALS, CHAINS, RESOURCES, HOSTS):
        action = "read" if resource["type"] == "Doc" else "meet"
        one = {"principal": principal, "action": action, "resource": resource, "context": {"agent": agent, **host}}
        expected = reference(SNAPSHOT, one)
        for fast in EVALUATORS:
            # The first time code is made for it, the second time it runs.
            assert [fast.decide(**one) for _ in range(2)] == [expected] * 2, one
        differ += expected.allowed
    assert 0 < differ < len(PRINCIPALS) * len(CHAINS) * len(RESOURCES) * len(HOSTS)


@pytest.mark.parametrize("count", [27, 28, 29, 30, 31, 40])
@pytest.mark.parametrize("name", ["a", "z"])
def test_entities_that_mention_more_than_is_read_at_once(count: int, name: str) -> None:
    """The checks in C know the places of some thirty attributes."""
    attributes = ", ".join(f"{name}{n}?: Team" for n in range(count))
    engine = Engine.from_text(
        f"entity Team {{}}\nentity Doc {{}}\nentity User {{ {attributes} }}\n"
        f"entity Bot {{ {attributes}, delegated_by?: Bot }}\naction read on Doc\ncontext agent: Bot\n"
        'permit all: read on Doc\nforbid b: read on Doc for Bot when principal == Bot::"evil"'
    )
    evil = of("Bot", "evil", **{f"{name}1": of("Team", "t")})
    for agent in (None, of("Bot", "a"), of("Bot", "a", delegated_by=evil), evil):
        one = {"principal": of("User", "u"), "action": "read", "resource": of("Doc", "d")}
        one |= {} if agent is None else {"context": {"agent": agent}}
        expected = reference(engine.snapshot, one)
        assert expected.allowed is (agent is None or agent == of("Bot", "a"))
        for fast in [evaluator(engine.snapshot, kind) for kind in FAST]:
            assert [fast.decide(**one) for _ in range(4)] == [expected] * 4
