"""AGENT-HOOKS: an interceptor for every framework that has these hooks.

    emitter.register(PolicyInterceptor(engine, principal=ann))

One session of hooks is one session of the gate. `input` is the user's words. The input of the model is admitted, and
its cost settled; each call of a tool is decided on its arguments, its result is observed, and the output is released. A
change is a `transform`, a denial that a person may lift is a `deny` with an `approval`, an obligation of the host is a
warning, and an internal error is a `deny` whose reason begins with `runtime_error:`.

A host that lifts a denial runs the tool on its own authority; its result is observed all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from agent_hooks import Decision, Transform, Verdict, Warning

from policyengine.bounded_cache import ExpiringCache
from policyengine.call_approvals import Repeated
from policyengine.engine import Engine
from policyengine.gate.call import ToolCall
from policyengine.gate.models import ModelCall, ModelTerms
from policyengine.gate.run_call import ended
from policyengine.gate.session import Session
from policyengine.gate.token_usage import tokens_of
from policyengine.state.approval_calls import ApprovalError
from policyengine.state.store import StoreError

# So many sessions are remembered at a time, each for so many seconds after its begin.
SESSIONS, LIFE = 10_000, 86_400.0
# So many calls of one session are open at a time.
OPEN = 1_000
ALLOW = Verdict(Decision.ALLOW)
# By the number of the run and the id of the call.
UnderWay = ExpiringCache[tuple[int, str], bool]
# By engine, and by principal: the calls of tools that are under way.
_UNDER_WAY: WeakKeyDictionary[Engine, WeakValueDictionary[tuple[str, ...], UnderWay]] = WeakKeyDictionary()

# The session whose model is being asked here: the contract has no way to say which tools a model is shown.
ASKING: ContextVar[Session | None] = ContextVar("policyengine_asking", default=None)

Known = Mapping[str, Any]
Of = Known | Callable[[Known], Known]


@dataclass
class _Run:
    """A session of hooks, with what has begun in it."""

    gate: Session
    # Of all that is done for the principal: it is there as long as a run of theirs is.
    under_way: UnderWay
    asked: ModelCall | None = None
    calls: dict[str, ToolCall] = field(default_factory=dict)


class PolicyInterceptor:
    """principal, agent: who uses the agent, and the agent that acts for them; each also a function of the context.
    model: attributes of the model, beside its `id` in the context; None where models are not decided about.
    cost: what a call of the model is estimated to cost.
    output: the attributes of what is said; None where it is not released.
    entities: what the host knows at the start.
    fulfilled: the types of obligation that the host carries out; they come as warnings.
    users: whether the input of a context is from the user. Say no for an agent that another one calls: what it is told
        to do is a model's words. Where nobody says it, input is not the user's while a call of a tool is under way for
        the same principal, with any interceptor of the same engine: it may come from an agent within that tool.
    approvals: whether a call that needs an approval is put to people, in our store; the denial names the task, and the
        same call is allowed when it comes again after somebody has approved it there."""

    def __init__(
        self,
        engine: Engine,
        *,
        principal: Of,
        agent: Of | None = None,
        model: Known | None = None,
        cost: Known | None = None,
        output: Known | None = None,
        entities: Iterable[Any] = (),
        fulfilled: Collection[str] = (),
        users: Callable[[Known], bool] | None = None,
        approvals: bool = False,
    ) -> None:
        self._engine = engine
        self._of_engine = _UNDER_WAY.setdefault(engine, WeakValueDictionary())
        self._principal = principal if callable(principal) else dict(principal)
        self._agent = agent if agent is None or callable(agent) else dict(agent)
        # Whose sessions they are, where that is the same in every context.
        self._whose = None if callable(principal) or callable(agent) else _whose(principal, agent)
        self._model = model
        self._cost = cost
        self._output = output
        self._entities = tuple(entities)
        self._fulfilled = tuple(fulfilled)
        self._users = users
        self._asks = Repeated(engine) if approvals else None
        # By whose it is as well: nobody has another's session by knowing its id.
        self._runs: ExpiringCache[tuple[str, str, tuple[str, ...]], _Run] = ExpiringCache(SESSIONS, LIFE)
        self._points: dict[str, Callable[[_Run, Known], Verdict]] = {
            "agent_startup": lambda _, __: ALLOW,
            "input": self._input,
            "pre_model_call": self._before_model,
            "post_model_call": self._after_model,
            "pre_tool_call": self._before_tool,
            "post_tool_call": self._after_tool,
            "output": self._released,
            "agent_shutdown": self._over,
        }

    def intercept(self, context: Known) -> Verdict:
        """A verdict on what is about to happen. Never raises."""
        try:
            point = self._points[context["interception_point"]]
            return point(self._run(context), context)
        except Exception as error:  # noqa: BLE001  whatever fails on our side is a denial
            return Verdict(Decision.DENY, reason=f"runtime_error:{type(error).__name__}")

    def _run(self, context: Known) -> _Run:
        principal, agent, whose = self._principal, self._agent, self._whose
        if whose is None:
            principal, agent = _of(principal, context), _of(agent, context)
            whose = _whose(principal, agent)
        key = context["session"]["id"], context["agent"]["id"], whose
        run = self._runs.get(key)
        return run if run is not None else self._begun(key, principal, agent)

    def _begun(self, key: tuple[str, str, tuple[str, ...]], principal: Any, agent: Any) -> _Run:
        # One that is forgotten here is the same one in the store: what it has seen, it has seen.
        session, agent_id, whose = key
        identity = f"[{encode_basestring_ascii(session)}, {encode_basestring_ascii(agent_id)}, {_written(whose)}]"
        name = sha256(identity.encode()).hexdigest()
        gate = self._engine.session(principal=principal, agent=agent, entities=self._entities, name=f"hooks:{name}")
        under_way = self._of_engine.get(whose[1:])
        if under_way is None:
            under_way = self._of_engine.setdefault(whose[1:], ExpiringCache(SESSIONS, LIFE))
        return self._runs.setdefault(key, _Run(gate, under_way))

    # ---- the points ----

    def _input(self, run: _Run, context: Known) -> Verdict:
        given = context["target"]
        content = given["content"]
        if self._is_users(run, context):
            for text in _users_words(given):
                run.gate.say(text)
        if self._model is None or self._model.get("id") is None:
            return ALLOW
        asked = self._model_terms(self._model).admit(
            run.gate, [{"role": given.get("role", "user"), "content": content}]
        )
        # The call of the model is charged when it is made.
        if asked.grant is not None:
            asked.grant.withdraw()
        if not asked.allowed:
            return _denied(asked.reason)
        return _changed("$target.content", content, asked.messages[0]["content"])

    def _is_users(self, run: _Run, context: Known) -> bool:
        if self._users is not None:
            return self._users(context)
        return not run.under_way

    def _before_model(self, run: _Run, context: Known) -> Verdict:
        # Whoever asks the model again waits for no tool, also for none whose denial nobody lifted.
        under_way = run.under_way
        if under_way:
            for tool_call in under_way.known():
                if tool_call[0] == id(run):
                    under_way.pop(tool_call)
        ASKING.set(run.gate)
        if self._model is None:
            return ALLOW
        model = {**self._model, "id": context["model"]["id"]}
        if run.asked is not None:
            # The one before never came back.
            run.asked.ended()
            run.asked = None
        asked = self._model_terms(model).admit(run.gate, context["target"])
        if not asked.allowed:
            return _denied(asked.reason)
        run.asked = asked
        return _changed("$target", context["target"], asked.messages)

    def _after_model(self, run: _Run, context: Known) -> Verdict:
        asked, run.asked = run.asked, None
        if asked is not None:
            asked.settle(tokens_of(context.get("usage")))
        return ALLOW

    def _before_tool(self, run: _Run, context: Known) -> Verdict:
        tool = context["tool_call"]
        arguments = context["target"]
        call = self._called(run, tool["name"], arguments)
        if len(run.calls) >= OPEN:
            raise OverflowError("too many calls at once")
        run.calls[tool["id"]] = call
        liftable = None if call.allowed else self._liftable(run, call)
        if call.allowed or liftable is not None:
            run.under_way[id(run), tool["id"]] = True
        if not call.allowed:
            return _denied(call.reason, liftable)
        obligations = call.decision.obligations if self._fulfilled else ()
        owed = tuple(
            [
                Warning(reason=f"obligation:{obligation.type}")
                for obligation in obligations
                if obligation.type in self._fulfilled
            ]
        )
        return _changed("$target", arguments, call.arguments, owed)

    def _called(self, run: _Run, tool: str, arguments: Known) -> ToolCall:
        """A call, decided, with an approval of it where somebody has given one in our store."""
        call = run.gate.call(tool, arguments, fulfilled=self._fulfilled)
        approval = None
        if self._asks is not None and call.grant is not None and call.grant.approvable:
            with suppress(ApprovalError, StoreError):
                approval = self._asks.approval(run.gate, call)
        if approval is None:
            return call
        return run.gate.call(tool, arguments, fulfilled=self._fulfilled, approval=approval)

    def _liftable(self, run: _Run, call: ToolCall) -> dict[str, Any] | None:
        """What an approver is told, where nothing but an approval is missing."""
        if call.grant is None or not call.grant.approvable:
            return None
        liftable: dict[str, Any] = {"by": [str(approval.by.get("id")) for approval in call.approvals]}
        if self._asks is not None:
            with suppress(ApprovalError, StoreError):
                liftable["task"] = self._asks.task(run.gate, call).id
        return liftable

    def _after_tool(self, run: _Run, context: Known) -> Verdict:
        call = run.calls.pop(context["tool_call"]["id"], None)
        run.under_way.pop((id(run), context["tool_call"]["id"]))
        if call is None:
            return _denied("this call was not decided")
        value = context["target"]
        seen = run.gate.observe(call, value)
        if not seen.allowed:
            return Verdict(Decision.DENY, reason=seen.reason, result_labels=seen.labels)
        return _changed("$target", value, seen.value, labels=seen.labels)

    def _released(self, run: _Run, context: Known) -> Verdict:
        if self._output is None:
            return ALLOW
        content = context["target"]["content"]
        released = run.gate.release(content, output=self._output)
        if not released.allowed:
            return _denied(released.reason)
        return _changed("$target.content", content, released.text)

    def _over(self, run: _Run, context: Known) -> Verdict:
        """What is still open was cut off: it keeps what it was charged, and holds nothing."""
        if run.asked is not None:
            run.asked.ended()
        for id_, call in run.calls.items():
            run.under_way.pop((id(run), id_))
            ended(call)
        run.asked, run.calls = None, {}
        return ALLOW

    def _model_terms(self, model: Known) -> ModelTerms:
        return ModelTerms(model, self._cost)


@lru_cache(SESSIONS)
def _written(whose: tuple[str, ...]) -> str:
    return ", ".join(map(encode_basestring_ascii, whose))


def _of(known: Of | None, context: Known) -> Any:
    return known(context) if callable(known) else known


def _whose(principal: Known, agent: Known | None) -> tuple[str, ...]:
    """The agent, and for whom it acts."""
    return (str(agent and agent.get("id")), *(str(principal.get(name)) for name in ("type", "id", "tenant")))


def _users_words(given: Known) -> list[str]:
    """The texts of an input that stand in the user's place: of one message, or of several with a role each."""
    content = given["content"]
    if isinstance(content, list):
        messages = [message for message in content if isinstance(message, Mapping) and message.get("role") == "user"]
        return [message["content"] for message in messages if isinstance(message.get("content"), str)]
    return [content] if isinstance(content, str) and given.get("role", "user") == "user" else []


def _denied(reason: str, approval: dict[str, Any] | None = None) -> Verdict:
    # A reason of the host's own begins so, and none of ours may.
    return Verdict(Decision.DENY, reason=reason.removeprefix("host_error:") or "denied", approval=approval)


def _changed(
    path: str, before: Any, after: Any, warnings: tuple[Warning, ...] = (), labels: tuple[str, ...] = ()
) -> Verdict:
    if before == after:
        return Verdict(Decision.ALLOW, warnings=warnings, result_labels=labels) if warnings or labels else ALLOW
    transform = Transform(path, after)
    return Verdict(Decision.TRANSFORM, transform=transform, warnings=warnings, result_labels=labels)
