"""Explanations agree with decisions, tell what was reached, and never raise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine import Engine
from policyengine.diagnostics.safe_text import visible
from policyengine.evaluate.interpret import Env, in_scope
from policyengine.explain.display import brief, code
from policyengine.explain.explanation import ActorTrace
from policyengine.explain.trace import Failure, RuleTrace, Trace, Value
from policyengine.explain.why import rule_why
from policyengine.model.request import request

SOURCE = """module m
use ai
extend User { clearance: Int, manager?: User }
extend Document { readers: List<User> }
define senior(u: User): u.clearance > 3 or "boss" in u.roles

permit both: retrieve on Document for User
  when document.tenant == principal.tenant and document.classification <= principal.clearance
permit either: retrieve on Document for User
  when senior(principal) or "open" in document.labels
permit some: retrieve on Document for User
  when any r in document.readers: r.clearance > 1 and r == principal
permit every: retrieve on Document
  when size(document.readers) > 0 and (all r in document.readers: r.tenant == "acme")
permit chosen: retrieve on Document for User
  when if principal has manager then senior(principal.manager) else document.owner == principal.id
permit inside: retrieve on Document for User in Group::"readers"
forbid hold: retrieve on Document
  when "hold" in document.labels
  unless principal in Group::"legal"
permit other: invoke on Model
"""

ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": [], "clearance": 1}
DOCUMENT = {
    "type": "Document",
    "id": "d",
    "tenant": "acme",
    "classification": 5,
    "labels": [],
    "readers": [],
    "owner": "x",
}
ENGINE = Engine.from_text(SOURCE, path="m.pol")


def actor(principal: Any = ANN, **attributes: Any) -> ActorTrace:
    asked = {"principal": principal, "action": "retrieve", "resource": {**DOCUMENT, **attributes}}
    return ENGINE.explain(**asked).actors[0]


def rule(name: str, principal: Any = ANN, **attributes: Any) -> RuleTrace:
    return next(one for one in actor(principal, **attributes).rules if one.rule.name == f"m.{name}")


def condition(name: str, principal: Any = ANN, **attributes: Any) -> Trace:
    found = rule(name, principal, **attributes).condition
    assert found is not None
    return found


def worth(trace: Trace) -> Any:
    """True, False, "error" or "skipped"."""
    match trace.result:
        case Value(value=value):
            return value
        case Failure():
            return "error"
    return "skipped"


# ---- what is reached ----


def test_after_the_first_false_nothing_is_reached() -> None:
    assert [worth(part) for part in condition("both", tenant="globex").parts] == [False, "skipped"]
    assert [worth(part) for part in condition("both").parts] == [True, False]


def test_after_the_first_true_nothing_is_reached() -> None:
    found = condition("either", {**ANN, "clearance": 9})
    assert worth(found.parts[0]) is True
    assert worth(found.parts[-1]) == "skipped"


def test_after_an_error_nothing_is_reached() -> None:
    found = condition("both", {"type": "User", "id": "ann"})
    assert [worth(part) for part in found.parts] == ["error", "skipped"]
    assert [worth(part) for part in found.parts[0].parts] == ["acme", "error"]
    assert isinstance(found.result, Failure)
    assert found.result.span is not None
    assert found.result.span.text == "principal.tenant"


def test_one_branch_of_a_conditional_is_reached() -> None:
    assert [worth(p) for p in condition("chosen").parts] == [False, "skipped", False]
    boss = {**ANN, "manager": {**ANN, "id": "m", "roles": ["boss"]}}
    assert [worth(p) for p in condition("chosen", boss).parts] == [True, True, "skipped"]


# ---- quantifiers ----


def users(*clearances: Any) -> list[dict[str, Any]]:
    return [{"type": "User", "id": f"u{i}", "tenant": "acme", "clearance": c} for i, c in enumerate(clearances)]


def test_the_element_that_decided_is_shown() -> None:
    ann = {**ANN, "clearance": 2}
    found = condition("some", ann, readers=[*users(0, 0, 0, 0, 5), ann, {**users(9)[0], "id": "u9"}])
    elements = [part.element for part in found.parts if part.element is not None]
    assert [(e.name, e.index, e.value.uid.id) for e in elements] == [("r", 5, "ann")]
    assert found.count == 7


def test_of_many_that_decided_nothing_a_few_are_shown() -> None:
    found = condition("some", readers=users(*range(100)))
    assert [part.element.index for part in found.parts if part.element is not None] == [0, 1, 2]
    assert found.count == 100


def test_the_element_that_failed_is_shown() -> None:
    found = condition("some", readers=users(0, "1", 5))
    assert worth(found) == "error"
    assert [part.element.index for part in found.parts if part.element is not None] == [1]


def test_an_empty_collection_and_one_that_fails() -> None:
    assert condition("some").count == 0
    assert [worth(part) for part in condition("some", readers="ann").parts] == ["error", "skipped"]


# ---- scope ----


def test_the_part_of_the_head_that_failed() -> None:
    assert [(c.subject, c.kind) for c in rule("inside").scope if not c.held] == [("principal", "hierarchy")]
    service = {"type": "Service", "id": "s"}
    assert [(c.subject, c.kind) for c in rule("both", service).scope if not c.held] == [("principal", "type")]
    assert "`Service`" in rule("both", service).scope[-1].message


def test_a_hierarchy_that_is_malformed_is_an_error() -> None:
    assert rule("inside", {**ANN, "parents": "readers"}).outcome == "error"


@given(st.sampled_from(["User", "Service", "Agent"]), st.sampled_from([None, [], [{"type": "Group", "id": "readers"}]]))
def test_scope_checks_say_what_in_scope_says(type_: str, parents: Any) -> None:
    principal = {"type": type_, "id": "x"} | ({"parents": parents} if parents is not None else {})
    env = Env(request(principal, "retrieve", DOCUMENT), ENGINE.snapshot.world)
    for one in actor(principal).rules:
        assert all(check.held for check in one.scope) is in_scope(one.rule.head, env)
        assert (one.outcome == "not in scope") is not in_scope(one.rule.head, env)


def test_rules_about_other_actions_are_left_out() -> None:
    assert "m.other" not in [one.rule.name for one in actor().rules]


# ---- in words ----


def test_why_names_the_conjunct_and_the_values() -> None:
    explanation = ENGINE.explain(principal=ANN, action="retrieve", resource={**DOCUMENT, "labels": ["hold"]})
    assert explanation.why == (
        'denied by `m.hold`: `"hold" in document.labels` is true, as `document.labels` is `["hold"]`, '
        'and `principal in Group::"legal"` is false, as `principal` is `User::"ann"`'
    )


def test_a_sum_is_shown_as_what_it_comes_to() -> None:
    text = 'use ai\npermit few: call on Tool::"t" when sum(i.n * 2 for i in tool.args.items) <= 5'
    engine = Engine.from_text(text, path="m.pol")
    asked = {"principal": ANN, "action": "call", "resource": {"type": "Tool", "id": "t", "args": {"items": []}}}
    for items, says in (([{"n": 1}, {"n": 2}], "is `6`"), ([{"n": 1}, {"n": "2"}], "expected Number, found a string")):
        asked["resource"]["args"]["items"] = items  # type: ignore[index]
        found = engine.explain(**asked)
        assert says in found.why
        body = found.actors[0].rules[0].condition.parts[0]  # type: ignore[union-attr]
        assert [part.element.value for part in body.parts if part.element] == (items if says[0] == "i" else items[1:])


def test_an_argument_of_a_definition_is_named_and_not_its_parameter() -> None:
    made = Engine.from_text(
        'use ai\ntool mail(to: String)\ndefine known(address: String): address == "a"\n'
        'permit p: call on Tool::"mail" when known(tool.args.to)\n'
    )
    tool = {"type": "Tool", "id": "mail", "args": {"to": "z"}}
    (asked,) = made.explain(principal={"type": "User", "id": "u"}, action="call", resource=tool).actors
    (rule,) = asked.rules
    assert rule.condition is not None
    assert [part.span.text for part in rule.condition.parts] == ["tool.args.to", '"a"']


def test_what_an_argument_has_is_named_after_the_argument() -> None:
    made = Engine.from_text(
        "use ai\ndefine low(d: Document): d.classification <= 1\ndefine mine(x: Document): low(x)\n"
        "define all_low(ds: List<Int>, n: Int): all d in ds: d < n\n"
        "extend Document { ns: List<Int> }\n"
        "permit p: retrieve on Document when mine(document)\n"
        "permit q: retrieve on Document when all_low(document.ns, document.classification - 1)\n"
    )
    document = {"type": "Document", "id": "d", "classification": 3, "ns": [5]}
    (asked,) = made.explain(principal={"type": "User", "id": "u"}, action="retrieve", resource=document).actors
    first, second = map(rule_why, asked.rules)
    assert first == "`document.classification <= 1` is false, as `document.classification` is `3`"
    assert second.startswith("`all d in document.ns: d < document.classification - 1` is false")


def test_the_nearest_permit_is_named() -> None:
    closest = actor(owner="ann", classification=5).closest
    assert not closest  # `chosen` permits it
    found = actor(tenant="globex", classification=1)
    assert "m.both" in [miss.rule.name for miss in found.closest]
    assert "m.inside" not in [miss.rule.name for miss in found.closest]
    # Two conjuncts away is farther than one.
    assert "m.both" not in [miss.rule.name for miss in actor(tenant="globex").closest]


def test_agents_are_explained_too() -> None:
    context = {"agent": {"type": "Agent", "id": "bot", "delegated_by": {"type": "Agent", "id": "boss"}}}
    explanation = ENGINE.explain(principal=ANN, action="retrieve", resource=DOCUMENT, context=context)
    assert [(a.role, a.entity.id) for a in explanation.actors] == [
        ("principal", "ann"), ("agent", "bot"), ("agent", "boss"),
    ]  # fmt: skip


# ---- laws ----

_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("acme")
_json = st.recursive(_scalars, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=4), x, max_size=3))
_users = st.fixed_dictionaries(
    {"type": st.sampled_from(["User", "Agent", "Service"]), "id": st.sampled_from(["ann", "m"])},
    optional={
        "tenant": st.just("acme") | _json,
        "clearance": st.integers(0, 9) | _json,
        "roles": st.just(["boss"]) | _json,
        "parents": st.just([{"type": "Group", "id": "readers"}]) | _json,
        "manager": st.just({**ANN, "id": "m"}) | _json,
    },
)
_documents = st.fixed_dictionaries(
    {"type": st.just("Document"), "id": st.just("d")},
    optional={
        "tenant": st.just("acme") | _json,
        "classification": st.integers(0, 9) | _json,
        "labels": st.lists(st.sampled_from(["open", "hold"]), max_size=2) | _json,
        "readers": st.lists(_users, max_size=5) | _json,
        "owner": st.just("ann") | _json,
    },
)
_contexts = st.just({}) | st.fixed_dictionaries({"agent": _users}) | _json


@given(_users, _documents, _contexts)
def test_an_explanation_decides_as_decide_does(principal: Any, document: Any, context: Any) -> None:
    asked = {"principal": principal, "action": "retrieve", "resource": document, "context": context}
    explanation = ENGINE.explain(**asked)
    assert explanation.decision == ENGINE.decide(**asked)
    assert explanation.decision.revision == ENGINE.revision
    for one in explanation.actors:
        held = {r.rule.name for r in one.rules if r.outcome == "held"}
        erred = {e.rule: e for e in one.decision.errors if e.rule}
        assert one.decision.decision == "deny" or set(one.decision.determining) <= held
        assert {r.rule.name: r.error for r in one.rules if r.outcome == "error"} == erred
    assert "\n" not in explanation.why
    assert explanation.why.isprintable()
    json.dumps(explanation.as_json(), allow_nan=False)


@given(_json | _users, st.sampled_from(["retrieve", "zap", ""]) | _json, _json | _documents, _json)
def test_explain_never_raises(principal: Any, action: Any, resource: Any, context: Any) -> None:
    explanation = ENGINE.explain(principal=principal, action=action, resource=resource, context=context)
    json.dumps(explanation.as_json(), allow_nan=False)
    assert explanation.decision == ENGINE.decide(principal=principal, action=action, resource=resource, context=context)


@given(_json)
def test_a_value_in_brief_is_short_and_printable(value: Any) -> None:
    assert brief(value).isprintable()
    assert len(brief(value)) <= 130


@pytest.mark.parametrize("value", [object(), b"x", {1, 2}, float("nan"), 10**400, "x" * 10**6, [[]] * 10**4])
def test_values_that_are_no_json_are_shown_all_the_same(value: Any) -> None:
    assert len(brief(value)) <= 130
    explanation = ENGINE.explain(
        principal=ANN, action="retrieve", resource={**DOCUMENT, "labels": value, "tenant": value}
    )
    json.dumps(explanation.as_json(), allow_nan=False)


def test_a_value_that_holds_itself() -> None:
    value: list[Any] = []
    value.append(value)
    assert len(brief(value)) <= 130


def test_visible_keeps_json_json() -> None:
    text = '"\u202e\u0007\x7f\U000e0001"'
    assert json.loads(visible(text)) == json.loads(json.dumps(text[1:-1]))
    assert visible("żółć 漢字 ✓") == "żółć 漢字 ✓"


def test_policy_text_in_one_line() -> None:
    engine = Engine.from_text(
        'module c\nuse ai\npermit x: retrieve on Document\n  when document.owner == "a # b" # one\n   or\t# two\n'
        '   document.owner == "\\" # c"\n'
    )
    assert code(engine.snapshot.policies.rules[0].condition.span) == (
        'document.owner == "a # b" or document.owner == "\\" # c"'
    )
