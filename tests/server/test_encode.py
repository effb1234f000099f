"""A decision as JSON: every kind of value an obligation can carry, and nothing where there is nothing to say."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest

from policyengine.authzen.answers import EvaluationResponse
from policyengine.model.decision import Approval, Decision, Obligation, RuleError
from policyengine.model.values import Entity, Uid
from policyengine.server import encode
from policyengine.server.encode import AT_ONCE, body_in_parts, decision_body


def test_a_plain_decision_says_four_things() -> None:
    decision = Decision("allow", ("m.a", "m.b"), ("because",), revision="r1")
    assert json.loads(decision_body(decision)) == {
        "decision": True,
        "context": {
            "reasons": ["because"],
            "determining": ["m.a", "m.b"],
            "revision": "r1",
            "summary": "allowed by `m.a`, `m.b`",
        },
    }


def test_a_revision_is_never_taken_from_an_equal_decision() -> None:
    """Decisions are equal whatever their revision; their bytes are not."""
    bodies = {decision_body(Decision("allow", ("m.a",), revision=revision)) for revision in ("r1", "r2")}
    assert len(bodies) == 2


@pytest.mark.parametrize("errors", [(), (RuleError("m.a", "POL501", "attribute `owner` is missing"),)])
def test_one_decision_is_written_once(errors: tuple[RuleError, ...]) -> None:
    decision = Decision("deny", ("m.a",), errors=errors, revision="r")
    assert decision_body(decision) is decision_body(decision)
    other = Decision("deny", ("m.b",), errors=errors, revision="r")
    assert json.loads(decision_body(other))["context"]["determining"] == ["m.b"]


def test_of_many_with_errors_few_are_kept() -> None:
    errors = (RuleError("m.a", "POL501", "attribute `owner` is missing"),)
    for number in range(3 * encode._MOST_ERRING):
        decision_body(Decision("deny", (f"m.r{number}",), errors=errors, revision="r"))
    assert len(encode._erring) <= encode._MOST_ERRING


def test_everything_at_once() -> None:
    properties = {
        "time": datetime(2026, 1, 31, 12, tzinfo=UTC),
        "ip": ip_address("10.0.0.1"),
        "entity": Entity(Uid("Group", "legal"), {"secret": 1}),
        "list": ("a", "b"),
        "set": frozenset({"a"}),
        "action": "not the name",
    }
    decision = Decision(
        "allow",
        ("m.a",),
        obligations=(Obligation("m.o:1", "watermark", properties),),
        approvals=(Approval("m.p", {"type": "Group", "id": "g"}, timedelta(minutes=90)),),
        limits=("m.l",),
        labels=("m.s",),
        errors=(RuleError("m.e", "POL504", "missing", "m.pol:1:1"),),
        revision="r1",
    )
    answer = json.loads(decision_body(decision))
    EvaluationResponse.model_validate(answer)
    context = answer["context"]
    assert context["obligations"] == [
        {
            "id": "m.o:1",
            "type": "custom",
            "properties": {
                "time": "2026-01-31T12:00:00Z",
                "ip": "10.0.0.1",
                "entity": {"type": "Group", "id": "legal"},
                "list": ["a", "b"],
                "set": ["a"],
                "action": "watermark",
            },
        }
    ]
    assert context["approvals"] == [{"rule": "m.p", "by": {"type": "Group", "id": "g"}, "within": "90m"}]
    assert (context["limits"], context["labels"]) == (["m.l"], ["m.s"])
    assert context["errors"] == [{"rule": "m.e", "code": "POL504", "message": "missing"}]


@pytest.mark.parametrize(
    ("within", "text"),
    [
        (timedelta(0), "0ms"),
        (timedelta(milliseconds=1500), "1500ms"),
        (timedelta(seconds=90), "90s"),
        (timedelta(minutes=15), "15m"),
        (timedelta(hours=24), "1d"),
        (timedelta(days=7), "1w"),
    ],
)
def test_durations_are_written_as_policies_write_them(within: timedelta, text: str) -> None:
    decision = Decision("deny", approvals=(Approval("m.p", {"type": "Group", "id": "g"}, within),), revision="r1")
    assert json.loads(decision_body(decision))["context"]["approvals"][0]["within"] == text


@pytest.mark.parametrize("count", [0, 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE])
def test_what_is_written_part_by_part_is_what_is_written_at_once(count: int) -> None:
    value = {
        "decision": True,
        "text": "é",
        "findings": [{"kind": "email", "start": n} for n in range(count)],
        "none": [],
    }
    assert body_in_parts(value) == json.dumps(value, separators=(",", ":")).encode()
    assert body_in_parts({}) == b"{}"


def test_no_part_is_longer_for_a_longer_list(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    encoded = encode._encode_text

    def counted(value: object) -> str:
        sizes.append(len(value) if isinstance(value, list) else 1)
        return encoded(value)

    monkeypatch.setattr(encode, "_encode_text", counted)
    body_in_parts({"findings": list(range(10 * AT_ONCE))})
    assert (max(sizes), sum(sizes)) == (AT_ONCE, 10 * AT_ONCE + 1)
