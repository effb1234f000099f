"""What may leave of an answer that has several texts: they are read as one."""

from __future__ import annotations

import asyncio

import pytest

from policyengine import Engine
from policyengine.gate.models import ModelTerms
from policyengine.gate.session import Session

ANN = {"type": "User", "id": "ann", "tenant": "acme"}
TERMS = ModelTerms(output={"tenant": "acme"})
HALVES = ["write to bob@ac", "me.com, please"]


def session(order: str) -> Session:
    policy = f"use ai\npermit own: release on Output when output.tenant == principal.tenant\n{order}\n"
    return Engine.from_text(policy).session(principal=ANN)


def released(order: str, texts: list[str], terms: ModelTerms = TERMS) -> list[str]:
    told = terms.release_all(session(order), texts)
    assert asyncio.run(terms.release_all_async(session(order), texts)) == told
    return told


@pytest.mark.parametrize("between", [[], [""], ["", ""]], ids=len)
def test_a_value_that_goes_on_in_the_next_text_is_redacted(between: list[str]) -> None:
    texts = [HALVES[0], *between, HALVES[1]]
    expected = ["write to [email]", *between, ", please"]
    assert released('require scrub: release on Output redact(["email"])', texts) == expected


def test_where_it_is_forbidden_the_reason_stands_for_all() -> None:
    first, *rest = released('forbid mail: release on Output when "email" in output.findings', HALVES)
    assert (first.startswith("denied"), rest) == (True, [""])


def test_what_is_said_instead_stands_for_all() -> None:
    order = 'require no: release on Output withhold(message: "no")'
    assert released(order, HALVES) == ["no", ""]


@pytest.mark.parametrize(
    ("to", "expected"),
    [(0, ["", ""]), (5, ["write", ""]), (18, ["write to [email],", " "]), (500, ["write to [email],", " please"])],
)
def test_texts_are_cut_as_one(to: int, expected: list[str]) -> None:
    order = f'require scrub: release on Output redact(["email"])\nrequire short: release on Output truncate(to: {to})'
    assert released(order, ["write to bob@acme.com,", " please"]) == expected


@pytest.mark.parametrize("texts", [[], [""], ["plain"], ["", "bob@acme.com"], ["one", "two"]], ids=str)
def test_other_answers_are_as_text_by_text(texts: list[str]) -> None:
    order = 'require scrub: release on Output redact(["email"])'
    assert released(order, texts) == [TERMS.release(session(order), text) for text in texts]


def test_a_host_that_names_no_output_has_nothing_released() -> None:
    assert released('require scrub: release on Output redact(["email"])', HALVES, ModelTerms()) == HALVES
