"""Release checks: rules decide on what was found, orders are carried out, and whatever fails keeps the text back."""

from __future__ import annotations

import asyncio
from threading import Event
from typing import Any

import pytest

from policyengine import Engine, NotReleased
from policyengine.bundle import InvalidPolicies
from policyengine.detect.finder import Finder
from policyengine.detect.finding import Finding
from policyengine.detect.registry import Registry, registry
from policyengine.release.inspection import Inspection
from policyengine.release.validity import Expected

HEAD = """
module chat
use ai
permit own: release on Output for User when output.tenant == principal.tenant
"""
ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
OUTPUT = {"tenant": "acme"}
KEY = b"k" * 32


def engine(rules: str = "", **inspection: Any) -> Engine:
    return Engine.from_text(HEAD + rules, inspection=Inspection(**inspection))


def released(rules: str, text: Any, output: dict[str, Any] | None = None, **asked: Any) -> Any:
    return engine(rules, key=KEY).release(text, principal=ANN, output=OUTPUT | (output or {}), **asked)


def test_a_text_that_nothing_is_ordered_for_leaves_as_it_is() -> None:
    answer = released("", "hello bob@acme.com")
    assert (answer.allowed, answer.text, answer.findings) == (True, "hello bob@acme.com", ())


def test_a_denied_text_does_not_leave() -> None:
    answer = released("", "hello", {"tenant": "globex"})
    assert (answer.allowed, answer.text) == (False, None)
    assert answer.reason == "denied: no permit applies"


@pytest.mark.parametrize(
    ("order", "left"),
    [
        ('redact(["email"])', "to [email]!"),
        ('mask(["email"], keep: 4)', "to ****.com!"),
        ('mask(["email"], keep: 0)', "to ****!"),
        ('replace(["email"], with: "(an address)")', "to (an address)!"),
        ("truncate(to: 5)", "to bo"),
        ('withhold(message: "ask a person")', "ask a person"),
    ],
)
def test_an_order_is_carried_out(order: str, left: str) -> None:
    answer = released(f"require scrub: release on Output {order}", "to bob@acme.com!")
    assert (answer.allowed, answer.text) == (True, left)
    assert not answer.decision.allowed, "who only decides still owes it"


def test_a_replacement_is_no_value() -> None:
    rule = 'require scrub: release on Output replace(["email"], with: {})'
    with pytest.raises(InvalidPolicies, match="1 error") as refused:
        engine(rule.format('"ask help@acme.com"'))
    assert [one.code.id for one in refused.value.diagnostics] == ["POL652"]
    said = engine(rule.format("principal.id"))
    for id_, left in (("ann", "to ann!"), ("ann@acme.com", None)):
        asked: dict[str, Any] = {"principal": ANN | {"id": id_}, "output": OUTPUT}
        assert said.release("to bob@acme.com!", **asked).text == left
        stream = said.release_stream(["to bob@", "acme.com!"], **asked)
        if left is None:
            with pytest.raises(NotReleased):
                list(stream)
        else:
            assert "".join(stream) == left


def test_a_hash_is_the_same_for_the_same_value_of_the_same_tenant() -> None:
    rule = 'require scrub: release on Output hash(["email"])'
    one, other = (released(rule, text).text for text in ("a bob@acme.com", "b bob@acme.com"))
    assert one[2:] == other[2:] != released(rule, "a eve@acme.com").text[2:]
    assert "bob" not in one
    anywhere = "permit any_tenant: release on Output for User"
    assert released(f"{anywhere} {rule}", "a bob@acme.com", {"tenant": "globex"}).text[2:] != one[2:]


def test_without_a_key_nothing_is_hashed_and_nothing_leaves() -> None:
    answer = engine('require scrub: release on Output hash(["email"])').release(
        "bob@acme.com", principal=ANN, output=OUTPUT
    )
    assert (answer.allowed, answer.text, answer.errors[0].code) == (False, None, "POL710")


def test_the_strongest_treatment_wins_in_whatever_order_it_is_written() -> None:
    rules = ['require a: release on Output mask(["email"], keep: 4)', 'require b: release on Output redact(["email"])']
    assert released("\n".join(rules), "bob@acme.com").text == "[email]"
    assert released("\n".join(reversed(rules)), "bob@acme.com").text == "[email]"


def test_rules_read_what_was_found() -> None:
    rules = """
    forbid leak: release on Output when "email" in output.findings because "no addresses"
    forbid sure: release on Output when any f in output.found: f.kind == "email" and f.score > 1
    """
    answer = released(rules, "bob@acme.com")
    assert (answer.allowed, answer.reason) == (False, "no addresses")
    assert [(f.kind, f.start, f.end) for f in answer.findings] == [("email", 0, 12)]
    assert "bob" not in repr(answer)


@pytest.mark.parametrize("name", ["findings", "found", "scores", "size", "text", "valid", "sources"])
def test_what_is_found_is_said_by_nobody_else(name: str) -> None:
    answer = released("", "hello", {name: []})
    assert (answer.allowed, answer.decision.errors[0].code) == (False, "POL504")


def test_size_and_text_are_those_of_the_text() -> None:
    assert not released("forbid long: release on Output when output.size > 3", "four")
    assert released("forbid long: release on Output when output.size > 4", "four")
    assert not released('forbid word: release on Output when output.text like "*launch*"', "the launch code")


def test_what_was_in_the_context_window_is_read() -> None:
    rule = "forbid above: release on Output when any d in output.sources: d.classification > 2"
    secret, public = ({"id": "d", "classification": level} for level in (3, 1))
    assert released(rule, "x", sources=[public])
    assert not released(rule, "x", sources=[public, secret])
    assert released(rule, "x", sources=[])
    assert not released(rule, "x"), "what nobody said errs"


def broken(text: str) -> list[Finding]:
    raise OSError("no model")


def lying(text: str) -> list[Finding]:
    return [Finding("email", 0, len(text) + 7, 0.9, "lying")]


@pytest.mark.parametrize("find", [broken, lying])
@pytest.mark.parametrize(
    "rule",
    [
        'require scrub: release on Output redact(["email"])',
        'forbid leak: release on Output when "email" in output.findings',
        "forbid leak: release on Output when any f in output.found: f.score > 0.5",
    ],
)
def test_a_finder_that_fails_keeps_the_text_back(find: Any, rule: str) -> None:
    finders = Registry((Finder("email", frozenset({"email"}), 100, find),))
    answer = engine(rule, finders=finders).release("a secret", principal=ANN, output=OUTPUT)
    assert (answer.allowed, answer.text) == (False, None)
    assert "secret" not in repr(answer)


def test_a_finder_that_nothing_needs_does_not_run() -> None:
    finders = Registry((*registry().finders, Finder("other", frozenset({"other"}), 100, broken)))
    asked = engine('require scrub: release on Output redact(["email"])', finders=finders)
    assert asked.release("bob@acme.com", principal=ANN, output=OUTPUT).text == "[email]"


def test_a_kind_that_nothing_finds_keeps_the_text_back() -> None:
    answer = released('require scrub: release on Output redact(["emial"])', "bob@acme.com")
    assert (answer.allowed, answer.errors[0].code) == (False, "POL710")


def test_an_order_of_another_kind_is_for_the_caller() -> None:
    rule = 'require tell: release on Output notification(to: "audit", body: "sent")'
    assert released(rule, "x").errors[0].code == "POL710"
    answer = released(rule, "x", fulfilled=["notification"])
    assert (answer.allowed, [one.type for one in answer.owed]) == (True, ["notification"])


def test_json_is_looked_at_text_by_text_and_stays_json() -> None:
    rule = 'require scrub: release on Output redact(["email"])'
    value = {"to": "bob@acme.com", "bob@acme.com": [1, 2.5, None, True, {"cc": "x eve@acme.com"}]}
    assert released(rule, value).text == {"to": "[email]", "[email]": [1, 2.5, None, True, {"cc": "x [email]"}]}
    escaped = r'{"to": "bob\u0040acme.com", "n": 1.50}'
    assert released(rule, escaped, {"content_type": "application/json"}).text == '{"to": "[email]", "n": 1.50}'
    untouched = '{ "n" : 1.50 }'
    assert released(rule, untouched, {"content_type": "application/json; charset=utf-8"}).text == untouched


@pytest.mark.parametrize("text", ["not json", '{"a": 1, "a": 2}', "[NaN]", "[" * 5000 + "]" * 5000])
def test_what_is_said_to_be_json_and_is_not_stays(text: str) -> None:
    answer = released("", text, {"content_type": "application/json"})
    assert (answer.allowed, answer.decision.errors[0].code) == (False, "POL711")


def test_a_number_that_is_redacted_becomes_a_text() -> None:
    digits = Finder(
        "digits",
        frozenset({"digits"}),
        40,
        lambda text: [Finding("digits", 0, 4, 0.9, "digits")] if text == "1234" else [],
    )
    asked = engine('require scrub: release on Output redact(["digits"])', finders=Registry((digits,)))
    answer = asked.release("[1234, 5]", principal=ANN, output=OUTPUT | {"content_type": "application/json"})
    assert answer.text == '["[digits]", 5]'


def test_a_whole_number_with_a_fraction_is_looked_at_as_its_digits() -> None:
    rule = 'require scrub: release on Output redact(["credit_card"])'
    numbers = "[4111111111111111.0, 4.111111111111111E15, 1.50, 1e5, 1e999999999]"
    left = '["[credit_card]", "[credit_card]", 1.50, 1e5, 1e999999999]'
    assert released(rule, numbers, {"content_type": "application/json"}).text == left
    assert released(rule, {"n": [4111111111111111.0, 2.0]}).text == {"n": ["[credit_card]", 2.0]}


def test_an_output_has_to_be_valid_once_it_is_redacted() -> None:
    rules = """
    require scrub: release on Output redact(["email"])
    forbid broken: release on Output unless output.valid because "not the form that was asked for"
    """
    schema = {"type": "object", "properties": {"to": {"type": "string", "maxLength": 8}}, "required": ["to"]}
    assert released(rules, '{"to": "bob@acme.com"}', expected=Expected(schema=schema)).text == '{"to": "[email]"}'
    answer = released(rules, '{"to": "nobody at all"}', expected=Expected(schema=schema))
    assert (answer.allowed, answer.reason) == (False, "not the form that was asked for")
    assert [(one.path, one.demand) for one in answer.invalid] == [("/to", "maxLength")]
    assert not released(rules, "no JSON", expected=Expected(schema=schema))
    assert released(rules, "A-1", expected=Expected(pattern=r"[A-Z]-\d"))
    assert not released(rules, "A-1\n", expected=Expected(pattern=r"[A-Z]-\d"))
    assert not released(rules, "x"), "what nobody expects errs"


def test_a_score_is_absent_where_its_classifier_is() -> None:
    explicit = """
    forbid unsure: release on Output unless output.scores has ["harm"] because "not classified"
    forbid harmful: release on Output when output.scores has ["harm"] and output.scores["harm"] > 0.5
    """

    ended = Event()

    def slow(text: str) -> float:
        ended.wait(60)
        return 0.0

    def answer(classify: Any, rules: str = explicit) -> Any:
        asked = engine(rules, classifiers={"harm": classify}, seconds=0.1 if classify is slow else 60)
        return asked.release("x", principal=ANN, output=OUTPUT)

    assert answer(lambda text: 0.1)
    assert not answer(lambda text: 0.9)
    for absent in (broken, slow, lambda text: "0.1", lambda text: 7.0, lambda text: True, lambda text: float("nan")):
        assert answer(absent).reason == "not classified"
        assert not answer(absent, 'forbid harmful: release on Output when output.scores["harm"] > 0.5')
    ended.set()


def test_a_text_that_is_too_long_is_not_looked_at_and_stays() -> None:
    answer = engine("", most=10).release("x" * 11, principal=ANN, output=OUTPUT)
    assert (answer.allowed, answer.decision.errors[0].code) == (False, "POL711")


def test_limits_and_labels_apply() -> None:
    asked = engine("""
    limit few: release on Output at most 2 requests per 1h by principal
    label told: release on Output
    forbid once: release on Output when "never" in session.labels
    """)
    answers = [asked.release("x", principal=ANN, output=OUTPUT, session="s-1") for _ in range(3)]
    assert [answer.allowed for answer in answers] == [True, True, False]
    assert answers[2].grant is not None
    assert answers[2].grant.denied_by == ("chat.few",)
    assert not asked.release("x", principal=ANN, output=OUTPUT), "a rule that reads the session errs without one"


def test_what_could_not_be_carried_out_charges_nothing() -> None:
    asked = engine("""
    limit few: release on Output at most 1 requests per 1h by principal
    require scrub: release on Output when output.size > 3 hash(["email"])
    """)
    assert not asked.release("bob@acme.com", principal=ANN, output=OUTPUT)
    assert asked.release("x", principal=ANN, output=OUTPUT)


def test_the_async_form_says_the_same() -> None:
    asked = engine('require scrub: release on Output redact(["email"])')
    answer = asyncio.run(asked.release_async("to bob@acme.com", principal=ANN, output=OUTPUT))
    assert (answer.allowed, answer.text) == (True, "to [email]")


@pytest.mark.parametrize(
    "rule",
    [
        'any f in output.found: f.kind == "secret.aws_access_key"',
        'any f in output.found: "secret.aws_access_key" == f.kind and f.score > 0',
        'any f in output.found: f.kind in ["email", "secret.aws_access_key"]',
        'any f in output.found: f.type == "secret"',
        'any f in output.found: not (f.type != "secret")',
        'not (all f in output.found: f.kind != "secret.aws_access_key")',
        'any f in output.found: f.kind == "secret"',
        'any f in output.found: f.type == "secret.aws_access_key"',
        'output.findings == ["secret", "secret.aws_access_key"] or "secret.aws_access_key" in output.findings',
    ],
)
def test_a_rule_that_compares_with_what_no_finding_is_releases_nothing(rule: str) -> None:
    assert not released(f"forbid keys: release on Output when {rule}", "AKIAIOSFODNN7EXAMPL2")


def test_a_mask_shows_no_more_than_eight_characters_whatever_it_keeps() -> None:
    text = "bob.the.builder@acme-corporation.example"
    shown = {keep: engine(f'require m: release on Output mask(["email"], keep: {keep})').release(
        text, principal=ANN, output=OUTPUT).text for keep in (4, 8, 9, 20)}  # fmt: skip
    assert shown == {4: "****mple", 8: "****.example", 9: "****.example", 20: "****.example"}


def test_who_forgets_the_sources_is_told() -> None:
    check = engine("forbid above: release on Output when any s in output.sources: s.classification > 2")
    forgot = check.release("hello", principal=ANN, output=OUTPUT)
    assert not forgot.allowed
    assert "`sources`" in forgot.reason
    assert check.release("hello", principal=ANN, output=OUTPUT, sources=[]).allowed
