"""Bad credentials as bytes, against the real listener: what no client library would send, and none would forge.

Nothing passes, nothing is a 5xx, and whoever has good credentials is answered before and after.
"""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc.jwk import ECKey, OctKey, RSAKey

from policyengine.callers import api_key
from policyengine.callers.api_key import ApiKey
from policyengine.server.listener import Listener
from tests.server.serving import EVALUATION, serving_at
from tests.server.test_certification import FIXTURE, PERMITTED
from tests.support.key_file import Store

RSA = RSAKey.generate_key(2048, {"kid": "r1"})
EC = ECKey.generate_key("P-256", {"kid": "e1"})
ISSUER = "https://id.example"
BODY = json.dumps(PERMITTED).encode()
Address = tuple[str, int]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def good(store: Store) -> ApiKey:
    return store.new("decide")


@pytest.fixture(scope="module")
def address(store: Store, good: ApiKey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    file: Path = tmp_path_factory.mktemp("jwks") / "jwks.json"
    file.write_text(json.dumps({"keys": [RSA.as_dict(private=False), EC.as_dict(private=False)]}))
    issuers = [{"issuer": ISSUER, "audiences": ["pdp"], "jwks": str(file)}]
    limits = {"failures": 100_000}
    with serving_at(
        FIXTURE, http=Listener, entities=FIXTURE / "entities.json", keys=store.settings, issuers=issuers, limits=limits
    ) as found:
        yield found


def said(address: Address, *requests: bytes) -> list[int]:
    """The statuses of what is answered to these bytes, sent over one connection."""
    with socket.create_connection(address, timeout=20) as peer:
        peer.sendall(b"".join(requests))
        found = b""
        while part := peer.recv(65_536):
            found += part
    lines = [line for line in found.split(b"\r\n") if b"HTTP/1.1 " in line]
    return [int(line[line.index(b"HTTP/1.1 ") + 9 :][:3]) for line in lines]


def request(
    *headers: bytes, path: bytes = EVALUATION.encode(), method: bytes = b"POST", body: bytes = BODY, last: bool = True
) -> bytes:
    usual = [b"Host: localhost", b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
    usual += [b"Connection: close"] if last else []
    return b"\r\n".join([b"%b %b HTTP/1.1" % (method, path), *usual, *headers, b"", body])


def bearer(text: str | bytes) -> bytes:
    return b"Authorization: Bearer " + (text if isinstance(text, bytes) else text.encode())


def part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_rsa(body: bytes) -> bytes:
    found: bytes = RSA.raw_value.sign(body, padding.PKCS1v15(), hashes.SHA256())
    return found


def by_pss(body: bytes) -> bytes:
    found: bytes = RSA.raw_value.sign(body, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    return found


def by_ec(body: bytes) -> bytes:
    r, s = decode_dss_signature(EC.raw_value.sign(body, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def in_der(body: bytes) -> bytes:
    found: bytes = EC.raw_value.sign(body, ec.ECDSA(hashes.SHA256()))
    return found


def token(head: dict[str, Any] | None = None, sign: Any = by_rsa, raw: bytes | None = None, **claims: Any) -> str:
    now = time.time()
    plain = {"iss": ISSUER, "aud": "pdp", "sub": "svc", "scope": "decide", "iat": now, "exp": now + 60, **claims}
    header = {"alg": "RS256", "kid": "r1", "typ": "at+jwt", **(head or {})}
    body = f"{part(raw if raw is not None else header)}.{part(plain)}"
    return f"{body}.{part(sign(body.encode()))}"


EC_HEAD = {"alg": "ES256", "kid": "e1"}


def test_what_they_are_made_of_is_good(address: Address, good: ApiKey) -> None:
    for credential in (good.text, token(), token(EC_HEAD, by_ec)):
        assert said(address, request(bearer(credential))) == [200]


TOKENS = {
    # Signatures that libraries have taken.
    "a signature of nothing": lambda: token(EC_HEAD, lambda _: bytes(64)),
    "a signature as large as the curve": lambda: token(EC_HEAD, lambda _: b"\xff" * 64),
    "a signature in DER": lambda: token(EC_HEAD, in_der),
    "a signature with zeros before it": lambda: token(EC_HEAD, lambda body: b"\0" + by_ec(body)),
    "an RSA signature that is too short": lambda: token(sign=lambda body: by_rsa(body)[:-1]),
    "no signature of an RSA key": lambda: token(sign=lambda _: b""),
    # Algorithms that are not the key's, or not ours.
    "PSS, which nobody asked for": lambda: token({"alg": "PS256"}, by_pss),
    "another hash": lambda: token({"alg": "RS512"}),
    "in small letters": lambda: token({"alg": "rs256"}),
    "with a space": lambda: token({"alg": "RS256 "}),
    "none, in other letters": lambda: token({"alg": "nOnE"}, lambda _: b""),
    "an RSA key for an elliptic curve": lambda: token({"alg": "ES256"}, by_ec),
    "an elliptic key for RSA": lambda: token({"kid": "e1"}),
    "a key for HMAC of its own": lambda: token(
        {"alg": "HS256", "jwk": OctKey.import_key("s" * 32).as_dict()}, lambda _: b"x"
    ),
    # Headers that two readers read differently.
    "two algorithms": lambda: token(raw=b'{"alg":"RS256","kid":"r1","typ":"at+jwt","alg":"none"}'),
    "an algorithm in a list": lambda: token({"alg": ["RS256"]}),
    "a header that is a list": lambda: token(raw=b'[{"alg":"RS256","kid":"r1","typ":"at+jwt"}]'),
    "a header in UTF-16": lambda: token(raw='{"alg":"RS256","kid":"r1","typ":"at+jwt"}'.encode("utf-16")),
    "a header with a mark before it": lambda: token(raw=b'\xef\xbb\xbf{"alg":"RS256","kid":"r1","typ":"at+jwt"}'),
    "a header with a comment": lambda: token(raw=b'{"alg":"RS256",/**/"kid":"r1","typ":"at+jwt"}'),
    "no key id": lambda: token({"kid": None}),
    "a key id of a megabyte's part": lambda: token({"kid": "r1" * 20_000}),
    "a key id with an end of text": lambda: token({"kid": "r1\0"}),
    "no type": lambda: token(raw=b'{"alg":"RS256","kid":"r1"}'),
    "a token that is to log out": lambda: token({"typ": "logout+jwt"}),
    "an event": lambda: token({"typ": "secevent+jwt"}),
    # Claims.
    "an issuer with a slash": lambda: token(iss=ISSUER + "/"),
    "an issuer in capitals": lambda: token(iss=ISSUER.upper()),
    "two issuers": lambda: token(iss=[ISSUER]),
    "the audience of a part": lambda: token(aud="pdp.example"),
    "an audience that begins like ours": lambda: token(aud="pd"),
    "no audience": lambda: token(aud=None),
    "an empty audience": lambda: token(aud=[]),
    "an audience in an audience": lambda: token(aud=[["pdp"]]),
    "nobody": lambda: token(sub=""),
    "a number of somebody": lambda: token(sub=7),
    "not yet": lambda: token(nbf=time.time() + 600),
    "never begun": lambda: token(nbf="soon"),
    "over": lambda: token(iat=time.time() - 600, exp=time.time() - 120),
    "an end that is true": lambda: token(exp=True),
    "an end before its beginning": lambda: token(iat=time.time() + 30, exp=time.time() - 30),
    "scopes as an object": lambda: token(scope={"decide": True}),
    # Tokens of another form.
    "as JSON": lambda: json.dumps({"payload": "x", "signatures": []}).replace(" ", ""),
    "two in one": lambda: f"{token()}.{token()}",
    "a dot more": lambda: token() + ".",
    "dots": lambda: ".." * 100,
    "in base64 once more": lambda: part(token().encode()),
    "percent-encoded": lambda: token().replace(".", "%2E"),
}


@pytest.mark.parametrize("name", sorted(TOKENS))
def test_no_token_that_is_not_good_passes(address: Address, name: str) -> None:
    assert said(address, request(bearer(TOKENS[name]()))) == [401]


def test_no_key_that_is_not_good_passes(address: Address, store: Store, good: ApiKey) -> None:
    text = good.text
    (digest,) = [each.digest for each in store.store.keys()[good.id].secrets]
    bad = {
        "its hash": digest,
        "its id": good.id,
        "its id as a key": f"pe_sk_{good.id}_",
        "without its checksum": text[:-6],
        "in capitals": text.upper(),
        "wide letters": text.replace("p", "\uff50", 1),
        "a zero-width space": text[:10] + "\u200b" + text[10:],
        "a dash like an underscore": text.replace("_", "-"),
        "with an end of text": text + "\0",
        "percent-encoded": text.replace("_", "%5F"),
        "twice": text + text,
        "with quotes": f'"{text}"',
        "with a parameter": f"{text};x=1",
        "another's secret under its id": api_key.new(good.id).text,
        "a key of no store": api_key.new().text,
        "another prefix": text.replace("pe_sk_", "pe_pk_"),
    }
    found = {name: said(address, request(bearer(each))) for name, each in bad.items()}
    # An end of text is nothing that a header may hold.
    assert {name: status for name, status in found.items() if status not in ([401], [400])} == {}
    assert said(address, request(bearer(text))) == [200]


def test_a_credential_stands_where_it_has_to_and_nowhere_else(address: Address, good: ApiKey) -> None:
    text = good.text.encode()
    key = bearer(text)
    basic = base64.b64encode(b"key:" + text)
    elsewhere = {
        "in the query": request(path=b"%b?access_token=%b" % (EVALUATION.encode(), text)),
        "in the path": request(path=b"/%b%b" % (text, EVALUATION.encode())),
        "in a form": request(
            b"Content-Type: application/x-www-form-urlencoded", body=b"access_token=" + text
        ),
        "in the body": request(body=BODY[:-1] + b', "access_token": "%b"}' % text),
        "in a cookie": request(b"Cookie: Authorization=" + text, b"Cookie: policyengine=" + text),
        "in Basic": request(b"Authorization: Basic " + basic),
        "in a scheme of its own": request(b"Authorization: Token " + text),
        "without a scheme": request(b"Authorization: " + text),
        "with a scheme glued on": request(b"Authorization: Bearer" + text),
        "behind a tab": request(b"Authorization: Bearer\t" + text),
        "in a list": request(b"Authorization: Bearer %b, Bearer %b" % (text, text)),
        "twice": request(key, key),
        "twice, once of nothing": request(b"Authorization: ", key),
        "in another header": request(b"X-Authorization: Bearer " + text, b"Proxy-Authorization: Bearer " + text),
        "forwarded": request(b"X-Forwarded-Authorization: Bearer " + text, b"X-Original-Authorization: " + text),
        "in an underscore's header": request(b"Author_ization: Bearer " + text),
        "of a page for people": request(b"Cookie: __Host-policyengine=" + text, path=b"/metrics", method=b"GET"),
        "as a certificate of nobody": request(b"Client-Cert: :%b:" % base64.b64encode(text)),
        "as a caller": request(b"X-Caller: admin", b"X-Forwarded-User: admin", b"X-Tenant: acme"),
        "from this machine, it says": request(b"X-Forwarded-For: 127.0.0.1", b"Forwarded: for=127.0.0.1"),
    }  # fmt: skip
    found = {name: said(address, each) for name, each in elsewhere.items()}
    assert {name: status for name, status in found.items() if status not in ([401], [400])} == {}
    assert said(address, request(key)) == [200]


def test_no_path_and_no_framing_goes_past_it(address: Address, good: ApiKey) -> None:
    closed = (
        b"/healthz/../metrics", b"/healthz/..%2fmetrics", b"/healthz%2f..%2fmetrics", b"//metrics", b"/metrics/",
        b"/./metrics", b"/metrics;/healthz", b"/metrics?/healthz", b"/metrics%00", b"/%6detrics", b"/METRICS",
        b"/healthz;/../metrics", b"http://localhost/metrics", b"/readyz", b"/docs", b"/openapi.json", b"/v1/admin/keys",
        b"/healthz/", b"/Healthz", b"/.well-known/authzen-configuration",
    )  # fmt: skip
    found = {path: said(address, request(path=path, method=b"GET", body=b"")) for path in closed}
    assert {path: status for path, status in found.items() if status not in ([401], [400])} == {}
    for method in (b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE", b"PROPFIND"):
        assert said(address, request(method=method, body=b"")) in ([401], [400]), method
    key = bearer(good.text)
    # Who was let in a moment ago on the same connection is nobody in the next request.
    assert said(address, request(key, last=False), request(last=False), request(key)) == [200, 401, 200]
    # A request within the body of another is not a request.
    hidden = request(key)
    assert said(address, request(body=hidden)) == [401]
    chunked = b"\r\n".join(
        [
            b"POST %b HTTP/1.1" % EVALUATION.encode(),
            b"Host: localhost",
            b"Content-Length: 4",
            b"Transfer-Encoding: chunked",
        ]
    )
    assert said(address, chunked + b"\r\n\r\n0\r\n\r\n" + hidden) in ([400], [401])
    assert said(address, request(b"Connection: Authorization", key)) == [200]
    assert said(address, request(b"Authorization: Bearer", b" " + good.text.encode())) in ([400], [401])
