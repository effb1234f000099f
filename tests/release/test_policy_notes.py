"""What is told of release policies before any text comes."""

from __future__ import annotations

import pytest

from policyengine import Engine
from policyengine.release.policy_notes import buffered_by, misspelt_kinds
from tests.release.test_release import ANN, HEAD, OUTPUT


@pytest.mark.parametrize(
    ("rule", "looking"),
    [
        ("", ()),
        ('require scrub: release on Output redact(["email"])', ()),
        ('forbid draft: release on Output when "draft" in output.labels', ()),
        ('forbid leak: release on Output when "email" in output.findings', ("chat.leak",)),
        ("forbid leak: release on Output when any f in output.found: f.score > 0.5", ("chat.leak",)),
        ("forbid long: release on Output when output.size > 5", ("chat.long",)),
        ('require cut: release on Output when output.text like "x*" truncate(to: 3)', ("chat.cut",)),
        ("forbid odd: release on Output unless output.valid", ("chat.odd",)),
        ('forbid harm: release on Output when output.scores["harm"] > 0.5', ("chat.harm",)),
    ],
)
def test_what_holds_a_stream_back_is_known_before_it_comes(rule: str, looking: tuple[str, ...]) -> None:
    engine = Engine.from_text(HEAD + rule)
    assert buffered_by(engine.snapshot.policies) == looking
    stream = engine.release_stream(["x"], principal=ANN, output={**OUTPUT, "labels": []})
    assert stream.buffered == bool(looking)


def test_policies_about_something_else_say_nothing_of_streams() -> None:
    engine = Engine.from_text("module m use ai permit p: retrieve on Document")
    assert buffered_by(engine.snapshot.policies) is None


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('require scrub: release on Output redact(["emial"])', "emial"),
        ('forbid leak: release on Output when "secrets" in output.findings', "secrets"),
        ('require scrub: release on Output mask(["credit_cards"], keep: 4)', "credit_cards"),
    ],
)
def test_a_misspelt_kind_is_warned_about(rule: str, said: str) -> None:
    (warning,) = misspelt_kinds(Engine.from_text(HEAD + rule).snapshot.policies)
    assert (warning.code.id, said in warning.message) == ("POL712", True)


@pytest.mark.parametrize("kind", ["email", "secret", "national_id", "project_name", "x"])
def test_a_known_kind_and_one_of_ones_own_are_not(kind: str) -> None:
    rule = f'require scrub: release on Output redact(["{kind}"])'
    assert misspelt_kinds(Engine.from_text(HEAD + rule).snapshot.policies) == []
