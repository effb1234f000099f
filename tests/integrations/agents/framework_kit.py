"""The Agent Framework as a host of the kit of AGENT-HOOKS: a scenario of the kit, played by a real agent of it."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from agent_framework import (
    SKIP_PARSING,
    Agent,
    BaseChatClient,
    ChatMiddlewareLayer,
    ChatResponse,
    Content,
    FunctionInvocationLayer,
    FunctionTool,
    Message,
    create_agent_hooks_middleware_from_emitter,
)
from agent_hooks import AgentContextBuilder, IdentityProvider, InterceptionEmitter
from agent_hooks.ctk import RunOutcome
from agent_hooks.ctk.harness import Capability, RunRecord, Scenario
from agent_hooks.ctk.scripted import redact_paths
from agent_hooks.declaration import HostRegistry, HostSurface
from agent_hooks.exceptions import InterceptionBlocked


class Plays(FunctionInvocationLayer[Any], ChatMiddlewareLayer[Any], BaseChatClient[Any]):  # type: ignore[misc]
    """Says what the scenario's model says."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__()
        self.steps = iter(scenario.model_script)

    async def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **_: Any) -> Any:
        said = next(self.steps)
        contents: list[Any] = [Content.from_text(said.content)] if said.content is not None else []
        contents += [
            Content.from_function_call(one["id"], one["name"], arguments=one["args"]) for one in said.tool_calls
        ]
        return ChatResponse(messages=[Message("assistant", contents)], finish_reason=said.finish_reason)  # type: ignore[arg-type]


def ending_at_faults(vector: dict[str, Any]) -> dict[str, Any]:
    """A vector of the kit, whose document, if it has one, is about a host of which a fault at a tool ends the run."""
    document = vector.get("host_declaration")
    if document is None:
        return vector
    configuration = document.get("configuration", {})
    posture = {**configuration.get("posture", {}), "tool_seam_host_error": "terminate"}
    return {**vector, "host_declaration": {**document, "configuration": {**configuration, "posture": posture}}}


class FrameworkHarness:
    name = "agent-framework"
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.MODEL_CALLS,
            Capability.TOOL_CALLS,
            Capability.INT64_JSON,
            Capability.BIGINT_JSON,
            # The framework takes any emitter, also one that the loader made of a declaration.
            Capability.HOST_DECLARATION,
        }
    )
    # A fault at a tool ends the run of this framework.
    tool_seam_host_error = "terminate"

    def setup(
        self,
        scenario: Scenario,
        interceptors: list[Any],
        resolver: Any,
        mode: Any,
        composition: Any = None,
        identity_provider: Any = "jcs-sha256",
        redact_for_approval: list[str] | None = None,
    ) -> None:
        def fails(_: Any) -> str:
            raise RuntimeError("a fault of the kit")

        paths = list(redact_for_approval or [])
        more: dict[str, Any] = {} if composition is None else {"composition": composition}
        provider = IdentityProvider("ctk-fault", fails) if identity_provider == "ctk-fault" else identity_provider
        emitter = InterceptionEmitter(mode=mode, resolver=resolver, identity_provider=provider, **more)
        if paths:
            emitter.set_approval_redactor(lambda context: redact_paths(context, paths))
        for at, one in enumerate(interceptors):
            emitter.register(one, f"interceptor-{at}")
        self.start(scenario, emitter)

    def host_surface(self) -> HostSurface:
        return HostSurface.from_capabilities(sorted(one.value for one in self.capabilities), self.tool_seam_host_error)

    def declaration(self) -> None:
        """What it can do stands above, and in no document."""

    def setup_declared(self, scenario: Scenario, document: dict[str, Any], registry: HostRegistry) -> None:
        self.start(scenario, InterceptionEmitter.from_declaration_value(document, registry))

    def start(self, scenario: Scenario, emitter: InterceptionEmitter) -> None:
        self.emitter = emitter
        self.builder = AgentContextBuilder(agent_id="a", framework=self.name, session_id="s")
        self.scenario, self.ran = scenario, list[dict[str, Any]]()
        hooks = create_agent_hooks_middleware_from_emitter(self.emitter, self.builder)
        tools = [self.tool(spec) for spec in scenario.tools.values()]
        self.agent = Agent(Plays(scenario), tools=tools, middleware=[hooks])

    def tool(self, spec: Any) -> FunctionTool:
        def invoke(**given: Any) -> Any:
            value, is_error = spec.invoke(given)
            self.ran.append({"name": spec.name, "args": dict(given)})
            if is_error:
                raise RuntimeError(str(value))
            return value

        schema = {"type": "object", "properties": {name: {} for name in spec.schema}, "additionalProperties": True}
        return FunctionTool(name=spec.name, description="", func=invoke, input_model=schema, result_parser=SKIP_PARSING)

    async def run(self) -> RunRecord:
        outcome, final, asked = RunOutcome.COMPLETED, None, self.scenario.input
        text = asked["content"] if isinstance(asked["content"], str) else json.dumps(asked["content"])
        try:
            await self.emitter.emit(self.builder.agent_startup(tools_registered=sorted(self.scenario.tools)))
            final = (await self.agent.run(Message(asked["role"], [Content.from_text(text)]))).text or None
        except InterceptionBlocked:
            outcome = RunOutcome.BLOCKED
        reason = "completed" if outcome is RunOutcome.COMPLETED else "error"
        await self.emitter.emit_unchecked(self.builder.agent_shutdown(reason=reason))
        return RunRecord(
            outcome=outcome,
            final_output=final,
            tool_invocations=self.ran,
            identities=[(one.input_identity, one.enforced_identity) for one in self.emitter.results],
            records=[one.to_wire() for one in self.emitter.results],
        )

    def teardown(self) -> None: ...
