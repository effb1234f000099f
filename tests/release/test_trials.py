"""`on match log` at every entry point: it changes nothing, and what it would have done is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from policyengine import Engine
from policyengine.explain.display import decision_json
from policyengine.model.decision import Trial
from policyengine.server.encode import decision_value
from policyengine.server.metrics import Tally
from policyengine.state.grant import Grant
from tests.support.told import Told

RULES = """
module tried

use ai

permit own: retrieve on Document for User

permit leave: release on Output for User

permit any_model: invoke on Model for Agent

permit more: invoke on Model for User
  on match log

forbid secret: retrieve on Document
  when document.owner == "bob"
  on match log

forbid broken: retrieve on Document
  when document.tenant == "acme"
  on match log

require scrub: retrieve on Document
  when document.owner == "bob"
  on match log
  redact(["email"])

label seen: retrieve on Document
  on match log

forbid spilled: release on Output
  when "email" in output.findings or output.scores["harm"] > 0.5
  on match log
  because "not yet"
"""
ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
BOBS = {"type": "Document", "id": "d", "owner": "bob"}
MODEL = {"type": "Model", "id": "m", "provider": "p", "tier": "t"}


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


@pytest.fixture(scope="module")
def engine(told: Told) -> Engine:
    return Engine.from_text(RULES, events=told)


def test_a_decision_tells_what_each_would_have_done(engine: Engine) -> None:
    decision = engine.decide(principal=ANN, action="retrieve", resource=BOBS)
    assert (decision.allowed, decision.determining, decision.errors) == (True, ("tried.own",), ())
    broken, scrub, secret, seen = sorted(decision.tried, key=lambda one: one.rule)[:4]
    assert broken.error is not None
    assert (broken.error.code, broken.decision) == ("POL501", "deny")
    assert scrub == Trial("tried.scrub", "require", "allow", True, ("redact",))
    assert secret == Trial("tried.secret", "forbid", "deny", True)
    assert seen == Trial("tried.seen", "label", "allow", True)
    assert engine.decide_many([{"principal": ANN, "action": "retrieve", "resource": BOBS}]) == [decision]
    explanation = engine.explain(principal=ANN, action="retrieve", resource=BOBS)
    assert explanation.decision == decision
    assert {one["name"] for one in explanation.as_json()["actors"][0]["rules"] if one.get("tried")} == {
        "tried.broken", "tried.scrub", "tried.secret", "tried.seen",
    }  # fmt: skip


def test_a_permit_that_is_tried_permits_nothing(engine: Engine) -> None:
    decision = engine.decide(principal=ANN, action="invoke", resource=MODEL)
    assert (decision.decision, decision.determining) == ("deny", ())
    assert decision.tried == (Trial("tried.more", "permit", "allow", True),)
    assert not engine.authorize(principal=ANN, action="invoke", resource=MODEL).allowed
    assert not engine.admit("hello", principal=ANN, model=MODEL).allowed


def test_filters_and_searches_leave_it_out(engine: Engine) -> None:
    assert engine.filter(principal=ANN, action="retrieve", resource_type="Document").matches(BOBS)
    assert not engine.filter(principal=ANN, action="invoke", resource_type="Model").matches(MODEL)
    assert engine.search_actions(principal=ANN, resource=BOBS) == ["retrieve"]


def test_people_are_told_and_it_is_counted(engine: Engine, told: Told) -> None:
    told.events.clear()
    grant = engine.authorize(principal=ANN, action="retrieve", resource=BOBS)
    assert grant.allowed
    assert [(one.kind, one.fields["rule"], one.fields["would_be"]) for one in told.events] == [
        ("rule.tried", "tried.broken", "deny"),
        ("rule.tried", "tried.scrub", "allow"),
        ("rule.tried", "tried.secret", "deny"),
        ("rule.tried", "tried.seen", "allow"),
    ]
    again: Grant = asyncio.run(engine.authorize_async(principal=ANN, action="retrieve", resource=BOBS))
    assert again.decision == grant.decision
    assert len(told.events) == 8
    tally = Tally()
    tally.decisions([({}, grant.decision)], 0)
    assert tally.tried == {
        ("tried.secret", "deny"): 1, ("tried.broken", "error"): 1,
        ("tried.scrub", "allow"): 1, ("tried.seen", "allow"): 1,
    }  # fmt: skip


def test_it_is_in_json_and_on_the_wire(engine: Engine) -> None:
    decision = engine.decide(principal=ANN, action="retrieve", resource=BOBS)
    said: list[dict[str, Any]] = json.loads(json.dumps(decision_json(decision)))["tried"]
    assert said == json.loads(json.dumps(decision_value(decision)["context"]["tried"]))
    assert said[2] == {
        "rule": "tried.secret", "kind": "forbid", "decision": "deny", "changes": True, "obligations": [],
    }  # fmt: skip
    # Of the document's owner, which the rule compared, nothing is told.
    assert "bob" not in json.dumps(said)


def test_a_text_leaves_as_it_would_without(engine: Engine) -> None:
    text = "Write to bob@acme.com."
    whole = engine.release(text, principal=ANN, output={})
    assert (whole.allowed, whole.text) == (True, text)
    assert [(one.rule, one.decision) for one in whole.decision.tried] == [("tried.spilled", "deny")]
    stream = engine.release_stream([text[:10], text[10:]], principal=ANN, output={})
    assert not stream.buffered
    assert "".join(stream) == text
    assert stream.released is not None
    assert stream.released.decision.tried == whole.decision.tried
    # Neither finder nor classifier stops it, where nothing is found the second is asked for, and errs.
    [quiet] = engine.release("Hello.", principal=ANN, output={}).decision.tried
    assert quiet.error is not None
    assert quiet.decision == "deny"


MARKS = """
module m
use ai
permit reads: retrieve on Document for User
label saw: retrieve on Document
label tried_only: retrieve on Document
  on match log
permit says: release on Output for User
forbid first: release on Output when "tried_only" in session.labels
forbid second: release on Output when "saw" in session.labels on match log
"""


def test_a_label_that_is_tried_marks_no_session() -> None:
    engine = Engine.from_text(MARKS)
    grant = engine.authorize(principal=ANN, action="retrieve", resource=BOBS, session="s")
    assert (grant.decision.labels, [one.rule for one in grant.decision.tried]) == (("saw",), ["m.tried_only"])
    released = engine.release("text", principal=ANN, output={}, session="s")
    assert (released.allowed, [one.rule for one in released.decision.tried]) == (True, ["m.second"])
