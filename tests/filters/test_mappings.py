"""Mappings and questions that cannot be meant: refused where they are written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policyengine import Engine
from policyengine.filters import Field, Kind, column, json, qdrant, ref, sql
from policyengine.integrations import attributes

ANN = {"type": "User", "id": "ann"}
ENGINE = Engine.from_text("module m\nuse ai\npermit p: retrieve on Document")


@pytest.mark.parametrize("null", ["NULL", "Null", "x", "", True, 0])
def test_a_null_is_absent_or_null(null: Any) -> None:
    for make in (lambda: column("a", null=null), lambda: ref("a", "User", null=null), lambda: Field("a", null=null)):
        with pytest.raises(ValueError, match="absent"):
            make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: column(5),  # type: ignore[arg-type]
        lambda: json("a", 5),  # type: ignore[arg-type]
        lambda: ref("a", None),  # type: ignore[arg-type]
        lambda: sql("sqlite", columns=None),  # type: ignore[arg-type]
        lambda: sql("sqlite", columns="tenant"),  # type: ignore[arg-type]
        lambda: sql("sqlite", columns={"tenant": 5}),  # type: ignore[dict-item]
        lambda: qdrant([]),  # type: ignore[arg-type]
        lambda: qdrant({"a": "a"}, below="metadata"),
    ],
)
def test_names_are_texts(make: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=r"text|mapping"):
        make()


@pytest.mark.parametrize("form", ["Text", "bytes", 5])
def test_json_comes_as_text_or_as_values(form: Any) -> None:
    with pytest.raises(ValueError, match="text"):
        attributes(columns={"*": json("data")}, json=form)


@pytest.mark.parametrize("resource", [[1], "junk", 5, {1}])
def test_nothing_passes_a_question_about_no_object(resource: Any) -> None:
    found = ENGINE.filter(principal=ANN, action="retrieve", resource_type="Document", resource=resource)
    assert found.kind is Kind.NEVER
    assert [error.code for error in found.errors] == ["POL504"]
    assert not found.matches({"type": "Document", "id": "d"})


def test_a_text_names_no_obligations() -> None:
    with pytest.raises(TypeError, match="obligation"):
        ENGINE.filter(principal=ANN, action="retrieve", resource_type="Document", fulfilled="redact")
