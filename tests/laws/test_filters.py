"""A filter lets through exactly the documents that `decide` allows, whatever the conditions are combined to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from policyengine import Engine
from tests.support.filter_corpus import (
    CONDITIONS,
    ENTITIES,
    HOSTILE,
    MISSPELT,
    PRINCIPAL,
    SCHEMA,
    TYPED,
    allowed,
    documents,
)

_parts = st.sampled_from(CONDITIONS).map(lambda text: f"({text})")
_atoms = _parts | _parts.map(lambda text: f'(any team in principal.teams: team == "é" and {text})')
conditions = st.recursive(
    _atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from((" and ", " or ")), inner).map("".join).map(lambda text: f"({text})"),
        inner.map(lambda text: f"(not {text})"),
        st.tuples(inner, inner, inner).map(lambda t: f"(if {t[0]} then {t[1]} else {t[2]})"),
    ),
    max_leaves=4,
)
heads = st.sampled_from(("Doc", "Doc", "Doc", 'Doc in Folder::"hr"', '[Doc::"d1", Doc::"d2", Doc::"d3"]'))
who = st.sampled_from(("", "", "", " for User", ' for User in Group::"staff"', ' for User::"bob"'))


@st.composite
def policies(draw: st.DrawFn) -> str:
    """One to four rules, a permit first."""
    kinds = ["permit", *draw(st.lists(st.sampled_from(("permit", "forbid")), max_size=3))]
    rules = []
    for number, kind in enumerate(kinds):
        clause = draw(st.sampled_from(("when", "when", "unless")))
        condition = draw(conditions)
        rules.append(f"{kind} r{number}: read on {draw(heads)}{draw(who)}\n  {clause} {condition}\n")
    return SCHEMA + "".join(rules)


DOCUMENTS = documents(TYPED, HOSTILE)
# By number: their texts are long.
some_of_them = st.lists(st.integers(0, len(DOCUMENTS) - 1), min_size=40, max_size=60, unique=True)


@given(policies(), some_of_them, st.booleans())
def test_a_filter_is_the_decision(text: str, some: list[int], sourced: bool) -> None:
    """Also where the entity source knows some of the documents, and speaks for them."""
    asked_about = [DOCUMENTS[number] for number in some]
    # A source takes only what the schema says.
    known = [{**DOCUMENTS[number], "type": "Doc"} for number in some[:5] if number < len(TYPED)]
    engine = Engine.from_text(text, entities=[*ENTITIES, *(known if sourced else [])])
    found = engine.filter(principal=PRINCIPAL, action="read", resource_type="Doc")
    # And documents that say other things of themselves than the source does.
    asked_about += [{**b, "id": a["id"]} for a, b in zip(asked_about[:5], asked_about[5:10], strict=True)]
    asked_about += [{**each, "id": f"m{at}"} for at, each in enumerate(MISSPELT)]
    assert [each["id"] for each in found.recheck(asked_about)] == allowed(engine, asked_about)
