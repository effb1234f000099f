"""What takes the fast way once it has been asked: nothing of a request that is usual for an agent leaves it."""

from __future__ import annotations

from collections.abc import Collection
from types import MappingProxyType
from typing import Any

import pytest

from policyengine import Engine
from policyengine.bundle import Snapshot, load_text
from policyengine.compile.evaluator import Evaluator
from policyengine.model.decision import Decision
from tests.support.evaluators import FAST, evaluator, reference

POLICY = """
use ai
extend Agent { level: Int }
action archive(soft: Bool) on Document for User
permit same: retrieve on Document for User when document.tenant == principal.tenant
permit low: retrieve on Document for Agent when document.classification <= principal.level
permit soft: archive on Document when action.soft
forbid hold: retrieve on Document when "hold" in document.labels
require sign_off: retrieve on Document when document.classification > 2 approval(by: Group::"legal")
require agents_too: retrieve on Document for Agent when document.classification > 3 approval(by: Group::"legal")
"""
FILLER = "".join(f'permit t{n}: retrieve on Document when document.tenant == "t{n}"\n' for n in range(20))


def agent(name: str, level: int, by: dict[str, Any] | None = None) -> dict[str, Any]:
    made = {"type": "Agent", "id": name, "tenant": "acme", "roles": [], "level": level}
    return made if by is None else {**made, "delegated_by": by}


def asked(
    context: dict[str, Any], classification: int = 1, labels: tuple[str, ...] = (), **more: Any
) -> dict[str, Any]:
    document = {"type": "Document", "id": "d", "tenant": "acme", "classification": classification, "labels": [*labels]}
    user = {"type": "User", "id": "u", "tenant": "acme", "roles": []}
    return {"principal": user, "action": "retrieve", "resource": document, "context": context, **more}


ONE, THREE = {"agent": agent("a", 5)}, {"agent": agent("a", 5, agent("b", 2, agent("c", 5)))}
SOURCED = {"agent": {"type": "Agent", "id": "known"}}
SIGNED, BOTH = ["policy.sign_off"], ["policy.sign_off", "policy.agents_too"]
REQUESTS: dict[str, dict[str, Any]] = {
    "plain": asked({}),
    "denied": asked({}, labels=("hold",)),
    "one agent": asked(ONE),
    "one agent, denied": asked(ONE, labels=("hold",)),
    "three agents": asked(THREE),
    "three agents, one of them denied": asked(THREE, 3),
    "an agent of the source": asked(SOURCED),
    "action as an object": asked({}, action={"name": "retrieve"}),
    "action with attributes": asked({}, action={"name": "archive", "soft": True}),
    "an agent that cannot ask for this": asked(ONE, action={"name": "archive", "soft": True}),
    "a principal that cannot ask for this": {**asked({}, action="archive"), "principal": agent("a", 5)},
    "action with attributes, denied": asked({}, action={"name": "archive", "soft": False}),
    "waits for approval": asked({}, 3),
    "approved": asked({}, 3, approved=SIGNED),
    "approved without need": asked({}, approved=SIGNED),
    "approved for another rule": asked({}, 3, approved=["policy.agents_too"]),
    "an agent, approved": asked(ONE, 3, approved=tuple(SIGNED)),
    "an agent, both approved": asked(ONE, 4, approved=set(BOTH)),
    "an agent, one of two approved": asked(ONE, 4, approved=frozenset(SIGNED)),
    "all at once": asked(THREE, 4, action={"name": "retrieve", "x": 1}, approved=BOTH),
    "an agent that was sent": {**asked({}), "principal": agent("a", 5, agent("b", 5))},
    "an agent that the source says was sent": {**asked({}), "principal": {"type": "Agent", "id": "known"}},
}


class Fast(Evaluator):
    """Fails where the long way is taken once `learnt` is set."""

    learnt = False

    def decide_slowly(
        self, principal: Any, action: Any, resource: Any, context: Any = None, approved: Collection[str] = ()
    ) -> Decision:
        assert not self.learnt, "left the fast way"
        return super().decide_slowly(principal, action, resource, context, approved)


@pytest.fixture(scope="module", params=["", FILLER], ids=["few", "a table"])
def snapshot(request: pytest.FixtureRequest) -> Snapshot:
    known = {**agent("known", 5), "delegated_by": {"type": "Agent", "id": "other"}}
    loaded = load_text(POLICY + request.param, entities=[known, agent("other", 4)])
    assert loaded.snapshot is not None
    return loaded.snapshot


@pytest.mark.parametrize("kind", FAST)
@pytest.mark.parametrize("name", REQUESTS)
def test_it_is_taken_from_the_second_time_on(snapshot: Snapshot, name: str, kind: str) -> None:
    one = dict(REQUESTS[name])
    approved = one.pop("approved", ())
    expected = reference(snapshot, one, approved)
    fast = Fast(*_parts(snapshot, kind))
    assert fast.decide(**one, approved=approved) == expected
    fast.learnt = True
    assert fast.decide(**one, approved=approved) == expected
    assert fast.decide_many([{**one, "approved": approved}]) == [expected]


@pytest.mark.parametrize("kind", FAST)
def test_a_batch_takes_it_for_every_request(snapshot: Snapshot, kind: str) -> None:
    """Whatever the others say is approved, and whatever kind of mapping they are."""
    expected = [reference(snapshot, one, one.get("approved", ())) for one in REQUESTS.values()]
    fast = Fast(*_parts(snapshot, kind))
    assert fast.decide_many(REQUESTS.values()) == expected
    fast.learnt = True
    assert fast.decide_many(REQUESTS.values()) == expected
    assert fast.decide_many(map(MappingProxyType, REQUESTS.values())) == expected


def _parts(snapshot: Snapshot, kind: str) -> tuple[Any, ...]:
    native = evaluator(snapshot, kind)._native
    return snapshot.policies, snapshot.schema, snapshot.world, snapshot.revision, native


@pytest.mark.parametrize("kind", FAST)
def test_what_one_request_taught_changes_no_other_answer(snapshot: Snapshot, kind: str) -> None:
    fast = evaluator(snapshot, kind)
    for _ in range(3):
        for each in REQUESTS.values():
            one = dict(each)
            approved = one.pop("approved", ())
            assert fast.decide(**one, approved=approved) == reference(snapshot, one, approved)


def test_a_text_names_no_approvals() -> None:
    """`in` would find a name within a longer one."""
    engine = Engine.from_text(POLICY)
    one = asked({}, 3)
    for approved in ("policy.sign_off and more", {"policy.sign_off": False}):
        with pytest.raises(TypeError, match="`approved` must be a collection of names"):
            engine.decide(**one, approved=approved)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="`approved` must be a collection of names"):
            engine.filter(
                principal=one["principal"],
                action="retrieve",
                resource_type="Document",
                approved=approved,  # type: ignore[arg-type]
            )
        with pytest.raises(TypeError, match="`approved` must be a collection of names"):
            engine.decide_many([one, {**one, "approved": approved}])
    for plain in (["policy.sign_off"], {"policy.sign_off"}, {"policy.sign_off": 1}.keys()):
        assert engine.decide(**one, approved=plain).decision == "allow"
