"""parse raises for no text, and every finding lies in the text and can be shown.

A text with no error has every statement in its tree.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine.diagnostics.diagnostic import has_errors
from policyengine.diagnostics.render import as_json, concise, human
from policyengine.diagnostics.source import Source
from policyengine.syntax.parse import Parsed, parse
from tests.support.mutations import STRAYS, mutated
from tests.support.policies import Policies, policies

words = st.lists(st.sampled_from(STRAYS) | st.text(max_size=3), max_size=30).map(" ".join)


def assert_lawful(text: str) -> Parsed:
    parsed = parse(Source("any.pol", text))
    for found in parsed.diagnostics:
        assert 0 <= found.span.start <= found.span.end <= len(text)
        assert "\n" not in found.message
        assert found.message
        assert concise(found)
        assert human(found)
        assert as_json(found)
    return parsed


@pytest.mark.fuzz
@given(st.text() | words | st.binary().map(lambda b: b.decode("latin-1")))
def test_any_text(text: str) -> None:
    assert_lawful(text)


@pytest.mark.fuzz
@given(st.data(), policies(max_rules=3))
def test_nearly_a_policy(data: st.DataObject, made: Policies) -> None:
    assert_lawful(data.draw(mutated(made.text)))


@given(policies())
def test_a_policy(made: Policies) -> None:
    parsed = assert_lawful(made.text)
    assert not has_errors(parsed.diagnostics)
    names = {getattr(s, "name", None) and s.name.text for s in parsed.module.statements}
    assert names >= {rule.name for rule in made.rules}


@pytest.mark.parametrize(
    "piece",
    [
        "(",
        "[",
        "{",
        "not ",
        "-",
        "a.",
        "a + ",
        "a and ",
        "if a then ",
        "if a then b else ",
        "any x in xs: ",
        "Set<",
        "f(",
        "!",
        '"',
    ],
)
@pytest.mark.parametrize("times", [50, 150, 5000])
def test_depth(piece: str, times: int) -> None:
    """However deep, it is a finding or a tree."""
    assert_lawful(f"permit p: read on Doc when {piece * times}a")
    assert_lawful(f"entity E {{ a: {piece * times}Int }}")


def test_many_words_behind_a_type_are_one_finding() -> None:
    assert len(assert_lawful(f"entity E {{ a: Int{' b' * 1_000} }}").diagnostics) == 1
