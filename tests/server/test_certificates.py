"""Callers with a client certificate: over real TLS, and in the headers of a proxy that is trusted."""

from __future__ import annotations

import base64
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from policyengine.callers.certificate import from_header, identities
from policyengine.server.app import create_app
from policyengine.server.listener import Listener
from policyengine.settings.model import Settings
from tests.server.conftest import DATA
from tests.server.serving import EVALUATION, serving
from tests.server.test_certification import PERMITTED
from tests.support.key_file import Store

FIXTURE = DATA / "certification"
CA, STRANGER = trustme.CA(), trustme.CA()
GATEWAY = "gateway.example"
ALLOWED = [
    {"identity": f"dns:{GATEWAY}", "scopes": ["decide"]},
    {"identity": "email:ops@example.org", "scopes": ["admin"]},
    {"identity": "dns:two.example", "scopes": ["decide"], "tenant": "a"},
]


def der(certificate: trustme.LeafCert) -> bytes:
    return x509.load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes()).public_bytes(
        serialization.Encoding.DER
    )


@contextmanager
def over_tls(tmp_path: Path, **settings: Any) -> Iterator[str]:
    server_certificate = CA.issue_cert("localhost", "127.0.0.1")
    server_certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    server_certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    app = create_app(Settings(policies=FIXTURE, reload=False, log_level="error", **settings))
    tls = {"ssl_certfile": tmp_path / "cert.pem", "ssl_keyfile": tmp_path / "key.pem"}
    trust = {"ssl_ca_certs": str(tmp_path / "ca.pem"), "ssl_cert_reqs": ssl.CERT_OPTIONAL}
    config = uvicorn.Config(app, port=0, log_config=None, proxy_headers=False, http=Listener, **tls, **trust)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"https://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def ask(url: str, certificate: trustme.LeafCert | None, **headers: str) -> httpx.Response:
    context = ssl.create_default_context()
    CA.configure_trust(context)
    if certificate is not None:
        certificate.configure_cert(context)
    with httpx.Client(verify=context, trust_env=False) as client:
        return client.post(url + EVALUATION, json=PERMITTED, headers=headers)


def test_over_tls_only_those_that_are_listed_may_ask(tmp_path: Path) -> None:
    with over_tls(tmp_path, certificates=ALLOWED) as url:
        answer = ask(url, CA.issue_cert(GATEWAY))
        assert answer.status_code == 200, answer.text
        assert answer.headers["strict-transport-security"]
        assert ask(url, CA.issue_cert("ops@example.org")).status_code == 403  # it may not decide
        assert ask(url, CA.issue_cert("other.example")).status_code == 401
        assert ask(url, CA.issue_cert(GATEWAY, "two.example")).status_code == 401  # whose is it?
        assert ask(url, None).status_code == 401
        header = f":{base64.b64encode(der(CA.issue_cert(GATEWAY))).decode()}:"
        assert ask(url, None, **{"Client-Cert": header}).status_code in (401, 429)
        with pytest.raises(httpx.TransportError):
            ask(url, STRANGER.issue_cert(GATEWAY))


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with serving(
        FIXTURE, entities=FIXTURE / "entities.json", certificates=ALLOWED, trusted_proxies=["127.0.0.1/32"],
        limits={"failures": 1000},
    ) as client:  # fmt: skip
        yield client


def said(certificate: trustme.LeafCert) -> str:
    return f":{base64.b64encode(der(certificate)).decode()}:"


def test_a_trusted_proxy_says_whose_certificate_it_has_seen(behind: httpx.Client) -> None:
    good = said(CA.issue_cert(GATEWAY))
    assert behind.post(EVALUATION, json=PERMITTED, headers={"Client-Cert": good}).status_code == 200
    old = CA.issue_cert(
        GATEWAY, not_after=datetime.now(UTC) - timedelta(days=1), not_before=datetime(2020, 1, 1, tzinfo=UTC)
    )
    for header in ("", ":", "::", good[1:], good[:-1], good.replace(":", ""), ":AAAA:", said(old), f"{good}, {good}",
                   said(CA.issue_cert("other.example")), ":" + "A" * 20_000 + ":"):  # fmt: skip
        assert behind.post(EVALUATION, json=PERMITTED, headers={"Client-Cert": header}).status_code == 401, header[:20]
    two = [("Client-Cert", good), ("Client-Cert", good)]
    assert behind.post(EVALUATION, json=PERMITTED, headers=two).status_code == 401


def test_nobody_else_is_believed() -> None:
    good = said(CA.issue_cert(GATEWAY))
    for proxies in ([], ["10.0.0.0/8"]):
        with serving(FIXTURE, certificates=ALLOWED, trusted_proxies=proxies) as client:
            assert client.post(EVALUATION, json=PERMITTED, headers={"Client-Cert": good}).status_code == 401


def test_the_address_of_a_caller_is_what_trusted_proxies_say(tmp_path: Path) -> None:
    store = Store(tmp_path)
    key = store.new("decide", addresses=(ip_network("203.0.113.0/24"),))
    headers = {"Authorization": f"Bearer {key.text}"}
    for proxies, forwarded, status in (
        ([], "203.0.113.9", 401),
        (["127.0.0.1/32"], "203.0.113.9", 200),
        (["127.0.0.1/32"], "203.0.113.9, 198.51.100.7", 401),
        (["127.0.0.1/32", "198.51.100.0/24"], "203.0.113.9, 198.51.100.7", 200),
        (["127.0.0.1/32"], "198.51.100.7, 203.0.113.9", 200),
        (["127.0.0.1/32"], "nonsense", 401),
        (["127.0.0.1/32"], "", 401),
    ):
        with serving(FIXTURE, keys=store.settings, trusted_proxies=proxies) as client:
            answer = client.post(EVALUATION, json=PERMITTED, headers={**headers, "X-Forwarded-For": forwarded})
            assert answer.status_code == status, (proxies, forwarded)


def test_names_have_kinds_and_nothing_else_is_a_name() -> None:
    now = time.time()
    assert identities(der(CA.issue_cert("a.example", "ops@example.org")), now) == {
        "dns:a.example",
        "email:ops@example.org",
    }
    assert identities(der(CA.issue_cert("a.example")), 0.0) == frozenset()
    for data in (b"", b"x", b"0" * 1000, der(CA.issue_cert("a.example"))[:-1]):
        assert identities(data, now) == frozenset()
    assert from_header(b":YQ==:") == b"a"


def test_more_requests_at_once_than_one_process_bears_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listener, "cap", 0)
    app = create_app(Settings(policies=FIXTURE, reload=False, log_level="error", insecure=True))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, proxy_headers=False, http=Listener))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        with httpx.Client(base_url=url, trust_env=False) as client:
            answer = client.post(EVALUATION, json=PERMITTED)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.json()["detail"] == "too many requests at once"
            assert client.get("/healthz").status_code == 200
    finally:
        server.should_exit = True
        thread.join()
