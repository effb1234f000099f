"""The COAZ binding: what a message is to a decision point, and what becomes of it there."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import httpx2
import mcp_types as types
import pytest
from mcp import Client
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from policyengine import Engine
from policyengine.mcp.authorizing import Authorizing, Elsewhere, InProcess
from policyengine.mcp.cel_expressions import MappingError
from policyengine.mcp.coaz import Token, built
from policyengine.mcp.decision_point import DecisionPoint
from policyengine.mcp.defaults import is_known, mapping_of
from policyengine.mcp.gateway import Gateway
from policyengine.mcp.sessions import ClientSessions, Who
from policyengine.mcp.upstream import Upstream
from policyengine.settings.model import check_remote
from tests.mcp.shop import ANN, text

CLAIMS = {"sub": "ann", "client_id": "assistant", "iss": "https://login.example", "aud": "https://mcp.example"}
TOKEN = Token(CLAIMS)
SUBJECT = {"type": "identity", "id": "ann"}
CUSTOMER = {
    "evaluation": {
        "subject": {"type": "identity", "id": "$token.sub"},
        "action": {"name": "get_customer"},
        "resource": {"type": "customer", "id": "$params.arguments.id"},
        "context": {"agent": "$token.?client_id", "case": "$params.arguments.?case"},
    }
}
COPY = {
    "evaluations": {
        "context": {"agent": "$token.?client_id"},
        "evaluations": [
            {"action": {"name": "read"}, "resource": {"type": "storage_object", "id": "$params.arguments.source"}},
            {"action": {"name": "write"}, "resource": {"type": "storage_object", "id": "$params.arguments.target"}},
        ],
    }
}


# ---- requests ----


@pytest.mark.parametrize(
    ("method", "params", "resource", "context"),
    [
        ("initialize", {"protocolVersion": "v"}, ("mcp_server", "https://mcp.example"), {"protocol_version": "v"}),
        ("server/discover", {"_meta": {"io.modelcontextprotocol/protocolVersion": "v"}},
         ("mcp_server", "https://mcp.example"), {"protocol_version": "v"}),
        ("tools/list", {}, ("mcp_server", "https://mcp.example"), {}),
        ("tools/call", {"name": "pay", "arguments": {"to": "x"}}, ("tool", "pay"), {}),
        ("resources/list", {}, ("mcp_server", "https://mcp.example"), {}),
        ("resources/templates/list", {}, ("mcp_server", "https://mcp.example"), {}),
        ("resources/read", {"uri": "a://b"}, ("resource", "a://b"), {}),
        ("resources/subscribe", {"uri": "a://b"}, ("resource", "a://b"), {}),
        ("resources/unsubscribe", {"uri": "a://b"}, ("resource", "a://b"), {}),
        ("prompts/list", {}, ("mcp_server", "https://mcp.example"), {}),
        ("prompts/get", {"name": "greet"}, ("prompt", "greet"), {}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "greet"}}, ("prompt", "greet"), {}),
        ("completion/complete", {"ref": {"type": "ref/resource", "uri": "a://b"}}, ("resource", "a://b"), {}),
        ("logging/setLevel", {"level": "info"}, ("mcp_server", "https://mcp.example"), {"level": "info"}),
        ("tasks/get", {"taskId": "t"}, ("task", "t"), {}),
        ("tasks/result", {"taskId": "t"}, ("task", "t"), {}),
        ("tasks/cancel", {"taskId": "t"}, ("task", "t"), {}),
        ("tasks/update", {"taskId": "t", "inputResponses": {}}, ("task", "t"), {}),
        ("tasks/list", {}, ("mcp_server", "https://mcp.example"), {}),
    ],
)  # fmt: skip
def test_each_method_has_a_mapping(
    method: str, params: dict[str, Any], resource: tuple[str, str], context: dict[str, Any]
) -> None:
    made = built(mapping_of(method, params, TOKEN), params, TOKEN)
    assert is_known(method)
    assert (made.many, made.overridden) == (False, False)
    assert made.body == {
        "subject": SUBJECT,
        "action": {"name": method},
        "resource": {"type": resource[0], "id": resource[1]},
        "context": {"agent": "assistant", **context},
    }


def test_what_is_listened_to_is_decided_one_by_one() -> None:
    params = {"notifications": {"resourceSubscriptions": ["a://b", "$token.sub"]}}
    made = built(mapping_of("subscriptions/listen", params, TOKEN), params, TOKEN)
    assert [one["resource"]["id"] for one in made.body["evaluations"]] == ["https://mcp.example", "a://b", "$token.sub"]


def test_the_server_is_one_name() -> None:
    def named(token: Token) -> str:
        return str(built(mapping_of("tools/list", {}, token), {}, token).body["resource"]["id"])

    assert named(Token({**CLAIMS, "aud": ["one"]})) == "one"
    assert named(Token({**CLAIMS, "aud": ["one", "two"]}, server="two")) == "two"
    for audience in (["one", "two"], [], 5, None):
        with pytest.raises(MappingError):
            named(Token({**CLAIMS, "aud": audience}))


def test_another_claim_may_say_whom_a_token_is_for() -> None:
    params = {"arguments": {"id": "c-1", "case": "k-1"}}
    made = built(CUSTOMER, params, Token({**CLAIMS, "act_for": "bob"}, "act_for"))
    assert made.body["subject"] == {"type": "identity", "id": "bob"}
    assert not made.overridden


def test_declared_mappings_make_the_requests_of_the_binding() -> None:
    made = built(CUSTOMER, {"arguments": {"id": "c-1"}}, TOKEN)
    assert made.body == {
        "subject": SUBJECT,
        "action": {"name": "get_customer"},
        "resource": {"type": "customer", "id": "c-1"},
        "context": {"agent": "assistant"},
    }
    made = built(COPY, {"arguments": {"source": "a", "target": "b"}}, TOKEN)
    assert made.many
    assert made.body["subject"] == SUBJECT
    assert [one["resource"]["id"] for one in made.body["evaluations"]] == ["a", "b"]
    literal = {"evaluation": {"action": {"name": "$$pay"}, "resource": {"type": "a", "id": "$'b:' + params.name"}}}
    made = built(literal, {"name": "x"}, TOKEN)
    assert (made.body["action"]["name"], made.body["resource"]["id"]) == ("$pay", "b:x")


def _with(**parts: Any) -> dict[str, Any]:
    return {"evaluation": {"action": {"name": "a"}, "resource": {"type": "t", "id": "i"}, **parts}}


@pytest.mark.parametrize(
    "mapping",
    [
        {}, [], "x", None, {"evaluation": []}, {"evaluate": {}}, {**_with(), "evaluations": {}},
        _with(action={}), _with(action={"name": "$params.?no"}), _with(action={"name": 5}),
        _with(resource={"type": "t"}), _with(resource={"type": "t", "id": "$null"}),
        _with(resource={"type": "t", "id": "$params.no"}), _with(resource={"type": "t", "id": "$params.x +"}),
        _with(resource={"type": "t", "id": "$other.x"}), _with(resource={"type": "t", "id": "$[1, 2]"}),
        _with(resource={"type": "t", "id": "i", "owner": "x"}),
        _with(resource={"type": "t", "id": "i", "properties": 1}),
        _with(extra={}), _with(context={"at": "$timestamp('2020-01-01T00:00:00Z')"}), _with(context={"x": "$b'a'"}),
        _with(context={"x": "$[token.?no]"}), _with(context={"x": "$1.0 / 0.0"}), _with(context="$'x'"),
        _with(context={"x": "$" + "1 + " * 2_000 + "1"}), _with(context={"x": [0] * 2_000}),
        _with(subject={"id": "$token.?no"}), _with(subject={"id": "$token.sub + 'x'"}), _with(subject={"id": None}),
        _with(subject="$token"),
        {"evaluations": {"evaluations": []}}, {"evaluations": {"evaluations": "$params.x"}},
        {"evaluations": {**_with()["evaluation"], "evaluations": [{"subject": {"id": "eve"}}]}},
        {"evaluations": {**_with()["evaluation"], "evaluations": [{}], "options": {}}},
        {"evaluations": {"action": {"name": "a"}, "evaluations": [{}]}},
    ],
)  # fmt: skip
def test_a_mapping_of_which_no_request_can_be_made_denies(mapping: Any) -> None:
    with pytest.raises(MappingError):
        built(mapping, {"x": ["y"]}, TOKEN)


def test_a_subject_of_the_servers_own_is_known_as_one() -> None:
    made = built(_with(subject={"id": "$params.user", "type": "customer"}), {"user": "eve"}, TOKEN)
    assert (made.overridden, made.body["subject"]) == (True, {"type": "customer", "id": "eve"})


def test_a_token_that_says_nobody_denies() -> None:
    with pytest.raises(MappingError):
        built(_with(), {}, Token({"aud": "x"}))


# ---- messages ----

POLICIES = """
module shop
use ai
entity storage_object
action read on storage_object
action write on storage_object
permit anything: call on Tool for User
permit read: read on storage_object for User
permit write: write on storage_object for User when storage_object.id like "/archive/*"
"""
SCHEMAS = {
    "plain": {"type": "object"},
    "copy": {"type": "object", "x-authzen-mapping": COPY},
    "broken": {"type": "object", "x-authzen-mapping": {"evaluation": {}}},
    "other": {"type": "object", "x-authzen-mapping": _with(subject={"id": "eve"})},
}


class Behind:
    """A server behind, which notes what it ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def server(self) -> Server[Any]:
        async def tools(*_: Any) -> types.ListToolsResult:
            found = [types.Tool(name=name, input_schema=schema) for name, schema in SCHEMAS.items()]
            return types.ListToolsResult(tools=found)

        async def call(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
            self.ran.append(params.name)
            return types.CallToolResult(content=[types.TextContent(type="text", text="done")])

        return Server("behind", on_list_tools=tools, on_call_tool=call)


def asked(steps: Any, point: Callable[[httpx2.Request], httpx2.Response] | None = None, **options: Any) -> Any:
    """What a client makes of a gateway that decides in process, or at a point; and what ran behind it."""
    engine, who, behind = Engine.from_text(POLICIES), Who(ANN, None, CLAIMS), Behind()

    async def asking() -> Any:
        decider: Any = InProcess(engine, lambda _: (ANN, None))
        if point is not None:
            decider = Elsewhere(DecisionPoint("https://pdp.example", transport=httpx2.MockTransport(point)))
        with anyio.fail_after(30):
            async with Client(behind.server()) as upstream:
                authorizing = Authorizing(decider, who.token, **options)
                sessions = ClientSessions(engine, who)
                gateway = Gateway(sessions.of, [Upstream("", upstream)], authorizing=authorizing)
                async with Client(gateway.server(), mode="legacy") as client:
                    return await steps(client)

    return anyio.run(asking), behind.ran


class Point:
    """A decision point that notes what it is asked, and denies what it is told to."""

    def __init__(self, *denied: str, batches: bool = True) -> None:
        self.bodies: list[Any] = []
        self._denied = denied
        self._batches = batches

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            return httpx2.Response(404)
        body = json.loads(request.content)
        if request.url.path.endswith("/evaluations") and not self._batches:
            return httpx2.Response(404)
        self.bodies.append(body)
        entries = body.get("evaluations")
        answers = [self._decision({**body, **each}) for each in entries or [{}]]
        return httpx2.Response(200, json={"evaluations": answers} if entries else answers[0])

    def _decision(self, asked: Any) -> Any:
        allowed = asked["resource"]["id"] not in self._denied and asked["action"]["name"] not in self._denied
        return {"decision": allowed} if allowed else {"decision": False, "context": {"reason_user": {"en": "not now"}}}


async def _calls(client: Client) -> Any:
    listed = [tool.name for tool in (await client.list_tools()).tools]
    plain = await client.call_tool("plain", {"x": 1})
    copied = await client.call_tool("copy", {"source": "a", "target": "/archive/b"})
    refused = await client.call_tool("copy", {"source": "a", "target": "/etc/b"})
    with pytest.raises(MCPError) as wrong:
        await client.call_tool("broken", {})
    with pytest.raises(MCPError) as missing:
        await client.call_tool("copy", {"source": "a"})
    return listed, plain, copied, refused, (wrong.value.error.code, missing.value.error.code)


@pytest.mark.parametrize("batches", [True, False])
@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_declared_mapping_adds_its_decisions(elsewhere: bool, batches: bool) -> None:
    point = Point("/etc/b", batches=batches)
    (listed, plain, copied, refused, codes), ran = asked(_calls, point if elsewhere else None)
    assert listed == ["plain", "copy", "broken", "other"]
    assert (plain.is_error, copied.is_error, refused.is_error) == (False, False, True)
    assert codes == (-32602, -32602)
    assert ran == ["plain", "copy"]
    assert ("not now" in text(refused)) is elsewhere
    actions = [body["action"]["name"] for body in point.bodies if "action" in body]
    assert (actions[:2] == ["initialize", "tools/list"]) is elsewhere


def test_a_list_shows_what_the_decision_point_allows() -> None:
    async def steps(client: Client) -> Any:
        return [tool.name for tool in (await client.list_tools()).tools], await client.call_tool("plain", {})

    (listed, called), ran = asked(steps, Point("plain"))
    assert (listed, called.is_error, ran) == (["copy", "broken", "other"], True, [])


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: httpx2.Response(500),
        lambda _: httpx2.Response(200, json={"decision": "true"}),
        lambda _: httpx2.Response(200, text="yes"),
        lambda _: httpx2.Response(200, json={"evaluations": [{"decision": True}]}),
        lambda _: httpx2.Response(307, headers={"location": "https://evil.example"}),
    ],
    ids=["fails", "text", "no_json", "another_answer", "leads_away"],
)
def test_without_a_decision_nothing_is_listed_and_nothing_runs(answer: Any) -> None:
    # The client begins, and then the decision point is away.
    def point(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            return httpx2.Response(404)
        begins = json.loads(request.content).get("action") == {"name": "initialize"}
        return httpx2.Response(200, json={"decision": True}) if begins else answer(request)

    async def steps(client: Client) -> Any:
        with pytest.raises(MCPError) as listing:
            await client.list_tools()
        with pytest.raises(MCPError) as calling:
            await client.call_tool("plain", {})
        return listing.value.error.code, calling.value.error.code

    assert asked(steps, point) == ((-32603, -32603), [])


def test_a_decision_point_that_is_away_lets_nobody_begin() -> None:
    def away(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("away")

    async def steps(_: Client) -> Any:
        return None

    with pytest.raises(BaseException, match=r"could not be asked|unhandled"):
        asked(steps, away)


@pytest.mark.parametrize("elsewhere", [True, False])
def test_what_is_not_known_is_denied(elsewhere: bool) -> None:
    async def steps(client: Client) -> Any:
        request = types.Request[Any, Any](method="tools/delete", params={"name": "plain"})
        with pytest.raises(MCPError) as unknown:
            await client.session.send_request(request, types.EmptyResult)
        with pytest.raises(MCPError) as templates:
            await client.list_resource_templates()
        await client.send_ping()
        return unknown.value.error.code, templates.value.error.code

    point = Point("ping") if elsewhere else None
    assert asked(steps, point, strict=True)[0] == (-32001, -32001)


@pytest.mark.parametrize("strict", [True, False])
def test_a_subject_that_no_claim_says(strict: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def steps(client: Client) -> Any:
        try:
            return (await client.call_tool("other", {})).is_error
        except MCPError as error:
            return error.error.code

    # Other tests start services, which say how much is logged.
    caplog.set_level("WARNING")
    point = Point()
    assert asked(steps, point, strict=strict) == ((-32602, []) if strict else (False, ["other"]))
    assert any("states a subject" in line for line in caplog.messages)
    # In process it is the session's principal that is asked about.
    assert asked(steps, strict=strict)[1] == []


def test_a_decision_point_elsewhere_is_asked_over_tls() -> None:
    with pytest.raises(ValueError, match="https"):
        check_remote("http://pdp.example")
    check_remote("https://pdp.example")
    check_remote("http://127.0.0.1:8181")
