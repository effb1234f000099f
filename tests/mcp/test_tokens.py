"""A gateway over HTTP as an OAuth protected resource: whose tokens it takes, and what it tells those without one."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from mcp import Client

from policyengine.mcp.callers import OneToken
from policyengine.mcp.failed_attempts import FailedAttempts
from policyengine.mcp.http_middleware import GatewayMiddleware
from tests.events.test_events import Heard
from tests.mcp.shop import GATEWAY, Shop, free_port, listening, reached

ISSUER, RESOURCE = "https://login.example", "https://gateway.example/mcp"
KEY = RSAKey.generate_key(2048, {"kid": "one"})
POLICIES = """
module shop
use ai
tool read_page(url: String) { sends_outside: false, reads_untrusted: true }
tool send_mail(to: String, body: String) { sends_outside: true, reads_untrusted: false }
permit reading: call on Tool::"read_page" for User
permit mail: call on Tool::"send_mail" for User when "support" in principal.roles and not ("saw" in session.labels)
label saw: receive on Tool::"read_page"
"""
AUTH = """
resource = "{resource}"
scopes = ["tools"]

[[issuers]]
issuer = "{issuer}"
jwks = "{keys}"
claims = {{ principal_type = "User", attributes = {{ tenant = "tenant", roles = "roles" }} }}
"""


def token(sub: str, **claims: Any) -> str:
    now = int(time.time())
    said = {"iss": ISSUER, "aud": RESOURCE, "sub": sub, "iat": now, "exp": now + 600, "scope": "tools"}
    said |= {"tenant": "acme", "roles": ["support"], "client_id": "assistant"}
    return jwt.encode({"alg": "RS256", "kid": "one", "typ": "at+jwt"}, said | claims, KEY)


def bearer(*args: Any, **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(*args, **claims)}"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("tokens")
    (path / "keys.json").write_text(json.dumps({"keys": [KEY.as_dict(private=False)]}))
    (path / "auth.toml").write_text(AUTH.format(resource=RESOURCE, issuer=ISSUER, keys=path / "keys.json"))
    shop = Shop(path, POLICIES)
    port = free_port()
    options = ["--policies", str(shop.policies), "--auth", str(path / "auth.toml"), "--http", f":{port}"]
    with listening(port, *GATEWAY, *options, "--", *shop.behind()) as url:
        yield url


def test_whoever_has_no_token_is_told_where_to_get_one(served: str) -> None:
    refused = httpx.post(served, json={})
    assert refused.status_code == 401
    said = refused.headers["www-authenticate"]
    assert said.startswith("Bearer ")
    assert 'scope="tools"' in said
    assert 'resource_metadata="https://gateway.example/.well-known/oauth-protected-resource/mcp"' in said
    for path in ("/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"):
        told = httpx.get(served.removesuffix("/mcp") + path).json()
        assert (told["resource"], told["authorization_servers"], told["scopes_supported"]) == (
            RESOURCE, [ISSUER], ["tools"],
        )  # fmt: skip


@pytest.mark.parametrize(
    ("claims", "status", "error"),
    [
        ({"aud": "https://other.example/mcp"}, 401, "invalid_token"),
        ({"iss": "https://evil.example"}, 401, "invalid_token"),
        ({"exp": 1_000_000_000, "iat": 999_999_000}, 401, "invalid_token"),
        ({"tenant": "acme", "scope": "mail"}, 403, "insufficient_scope"),
    ],
    ids=["audience", "issuer", "time", "scope"],
)
def test_a_token_that_is_not_for_this_gateway_is_refused(
    served: str, claims: dict[str, Any], status: int, error: str
) -> None:
    refused = httpx.post(served, json={}, headers=bearer("ann", **claims))
    assert (refused.status_code, f'error="{error}"' in refused.headers["www-authenticate"]) == (status, True)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_each_caller_is_who_the_token_says(served: str, mode: str) -> None:
    async def steps(client: Client) -> Any:
        sent = await client.call_tool("send_mail", {"to": "b@c.de", "body": "x"})
        await client.call_tool("read_page", {"url": "x"})
        return [tool.name for tool in (await client.list_tools()).tools], sent

    listed, sent = reached(served, steps, bearer("ann"), mode)
    assert (listed, sent.is_error) == (["read_page", "send_mail"], False)
    listed, sent = reached(served, steps, bearer("eve", roles=[]), mode)
    assert (listed, sent.is_error) == (["read_page"], True)


def test_a_session_is_its_callers_whoever_knows_its_name(served: str) -> None:
    accept = {"accept": "application/json, text/event-stream"}
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    begun = httpx.post(
        served,
        json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        headers=bearer("ann") | accept,
    )
    named = {"mcp-session-id": begun.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"} | accept
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    assert httpx.post(served, json=listing, headers=bearer("eve") | named).status_code == 404
    assert httpx.post(served, json=listing, headers=bearer("ann") | named).status_code == 200


def test_whoever_tries_tokens_is_told_to_wait_and_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    heard, clock = Heard(), [0.0]
    attempts = FailedAttempts(heard, 2, 60.0, lambda: clock[0])
    good, bad = "g" * 40, "pe_" + "b" * 40

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def asked(*tokens: str | None, address: str | None = "192.0.2.1") -> list[int]:
        # Over a Unix socket there is no address.
        client: Any = (address, 1) if address is not None else None
        transport = httpx.ASGITransport(GatewayMiddleware(inside, OneToken(good), attempts), client=client)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as http:
            headers = [{} if each is None else {"Authorization": f"Bearer {each}"} for each in tokens]
            answers = [await http.post("/mcp", headers=each) for each in headers]
        waits = [answer.headers.get("retry-after") for answer in answers]
        assert [wait is not None for wait in waits] == [answer.status_code == 429 for answer in answers]
        return [answer.status_code for answer in answers]

    with caplog.at_level("WARNING"):
        # To come without a token is how clients begin.
        assert asyncio.run(asked(None, None, None, bad, bad, bad, "", good)) == [401] * 5 + [429] * 2 + [200]
        assert asyncio.run(asked(bad, bad, bad, address="192.0.2.2")) == [401, 401, 429]
        assert asyncio.run(asked(bad, bad, bad, good, address=None)) == [401, 401, 429, 200]
        clock[0] = 31.0
        assert asyncio.run(asked(bad, bad)) == [401, 429]
    assert [event.fields["address"] for event in heard.events] == ["192.0.2.1"] * 2 + ["192.0.2.2"] * 2 + [None] * 2 + [
        "192.0.2.1"
    ]
    assert bad not in caplog.text + repr([event.fields for event in heard.events])
    assert len(caplog.records) == len(heard.events)


def test_what_a_proxy_says_is_believed_of_those_that_are_trusted() -> None:
    heard = Heard()

    async def asked(*trusted: str) -> str | None:
        door = GatewayMiddleware(
            None, OneToken("g" * 40), FailedAttempts(heard), [ip_network(each) for each in trusted]
        )
        transport = httpx.ASGITransport(door, client=("10.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as http:
            named = {"X-Forwarded-For": "192.0.2.9, 192.0.2.1, 10.0.0.7", "Authorization": "Bearer x"}
            await http.post("/mcp", headers=named)
        return heard.events[-1].fields["address"]

    assert asyncio.run(asked()) == "10.0.0.1"
    assert asyncio.run(asked("192.0.2.0/24")) == "10.0.0.1"
    assert asyncio.run(asked("10.0.0.0/8")) == "192.0.2.1"


def test_settings_that_let_anybody_in_are_refused(tmp_path: Path, warm: Path) -> None:
    shop = Shop(tmp_path, POLICIES)
    auth = tmp_path / "auth.toml"
    good = AUTH.format(resource=RESOURCE, issuer=ISSUER, keys=tmp_path / "keys.json")
    for wrong, said in (
        (good.replace('principal_type = "User", attributes', "attributes"), "principal"),
        (good.replace("scopes =", "scope ="), "did you mean"),
        (good.replace("https://gateway", "http://gateway"), "https"),
        (good.partition("[[")[0], "issuers"),
    ):
        auth.write_text(wrong)
        command = [
            str(warm / "policyengine"),
            "mcp",
            "--policies",
            str(shop.policies),
            "--http",
            ":8090",
            "--auth",
            str(auth),
            "--",
            "x",
        ]
        ended = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert (ended.returncode, "Traceback" in ended.stderr, said in ended.stderr) == (2, False, True), ended.stderr
