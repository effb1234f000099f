"""Tokens: the right one passes, and nothing that is wrong about one lets it."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from policyengine.callers import token
from policyengine.callers.expected_token import ExpectedToken
from policyengine.callers.key_set import KeySet, read_keys, suits

NOW = 1_700_000_000.0
RSA = RSAKey.generate_key(2048, {"kid": "r1"})
OTHER = RSAKey.generate_key(2048, {"kid": "r1"})
EC = ECKey.generate_key("P-256", {"kid": "e1"})
ED = OKPKey.generate_key("Ed25519", {"kid": "d1"})
ISSUER = "https://id.example"
EXPECTED = {
    ISSUER: ExpectedToken(ISSUER, frozenset({"policyengine"}), frozenset({"RS256", "ES256", "Ed25519"}), skew=30.0),
    "https://other.example": ExpectedToken("https://other.example", frozenset({"policyengine"}), frozenset({"RS256"})),
}
CLAIMS = {"iss": ISSUER, "aud": "policyengine", "sub": "svc", "iat": NOW - 10, "exp": NOW + 600}


def document(*keys: Any) -> bytes:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


KEYS = read_keys(document(RSA, EC, ED))


def find(issuer: str, kid: str | None) -> Any:
    return KEYS.get(kid or "") if issuer == ISSUER else None


def part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(claims: Any = CLAIMS, key: Any = RSA, **header: Any) -> str:
    header = {"alg": "RS256", "kid": key.kid, "typ": "at+jwt"} | header
    header = {name: value for name, value in header.items() if value is not None}
    data = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    registry = jws.JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
    registry.max_header_length = registry.max_payload_length = 1 << 22
    return jws.serialize_compact(header, data, key, registry=registry)


def passes(text: str, now: float = NOW) -> bool:
    return token.check(text, EXPECTED, find, now) is not None


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256"), (ED, "Ed25519")])
def test_a_right_token_passes(key: Any, algorithm: str) -> None:
    found = token.check(signed(key=key, alg=algorithm), EXPECTED, find, NOW)
    assert found is not None
    assert found.claims["sub"] == "svc"
    assert token.good_until(found, EXPECTED[ISSUER]) == NOW + 630


@pytest.mark.parametrize(
    "change",
    [{"aud": ["x", "policyengine"]}, {"nbf": NOW + 29}, {"exp": NOW - 29, "iat": NOW - 40}, {"iat": NOW + 29}],
    ids=str,
)
def test_what_may_differ(change: dict[str, Any]) -> None:
    assert passes(signed({**CLAIMS, **change}))
    assert passes(signed(typ="JWT"))
    assert passes(signed(typ="application/at+jwt"))


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://id.example/"}, {"iss": "https://other.example"}, {"iss": None}, {"iss": 7}, {"iss": [ISSUER]},
        {"iss": "https://ID.example"}, {"aud": "other"}, {"aud": []}, {"aud": None}, {"aud": 7},
        {"aud": [["policyengine"]]},
        {"aud": ["policyengine", 7]}, {"aud": {"policyengine": 1}}, {"aud": "policyengine "}, {"aud": "POLICYENGINE"},
        {"sub": None}, {"sub": ""}, {"sub": 7}, {"sub": ["svc"]}, {"sub": "s" * 513},
        {"exp": NOW - 30}, {"exp": None}, {"exp": "9999999999"}, {"exp": True}, {"exp": 1e300}, {"exp": -1},
        {"exp": NOW + 86_400}, {"exp": [NOW + 600]}, {"iat": None}, {"iat": NOW + 31}, {"iat": "0"}, {"iat": False},
        {"nbf": NOW + 31}, {"nbf": None}, {"nbf": "0"},
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_claim_is_refused(change: dict[str, Any]) -> None:
    assert not passes(signed({**CLAIMS, **change}))


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "exp", "iat"])
def test_a_claim_that_is_missing_is_refused(claim: str) -> None:
    assert not passes(signed({name: value for name, value in CLAIMS.items() if name != claim}))


@pytest.mark.parametrize(
    "header",
    [
        {"typ": None}, {"typ": ""}, {"typ": "dpop+jwt"}, {"typ": "logout+jwt"}, {"typ": "id_token"}, {"typ": 7},
        {"kid": "r2"}, {"kid": ""}, {"kid": "../../dev/null"}, {"kid": "' or 1=1 --"}, {"kid": "e1"}, {"kid": None},
        {"kid": "r1\x00"}, {"kid": "k" * 257}, {"alg": "RS512"}, {"alg": "PS256"},
        {"crit": ["exp"]}, {"jku": "https://evil.example/jwks"}, {"jwk": OTHER.as_dict(private=False)},
        {"x5u": "https://evil.example"}, {"x5c": ["MII"]}, {"b64": False}, {"zip": "DEF"}, {"cty": "JWT"},
    ],
    ids=lambda header: str(header)[:12],
)  # fmt: skip
def test_a_wrong_header_is_refused(header: dict[str, Any]) -> None:
    head = {"alg": "RS256", "kid": "r1", "typ": "at+jwt", **header}
    body = f"{part({name: value for name, value in head.items() if value is not None})}.{part(CLAIMS)}"
    # The library signs none of these.
    assert not passes(f"{body}.{part(RSA.raw_value.sign(body.encode(), PKCS1v15(), SHA256()))}")


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, 7, ["RS256"]])
def test_no_algorithm_is_refused(algorithm: Any) -> None:
    head = part({"alg": algorithm, "kid": "r1", "typ": "at+jwt"})
    for signature in ("", "AA", signed().split(".")[2]):
        assert not passes(f"{head}.{part(CLAIMS)}.{signature}")


def test_a_public_key_is_no_shared_secret() -> None:
    head = part({"alg": "HS256", "kid": "r1", "typ": "at+jwt"})
    body = f"{head}.{part(CLAIMS)}"
    for secret in (RSA.as_pem(private=False), document(RSA), RSA.as_der(private=False)):
        assert not passes(f"{body}.{part(hmac.digest(secret, body.encode(), 'sha256'))}")


def test_a_signature_of_another_key_is_refused() -> None:
    assert not passes(signed(key=OTHER))
    assert not passes(signed(key=EC, alg="ES256", kid="r1"))
    header, claims, _ = signed().split(".")
    assert not passes(f"{header}.{claims}.{signed(key=OTHER).split('.')[2]}")
    assert not passes(f"{header}.{claims}.{part(b'')}")


def test_a_token_whose_claims_were_changed_is_refused() -> None:
    header, _, signature = signed().split(".")
    assert not passes(f"{header}.{part({**CLAIMS, 'sub': 'root'})}.{signature}")


@pytest.mark.parametrize(
    "claims",
    [b"", b"null", b"[]", b'"x"', b"{", b'{"iss": NaN}', b'{"sub":"a","sub":"b"}', b"\xff\xfe", b"[" * 100_000,
     json.dumps(CLAIMS).encode()[:-1] + b',"sub":"root"}', json.dumps(CLAIMS).encode() + b" {}"],
    ids=range(11),
)  # fmt: skip
def test_claims_that_are_not_plainly_an_object_are_refused(claims: bytes) -> None:
    assert not passes(signed(claims))


def test_tokens_of_any_other_shape_are_refused() -> None:
    good = signed()
    header, claims, signature = good.split(".")
    for text in (
        "", ".", "..", "...", good + ".", "." + good, good + "=", good + "\n", " " + good, f"{header}.{claims}",
        f"{header}.{claims}.", f".{claims}.{signature}", good.replace(".", ".."), good + "A" * 1_000_000,
        "A" * 1_000_000, f"{header}.{claims}.{signature}.x.y", good[:-1] + "é", "\ud800", good.replace("-", "+"),
        signed({**CLAIMS, "pad": "x" * 1_000_000}), signed(part({"a": 1}).encode()), signed(good.encode(), cty=None),
    ):  # fmt: skip
        if text != good:
            assert not passes(text)


def test_the_same_bytes_written_otherwise_are_refused() -> None:
    text = signed()
    last = text[-1]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    same = [text[:-1] + letter for letter in letters if letters.index(letter) >> 4 == letters.index(last) >> 4]
    assert len(same) == 16
    assert [passes(each) for each in same].count(True) == 1


@given(st.text())
def test_nothing_that_is_not_a_token_passes_or_raises(text: str) -> None:
    assert not passes(text)
    assert not passes(f"{part(text.encode('utf-8', 'surrogatepass'))}.{part(CLAIMS)}.AA")


@pytest.mark.parametrize(
    "make",
    [
        lambda: ExpectedToken(ISSUER, frozenset(), frozenset({"RS256"})),
        lambda: ExpectedToken(ISSUER, frozenset({"a"}), frozenset()),
        lambda: ExpectedToken(ISSUER, frozenset({"a"}), frozenset({"HS256"})),
        lambda: ExpectedToken(ISSUER, frozenset({"a"}), frozenset({"none", "RS256"})),
        lambda: ExpectedToken(ISSUER, frozenset({"a"}), frozenset({"RS256"}), skew=301),
        lambda: ExpectedToken(ISSUER, frozenset({"a"}), frozenset({"RS256"}), lifetime=0),
        lambda: ExpectedToken(ISSUER, frozenset({"a"}), frozenset({"RS256"}), types=frozenset()),
        lambda: ExpectedToken("", frozenset({"a"}), frozenset({"RS256"})),
    ],
)
def test_what_no_token_should_be_cannot_be_expected(make: Callable[[], ExpectedToken]) -> None:
    with pytest.raises(ValueError, match=r"an (issuer|algorithm)|the skew"):
        make()


# ---- key sets ----


def test_a_set_has_the_keys_that_can_check_signatures() -> None:
    small = RSAKey.generate_key(1024, {"kid": "small"})
    secret = OctKey.generate_key(256, {"kid": "secret"})
    listed = [key.as_dict(private=False) for key in (RSA, EC, ED, small)]
    listed += [
        secret.as_dict(private=True),
        RSA.as_dict(private=True, kid="published"),
        {**EC.as_dict(private=False), "kid": "encrypts", "use": "enc"},
        {**EC.as_dict(private=False), "kid": "signs", "key_ops": ["sign"]},
        {**EC.as_dict(private=False), "kid": None},
        {**EC.as_dict(private=False), "kid": "off", "x": "AAAA"},
        {"kty": "AKP", "kid": "new"}, {"kty": ["RSA"], "kid": "x"}, 7, None, {"kty": "RSA", "kid": "empty"},
    ]  # fmt: skip
    assert set(read_keys(json.dumps({"keys": listed}).encode())) == {"r1", "e1", "d1"}


@pytest.mark.parametrize(
    "text",
    [b"", b"null", b"[]", b"{}", b'{"keys": []}', b'{"keys": {}}', b'{"keys": [{}]}', b"<html>", b" " * 300_000,
     b"[" * 100_000, json.dumps({"keys": [{}] * 101}).encode(), document(RSA, OTHER)],
    ids=range(12),
)  # fmt: skip
def test_what_is_no_set_is_an_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_keys(text)


def test_a_key_is_for_its_own_algorithm() -> None:
    assert suits(KEYS["r1"], "RS256")
    assert not suits(KEYS["r1"], "ES256")
    assert not suits(KEYS["e1"], "ES384")
    pinned = read_keys(json.dumps({"keys": [{**RSA.as_dict(private=False), "alg": "PS256"}]}).encode())["r1"]
    assert suits(pinned, "PS256")
    assert not suits(pinned, "RS256")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_known_keys_go_on_for_the_stated_time_and_come_back() -> None:
    clock = Clock()
    keys = KeySet(clock, fresh=300.0, grace=3600.0, pause=30.0)
    assert keys.wants_reading()
    keys.confirm(document(RSA))
    assert not keys.wants_reading()
    clock.now = 301.0
    assert keys.wants_reading()
    keys.trying()
    assert not keys.wants_reading()
    assert keys.find("r1") is not None
    clock.now = 3601.0
    assert keys.find("r1") is None
    assert keys.usable_for < 0
    keys.confirm(document(RSA))
    assert keys.find("r1") is not None


def test_unknown_ids_ask_again_but_not_often() -> None:
    clock = Clock()
    keys = KeySet(clock, pause=30.0)
    keys.confirm(document(RSA))
    asked = 0
    for i in range(10_000):
        clock.now = i / 100
        if keys.find(f"unknown-{i}") is None and keys.wants_reading(unknown=True):
            keys.trying()
            asked += 1
    assert asked == 4


def test_a_set_that_is_none_changes_nothing() -> None:
    keys = KeySet(Clock())
    keys.confirm(document(RSA))
    with pytest.raises(ValueError, match="no key"):
        keys.confirm(b'{"keys": [{}]}')
    assert keys.find("r1") is not None
    assert keys.generation == 1


def test_a_key_that_is_another_now_makes_a_new_generation() -> None:
    keys = KeySet(Clock())
    keys.confirm(document(RSA))
    keys.confirm(document(RSA))
    assert keys.generation == 1
    keys.confirm(document(OTHER))
    assert keys.generation == 2
    assert keys.find(None) is keys.find("r1")
    keys.confirm(document(OTHER, EC))
    assert keys.find(None) is None
