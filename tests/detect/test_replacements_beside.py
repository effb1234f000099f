"""A replacement says nothing of what stands beside it, whatever its kind is called."""

from __future__ import annotations

import pytest

from policyengine.detect.registry import find, find_many, nothing_begins, registry

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
