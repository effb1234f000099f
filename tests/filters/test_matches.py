"""`matches` says exactly what `decide` says, for every condition of the corpus and every document in it."""

from __future__ import annotations

import pytest

from tests.support.filter_checks import KINDS, corpus_allowed, corpus_documents, corpus_filter
from tests.support.filter_corpus import CONDITIONS, PRINCIPAL, engine


@pytest.mark.corpus
@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_matches_is_decide(condition: str, kind: str) -> None:
    found = corpus_filter(condition, kind).recheck(corpus_documents(condition))
    assert [each["id"] for each in found] == corpus_allowed(condition, kind, hostile=True)


class _Anything(str):
    """A text that Python finds equal to whatever it is compared with."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


def test_a_type_is_what_it_says_and_not_what_it_is_equal_to() -> None:
    found = engine("doc.flag", "permit").filter(principal=PRINCIPAL, action="read", resource_type="Doc")
    whole = {"id": "d", "flag": True}
    types = (_Anything("Other"), _Anything("Doc"), None, 1, ["Doc"])
    every = [whole, *({**whole, "type": type_} for type_ in types)]
    asked = engine("doc.flag", "permit")
    decided = [
        asked.decide(principal=PRINCIPAL, action="read", resource={"type": "Doc", **each}).allowed for each in every
    ]
    assert list(map(found.matches, every)) == decided == [True, False, True, False, False, False]
