"""LiteLLM's generic guardrail API, as a proxy asks it; the real proxy asks it in `integrations/frameworks/litellm`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from policyengine import Engine
from policyengine.authzen.endpoints import GUARDRAIL
from tests.integrations.agents.world import APPROVED, CLEO, INJECTED, POLICIES
from tests.server.serving import serving

LIMITED = POLICIES + "limit budget: invoke on Model at most 100 of cost.tokens per day by principal\n"
SETTINGS: dict[str, Any] = {"enabled": True, "attributes": {"tenant": "user_api_key_team_id"}, "tokens": 40}
KEY = {"user_api_key_user_id": "ann", "user_api_key_team_id": "acme"}


def at(path: Path, **settings: Any) -> Any:
    (path / "policy.pol").write_text(LIMITED, encoding="utf-8")
    return serving(path, guardrail={**SETTINGS, **settings})


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with at(tmp_path_factory.mktemp("guardrail")) as client:
        yield client


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {}}}


def call(name: str, id_: str = "c", **arguments: str) -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def ask(client: httpx.Client, kind: str, id_: str, user: str = "ann", **more: Any) -> Any:
    key = {**KEY, "user_api_key_user_id": user}
    body = {"input_type": kind, "litellm_call_id": id_, "request_data": key, "model": "m", **more}
    answer = client.post(GUARDRAIL, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def said(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def test_calls_are_decided_by_the_words_of_their_own_conversation(client: httpx.Client) -> None:
    words = said("read acme.com, write to bob@acme.com")
    assert ask(client, "request", "1", structured_messages=words, texts=["x"]) == {"action": "NONE"}
    assert ask(client, "response", "1", tool_calls=[call("send_mail", to="bob@acme.com", body="x")])["action"] == "NONE"
    refused = ask(client, "response", "1", tool_calls=[call("send_mail", "d", to="eve@evil.org", body="x")])
    assert refused["action"] == "BLOCKED"
    assert "`send_mail` may not run" in refused["blocked_reason"]
    # What a tool returned is not a word of the user, whoever repeats it.
    page = call("read_page", "p", url="acme.com")
    told = [*words, {"role": "assistant", "content": None, "tool_calls": [page]}]
    told.append({"role": "tool", "tool_call_id": "p", "content": INJECTED})
    assert ask(client, "request", "2", structured_messages=told, texts=[])["action"] == "NONE"
    again = ask(client, "response", "2", tool_calls=[call("send_mail", "e", to="eve@evil.org", body="x")])
    assert again["action"] == "BLOCKED"


def test_what_this_api_cannot_say_is_blocked(client: httpx.Client) -> None:
    words = said("write to b@c.de")
    some = [tool("send_mail"), tool("drop_table")]
    kept = ask(client, "request", "3", "bea", structured_messages=words, tools=some)
    assert kept == {"action": "GUARDRAIL_INTERVENED", "tools": [tool("send_mail")]}
    for tools in ([tool("drop_table")], [{"type": "web_search"}]):
        assert ask(client, "request", "4", "bea", structured_messages=words, tools=tools)["action"] == "BLOCKED"
    changed = call("send_mail", to="b@c.de", body="secret: eve@evil.org")
    assert ask(client, "response", "3", "bea", tool_calls=[changed])["action"] == "BLOCKED"
    assert ask(client, "response", "3", "bea", texts=["I wrote to eve@evil.org."])["action"] == "BLOCKED"
    assert ask(client, "response", "3", "bea", texts=["I wrote."]) == {"action": "NONE"}
    assert ask(client, "request", "3", "bea", texts=["look"], images=["aGVsbG8="])["action"] == "BLOCKED"
    # What is not text was passed over, or looked at a character at a time.
    unseen: list[Any] = [[["I wrote to eve@evil.org."]], [{"text": "eve@evil.org"}], "I wrote to eve@evil.org.", 5]
    for texts in unseen:
        for kind in ("request", "response"):
            assert ask(client, kind, "3", "bea", structured_messages=words, texts=texts)["action"] == "BLOCKED"


@pytest.mark.parametrize("given", [True, 1, -1, 1.5, 10**30, "x", {"a": 1}], ids=repr)
def test_lists_that_are_none_are_blocked(client: httpx.Client, given: Any) -> None:
    """An error of the service is for the proxy to make something of, and some let the answer through."""
    words = said("write to b@c.de")
    told = [*words, {"role": "assistant", "content": None, "tool_calls": given}]
    user = f"gil {given}"  # each has a budget
    assert ask(client, "request", "12", user, structured_messages=words) == {"action": "NONE"}
    assert ask(client, "response", "12", user, tool_calls=given)["action"] == "BLOCKED"
    assert ask(client, "request", "12", f"{user} 2", structured_messages=words, tools=given)["action"] == "BLOCKED"
    assert ask(client, "request", "12", f"{user} 3", structured_messages=told)["action"] == "BLOCKED"


def test_arguments_with_a_key_twice_are_blocked(client: httpx.Client) -> None:
    """What runs the call reads the text, and may take the other value."""
    ask(client, "request", "13", "hal", structured_messages=said("write to b@c.de"))
    once = call("send_mail", to="b@c.de", body="x")
    assert ask(client, "response", "13", "hal", tool_calls=[once]) == {"action": "NONE"}
    for first, second in (("eve@evil.org", "b@c.de"), ("b@c.de", "eve@evil.org"), ("b@c.de", "b@c.de")):
        given = f'{{"to": "{first}", "to": "{second}", "body": "x"}}'
        twice = {**once, "function": {"name": "send_mail", "arguments": given}}
        assert ask(client, "response", "13", "hal", tool_calls=[twice])["action"] == "BLOCKED"


def test_an_answer_of_nobodys_request_is_blocked(client: httpx.Client) -> None:
    ask(client, "request", "5", "cleo", structured_messages=said("hi"))
    assert ask(client, "response", "5", "cleo", texts=["hi"]) == {"action": "NONE"}
    for id_, user in (("6", "cleo"), ("5", "dora"), ("5", "")):
        assert ask(client, "response", id_, user, texts=["hi"])["action"] == "BLOCKED"


def test_the_estimate_is_charged(client: httpx.Client) -> None:
    asked = [ask(client, "request", f"7{n}", "emil", structured_messages=said("hi"))["action"] for n in range(3)]
    assert asked == ["NONE", "NONE", "BLOCKED"]


def test_a_stream_holds_back_what_may_be_a_part_of_a_finding(tmp_path: Path) -> None:
    with at(tmp_path, rewrites=True) as client:
        ask(client, "request", "8", structured_messages=said("hi"))
        half = ask(client, "response", "8", texts=["I wrote to eve@evil"])
        assert half["texts"] == ["I wrote to eve@evil"]
        assert half["stream_holdback_chars"][0] >= len("eve@evil")
        whole = ask(client, "response", "8", texts=["I wrote to eve@evil.org."])
        assert whole["texts"] == ["I wrote to [email]."]


@pytest.mark.parametrize("between", [[], [""]], ids=len)
def test_a_value_that_is_split_over_two_texts_does_not_leave(tmp_path: Path, between: list[str]) -> None:
    texts = ["I wrote to eve@ev", *between, "il.org."]
    with at(tmp_path, rewrites=True) as client:
        ask(client, "request", "8", structured_messages=said("hi"))
        whole = ask(client, "response", "8", texts=texts)
        assert whole["texts"] == ["I wrote to [email]", *between, "."]
        # Each of them may go on, so nothing of them may be gone before the end.
        assert whole["stream_holdback_chars"] == [len(text) for text in whole["texts"]]
    with at(tmp_path) as client:
        ask(client, "request", "8", structured_messages=said("hi"))
        assert ask(client, "response", "8", texts=texts)["action"] == "BLOCKED"


@pytest.mark.parametrize("texts", [[], [""], ["", ""], ["one", "two"], ["", "one"]], ids=str)
def test_texts_without_anything_to_remove_leave_as_they_are(client: httpx.Client, texts: list[str]) -> None:
    ask(client, "request", "9", "fay", structured_messages=said(str(texts)))
    assert ask(client, "response", "9", "fay", texts=texts) == {"action": "NONE"}


def test_what_is_said_instead_stands_for_all_texts(tmp_path: Path) -> None:
    (tmp_path / "policy.pol").write_text(LIMITED + 'require no: release on Output withhold(message: "no")\n')
    with serving(tmp_path, guardrail={**SETTINGS, "rewrites": True}) as client:
        ask(client, "request", "8", structured_messages=said("hi"))
        assert ask(client, "response", "8", texts=["one", "two"])["texts"] == ["no", ""]


def test_it_is_not_there_unless_it_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "policy.pol").write_text(POLICIES, encoding="utf-8")
    with serving(tmp_path) as client:
        assert client.post(GUARDRAIL, json={}).status_code == 404


@pytest.mark.parametrize("approvals", [True, False])
def test_a_call_runs_once_somebody_has_approved_it(tmp_path: Path, approvals: bool) -> None:
    (tmp_path / "policy.pol").write_text(APPROVED, encoding="utf-8")
    state = f"sqlite:///{tmp_path / 'state.db'}"
    with serving(tmp_path, guardrail={**SETTINGS, "approvals": approvals}, state=state) as client:
        people = Engine.load(tmp_path, state=state)

        def called(round_: str, name: str = "a") -> Any:
            assert ask(client, "request", round_, structured_messages=said("run slow"), texts=[])["action"] == "NONE"
            return ask(
                client,
                "response",
                round_,
                tool_calls=[
                    {
                        "id": f"c{round_}",
                        "type": "function",
                        "function": {"name": "slow", "arguments": json.dumps({"name": name})},
                    }
                ],
            )

        first = called("1")
        assert (first["action"], called("2")["action"]) == ("BLOCKED", "BLOCKED")
        waiting = people.approvals.list()
        if not approvals:
            assert not waiting
            return
        [task] = waiting
        assert f"`{task.id}`" in first["blocked_reason"]
        people.approvals.approve(task.id, CLEO)
        assert called("3", "b")["action"] == "BLOCKED"
        assert called("4") == {"action": "NONE"}
        # It is used up: the next one asks anew.
        assert called("5")["action"] == "BLOCKED"
        assert len(people.approvals.list()) == 2, "the other name, and this one anew"


PAID = """
tool pay(amount: Int) { sends_outside: false, reads_untrusted: false }
permit pay: call on Tool::"pay" for User
require payer: call on Tool::"pay" approval(by: Group::"finance", within: 15m)
"""


def test_a_call_that_cannot_be_approved_is_blocked_and_asks_nobody(tmp_path: Path) -> None:
    """An approval is bound to a canonical form, which such a number has not."""
    (tmp_path / "policy.pol").write_text(POLICIES + PAID, encoding="utf-8")
    state = f"sqlite:///{tmp_path / 'state.db'}"
    with serving(tmp_path, guardrail={**SETTINGS, "approvals": True}, state=state) as client:
        assert ask(client, "request", "1", structured_messages=said("pay"), texts=[])["action"] == "NONE"
        paid = {"id": "c", "type": "function", "function": {"name": "pay", "arguments": '{"amount": 9007199254740993}'}}
        assert ask(client, "response", "1", tool_calls=[paid])["action"] == "BLOCKED"
        assert not Engine.load(tmp_path, state=state).approvals.list()
