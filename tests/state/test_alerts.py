"""Limits that tell people, what a denial owes, and meters that begin anew."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from time import time_ns
from typing import Any

import pytest

from policyengine import Engine
from policyengine.bundle import load_text
from policyengine.diagnostics.source import Source
from policyengine.syntax.format import format_source
from tests.events.test_events import Heard
from tests.state.stores import STORES

HEAD = "module m\nuse ai\npermit models: invoke on Model\n"
POLICIES = (
    HEAD
    + """
limit near: invoke on Model
  at most 5 requests per 1h by principal alert at 80%

limit unusual: invoke on Model
  at most 2 requests per day by principal then alert

require cheaper: invoke on Model
  when model.id == "m"
  on deny
  fallback(model: "small")
"""
)
ASKED: dict[str, Any] = {
    "principal": {"type": "User", "id": "ann", "tenant": "acme"},
    "action": "invoke",
    "resource": {"type": "Model", "id": "m"},
}


@pytest.mark.parametrize("name", STORES)
def test_people_are_told_once_and_nothing_is_denied_for_it(name: str) -> None:
    ticks = count(time_ns() // 1_000)
    heard = Heard()
    with STORES[name](lambda: next(ticks)) as store:
        engine = Engine.from_text(POLICIES, state=store, events=heard)
        told = []
        for _ in range(6):
            engine.authorize(**ASKED)
            told.append([(event.kind, event.fields["rule"]) for event in heard.events])
            heard.events.clear()
        engine.close()
    assert told == [[], [], [("limit.passed", "m.unusual")], [("limit.near", "m.near")], [], []]


def test_an_event_says_how_much_and_whose() -> None:
    heard = Heard()
    engine = Engine.from_text(POLICIES, events=heard)
    for _ in range(3):
        engine.authorize(**ASKED)
    [event] = heard.events
    assert (event.tenant, event.fields["used"], event.fields["ceiling"]) == ("acme", 3.0, 2.0)
    assert "ann" not in str(event.fields)


def test_a_denial_for_want_of_room_owes_what_is_imposed_on_a_denial() -> None:
    engine = Engine.from_text(POLICIES)
    grants = [engine.authorize(**ASKED) for _ in range(6)]
    assert [grant.allowed for grant in grants] == [True] * 5 + [False]
    assert [(each.type, each.properties) for each in grants[5].decision.obligations] == [
        ("fallback", {"model": "small"})
    ]
    assert grants[0].decision.obligations == ()
    other = engine.authorize(**{**ASKED, "resource": {"type": "Model", "id": "n"}})
    assert (other.allowed, other.decision.obligations) == (False, ())


@pytest.mark.parametrize("share", ["0", "101", "-5", "1.5"])
def test_a_share_is_a_percentage(share: str) -> None:
    with pytest.raises(Exception, match="POL"):
        Engine.from_text(
            HEAD + f"limit l: invoke on Model\n  at most 5 requests per 1h by principal alert at {share}%\n"
        )


def test_what_alerts_is_formatted_as_it_is_written() -> None:
    formatted = format_source(Source("p.pol", POLICIES)).text
    assert formatted is not None
    assert "by principal alert at 80%" in formatted
    assert "by principal then alert" in formatted
    first, again = (load_text(text).snapshot for text in (POLICIES, formatted))
    assert first is not None
    assert again is not None
    assert first.policies.rules == again.policies.rules


def test_a_reload_says_which_meters_begin_anew(tmp_path: Path) -> None:
    file = tmp_path / "p.pol"

    def write(ceiling: int, per: str, by: str) -> None:
        file.write_text(
            HEAD + f"limit a: invoke on Model\n  at most {ceiling} requests per {per} by {by}\n"
            "limit b: invoke on Model\n  at most 3 requests per day by principal\n"
        )

    write(5, "1h", "principal")
    engine = Engine.load(file, cache=False)
    write(9, "1h", "principal")
    assert engine.reload().meters_anew == ()
    write(9, "2h", "principal")
    assert engine.reload().meters_anew == ("m.a",)
    write(9, "2h", "model")
    assert engine.reload().meters_anew == ("m.a",)
    assert engine.reload().meters_anew == ()


SETTLED = (
    HEAD
    + """
limit spent: invoke on Model
  at most 10 of cost.tokens per 1h by principal alert at 80%
limit watched: invoke on Model
  at most 9 of cost.tokens per 1h by principal then alert
limit calm: invoke on Model
  at most 3 requests per 1h by principal then block for 10m
"""
)


@pytest.mark.parametrize("name", STORES)
def test_people_are_told_when_more_was_spent_and_when_a_key_is_blocked(name: str) -> None:
    ticks = count(time_ns() // 1_000)
    heard = Heard()

    def told() -> list[tuple[str, Any]]:
        found = [(event.kind, event.fields["rule"]) for event in heard.events]
        heard.events.clear()
        return found

    with STORES[name](lambda: next(ticks)) as store:
        engine = Engine.from_text(SETTLED, state=store, events=heard)
        first = engine.authorize(**ASKED, context={"cost": {"tokens": 1}})
        assert first.add({"tokens": 5})
        assert told() == []
        again = engine.reservation(first.id)
        assert again is not None
        assert again.add({"tokens": 8})
        assert [event.tenant for event in heard.events] == ["acme"]
        assert told() == [("limit.near", "m.spent")]
        first.settle({"tokens": 10})
        first.settle({"tokens": 10})
        assert told() in ([("limit.near", "m.spent"), ("limit.passed", "m.watched")], [("limit.passed", "m.watched")])
        for _ in range(2):
            assert engine.authorize(**ASKED, context={"cost": {"tokens": 0}}).allowed
        refused = [engine.authorize(**ASKED, context={"cost": {"tokens": 0}}) for _ in range(3)]
        assert [grant.denied_by for grant in refused] == [("m.calm",)] * 3
        assert told() == [("limit.blocked", "m.calm")]
        engine.close()
