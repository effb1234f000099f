"""What is plain is told alike in C and in Python."""

from __future__ import annotations

from collections import UserDict
from typing import Any

import pytest

from policyengine.compile.native import NATIVE
from policyengine.compile.runtime import NAMES as RUNTIME
from policyengine.compile.runtime import document, pairs, plain_document, plain_pairs, plain_texts

REF = {"type": "Group", "id": "a"}


class Pretending(dict[str, str]):
    __slots__ = ()


VALUES: list[Any] = [
    [], [REF], [REF, REF], [REF, {"type": "Group"}], [REF, {**REF, "parents": []}], (REF,), REF, None, "ab", ["ab"],
    [["a", "b"]], [Pretending(REF)], [UserDict(REF)], [REF, None], ["a", "b"], ["a", 5], {"a": 1, "b": 2},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_is_plain_is_told_alike(value: Any) -> None:
    expected = type(value) is list and all(type(each) is dict and len(each) == 2 for each in value)
    assert (pairs(value), plain_pairs(value)) == (expected, expected)
    assert RUNTIME["plain_texts"](value) is plain_texts(value)


class Text(str):
    __slots__ = ()


class Incomparable(str):
    """A text that cannot be compared."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise ArithmeticError

    __hash__ = str.__hash__


DOC: dict[Any, Any] = {"type": "Doc", "id": "d", "a": 1}
NAMED = frozenset({"type", "id", "a"})
# A document, and whether it is plain: with the names that are known, and with any.
DOCUMENTS: list[tuple[Any, bool, bool]] = [
    (DOC, True, True),
    ({"id": "", "a": None}, True, True),
    ({"id": "d"}, True, True),
    ({**DOC, "b": 1}, False, True),
    ({**DOC, 1: 1}, False, True),
    ({Text("a"): 1, "id": "d"}, False, True),
    ({Text("type"): "Doc", "id": "d"}, False, True),
    ({**DOC, "type": "Other"}, False, False),
    ({**DOC, "type": "do" + "C"}, False, False),
    ({**DOC, "type": "".join(["D", "oc"])}, True, True),
    ({**DOC, "type": Text("Doc")}, False, False),
    ({**DOC, "type": None}, False, False),
    ({**DOC, "id": Text("d")}, False, False),
    ({**DOC, "id": 1}, False, False),
    ({"type": "Doc"}, False, False),
    ({}, False, False),
    (Pretending(DOC), False, False),
    (UserDict(DOC), False, False),
    ([DOC], False, False),
    (None, False, False),
]


@pytest.mark.parametrize(("value", "named", "plain"), DOCUMENTS, ids=repr)
def test_a_plain_document_is_told_alike(value: Any, named: bool, plain: bool) -> None:
    for told in (document, plain_document):
        assert told(value, "Doc", NAMED) is named
        assert told(value, "Doc", None) is plain
        assert told(value, "Doc", frozenset()) is False


@pytest.mark.parametrize("name", ["type", "id"])
def test_a_name_whose_comparison_fails_is_passed_on_or_not_known(name: str) -> None:
    odd = {Incomparable(name): "Doc", "a": 1}
    for told in (document, plain_document):
        assert told(odd, "Doc", NAMED) is False
        with pytest.raises(ArithmeticError):
            told(odd, "Doc", None)


@pytest.mark.skipif(NATIVE is None, reason="there was no C compiler")
@pytest.mark.parametrize("given", [(), (DOC,), (DOC, "Doc"), (DOC, 1, None), (DOC, "Doc", {"a"}), (DOC, "Doc", [], 1)])
def test_what_is_given_to_the_one_in_c_is_checked(given: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="what is given"):
        NATIVE.plain_document(*given)  # type: ignore[union-attr]
