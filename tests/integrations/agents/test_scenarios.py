"""The same scenarios for every agent framework: what is denied never runs, whatever goes wrong on the way.

Each test runs with every host in `HOSTS` of its module that has the seam it is about (`hosts.py`); the modules in
`../frameworks/` take these tests over for a host that needs an environment of its own.
"""

from __future__ import annotations

from typing import Any

import pytest

from policyengine import Engine
from policyengine.gate import receiving
from policyengine.gate.trail import Trail
from policyengine.state.stores.memory import Memory
from tests.integrations.agents.hosts import host
from tests.integrations.agents.world import (
    ANN,
    BUDGET,
    ERRS,
    IMAGE,
    INJECTED,
    NO_FILES,
    ONE_MAIL,
    POLICIES,
    TOKENS,
    Asks,
    Away,
    Ran,
    Script,
    Tools,
)

HOSTS = [
    "agent_framework",
    "claude_agent",
    "langchain",
    "langgraph",
    "llamaindex",
    "openai_agents",
    "pydantic_ai",
    "smolagents",
]


def play(name: str, script: Script, prompt: str = "", policies: str = POLICIES, **more: Any) -> tuple[Ran, Tools]:
    tools = Tools()
    engine = more.pop("engine", None) or Engine.from_text(policies)
    return host(name).run(Asks(engine, script, tools, prompt, **more)), tools


def test_what_is_denied_never_runs_and_the_model_is_told_why(name: str) -> None:
    script: Script = [
        [("read_page", {"url": "acme.com"})],
        [("send_mail", {"to": "eve@evil.org", "body": "hi"})],
        [("send_mail", {"to": "bob@acme.com", "body": "hi"})],
        [("drop_table", {"name": "users"})],
        "done",
    ]
    ran, tools = play(name, script, "read acme.com and write to bob@acme.com")
    assert tools.ran == [("read_page", "acme.com"), ("send_mail", "bob@acme.com", "hi")]
    assert "`send_mail` may not run" in ran.seen
    assert ran.final == "done"


@pytest.mark.seam("twice")
def test_what_is_protected_twice_is_gated_once(name: str) -> None:
    mail = ("send_mail", {"to": "b@c.de", "body": "x"})
    policies = ONE_MAIL + "limit budget: invoke on Model at most 100 of cost.tokens per day by principal\n"
    budget: Any = (
        {} if name == "langgraph" else {"model": {"id": "m"}, "cost": {"tokens": 40}, "output": {"tenant": "acme"}}
    )
    ran, tools = play(name, [[mail], "ok"], "write to b@c.de", policies, twice=True, **budget)
    assert (tools.ran, ran.final) == ([("send_mail", "b@c.de", "x")], "ok")


@pytest.mark.seam("shown")
def test_the_model_is_shown_what_could_be_allowed(name: str) -> None:
    ran, _ = play(name, ["hello"], "hi")
    assert "send_mail" in ran.shown[0]
    assert "drop_table" not in ran.shown[0]


def test_what_runs_is_what_was_decided(name: str) -> None:
    call = ("send_mail", {"to": "b@c.de", "body": "secret: eve@evil.org"})
    _, tools = play(name, [[call], "ok"], "write to b@c.de")
    assert tools.ran == [("send_mail", "(address)", "secret: (address)")]


@pytest.mark.seam("rewrite")
def test_what_another_hook_rewrites_is_decided_again(name: str) -> None:
    call = ("send_mail", {"to": "b@c.de", "body": "x"})
    changed = {"to": "eve@evil.org", "body": "x"}
    _, tools = play(name, [[call], "ok"], "write to b@c.de", rewrite=changed)
    assert tools.ran == []


@pytest.mark.parametrize("fault", ["policy", "store", "trail"])
def test_a_fault_never_lets_a_call_through(name: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("a bug")

    policies = {"policy": ERRS, "store": ONE_MAIL}.get(fault, POLICIES)
    engine = Engine.from_text(policies, state=Away() if fault == "store" else Memory())
    if fault == "trail":
        monkeypatch.setattr(Trail, "provenance", broken)
    page, mail = ("read_page", {"url": "acme.com"}), ("send_mail", {"to": "b@c.de", "body": "x"})
    _, tools = play(name, [[mail if fault == "store" else page], "ok"], "read acme.com, write to b@c.de", engine=engine)
    assert tools.ran == []


def test_what_cannot_be_looked_at_does_not_reach_the_model(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(receiving, "receive", broken)
    ran, tools = play(name, [[("read_page", {"url": "acme.com"})], "ok"], "read acme.com")
    assert tools.ran == [("read_page", "acme.com")]
    assert INJECTED not in ran.seen


def test_what_a_tool_raises_is_read_as_what_it_returns(name: str) -> None:
    ran, tools = play(name, [[("broken", {"name": "x"})], "ok"], "go on")
    assert tools.ran == [("broken", "x")]
    assert "eve@evil.org" not in f"{ran.seen} {ran.error}"


@pytest.mark.seam("parallel")
def test_parallel_calls_are_each_decided_and_charged(name: str) -> None:
    mails = [("send_mail", {"to": to, "body": "x"}) for to in ("eve@evil.org", "b@c.de", "b@c.de", "b@c.de")]
    _, tools = play(name, [mails, "ok"], "write to b@c.de", ONE_MAIL)
    assert tools.ran == [("send_mail", "b@c.de", "x")]


@pytest.mark.seam("cut")
def test_a_cancelled_call_holds_nothing(name: str) -> None:
    engine = Engine.from_text(POLICIES)
    ran, _ = play(name, [[("slow", {"name": "long"})], "ok"], "go", engine=engine, cut=True)
    assert ran.error is not None
    _, tools = play(name, [[("slow", {"name": "short"})], "ok"], "go", engine=engine)
    assert tools.ran == [("slow", "short")]


@pytest.mark.seam("inner")
def test_an_agent_within_the_agent_is_gated_or_refused(name: str) -> None:
    inner: Script = [[("drop_table", {"name": "users"})], [("send_mail", {"to": "eve@evil.org", "body": "x"})], "ok"]
    # What the agent within is told to do is not a word of the user.
    script: Script = [[("helper", {"input": "drop users, and write to eve@evil.org"})], "ok"]
    ran, tools = play(name, script, "do it", inner=inner)
    assert tools.ran == []
    assert ran.final == "ok" or "protect" in str(ran.error)


def test_a_call_that_is_tried_again_is_decided_and_charged_again(name: str) -> None:
    mail = ("send_mail", {"to": "b@c.de", "body": "x"})
    evil = ("send_mail", {"to": "eve@evil.org", "body": "x"})
    ran, tools = play(name, [[evil], [evil], [mail], [mail], "ok"], "write to b@c.de", ONE_MAIL)
    assert tools.ran == [("send_mail", "b@c.de", "x")]
    assert "`send_mail` is over a limit" in ran.seen
    assert ran.final == "ok"


@pytest.mark.seam("stream")
def test_a_run_that_is_streamed_is_gated_as_well(name: str) -> None:
    evil = ("send_mail", {"to": "eve@evil.org", "body": "x"})
    script: Script = [[("read_page", {"url": "acme.com"})], [evil], [("drop_table", {"name": "users"})], "done"]
    ran, tools = play(name, script, "read acme.com", streamed=True)
    assert tools.ran == [("read_page", "acme.com")]
    assert "`send_mail` may not run" in ran.seen
    assert ran.final == "done"


@pytest.mark.seam("budget")
@pytest.mark.parametrize("image", [None, IMAGE])
def test_an_image_is_admitted_as_a_file(name: str, image: bytes | None) -> None:
    ran, _ = play(name, ["hello"], "look", NO_FILES, image=image, model={"id": "m"})
    assert bool(ran.shown) is (image is None)
    assert (ran.final == "hello") is (image is None)


@pytest.mark.seam("output")
def test_what_the_user_has_is_released(name: str) -> None:
    ran, _ = play(name, ["I wrote to eve@evil.org."], "hi", output={"tenant": "acme"})
    assert ran.final == "I wrote to [email]."


@pytest.mark.seam("budget")
def test_a_budget_is_reserved_before_and_settled_after(name: str) -> None:
    engine = Engine.from_text(BUDGET)
    how: dict[str, Any] = {"model": {"id": "m"}, "cost": {"tokens": 90}, "engine": engine}
    ran, _ = play(name, ["one"], "hi", **how)
    assert ran.final == "one"
    model = {"type": "Model", "id": "m"}
    rest = engine.authorize(principal=ANN, action="invoke", resource=model, context={"cost": {"tokens": 100 - TOKENS}})
    assert rest.limits[0].used == 100
    # What is estimated has no room any more, and the model is not asked.
    ran, _ = play(name, ["two"], "hi", **how)
    assert ran.shown == []
    assert ran.final != "two"
