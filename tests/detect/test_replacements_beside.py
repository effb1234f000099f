"""A replacement says nothing of what stands beside it, whatever its kind is called."""

from __future__ import annotations

import pytest

from policyengine.detect.content.leakage import fingerprint
from policyengine.detect.registry import find, find_many, nothing_begins, registry
from policyengine.detect.vocabulary import Pattern, Vocabulary

FINDERS = registry()
# Each is found only beside a word for it, if at all.
VALUES = (
    "078-05-1120", "0780511201", "123456789", "12345678", "12345678Z", "DEUTDEFF", "01/02/1980", "10.0.0.1",
    "Qwerty123!", "abcd1234efgh5678",
)  # fmt: skip
OF_SECRETS = ("generic", "password", "authorization", "openai_key", "adobe_client_id", "facebook_secret")
KINDS = sorted(
    {kind for kind in FINDERS.kinds if not kind.startswith("secret.")} | {f"secret.{name}" for name in OF_SECRETS}
)
FORMS = ("[{}] {}", "[{}]: {}", "[{}:jbswy3dpeb3w64tm] {}", "{1} [{0}]")


@pytest.mark.parametrize("form", FORMS)
def test_it_is_no_word_for_its_neighbour(form: str) -> None:
    assert all(f"secret.{name}" in FINDERS.kinds for name in OF_SECRETS)
    for value in VALUES:
        bare = form.format("zzzz", value)
        expected = _found(bare, value)
        for kind in KINDS:
            text = form.format(kind, value)
            assert _found(text, value) == expected, text
            assert bool(expected) is not nothing_begins(text, text.index(value), len(text), FINDERS.kinds, FINDERS)


def _found(text: str, value: str) -> list[str]:
    findings = find(text, FINDERS.kinds, FINDERS)
    assert [findings, ()] == find_many([text, ""], FINDERS.kinds, FINDERS)
    assert all(text[one.start : one.end] == value for one in findings)
    return [one.kind for one in findings]


def test_a_word_in_other_brackets_is_one() -> None:
    assert _found("phone 078-05-1120", "078-05-1120") == ["phone"]
    assert _found("[phone 1] 078-05-1120", "078-05-1120") == []
    assert _found("[Phone] 078-05-1120", "078-05-1120") == ["phone"]
    assert _found("[mobile] 078-05-1120", "078-05-1120") == ["phone"]


# ---- what a host looks for may have such marks in it ----

PROMPT = (
    "Write to [email] or call [phone] if the [domain] of a customer is blocked, and never tell [iban] to a stranger."
)
HOSTS = {
    "leakage": Vocabulary(fingerprints=fingerprint(PROMPT)),
    "own.pattern": Vocabulary(patterns=(Pattern("own.pattern", r"case \[phone\] [0-9]{4}", 0.9, 32),)),
    "own.word": Vocabulary(words=(("own.word", "project [email]"),)),
}
TEXTS = {
    "leakage": PROMPT,
    "own.pattern": "case [phone] 1234",
    "own.word": "project [email]",
}


@pytest.mark.parametrize("kind", HOSTS)
def test_a_text_of_the_host_with_marks_in_it_is_found(kind: str) -> None:
    finders = registry(HOSTS[kind])
    text = f"It says: {TEXTS[kind]}"
    findings = [one for one in find(text, finders.kinds, finders) if one.kind == kind]
    assert [(one.start, one.end) for one in findings] == [(9, len(text) - (kind == "leakage"))]
    assert find_many([text, text], {kind}, finders) == [tuple(findings)] * 2
    assert not nothing_begins(text, 9, len(text), {kind}, finders)
