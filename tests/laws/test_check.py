"""check raises for no tree: what loads is a policy set or a finding, and a policy set can be asked.

load(text).snapshot exists  ⇔  no finding is an error
"""

from __future__ import annotations

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from policyengine.bundle import load_text
from policyengine.diagnostics.diagnostic import has_errors
from tests.support.declarations import Declared, declarations
from tests.support.evaluators import fast_decide, reference
from tests.support.mutations import mutated, untyped
from tests.support.policies import Policies, policies

REQUEST = {
    "principal": {"type": "User", "id": "a", "n": 1, "tags": ["a"], "data": {"k": 1}},
    "action": {"name": "read", "n": 1},
    "resource": {"type": "Doc", "id": "d", "n": "1"},
    "context": {"cost": {"usd": 1}, "session": {"type": "Session", "id": "s", "labels": []}},
}
DEFINES = "define d0: time.now < time.now\ndefine d1(v: Int): v > 1\ndefine d2(a: User, b: String): a.id == b\n"


def assert_lawful(text: str) -> bool:
    """Whether it was accepted."""
    loaded = load_text(text)
    assert (loaded.snapshot is None) == has_errors(loaded.diagnostics)
    if loaded.snapshot is None:
        return False
    assert fast_decide(loaded.snapshot, REQUEST) == reference(loaded.snapshot, REQUEST)
    return True


@pytest.mark.fuzz
@given(st.data(), policies(max_rules=4))
def test_nearly_well_typed(data: st.DataObject, made: Policies) -> None:
    event(f"accepted: {assert_lawful(data.draw(mutated(made.text, same_kind=True)))}")


@pytest.mark.fuzz
@given(
    declarations(),
    untyped,
    st.sampled_from(("read on Doc", "read on any", 'call on Tool::"send"', "any on any for User")),
)
def test_expressions_without_regard_for_types(declared: Declared, expression: str, head: str) -> None:
    text = f"{declared.text}{DEFINES}forbid p: {head} when {expression}"
    event(f"accepted: {assert_lawful(text)}")


@pytest.mark.fuzz
@given(declarations(), untyped, untyped)
def test_any_property_limit_and_test(declared: Declared, one: str, two: str) -> None:
    tail = f"at most {one} of {two} per 1m by {two}"
    assert_lawful(
        f"{declared.text}{DEFINES}require p: read on Doc\n  note(text: {one}, data: {two})\nlimit l: read on Doc {tail}"
    )
    assert_lawful(
        f'{declared.text}test "t" {{ principal User::"a" {{ n: {one} }} read on Doc::"d" {{ x: {two} }} expect deny }}'
    )


@pytest.mark.parametrize(
    "piece", ["not ", "a and ", "1 + ", "- ", "any x in xs: ", "if a then a else ", "a.b.", "[", "("]
)
@pytest.mark.parametrize("times", [90, 101, 190, 3000])
def test_depth(piece: str, times: int) -> None:
    assert_lawful(f"use ai\npermit p: read on Document when {piece * times}principal == principal")
    assert_lawful(f"use ai\npermit p: retrieve on Document when {piece * times}true")
    assert_lawful("use ai\nentity E { a: " + "Set<" * times + "Int" + ">" * times + " }")


def test_definitions_that_grow_without_end() -> None:
    lines = ["define d0: principal == principal", *(f"define d{i}: d{i - 1} and d{i - 1}" for i in range(1, 40))]
    assert not assert_lawful("use ai\n" + "\n".join(lines) + "\npermit p: retrieve on Document when d39")
