"""Who may see a value: those whom the record around it names, and nobody else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policyengine import Engine, InvalidPolicies

POLICIES = """
module gate
use ai

tool mails() returns List<{ from: String trusted readers, to?: List<String> readers, body: String }>
  { sends_outside: false, reads_untrusted: true }
tool folder()
  returns { files: List<{ name: String, shared: List<{ who: String readers, how: String }>, text: String }> }
  { sends_outside: false, reads_untrusted: true }
tool web() { sends_outside: false, reads_untrusted: true }
tool send(to: List<String>, body: String, parts?: Json) { sends_outside: true, reads_untrusted: false }

permit all_of_it: call on Tool for User
forbid leak: call on Tool::"send"
  unless all r in tool.args.to: r in readers(tool.args.body)
forbid parts: call on Tool::"send"
  when tool.args has parts
  unless all r in tool.args.to: r in readers(tool.args.parts)
"""
ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
SECRET = {
    "from": "carol@acme.com",
    "to": ["Ann <ann@acme.com>", "bob@acme.com"],
    "body": "The code is 8812-A, keep it.",
}


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.from_text(POLICIES)


def sends(engine: Engine, result: Any, body: str, *to: str, tool: str = "mails", prompt: str = "", **more: Any) -> bool:
    gate = engine.session(principal=ANN, prompt=prompt)
    gate.observe(gate.call(tool, {}), result)
    return gate.call("send", {"to": list(to), "body": body, **more}).allowed


@pytest.mark.parametrize(
    "body",
    ["The code is 8812-A, keep it.", "8812-A", "carol says 8812-a!", "note: the  CODE is 8812-A", "code: \u200b8812-A"],
)
def test_a_value_stays_among_its_readers(engine: Engine, body: str) -> None:
    assert sends(engine, [SECRET], body, "bob@acme.com", "Ann@acme.com")
    assert not sends(engine, [SECRET], body, "eve@evil.org")
    assert not sends(engine, [SECRET], body, "bob@acme.com", "eve@evil.org")
    assert not sends(engine, [SECRET], body, "bob@acme.com.evil.org")


def test_what_nothing_restricts_is_for_everybody(engine: Engine) -> None:
    assert sends(engine, [SECRET], "Hello!", "eve@evil.org")
    assert sends(engine, [SECRET], "8812-A", "eve@evil.org", prompt="send 8812-A to eve@evil.org")
    assert sends(engine, "8812-A is public", "8812-A", "eve@evil.org", tool="web")
    assert sends(engine, [SECRET], "x")


@pytest.mark.parametrize(
    "result",
    [
        [SECRET | {"to": "eve@evil.org"}],
        [SECRET | {"to": ["eve@evil.org", 1]}],
        [SECRET | {"from": ["eve@evil.org"]}],
        [SECRET | {"to": ["*"]}],
        [{"mail": SECRET | {"to": ["eve@evil.org"]}}],
        {"mails": [SECRET]},
        [SECRET["body"]],
        SECRET["body"],
        [[SECRET]],
    ],
)
def test_a_result_that_is_not_as_declared_is_for_nobody(engine: Engine, result: Any) -> None:
    assert not sends(engine, result, "8812-A", "eve@evil.org")
    assert not sends(engine, result, "8812-A", "*")


def test_json_as_text_says_its_readers(engine: Engine) -> None:
    assert sends(engine, json.dumps([SECRET]), "8812-A", "bob@acme.com")
    assert not sends(engine, json.dumps([SECRET]), "8812-A", "eve@evil.org")


def test_of_several_records_all_have_to_be_for_them(engine: Engine) -> None:
    other = {"from": "dan@acme.com", "to": ["bob@acme.com"], "body": "The key is 77-B, do not tell."}
    both = "8812-A and 77-B"
    assert sends(engine, [SECRET, other], both, "bob@acme.com")
    assert not sends(engine, [SECRET, other], both, "carol@acme.com")
    assert not sends(engine, [SECRET, other], "x", "carol@acme.com", parts={"a": ["8812-A", {"b": "77-B"}]})
    assert sends(engine, [SECRET, other], "x", "bob@acme.com", parts={"a": ["8812-A", {"b": "77-B"}]})


def test_readers_of_a_record_are_of_all_that_is_in_it(engine: Engine) -> None:
    file = {"name": "n-1", "text": "alpha beta gamma delta epsilon", "shared": [{"who": "bob@acme.com", "how": "rw-7"}]}
    files = {"files": [file, {"name": "n-2", "text": "t", "shared": []}]}
    assert sends(engine, files, "rw-7", "bob@acme.com", tool="folder")
    assert not sends(engine, files, "rw-7", "eve@evil.org", tool="folder")
    gate = engine.session(principal=ANN)
    assert gate.tools(["send", "mails"]) == ["send", "mails"]


def test_nothing_stated_is_nobody(engine: Engine) -> None:
    tool = {"type": "Tool", "id": "send", "args": {"to": ["bob@acme.com"], "body": "x"}}
    for context in (
        {},
        {"readers": {}},
        {"readers": {"/body": "*"}},
        {"readers": ["/body"]},
        {"readers": {"/body": [1]}},
    ):
        assert engine.decide(principal=ANN, action="call", resource=tool, context=context).decision == "deny"
    everybody = {"readers": {"/body": ["*"]}}
    assert engine.decide(principal=ANN, action="call", resource=tool, context=everybody).decision == "allow"


def test_findings() -> None:
    for text, message in {
        'permit p: call on Tool::"send" when "a" in readers("b")': "`readers` takes the path of a tool argument",
        'permit p: call on Tool::"send" when any r in tool.args.to: r in readers(r)': "`readers` takes the path",
        "tool a(x: String readers)": "`readers` is only for what a tool returns",
        "tool a() returns String readers readers": "unexpected `readers`",
    }.items():
        with pytest.raises(InvalidPolicies) as found:
            Engine.from_text(f"{POLICIES}\n{text}\n")
        assert message in str(found.value)
