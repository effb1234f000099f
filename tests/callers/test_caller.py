"""The caller of a request is a value."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from policyengine.callers.caller import ANONYMOUS, SCOPES, Caller


def test_a_caller_cannot_be_changed_after_it_was_authenticated() -> None:
    caller = Caller("k1", "key", frozenset({"decide"}), "acme")
    with pytest.raises(FrozenInstanceError):
        caller.tenant = "globex"  # type: ignore[misc]
    with pytest.raises(TypeError):
        caller.claims["sub"] = "root"  # type: ignore[index]


def test_a_caller_can_be_a_key_of_a_cache_whatever_its_claims() -> None:
    one = Caller("i#s", "token", frozenset({"decide"}), "acme", {"groups": ["a"]})
    assert hash(one) == hash(Caller("i#s", "token", frozenset({"decide"}), "acme", {"groups": ["b"]}))


def test_the_anonymous_caller_has_every_scope_and_no_tenant() -> None:
    assert ANONYMOUS.scopes == set(SCOPES)
    assert ANONYMOUS.tenant is None
