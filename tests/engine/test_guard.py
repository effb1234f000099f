"""Enforcing decisions: nothing runs that is not allowed, or while something is owed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from policyengine import Decision, Denied, Engine, Obligation, enforce, guard

POLICIES = """
module release
use ai

permit answer: release on Output
  when output.tenant == principal.tenant
  because "your own tenant's answers may leave"

require scrub: release on Output
  when "pii" in output.labels
  redact(["email"])

forbid secrets: release on Output
  when "secret" in output.labels
  because "the answer holds a secret"

require tell: release on Output
  when "secret" in output.labels
  on deny
  notification(to: "security@example.com", body: "a secret was about to leave")
"""

ANN = {"type": "User", "id": "ann", "tenant": "acme"}


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.from_text(POLICIES)


def output(*labels: str, tenant: str = "acme") -> dict[str, Any]:
    return {"type": "Output", "id": "o1", "tenant": tenant, "labels": list(labels)}


def decide(engine: Engine, resource: dict[str, Any]) -> Decision:
    return engine.decide(principal=ANN, action="release", resource=resource)


def test_the_obvious_if_lets_no_unmet_obligation_through(engine: Engine) -> None:
    decision = decide(engine, output("pii"))
    assert decision.decision == "allow"
    assert not decision.allowed
    assert not decision
    assert [o.type for o in decision.obligations] == ["redact"]
    assert decision.obligations[0].properties == {"kinds": ["email"]}
    assert decision.allowed_if({"redact"})
    assert not decision.allowed_if(set())
    assert not decision.allowed_if({"notification"})


def test_a_deny_is_never_allowed_whatever_is_fulfilled(engine: Engine) -> None:
    decision = decide(engine, output("secret"))
    assert not decision.allowed_if({"redact", "notification"})
    assert decision.reasons == ("the answer holds a secret",)


def test_enforce_passes_a_plain_allow(engine: Engine) -> None:
    assert enforce(decide(engine, output())).allowed


def test_enforce_does_what_is_owed(engine: Engine) -> None:
    done: list[Obligation] = []
    decision = enforce(decide(engine, output("pii")), fulfil={"redact": done.append})
    assert list(decision.obligations) == done


@pytest.mark.parametrize("fulfil", [None, {}, {"notification": print}])
def test_enforce_refuses_what_nobody_fulfils(engine: Engine, fulfil: Any) -> None:
    with pytest.raises(Denied, match="redact") as caught:
        enforce(decide(engine, output("pii")), fulfil=fulfil)
    assert caught.value.decision.decision == "allow"


def test_an_obligation_that_fails_denies(engine: Engine) -> None:
    def broken(_: Obligation) -> None:
        raise RuntimeError("no redactor today")

    with pytest.raises(Denied, match="could not be fulfilled: redact"):
        enforce(decide(engine, output("pii")), fulfil={"redact": broken})


def test_what_is_owed_on_a_deny_is_done_before_it_is_raised(engine: Engine) -> None:
    told: list[Obligation] = []
    with pytest.raises(Denied, match="the answer holds a secret"):
        enforce(decide(engine, output("secret")), fulfil={"notification": told.append})
    assert [o.id for o in told] == ["release.tell"]


def test_a_failing_notification_leaves_a_deny_a_deny(engine: Engine) -> None:
    def broken(_: Obligation) -> None:
        raise RuntimeError

    with pytest.raises(Denied, match="secret"):
        enforce(decide(engine, output("secret")), fulfil={"notification": broken})


def test_a_guarded_function_runs_only_if_allowed(engine: Engine) -> None:
    ran: list[str] = []

    @guard(
        engine,
        principal=lambda call: {"type": "User", "id": call["user"], "tenant": call["tenant"]},
        action="release",
        resource=lambda call: output(*call["labels"]),
        fulfil={"redact": lambda _: ran.append("redacted")},
    )
    def send(user: str, tenant: str = "acme", labels: tuple[str, ...] = ()) -> str:
        """Sends."""
        ran.append(user)
        return "sent"

    assert send("ann") == "sent"
    assert send("bob", labels=("pii",)) == "sent"
    for refused in ({"tenant": "globex"}, {"labels": ("secret",)}):
        with pytest.raises(Denied):
            send("eve", **refused)
    with pytest.raises(TypeError):
        send()
    assert ran == ["ann", "redacted", "bob"]
    assert (send.__name__, send.__doc__) == ("send", "Sends.")


def test_a_part_that_cannot_be_made_stops_the_call(engine: Engine) -> None:
    ran: list[int] = []

    @guard(engine, principal=lambda call: call["nobody"], action="release", resource=output())
    def send() -> None:
        ran.append(1)

    with pytest.raises(KeyError):
        send()
    assert not ran


def test_async_functions_are_guarded_before_they_start(engine: Engine) -> None:
    ran: list[str] = []

    @guard(engine, principal=ANN, action="release", resource=lambda call: output(tenant=call["tenant"]))
    async def send(tenant: str) -> str:
        ran.append(tenant)
        return tenant

    assert asyncio.run(send("acme")) == "acme"
    with pytest.raises(Denied):
        asyncio.run(send("globex"))
    assert ran == ["acme"]


LABELS = """
module labelled
use ai
permit any: release on Output
label spoke: release on Output when "pii" in output.labels
require sign: release on Output when "secret" in output.labels approval(by: Group::"legal")
"""


def test_a_label_is_recorded_before_the_function_runs() -> None:
    ran: list[Any] = []
    engine = Engine.from_text(LABELS)
    options: dict[str, Any] = {"principal": ANN, "action": "release", "resource": lambda call: output(*call["labels"])}

    @guard(engine, **options, record=lambda decision: ran.append(decision.labels))
    def send(*labels: str) -> None:
        ran.append(labels)

    @guard(engine, **options)
    def forget(*labels: str) -> None:
        ran.append("never")

    send("pii")
    assert ran == [("spoke",), ("pii",)]
    with pytest.raises(Denied, match="labels that nothing records: spoke"):
        forget("pii")
    forget()
    assert ran == [("spoke",), ("pii",), "never"]


def test_a_label_that_cannot_be_recorded_stops_the_call() -> None:
    ran: list[int] = []

    def broken(decision: Decision) -> None:
        raise OSError("no session today")

    @guard(Engine.from_text(LABELS), principal=ANN, action="release", resource=output("pii"), record=broken)
    def send() -> None:
        ran.append(1)

    with pytest.raises(OSError, match="no session"):
        send()
    assert not ran


def test_what_has_been_approved_is_said_with_the_call() -> None:
    @guard(
        Engine.from_text(LABELS),
        principal=ANN,
        action="release",
        resource=output("secret"),
        approved=lambda call: call["verified"],
    )
    def send(verified: tuple[str, ...]) -> str:
        return "sent"

    assert send(("labelled.sign",)) == "sent"
    with pytest.raises(Denied):
        send(())
