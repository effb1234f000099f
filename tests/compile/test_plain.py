"""What is plain is told alike in C and in Python."""

from __future__ import annotations

from collections import UserDict
from typing import Any

import pytest

from policyengine.compile.runtime import NAMES as RUNTIME
from policyengine.compile.runtime import pairs, plain_pairs, plain_texts

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
