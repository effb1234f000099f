"""Who may ask, over HTTP: nothing goes past authentication, and nothing tells an attacker more than that it failed."""

from __future__ import annotations

import base64
import hmac
import itertools
import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jws
from joserfc.jwk import RSAKey

from policyengine.callers import api_key, keys
from policyengine.callers.api_key import ApiKey
from policyengine.callers.caller import SCOPES
from policyengine.callers.keyring import REFRESH
from policyengine.server.app import create_app
from policyengine.server.limit import ADMIN_OF, FOR_ALL, SCOPE_OF
from policyengine.settings.model import KeySettings, Settings
from tests.server.conftest import DATA
from tests.server.serving import EVALUATION, EVALUATIONS, SEARCH_ACTION, SEARCH_RESOURCE, SEARCH_SUBJECT, serving
from tests.server.test_certification import PERMITTED
from tests.support.key_file import Store

FIXTURE = DATA / "certification"
RSA = RSAKey.generate_key(2048, {"kid": "r1"})
ISSUER = "https://id.example"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("keys"))
    made.everything = made.new()  # type: ignore[attr-defined]
    return made


def jwks(path: Path) -> str:
    file = path / "jwks.json"
    file.write_text(json.dumps({"keys": [RSA.as_dict(private=False)]}))
    return str(file)


def issuer(place: str, **more: Any) -> dict[str, Any]:
    return {"issuer": ISSUER, "audiences": ["pdp"], "jwks": place, **more}


@pytest.fixture(scope="module")
def service(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    place = jwks(tmp_path_factory.mktemp("jwks"))
    with serving(
        FIXTURE,
        entities=FIXTURE / "entities.json",
        keys=store.settings,
        issuers=[issuer(place)],
        limits={"failures": 100_000},
    ) as client:
        yield client


def bearer(text: ApiKey | str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text.text if isinstance(text, ApiKey) else text}"}


def token(key: Any = RSA, header: dict[str, Any] | None = None, **claims: Any) -> str:
    now = time.time()
    found = {"iss": ISSUER, "aud": "pdp", "sub": "svc", "scope": "decide", "iat": now, "exp": now + 60, **claims}
    head = {"alg": "RS256", "kid": "r1", "typ": "at+jwt", **(header or {})}
    return jws.serialize_compact(head, json.dumps(found).encode(), key)


def until(condition: Any, seconds: float = 60.0) -> float:
    """The seconds until a condition holds."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, "it never happened"
        time.sleep(0.02)
    return time.monotonic() - started


# ---- what is open, and what is not ----


def test_only_the_health_of_the_process_is_open_to_all(service: httpx.Client) -> None:
    assert service.get("/healthz").json() == {"status": "ok"}
    for path in ("/readyz", "/metrics", "/docs", "/openapi.json", "/.well-known/authzen-configuration", "/x", "/"):
        answer = service.get(path)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == 'Bearer realm="policyengine"'
    for path in (EVALUATION, EVALUATIONS, SEARCH_ACTION, SEARCH_RESOURCE, SEARCH_SUBJECT, "/v1/filter"):
        assert service.post(path, json=PERMITTED).status_code == 401, path


def test_a_key_and_a_token_open_it(service: httpx.Client, store: Store) -> None:
    key = store.new("decide")
    until(lambda: service.get("/readyz", headers=bearer(key)).status_code == 200)
    for text in (key, token(), token(aud=["x", "pdp"])):
        answer = service.post(EVALUATION, json=PERMITTED, headers=bearer(text))
        assert (answer.status_code, answer.json()["decision"]) == (200, True)


def test_all_that_is_refused_is_refused_alike(service: httpx.Client, store: Store) -> None:
    good = store.new("decide")
    flipped = good.text[:-1] + ("A" if good.text[-1] != "A" else "B")
    expired = store.new("decide", expires=time.time() - 1)
    revoked = store.new("decide")
    store.revoke(revoked)
    elsewhere = store.new("decide", addresses=keys.from_json(_with_address(store, good)).addresses)
    other = RSAKey.generate_key(2048, {"kid": "r1"})
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').rstrip(b"=").decode()
    bad = [
        "Bearer", "Basic YTpi", f"Basic {good.text}", good.text, "Bearer x", f"Bearer {flipped}",
        f"Bearer {api_key.new(good.id).text}", f"Bearer {api_key.new().text}", f"Bearer {expired.text}",
        f"Bearer {revoked.text}", f"Bearer {elsewhere.text}",
        f"Bearer {good.text} {good.text}", f"Bearer {good.text},x",
        f"Bearer {token(other)}", f"Bearer {token(aud='x')}", f"Bearer {token(iss='https://evil.example')}",
        f"Bearer {token(exp=time.time() - 3600)}", f"Bearer {token(header={'typ': 'dpop+jwt'})}",
        f"Bearer {token(header={'kid': '../../../etc/passwd'})}",
        f"Bearer {token(header={'kid': 'x; drop table keys'})}",
        f"Bearer {none}.{token().split('.')[1]}.", "Bearer " + "A" * 60_000, f"Bearer {token(nbf=time.time() + 3600)}",
    ]  # fmt: skip
    until(lambda: service.get("/readyz", headers=bearer(good)).status_code == 200)
    seen = set()
    for text in bad:
        answer = service.post(EVALUATION, json=PERMITTED, headers={"Authorization": text})
        body = {name: value for name, value in answer.json().items() if name != "request_id"}
        seen.add((answer.status_code, answer.headers["www-authenticate"], json.dumps(body)))
    ((status, challenge, body_text),) = seen
    assert status == 401
    assert challenge == 'Bearer realm="policyengine", error="invalid_token"'
    assert json.loads(body_text)["detail"] == "the credentials are not accepted"


def _with_address(store: Store, key: ApiKey) -> dict[str, Any]:
    return {**keys.as_json(store.store.keys()[key.id]), "addresses": ["203.0.113.0/24"]}


def _part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _forged(header: dict[str, Any], claims: bytes | None = None, sign: Any = None) -> str:
    """A token that no library would make: signed with the right key, unless `sign` does it otherwise."""
    now = time.time()
    plain = {"iss": ISSUER, "aud": "pdp", "sub": "svc", "scope": "decide", "iat": now, "exp": now + 60}
    head = {"alg": "RS256", "kid": "r1", "typ": "at+jwt", **header}
    body = f"{_part(head)}.{_part(claims if claims is not None else plain)}"
    signature = sign(body.encode()) if sign else RSA.raw_value.sign(body.encode(), PKCS1v15(), SHA256())
    return f"{body}.{_part(signature)}"


def _shared(secret: bytes) -> Any:
    return lambda body: hmac.digest(secret, body, "sha256")


def _claims(**more: Any) -> bytes:
    now = time.time()
    found = {"iss": ISSUER, "aud": "pdp", "sub": "svc", "scope": "decide", "iat": now, "exp": now + 60, **more}
    return json.dumps(found).encode()


_TWO_ALGORITHMS = b'{"alg":"none","alg":"RS256","kid":"r1","typ":"at+jwt"}'


def _attacks() -> dict[str, str]:
    public = RSA.as_dict(private=False)
    evil = RSAKey.generate_key(2048, {"kid": "r1"})
    secrets = {"pem": RSA.as_pem(private=False), "der": RSA.as_der(private=False), "jwk": json.dumps(public).encode()}
    by_evil = lambda body: evil.raw_value.sign(body, PKCS1v15(), SHA256())  # noqa: E731
    good = token()
    head, claims, signature = good.split(".")
    return {
        **{f"the public key as a secret, {name}": _forged({"alg": "HS256"}, sign=_shared(secret))
           for name, secret in secrets.items()},
        "brings its key": _forged({"jwk": evil.as_dict(private=False)}, sign=by_evil),
        "names where its key is": _forged({"jku": "http://127.0.0.1:1/jwks"}, sign=by_evil),
        "names a certificate": _forged({"x5u": "http://127.0.0.1:1/c", "x5c": ["MII"]}, sign=by_evil),
        "critical header": _forged({"crit": ["exp"], "exp": 1}),
        "unencoded payload": _forged({"b64": False, "crit": ["b64"]}),
        "compressed": _forged({"zip": "DEF"}),
        "nested": _forged({"cty": "JWT"}, good.encode()),
        "nested without saying so": _forged({}, good.encode()),
        "encrypted in form": f"{good}.{claims}.{signature}",
        "two subjects": _forged({}, _claims()[:-1] + b', "sub": "root"}'),
        "two audiences, one in escapes": _forged({}, _claims(aud="x")[:-1] + b', "\\u0061ud": "pdp"}'),
        "two algorithms": f"{_part(_TWO_ALGORITHMS)}.{claims}.{signature}",
        "an expiry that never comes": _forged({}, _claims(exp=10**30)),
        "an expiry of a thousand digits": _forged({}, _claims(exp=0).replace(b'"exp": 0', b'"exp": ' + b"9" * 1000)),
        "an expiry that is not a number": _forged({}, _claims(exp=0).replace(b'"exp": 0', b'"exp": Infinity')),
        "an expiry as text": _forged({}, _claims(exp=str(time.time() + 60))),
        "no expiry": _forged({}, _claims(exp=0).replace(b', "exp": 0', b"")),
        "made tomorrow": _forged({}, _claims(iat=time.time() + 86_400, exp=time.time() + 86_460)),
        "good for a year": _forged({}, _claims(exp=time.time() + 31_536_000)),
        "deep claims": _forged({}, _claims()[:-1] + b', "x": ' + b"[" * 2_000 + b"]" * 2_000 + b"}"),
        "claims that are a list": _forged({}, b"[" + _claims() + b"]"),
        "an id token": token(header={"typ": "id_token+jwt"}),
        "no type": _forged({"typ": None}),
        "key id with a path": _forged({"kid": "../../../../dev/null"}),
        "key id with SQL": _forged({"kid": "' union select 'r1' --"}),
        "key id that is an object": _forged({"kid": {"kid": "r1"}}),
        "no signature": f"{head}.{claims}.",
        "padded": f"{head}.{claims}.{signature}==",
        "broken in two": f"{head}.{claims[:10]}\t{claims[10:]}.{signature}",
        "a tab behind": f"{good}\tx",
        "standard alphabet": f"{head}.{claims}.{signature.replace('-', '+').replace('_', '/')}/",
        "another's signature": f"{head}.{claims}.{token(sub='root').split('.')[2]}",
    }  # fmt: skip


def test_no_forged_token_passes(service: httpx.Client) -> None:
    answers = {
        name: service.post(EVALUATION, json=PERMITTED, headers={"Authorization": f"Bearer {text}"})
        for name, text in {**_attacks(), "": _forged({})}.items()
    }
    # What is forged as they are, and nothing is wrong with, passes.
    assert answers.pop("").status_code == 200
    assert {name: answer.status_code for name, answer in answers.items() if answer.status_code != 401} == {}
    assert {answer.json()["detail"] for answer in answers.values()} == {"the credentials are not accepted"}


def test_two_credentials_are_none(service: httpx.Client, store: Store) -> None:
    good = bearer(store.new())["Authorization"]
    until(lambda: service.get("/readyz", headers={"Authorization": good}).status_code == 200)
    answer = service.post(EVALUATION, json=PERMITTED, headers=[("Authorization", good), ("Authorization", good)])
    assert answer.status_code == 401


def test_a_megabyte_of_token_is_refused_and_the_service_lives(service: httpx.Client) -> None:
    try:
        answer = service.get("/readyz", headers=bearer("A" * 1_000_000))
        assert 400 <= answer.status_code < 500
    except httpx.TransportError:
        pass  # the server may hang up on so many headers
    assert service.get("/healthz").status_code == 200


# ---- scopes ----


def test_every_question_has_a_scope_of_its_own_and_what_has_none_is_for_administrators() -> None:
    app = create_app(Settings(policies=FIXTURE, insecure=True, log_level="error"))
    assert {question.name for question in app.questions.values()} <= SCOPE_OF.keys() | ADMIN_OF.keys()
    assert set(app.names.values()) <= SCOPE_OF.keys() | ADMIN_OF.keys() | FOR_ALL
    assert not (SCOPE_OF.keys() | ADMIN_OF.keys()) & FOR_ALL


@pytest.mark.parametrize("scope", SCOPES)
def test_an_endpoint_is_open_to_its_scope_only(service: httpx.Client, store: Store, scope: str) -> None:
    headers = bearer(store.new(scope))
    until(lambda: service.get("/readyz", headers=headers).status_code == 200)
    paths = {
        EVALUATION: "decide", EVALUATIONS: "decide", "/v1/filter": "filter", SEARCH_SUBJECT: "search",
        SEARCH_RESOURCE: "search", SEARCH_ACTION: "search",
    }  # fmt: skip
    for path, needed in paths.items():
        answer = service.post(path, json=PERMITTED, headers=headers)
        assert (answer.status_code == 403) is (needed != scope), (path, answer.text)
    assert service.get("/metrics", headers=headers).status_code == (200 if scope == "admin" else 403)
    refused = service.post(EVALUATION if scope != "decide" else "/v1/filter", json=PERMITTED, headers=headers)
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]


def test_a_token_has_the_scopes_that_it_names_and_no_others(service: httpx.Client) -> None:
    for claim, status in (("decide", 200), ("search decide x", 200), (["decide"], 200), ("", 403), ("DECIDE", 403)):
        answer = service.post(EVALUATION, json=PERMITTED, headers=bearer(token(scope=claim)))
        assert answer.status_code == status, claim
    for claim in (7, {"decide": True}, [7], None):
        assert service.post(EVALUATION, json=PERMITTED, headers=bearer(token(scope=claim))).status_code == 401


# ---- revocation, rotation, use ----


def test_a_revoked_key_is_refused_within_a_second_though_it_is_in_use(service: httpx.Client, store: Store) -> None:
    key = store.new()
    headers = bearer(key)
    until(lambda: service.get("/readyz", headers=headers).status_code == 200)
    store.revoke(key)
    until(lambda: service.get("/readyz", headers=headers).status_code == 401)
    assert REFRESH <= 0.5


def test_a_rotated_key_has_both_secrets_for_a_while(service: httpx.Client, store: Store) -> None:
    old = store.new()
    until(lambda: service.get("/readyz", headers=bearer(old)).status_code == 200)
    new: list[ApiKey] = []

    def change(known: Any) -> keys.Key:
        rotated, text = keys.rotate(known[old.id], store.hash_key, time.time(), overlap=1.5)
        new.append(text)
        return rotated

    store.store.change(change)
    until(lambda: service.get("/readyz", headers=bearer(new[0])).status_code == 200)
    assert service.get("/readyz", headers=bearer(old)).status_code == 200
    until(lambda: service.get("/readyz", headers=bearer(old)).status_code == 401)
    assert service.get("/readyz", headers=bearer(new[0])).status_code == 200


def test_the_use_of_a_key_is_kept(service: httpx.Client, store: Store) -> None:
    key = store.new("decide")
    until(lambda: service.get("/readyz", headers=bearer(key)).status_code == 200)
    for _ in range(3):
        service.post(EVALUATION, json=PERMITTED, headers=bearer(key))
    until(lambda: store.store.uses().get(key.id) is not None and store.store.uses()[key.id].count >= 4)
    assert store.store.uses()[key.id].address == "127.0.0.1"


def test_a_broken_store_lets_nobody_in_after_its_time(tmp_path: Path) -> None:
    made = Store(tmp_path)
    key = made.new()
    with serving(FIXTURE, keys=made.settings.model_copy(update={"grace": 1.0}), log_level="error") as client:
        assert client.get("/readyz", headers=bearer(key)).status_code == 200
        file = tmp_path / "keys.json"
        good = file.read_bytes()
        file.write_bytes(b"{")
        until(lambda: client.get("/readyz", headers=bearer(key)).status_code == 503)
        assert client.get("/readyz", headers=bearer(key)).headers["retry-after"] == "5"
        assert client.get("/healthz").status_code == 200
        file.write_bytes(good)
        until(lambda: client.get("/readyz", headers=bearer(key)).status_code == 200)


# ---- too many failures, too many requests ----


def test_failures_are_told_to_wait_and_good_credentials_never_are(tmp_path: Path) -> None:
    made = Store(tmp_path)
    good, wrong = made.new(), api_key.new()
    with serving(FIXTURE, keys=made.settings) as client:
        statuses = [client.get("/readyz", headers=bearer(wrong)).status_code for _ in range(8)]
        assert statuses == [401] * 5 + [429] * 3
        waiting = client.get("/readyz")
        assert waiting.status_code == 429
        assert 1 <= int(waiting.headers["retry-after"]) <= 12
        assert client.get("/readyz", headers=bearer(good)).status_code == 200
        text = client.get("/metrics", headers=bearer(good)).text
        assert 'policyengine_authentication_failures_total{kind="throttled"} 4.0' in text


def test_a_caller_that_asks_too_often_is_told_a_true_wait_and_others_are_not(tmp_path: Path) -> None:
    made = Store(tmp_path)
    other, *callers = [made.new() for _ in range(21)]
    with serving(FIXTURE, keys=made.settings, limits={"requests": 4, "per": 2.0}) as client:
        for one in callers:
            started = time.monotonic()
            answers = [client.get("/readyz", headers=bearer(one)) for _ in range(6)]
            if time.monotonic() - started < 2.0:
                break
        # On a machine that is too busy to ask so often in two seconds, the next caller does.
        assert [each.status_code for each in answers] == [200] * 4 + [429] * 2
        assert client.get("/readyz", headers=bearer(other)).status_code == 200
        assert client.get("/healthz").status_code == 200
        time.sleep(int(answers[-1].headers["retry-after"]))
        assert client.get("/readyz", headers=bearer(one)).status_code == 200


def test_a_failure_is_logged_without_the_secret(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = Store(tmp_path)
    wrong = api_key.new(made.new().id)
    with serving(FIXTURE, keys=made.settings, log_level="info") as client:
        client.get("/readyz", headers={**bearer(wrong), "X-Request-ID": "r-7"})
        client.get("/readyz", headers=bearer(token()))
    logging.getLogger().handlers.clear()
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if "authentication failed" in line]
    assert (lines[0]["key"], lines[0]["request_id"], lines[0]["address"]) == (wrong.id, "r-7", "127.0.0.1")
    assert wrong.text[19:] not in json.dumps(lines)
    assert len(lines) == 2


# ---- without authentication ----


def test_without_credentials_in_the_settings_there_is_no_service(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        create_app(Settings(policies=FIXTURE))
    assert ended.value.code == 2
    assert "would refuse every request" in capsys.readouterr().err


def test_a_store_that_cannot_be_read_is_no_service(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        create_app(Settings(policies=FIXTURE, keys=KeySettings(store=str(tmp_path / "none"))))


@pytest.mark.parametrize("host", ["evil.example", "10.0.0.1:8080", "127.0.0.1.evil.example", "localhost.evil.example"])
def test_an_insecure_service_answers_to_the_names_of_this_machine_only(certification: httpx.Client, host: str) -> None:
    assert certification.get("/readyz", headers={"Host": host}).status_code == 403
    assert certification.post(EVALUATION, json=PERMITTED, headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1", "[::1]:8080", "LOCALHOST"])
def test_the_names_of_this_machine(certification: httpx.Client, host: str) -> None:
    assert certification.get("/readyz", headers={"Host": host}).status_code == 200


# ---- hygiene ----


def test_every_answer_has_the_headers_that_keep_browsers_from_harm(service: httpx.Client, store: Store) -> None:
    headers = bearer(store.new())
    until(lambda: service.get("/readyz", headers=headers).status_code == 200)
    for answer in (
        service.get("/healthz"), service.get("/x"), service.get("/x", headers=headers),
        service.get("/docs", headers=headers),
        service.post(EVALUATION, json=PERMITTED, headers=headers), service.post(EVALUATION, json={}, headers=headers),
    ):  # fmt: skip
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers


def test_no_page_of_a_browser_may_ask(service: httpx.Client, store: Store) -> None:
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    answer = service.options(EVALUATION, headers=asked)
    assert answer.status_code == 401
    assert "access-control-allow-origin" not in answer.headers


# ---- the keys of issuers ----


class Issuer(BaseHTTPRequestHandler):
    """An issuer that says what `answer` makes of a path."""

    answer: Any = None
    asked: list[str]

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        body = self.server.answer(self.path)  # type: ignore[attr-defined]
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def issuing(answer: Any) -> Iterator[Any]:
    server = HTTPServer(("127.0.0.1", 0), Issuer)
    server.asked, server.answer = [], answer  # type: ignore[attr-defined]
    server.url = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def document(*found: Any) -> bytes:
    return json.dumps({"keys": [key.as_dict(private=False) for key in found]}).encode()


def test_keys_are_found_by_discovery_and_read_again_for_a_new_one() -> None:
    new = RSAKey.generate_key(2048, {"kid": "r2"})
    published = [RSA]

    def answer(path: str) -> bytes:
        if path == "/.well-known/openid-configuration":
            return json.dumps({"issuer": server.url, "jwks_uri": f"{server.url}/keys"}).encode()
        return document(*published)

    with issuing(answer) as server:
        trusted: dict[str, Any] = {"issuer": server.url, "audiences": ["pdp"], "pause": 0.1}
        with serving(FIXTURE, issuers=[trusted], limits={"failures": 1000}) as client:

            def asks(key: Any, kid: str) -> int:
                text = token(key, {"kid": kid}, iss=server.url)
                return client.post(EVALUATION, json=PERMITTED, headers=bearer(text)).status_code

            assert asks(RSA, "r1") == 200
            assert asks(new, "r2") == 401
            published.append(new)
            until(lambda: asks(new, "r2") == 200)
            published.remove(RSA)
            # An id that nobody knows makes the keys be read again, and what was remembered is forgotten.
            until(lambda: asks(new, "r3") == 401 and asks(RSA, "r1") == 401)
            count, started = len(server.asked), time.monotonic()
            for i in range(50):
                asks(new, f"x{i}")
            # Two documents for each pause that has passed, however long the asking took, and for the first.
            pauses = (time.monotonic() - started) / trusted["pause"]
            assert len(server.asked) - count <= 2 * (pauses + 1)


@pytest.mark.parametrize(
    "lie",
    [
        b"", b"{}", b'{"keys": []}', b"<html>", b"x" * 400_000, None,
        document(RSA, RSAKey.generate_key(2048, {"kid": "r1"})),
    ],
    ids=range(7),
)  # fmt: skip
def test_an_issuer_that_lies_lets_nobody_in_and_known_keys_go_on(lie: bytes | None) -> None:
    says: list[bytes | None] = [lie]
    with issuing(lambda _: says[0]) as server:
        trusted = issuer(f"{server.url}/keys", pause=0.05, fresh=0.05)
        with serving(FIXTURE, issuers=[trusted], limits={"failures": 1000}) as client:

            def asks() -> int:
                return client.post(EVALUATION, json=PERMITTED, headers=bearer(token())).status_code

            assert asks() == 401
            says[0] = document(RSA)
            until(lambda: asks() == 200)
            says[0] = lie
            count = len(server.asked)
            until(lambda: len(server.asked) > count + 2)
            assert asks() == 200


def test_an_outage_lets_known_keys_go_on_for_the_stated_time_and_ends_without_a_restart() -> None:
    says: list[bytes | None] = [document(RSA)]
    with issuing(lambda _: says[0]) as server:
        trusted = issuer(f"{server.url}/keys", pause=0.05, fresh=0.1, grace=1.5)
        with serving(FIXTURE, issuers=[trusted], limits={"failures": 1000}) as client:

            def asks() -> int:
                return client.post(EVALUATION, json=PERMITTED, headers=bearer(token())).status_code

            until(lambda: asks() == 200)
            says[0] = None
            assert asks() == 200
            until(lambda: asks() == 401)
            says[0] = document(RSA)
            until(lambda: asks() == 200)


def test_an_issuer_that_hangs_holds_up_nobody_else(store: Store) -> None:
    released = threading.Event()
    ended: list[bool] = []

    def hang(_: str) -> bytes:
        released.wait(30)
        ended.append(True)
        return b""

    with issuing(hang) as server:
        trusted = issuer(f"{server.url}/keys")
        with serving(FIXTURE, keys=store.settings, issuers=[trusted]) as client:
            for _ in range(5):
                assert client.get("/readyz", headers=bearer(store.everything)).status_code == 200  # type: ignore[attr-defined]
            assert not ended
            released.set()


# ---- crossing ----


def test_two_callers_hammer_and_nothing_is_mixed_up(service: httpx.Client, store: Store) -> None:
    one, other = store.new("decide"), store.new("search")
    until(lambda: service.get("/readyz", headers=bearer(other)).status_code == 200)
    wrong: list[Any] = []

    def hammer(key: ApiKey, path: str, status: int) -> None:
        with httpx.Client(base_url=service.base_url, trust_env=False) as client:
            for _ in range(150):
                answer = client.post(path, json=PERMITTED, headers=bearer(key))
                if answer.status_code != status:
                    wrong.append((path, answer.status_code))

    pairs = [
        (one, EVALUATION, 200),
        (other, EVALUATION, 403),
        (api_key.new(), EVALUATION, 401),
        (one, SEARCH_ACTION, 403),
    ]
    threads = [threading.Thread(target=hammer, args=pair) for pair in itertools.chain(pairs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
