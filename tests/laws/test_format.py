"""format(p) means what p means; format(format(p)) = format(p); and it is refused rather than changed.

load(format(p)) = load(p)          comments of format(p) = comments of p, in their order
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine.bundle import load_text
from policyengine.diagnostics.diagnostic import has_errors
from policyengine.diagnostics.source import Source
from policyengine.syntax.format import format_source
from policyengine.syntax.parse import parse
from tests.support.expressions import Draw
from tests.support.mutations import WORD, mutated
from tests.support.policies import Policies, policies


def _formatted(text: str) -> str | None:
    """The text in its one layout, after a look at what must hold of it; None where the text has errors."""
    found = format_source(Source("policy.pol", text))
    if found.text is None:
        return None
    again = format_source(Source("policy.pol", found.text))
    assert again.text == found.text
    assert not again.changed
    before, after = parse(Source("policy.pol", text)), parse(Source("policy.pol", found.text))
    assert [c.text for c in before.module.comments] == [c.text for c in after.module.comments]
    return found.text


@given(policies())
def test_it_means_the_same(made: Policies) -> None:
    text = _formatted(made.text)
    assert text is not None
    before, after = load_text(made.text).snapshot, load_text(text).snapshot
    assert before is not None
    assert after is not None
    assert after.policies == before.policies


@st.composite
def respaced(draw: Draw, text: str) -> str:
    """The same words with other space between them, and comments."""
    words = WORD.findall(text)
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, len(words) - 1))
        if words[at].isspace():
            spaces = (" ", "\n", "  ", "\t", "\n\n\n", " # one\n", "\n# two # three\n", "\n\n# é four\n\n")
            words[at] = draw(st.sampled_from(spaces))
    return "".join(words)


@given(st.data(), policies(max_rules=3))
def test_comments_and_space(data: st.DataObject, made: Policies) -> None:
    text = data.draw(respaced(made.text))
    if not has_errors(parse(Source("policy.pol", text)).diagnostics):
        plain, spaced = _formatted(made.text), _formatted(text)
        assert spaced is not None
        loaded = [load_text(t or "").snapshot for t in (plain, spaced)]
        assert replace(loaded[0], revision="").policies == loaded[1].policies  # type: ignore[type-var, union-attr]


@pytest.mark.fuzz
@given(st.data(), policies(max_rules=3))
def test_nearly_a_policy(data: st.DataObject, made: Policies) -> None:
    text = data.draw(mutated(made.text))
    refused = _formatted(text) is None
    assert refused == has_errors(parse(Source("policy.pol", text)).diagnostics)
