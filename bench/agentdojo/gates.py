"""The gates that are compared: this project's, with and without each of its abilities, and simpler ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.agentdojo import standing
from bench.agentdojo.benchmark import Args, Opened, Suite
from bench.agentdojo.replay import Gate, Opener
from policyengine import Engine
from policyengine.gate.call import ToolCall

POLICIES = Path(__file__).with_name("policies")
EMMA = {"type": "User", "id": "emma", "tenant": "home", "roles": []}
OWNER = {"type": "User", "id": "max", "parents": [{"type": "Group", "id": "account_owner"}]}
# They change nothing and tell nobody anything.
READS = re.compile(r"(get|read|search|list|check)_")


class Policies:
    """One session of an engine."""

    def __init__(
        self, engine: Engine, suite: Suite, opened: Opened, known: standing.StandingData, person: bool
    ) -> None:
        self._engine, self._person = engine, person
        self._session = engine.session(
            principal=EMMA, prompt=opened.prompt, entities=known.entities, context={"standing": known.standing}
        )
        self._call: ToolCall | None = None

    def may(self, tool: str, args: Args, asked: bool) -> bool:
        call = self._session.call(tool, args)
        if not call and asked and self._person and call.grant is not None and call.grant.access_request is not None:
            task = self._engine.approvals.request(call.grant.access_request, why="the user asked for it")
            task = self._engine.approvals.approve(task.id, OWNER, why="the user asked for it")
            call = self._session.call(tool, args, approval=task.approval)
        self._call = call
        return call.allowed

    def seen(self, result: Any) -> None:
        assert self._call is not None
        self._session.observe(self._call, result)

    def why(self) -> ToolCall | None:
        return self._call


def policies(
    person: bool = False,
    text: Callable[[str], str] = lambda text: text,
    known: Callable[[standing.StandingData], standing.StandingData] = lambda known: known,
) -> Opener:
    """This project's gate. `text` and `known` take something away from the policies and from what is known."""
    engines: dict[str, Engine] = {}

    def opener(suite: Suite, opened: Opened) -> Gate:
        if suite.name not in engines:
            engines[suite.name] = Engine.from_text(text((POLICIES / f"{suite.name}.pol").read_text()))
        return Policies(
            engines[suite.name],
            suite,
            opened,
            known(standing.BY_SUITE[suite.name](opened.environment, opened.prompt)),
            person,
        )

    return opener


@dataclass
class Open:
    """No gate."""

    suite: Suite
    opened: Opened

    def may(self, tool: str, args: Args, asked: bool) -> bool:
        return True

    def seen(self, result: Any) -> None:
        pass


@dataclass
class Tainted(Open):
    """Once anything was read that strangers write to, nothing is changed or sent any more."""

    tainted: bool = False
    tool: str = ""

    def may(self, tool: str, args: Args, asked: bool) -> bool:
        self.tool = tool
        return READS.match(tool) is not None or not self.tainted

    def seen(self, result: Any) -> None:
        self.tainted |= READS.match(self.tool) is not None


class Listed(Open):
    """An oracle says beforehand which tools the task needs."""

    def may(self, tool: str, args: Args, asked: bool) -> bool:
        return any(needed == tool for needed, _ in self.opened.calls)


# The arguments that say where something goes, or to whom or what something is done.
DESTINATIONS = (
    "recipient", "recipients", "cc", "bcc", "participants", "email", "user_email", "url", "channel", "user", "hotel",
    "restaurant", "company", "file_id", "email_id", "event_id", "password",
)  # fmt: skip


class Addressed(Listed):
    """As `Listed`, and what is changed or sent goes where the user said, letter by letter."""

    def may(self, tool: str, args: Args, asked: bool) -> bool:
        if not super().may(tool, args, asked):
            return False
        to = [args[name] for name in DESTINATIONS if args.get(name)]
        said = self.opened.prompt.lower()
        named = [str(one).lower() for part in to for one in (part if isinstance(part, list) else [part])]
        return READS.match(tool) is not None or all(one in said for one in named)
