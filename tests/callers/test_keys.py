"""What may be done with a key: rotation, revocation, expiry, addresses, and what a store keeps of it."""

from __future__ import annotations

import copy
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from policyengine.callers import api_key, keys
from policyengine.callers.caller import Caller

HASH_KEY = b"h" * 32
DECIDE = frozenset({"decide"})
KEY, SHOWN = keys.create("ci", DECIDE, HASH_KEY, 1000.0)  # type: ignore[arg-type]


def matches(key: keys.Key, shown: api_key.ApiKey, now: float) -> bool:
    return keys.matching(key, api_key.digest(shown, HASH_KEY), now)


def test_a_key_makes_a_caller() -> None:
    key, _ = keys.create("ci", DECIDE, HASH_KEY, 0.0, tenant="acme")  # type: ignore[arg-type]
    assert key.caller == Caller(key.id, "key", DECIDE, "acme")  # type: ignore[arg-type]


def test_only_its_own_text_matches() -> None:
    assert matches(KEY, SHOWN, 1000.0)
    assert not matches(KEY, api_key.new(KEY.id), 1000.0)


def test_a_rotated_key_has_the_same_id_and_both_texts_for_as_long_as_they_overlap() -> None:
    rotated, newer = keys.rotate(KEY, HASH_KEY, 2000.0, overlap=60.0)
    assert newer.id == SHOWN.id
    assert matches(rotated, SHOWN, 2059.9)
    assert not matches(rotated, SHOWN, 2060.0)
    assert matches(rotated, newer, 9999.0)


def test_a_second_rotation_gives_the_first_text_no_more_time() -> None:
    once, second = keys.rotate(KEY, HASH_KEY, 2000.0, overlap=60.0)
    twice, third = keys.rotate(once, HASH_KEY, 2030.0, overlap=600.0)
    assert not matches(twice, SHOWN, 2060.0)
    assert matches(twice, second, 2629.0)
    assert matches(twice, third, 9999.0)


def test_a_rotation_without_overlap_ends_the_old_text_at_once() -> None:
    rotated, _ = keys.rotate(KEY, HASH_KEY, 2000.0, overlap=0.0)
    assert not matches(rotated, SHOWN, 2000.0)
    assert len(rotated.secrets) == 1


def test_a_rotation_brings_no_dead_key_back() -> None:
    with pytest.raises(ValueError, match="revoked"):
        keys.rotate(keys.revoke(KEY, 1500.0), HASH_KEY, 2000.0, 60.0)
    with pytest.raises(ValueError, match="expired"):
        keys.rotate(replace(KEY, expires=1999.0), HASH_KEY, 2000.0, 60.0)


def test_a_key_lives_until_it_is_revoked_or_expires() -> None:
    assert KEY.is_live(1e12)
    assert not replace(KEY, expires=2000.0).is_live(2000.0)
    revoked = keys.revoke(KEY, 1500.0)
    assert not revoked.is_live(1500.0)
    assert keys.revoke(revoked, 1900.0) == revoked


@pytest.mark.parametrize(
    ("allowed", "address", "admitted"),
    [
        ([], None, True),
        ([], "203.0.113.9", True),
        (["203.0.113.0/24"], "203.0.113.9", True),
        (["203.0.113.0/24"], "::ffff:203.0.113.9", True),
        (["203.0.113.0/24"], "203.0.114.9", False),
        (["203.0.113.0/24"], None, False),
        (["203.0.113.0/24"], "", False),
        (["203.0.113.0/24"], "203.0.113.9, 10.0.0.1", False),
        (["203.0.113.0/24"], "testclient", False),
        (["2001:db8::/32"], "2001:db8::1", True),
        (["2001:db8::/32"], "203.0.113.9", False),
    ],
)
def test_a_key_with_addresses_may_be_used_from_those_only(allowed: list[str], address: str, admitted: bool) -> None:
    key = replace(KEY, addresses=tuple(map(ip_network, allowed)))
    assert keys.admits(key, address) is admitted


def test_what_a_store_keeps_is_the_key_and_not_its_text() -> None:
    key = replace(KEY, tenant="acme", expires=5.5, addresses=(ip_network("10.0.0.0/8"),))
    assert keys.from_json(keys.as_json(key)) == key
    assert SHOWN.text[19:] not in str(keys.as_json(key))


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("id", 1), ("id", ""), ("name", None), ("scopes", "decide"), ("scopes", []), ("scopes", ["root"]),
        ("scopes", [{}]), ("tenant", 7), ("tenant", ""), ("addresses", ["everywhere"]), ("addresses", "10.0.0.0/8"),
        ("created", None), ("created", True), ("expires", "tomorrow"), ("expires", float("nan")), ("revoked", False),
        ("secrets", []), ("secrets", ["x"]), ("secrets", [{"digest": "x"}]),
        ("secrets", [{"digest": 7, "until": None}]),
        ("secrets", [{"digest": "ü", "until": None}]), ("secrets", [{"digest": "x", "until": "never"}]),
    ],
)  # fmt: skip
def test_what_is_not_plainly_a_key_is_refused(member: str, value: Any) -> None:
    kept = copy.deepcopy(keys.as_json(KEY))
    kept[member] = value
    with pytest.raises((ValueError, TypeError)):
        keys.from_json(kept)


def test_a_key_with_a_member_more_or_less_is_refused() -> None:
    kept = keys.as_json(KEY)
    with pytest.raises(ValueError, match="members"):
        keys.from_json({**kept, "tenants": ["acme"]})
    with pytest.raises(ValueError, match="members"):
        keys.from_json({name: value for name, value in kept.items() if name != "revoked"})


def test_the_usage_of_two_processes_adds_up() -> None:
    assert keys.KeyUse(1, 10.0, "a") + keys.KeyUse(1, 10.0, "b") == keys.KeyUse(2, 10.0, "b")
    assert keys.KeyUse(2, 10.0, "a") + keys.KeyUse(3, 9.0, "b") == keys.KeyUse(5, 10.0, "a")
