"""Admission: what is to go into a model is measured, looked at, decided about and treated, wherever its texts stand."""

from __future__ import annotations

import asyncio
import base64
import io
import zipfile
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from policyengine import Engine
from policyengine.release.admission import MEASURES
from policyengine.release.inspection import Inspection
from policyengine.release.released import Admitted
from policyengine.release.uploads import File
from tests.release.test_release import ANN, KEY

MODEL = {"id": "m-1", "provider": "x", "tier": "small"}
OPEN = "module gate use ai permit use_it: invoke on Model for User\n"
SCRUB = 'require scrub: invoke on Model redact(["email"])'


def admitted(rules: str, given: Any, **asked: Any) -> Admitted:
    engine = Engine.from_text(OPEN + rules, inspection=Inspection(key=KEY))
    return engine.admit(given, principal=ANN, model=MODEL, **asked)


def test_a_text_goes_in_without_what_is_redacted() -> None:
    answer = admitted(SCRUB, "mail bob@acme.com")
    assert (answer.allowed, answer.messages) == (True, "mail [email]")
    assert [found.source for found in answer.findings] == ["user"]
    assert admitted(SCRUB, "hello").messages == "hello"


def test_every_text_of_a_message_is_looked_at() -> None:
    messages = [
        {"role": "system", "content": "you are bob@acme.com's helper"},
        {"role": "user", "name": "bob@acme.com", "content": [
            {"type": "text", "text": "hi bob@acme.com"}, {"type": "text", "text": ", x"}]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "send", "arguments": '{"to": "bob@acme.com"}'}}]},
        {"role": "tool", "tool_call_id": "c", "content": "sent to bob@acme.com"},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "bob@acme.com"}]},
    ]  # fmt: skip
    answer = admitted(SCRUB, messages)
    assert "bob" not in repr(answer.messages)
    assert [message["role"] for message in answer.messages] == ["system", "user", "assistant", "tool", "user"]
    assert answer.messages[1]["content"][1] == {"type": "text", "text": ", x"}
    sources = {found.path: found.source for found in answer.findings}
    assert sources["/0/content"] == "system"
    assert sources["/3/content"] == sources["/4/content/0/content"] == "tool"


def test_messages_of_langchain_stay_what_they_are() -> None:
    messages = [HumanMessage("to bob@acme.com"), AIMessage("ok")]
    answer = admitted(SCRUB, messages)
    assert answer.messages[0] == HumanMessage("to [email]")
    assert answer.messages[1] is messages[1]


@pytest.mark.parametrize(
    ("rule", "given"),
    [
        ("context.input.size > 5", "six666"),
        ("context.input.tokens > 2", "twelve chars"),
        ("context.input.tokens > 2", "日本語"),
        ("context.input.nesting > 3", "[[[[1]]]]"),
        ("context.input.nesting > 3", "see [[[[ there"),
        ("context.input.duplicate_keys", '{"a": 1, "a": 2}'),
        ('context.input.encoding != "utf-8"', "half \ud800"),
        ('context.input.encoding != "utf-8"', File("a.txt", b"caf\xe9")),
        ('"email" in context.input.findings', "bob@acme.com"),
        ('any f in context.input.found: f.source == "tool"', [{"role": "tool", "content": "bob@acme.com"}]),
        ("any t in context.input.trust: not t.trusted", [{"role": "tool", "content": "x"}]),
        ("any t in context.input.trust: not t.trusted", [{"role": "surprise", "content": "x"}]),
    ],
)  # fmt: skip
def test_rules_read_what_comes_in(rule: str, given: Any) -> None:
    refusal = f'forbid it: invoke on Model when {rule} because "not this"'
    answer = admitted(refusal, given)
    assert (answer.allowed, answer.messages, answer.reason) == (False, None, "not this")
    assert admitted(refusal, "ok").allowed


def test_whose_words_a_message_is_may_be_said() -> None:
    rule = 'forbid found: invoke on Model when any t in context.input.trust: t.source == "retrieved"'
    messages = [{"role": "user", "content": "a passage", "kind": "search"}]
    assert admitted(rule, messages).allowed
    assert not admitted(rule, messages, source_of=lambda message: "retrieved" if "kind" in message else None).allowed


def test_what_is_found_is_said_by_nobody_else() -> None:
    answer = admitted("", "x", context={"input": {"size": 1}})
    assert (answer.allowed, answer.decision.errors[0].code) == (False, "POL504")


@pytest.mark.parametrize("given", [7, None, {1: "x"}, [{"role": "user", "content": object()}], [object()], b"raw"])
def test_what_nobody_reads_does_not_go_in(given: Any) -> None:
    answer = admitted("", given)
    assert (answer.allowed, answer.messages) == (False, None)


# ---- files ----


def archive(parts: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in parts.items():
            opened.writestr(name, data)
    return made.getvalue()


DOCX = archive({"word/document.xml": b"<w:p><w:t>to bob@acme.com</w:t></w:p>"})
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def seen(data: bytes, name: str = "report.txt") -> Any:
    told = admitted("", File(name, data)).input
    assert told is not None
    return told["files"][0]


def test_a_file_is_what_its_bytes_are() -> None:
    assert (seen(b"plain")["type"], seen(b"plain")["scannable"]) == ("text/plain", True)
    assert (seen(PNG)["type"], seen(PNG)["scannable"]) == ("image/png", False)
    assert (seen(b"\xff\xfeh\0i\0")["encoding"], seen(b"\xff\xfeh\0i\0")["scannable"]) == ("utf-16", True)
    assert (seen(b"\xe9t\xe9")["type"], seen(b"\xe9t\xe9")["scannable"]) == ("application/octet-stream", False)
    assert seen(DOCX)["type"].endswith("wordprocessingml.document")
    assert seen(DOCX)["scannable"]
    assert not seen(archive({"a.txt": b"x"}))["scannable"]
    assert not seen(DOCX[:-30])["scannable"]
    assert not seen(archive({"word/document.xml": b"<a/>", "word/media/image1.png": PNG}))["scannable"]


def test_a_small_archive_does_not_become_a_large_one() -> None:
    bomb = seen(archive({"word/document.xml": b"a" * 60_000_000}))
    assert bomb["size"] < 100_000
    assert 50_000_000 < bomb["expanded"] <= 50_000_001
    assert not bomb["scannable"]


def test_rules_say_what_happens_to_a_file_that_nobody_can_read() -> None:
    rule = "forbid unread: invoke on Model when any f in context.input.files: not f.scannable"
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(PNG).decode()}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "look"}, image]}]
    assert admitted("", messages).messages == messages
    assert not admitted(rule, messages).allowed


def test_what_needs_a_file_that_nobody_can_read_has_no_answer_without_a_rule() -> None:
    """A finder that reads nothing of it has found nothing out: no rule may conclude that, and no order is done."""
    found = 'forbid addresses: invoke on Model when "email" in context.input.findings'
    scores = (
        'forbid harmful: invoke on Model when context.input.scores has ["harm"] and context.input.scores["harm"] > 0.5'
    )
    for rule in (SCRUB, found, scores):
        assert not admitted(rule, File("scan.png", PNG)).allowed
        assert admitted(rule, File("a.txt", b"plain")).allowed
        treated = (
            f"{rule} forbid large: invoke on Model when any f in context.input.files: not f.scannable and f.size > 9999"
        )
        assert admitted(treated, File("scan.png", PNG)).messages == File("scan.png", PNG)
    assert admitted(SCRUB, File("scan.png", PNG)).errors[0].code == "POL711"


@pytest.mark.parametrize(
    ("given", "wrong", "help_"),
    [
        (7, "must be a text, a file", "a list of messages"),
        ([7], "must be a text, an object of JSON", "`model_dump`"),
        ([{"role": "user", "content": {1, 2}}], "holds a value that is not JSON", "convert it to text"),
        ([{"role": "user", 7: "x"}], "has a key that is not a text", "send JSON"),
        ([{"role": "user", "content": [{"data": "not base64!"}]}], "is not valid base64", "encode it again"),
        ("x" * 101, "longer than 100 characters", "raise `most`"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_what_to_do(given: Any, wrong: str, help_: str) -> None:
    engine = Engine.from_text(OPEN + SCRUB, inspection=Inspection(key=KEY, most=100))
    (error,) = engine.admit(given, principal=ANN, model=MODEL).decision.errors
    assert error.code == "POL711"
    assert wrong in error.message
    assert help_ in error.message


def test_the_texts_of_a_file_are_looked_at() -> None:
    rule = 'forbid addresses: invoke on Model when "email" in context.input.findings'
    assert not admitted(rule, File("a.docx", DOCX)).allowed
    assert not admitted(rule, File("a.txt", b"to bob@acme.com")).allowed
    answer = admitted(SCRUB, File("a.txt", b"to bob@acme.com"))
    assert answer.messages == File("a.txt", b"to [email]")
    refused = admitted(SCRUB, File("a.docx", DOCX))
    assert (refused.allowed, refused.errors[0].code) == (False, "POL710")


def test_the_async_form_says_the_same() -> None:
    engine = Engine.from_text(OPEN + SCRUB)
    answer = asyncio.run(engine.admit_async("mail bob@acme.com", principal=ANN, model=MODEL))
    assert answer.messages == "mail [email]"


@pytest.mark.parametrize(
    ("rule", "measured"),
    [
        ("", set()),
        ("forbid large: invoke on Model when context.input.size > 99", {"size"}),
        ("forbid deep: invoke on Model when context.input.nesting > 9 on match log", {"nesting"}),
        ("forbid odd: invoke on Model when context.input has tokens", {"tokens"}),
        ("permit any_input: invoke on Model when context has input", set()),
        ('require person: invoke on Model approval(by: Group::"finance")', MEASURES),
        ("limit few: invoke on Model at most context.input.size requests per 1h by principal", MEASURES),
    ],
)
def test_no_more_is_found_out_than_is_read(rule: str, measured: set[str]) -> None:
    """An approval is bound to all that rules could read, and a limit is reckoned again later."""
    engine = Engine.from_text(f"use ai\npermit p: invoke on Model for User\n{rule}\n")
    given, needs = [{"role": "user", "content": "hi"}], engine._texts.input
    admission = engine._admission(given, {"type": "User", "id": "ann"}, {}, None, needs)
    assert admission.context["input"].keys() == measured
    answer = engine.admit("hi", principal={"type": "User", "id": "ann"}, model={"id": "m"})
    # Whoever asks afterwards is told everything.
    assert answer.input is not None
    assert answer.input.keys() >= MEASURES
