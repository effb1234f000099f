"""smolagents: the same agent, with tools, members and a model that a session gates.

    agent = protect(ToolCallingAgent(tools=tools, model=model), session)

What runs is wrapped itself, so a `CodeAgent` is gated whatever code it writes, and so are all agents that it manages.
Code reads the attributes of what it is handed: those are what a model is told, and neither a session nor a client.
What a call is denied for is raised, as an error that the agent is told. A tool that is added later is gated as well. An
agent that a tool runs and nobody protected is gated by the session of that tool, or refused there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy, deepcopy
from typing import Any, TypeVar

from smolagents import CodeAgent, MultiStepAgent, Tool
from smolagents.local_python_executor import LocalPythonExecutor
from smolagents.models import ChatMessage, Model
from smolagents.utils import BASE_BUILTIN_MODULES, encode_image_base64

from policyengine.call_approvals import Repeated
from policyengine.engine import Engine
from policyengine.gate.models import ModelTerms
from policyengine.gate.results import as_json_data
from policyengine.gate.run_call import Approve, run
from policyengine.gate.session import Session
from policyengine.integrations.gated_tools import BY, MARK, held, is_protected
from policyengine.integrations.nested_agents import GATE, watched

FINAL = "final_answer"
# What a model is told of a tool or a member.
_TOLD = ("name", "description", "inputs", "output_type", "output_schema")
A = TypeVar("A", bound=MultiStepAgent)
# What code may not import: with these it has files, processes, the network or other code without any tool.
_UNGATED = frozenset({
    "*", "aiohttp", "asyncio", "builtins", "code", "codecs", "concurrent", "ctypes", "fileinput", "ftplib", "gc",
    "glob", "http", "httpx", "imaplib", "importlib", "inspect", "io", "linecache", "marshal", "mmap",
    "multiprocessing", "nt", "os", "pathlib", "pickle", "pip", "pkgutil", "policyengine", "posix", "pty",
    "requests", "runpy", "shelve", "shutil", "signal", "site", "smolagents", "smtplib", "socket", "socketserver",
    "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "types", "urllib", "urllib3", "webbrowser",
    "xmlrpc", "zipfile", "zipimport",
})  # fmt: skip


def protect(
    agent: A,
    session: Session,
    *,
    model: Mapping[str, Any] | None = None,
    cost: Mapping[str, Any] | None = None,
    output: Mapping[str, Any] | None = None,
    engine: Engine | None = None,
) -> A:
    """The agent itself, gated from now on; `model`, `cost` and `output` are as in `policyengine.gate.models`. Its
    model is shown the tools that could be called. With `engine`, a call that needs an approval asks for one in the
    store, and runs when the model makes it again after somebody has approved it there. Raises ValueError for a
    `CodeAgent` whose code runs elsewhere: what it would call there is no tool of this process; and for one whose code
    may import what acts without tools, and for one that is protected with something else already; one that is
    protected with the same is left as it is."""
    terms = ModelTerms(model, cost, output)
    if is_protected(agent, session, terms, engine):
        return agent
    if isinstance(agent, CodeAgent) and agent.executor_type != "local":
        raise ValueError(f"protect: code that runs in `{agent.executor_type}` calls tools that are not gated")
    _check_imports(agent.additional_authorized_imports if isinstance(agent, CodeAgent) else ())
    approve = Repeated(engine).approval if engine is not None else None

    def member(name: str, agent_member: Any) -> Any:
        # What a member says is read by an agent, and released where it leaves.
        if getattr(agent_member, GATE, None) is not session:
            protect(agent_member, session, model=model, cost=cost, engine=engine)
        return _member(name, agent_member, session, approve)

    def gated(given: Mapping[str, Any]) -> _Gated:
        return _Gated(session, terms, approve, member, given)

    # What is assigned later is gated as well.
    held(
        agent,
        {
            "managed_agents": gated,
            "tools": gated,
            "model": lambda behind: _model(behind, session, terms),
            **({"python_executor": _executor} if isinstance(agent, CodeAgent) else {}),
        },
        **{GATE: session, BY: (session, terms, engine)},
    )
    if output is not None:
        _release(agent, session, terms)
    return agent


def _gated_within(agent: MultiStepAgent, session: Session) -> MultiStepAgent:
    return protect(_apart(agent), session)


def _apart(agent: MultiStepAgent) -> MultiStepAgent:
    """The same agent, of which what is protected of it is not the other's."""
    made = copy(agent)
    made.managed_agents = {name: _apart(member) for name, member in agent.managed_agents.items()}
    return made


watched(MultiStepAgent, "run", _gated_within)


def _check_imports(names: Iterable[str]) -> None:
    for name in names:
        if name.split(".")[0] in _UNGATED:
            raise ValueError(f"protect: code that imports `{name}` acts without a tool and is not gated")


def _executor(executor: Any) -> Any:
    if not isinstance(executor, LocalPythonExecutor):
        raise ValueError("protect: code that runs elsewhere calls tools that are not gated")
    _check_imports(set(executor.authorized_imports) - set(BASE_BUILTIN_MODULES))
    return executor


class _Gated(dict[str, Any]):
    """Tools or members, each gated however it comes in. What a model is shown of them are those that could be called by
    then; what it calls all the same is told why not."""

    def __init__(
        self,
        session: Session,
        terms: ModelTerms,
        approve: Approve | None,
        member: Callable[[str, Any], Any],
        given: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self._member = member
        self._session = session
        self._terms = terms
        self._approve = approve
        self.update(given)

    def __setitem__(self, name: str, tool: Any) -> None:
        super().__setitem__(name, self._protected(name, tool))

    def values(self) -> Any:
        shown = {FINAL, *self._session.tools([name for name in self if name != FINAL])}
        return [tool for name, tool in self.items() if name in shown]

    def update(self, *given: Any, **more: Any) -> None:
        for name, tool in dict(*given, **more).items():
            self[name] = tool

    def setdefault(self, name: str, tool: Any = None) -> Any:
        if name not in self:
            self[name] = tool
        return self[name]

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]
        self.update(other)
        return self

    def _protected(self, name: str, tool: Any) -> Any:
        if isinstance(tool, _Member) or hasattr(tool, MARK):
            return tool
        if not isinstance(tool, Tool):
            return self._member(name, tool)
        gated = copy(tool)
        vars(gated).clear()
        _tell(gated, tool)
        setattr(gated, MARK, True)
        # What prepares the tool prepares the one that runs.
        gated.is_initialized = True
        if name == FINAL:
            gated.forward = _final(_prepared(tool), self._session, self._terms)
        else:
            gated.forward = _forward(name, tool, self._session, self._approve)
        return gated


def _tell(shown: Any, tool: Any) -> None:
    for name in _TOLD:
        if hasattr(tool, name):
            # Code that changes what it reads changes nothing else.
            setattr(shown, name, deepcopy(getattr(tool, name)))


def _prepared(tool: Tool) -> Callable[..., Any]:
    def forward(*given: Any, **named: Any) -> Any:
        if not tool.is_initialized:
            tool.setup()
        return tool.forward(*given, **named)

    return forward


def _forward(name: str, tool: Tool, session: Session, approve: Approve | None) -> Callable[..., Any]:
    prepared = _prepared(tool)

    def forward(*given: Any, **named: Any) -> Any:
        arguments = dict(zip(tool.inputs, given, strict=False)) | named
        if len(given) > len(tool.inputs):
            raise TypeError(f"`{name}` takes {len(tool.inputs)} arguments")
        return _ran(session, name, arguments, lambda final: prepared(**final), approve)

    return forward


class _Member:
    """An agent that another one manages: what it is asked is decided like a call of a tool."""

    def __call__(self, task: str, **named: Any) -> Any:
        raise NotImplementedError


def _member(name: str, agent: Any, session: Session, approve: Approve | None) -> _Member:
    class _Asked(_Member):
        def __call__(self, task: str, **named: Any) -> Any:
            return _ran(session, name, {"task": task, **named}, lambda final: agent(**final), approve)

    made = _Asked()
    _tell(made, agent)
    return made


def _ran(
    session: Session,
    name: str,
    arguments: dict[str, Any],
    perform: Callable[[dict[str, Any]], Any],
    approve: Approve | None,
) -> Any:
    """Raises PermissionError for a call that is denied, and what the tool raises as far as it may be told."""
    ran = run(session, name, arguments, perform, approve=approve)
    if not ran.allowed:
        raise PermissionError(str(ran.value))
    return ran.value


def _final(forward: Callable[..., Any], session: Session, terms: ModelTerms) -> Callable[..., Any]:
    def final(*given: Any, **named: Any) -> Any:
        return _released(forward(*given, **named), session, terms)

    return final


def _released(answer: Any, session: Session, terms: ModelTerms) -> Any:
    if terms.output is None or answer is None:
        return answer
    if isinstance(answer, list | tuple) and answer and all(isinstance(item, str) for item in answer):
        texts = terms.release_all(session, answer)
        return answer if texts == list(answer) else texts
    text = answer if isinstance(answer, str) else str(answer)
    released = terms.release(session, text)
    return answer if released == text else released


def _release(agent: MultiStepAgent, session: Session, terms: ModelTerms) -> None:
    """What an agent says without its last tool, once it has had all its steps; nothing leaves before it is whole."""
    says, runs = agent.provide_final_answer, agent.run

    def provide_final_answer(*given: Any, **named: Any) -> ChatMessage:
        answer = says(*given, **named)
        return _with(answer, _released(answer.content, session, terms))

    def whole(task: str, stream: bool = False, **named: Any) -> Any:
        if stream or getattr(agent, "stream_outputs", False):
            raise PermissionError("what is to be released as a whole cannot be streamed")
        return runs(task, stream=False, **named)

    agent.provide_final_answer = provide_final_answer
    agent.run = whole


def _model(behind: Model, session: Session, terms: ModelTerms) -> Model:
    """The model, with calls that are admitted and settled. Raises PermissionError for one that is not: it ends the
    run, since a model that is not asked says nothing that an agent could read."""
    if terms.model is None or hasattr(behind, MARK):
        return behind

    def generate(messages: list[Any], *given: Any, **named: Any) -> ChatMessage:
        asked = terms.admit(session, [_for_admission(message) for message in messages])
        if not asked.allowed:
            raise PermissionError(asked.reason)
        with asked:
            answer = behind.generate([_with(*each) for each in _pairs(messages, asked.messages)], *given, **named)
        asked.settle(answer.token_usage.total_tokens if answer.token_usage is not None else None)
        return answer

    def generate_stream(messages: list[Any], *given: Any, **named: Any) -> Any:
        asked = terms.admit(session, [_for_admission(message) for message in messages])
        if not asked.allowed:
            raise PermissionError(asked.reason)
        tokens = 0
        with asked:
            final = [_with(*each) for each in _pairs(messages, asked.messages)]
            for part in behind.generate_stream(final, *given, **named):
                tokens += part.token_usage.total_tokens if part.token_usage is not None else 0
                yield part
        asked.settle(tokens or None)

    gated = copy(behind)
    setattr(gated, MARK, True)
    gated.generate = generate
    if hasattr(behind, "generate_stream"):
        gated.generate_stream = generate_stream
    return gated


def _for_admission(message: Any) -> dict[str, Any]:
    role, content = (
        (message["role"], message["content"]) if isinstance(message, dict) else (message.role, message.content)
    )
    named = str(getattr(role, "value", role))
    return {"role": named if named in ("system", "user", "assistant") else "tool", "content": _joined(content)}


def _joined(content: Any) -> Any:
    """The texts of a message, in one, with what else is in it."""
    if not isinstance(content, list):
        return content
    texts = [part for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
    text = "\n".join(part["text"] for part in texts)
    others = [_file(part) for part in content if all(part is not text_part for text_part in texts)]
    return [{"type": "text", "text": text}, *others] if others else text


def _file(part: Any) -> Any:
    """What is not text, as admission opens files."""
    image = part.get("image") if isinstance(part, dict) else None
    if image is None or isinstance(image, str):
        return as_json_data(part)
    return {"type": "image", "data": encode_image_base64(image)}


def _pairs(messages: list[Any], admitted: Any) -> list[tuple[Any, Any]]:
    return [(message, allowed["content"]) for message, allowed in zip(messages, admitted, strict=True)]


def _with(message: Any, content: Any) -> Any:
    """The message, with another content where it is another."""
    before = message["content"] if isinstance(message, dict) else message.content
    if content == _joined(before):
        return message
    if isinstance(content, list):
        raise PermissionError("a message with what is not text would have to be changed")
    if isinstance(message, dict):
        return {**message, "content": content}
    changed = copy(message)
    changed.content = content
    return changed
