"""The search endpoints of AuthZEN 1.0: which subjects, resources or actions, in pages.

A result is what the entity source knows and a decision would allow without owing anything. The results are in one
order, by id or name, so that the pages of one revision together are all of them, each once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from policyengine import search
from policyengine.authzen import read
from policyengine.authzen.engine_arguments import Search, Sought
from policyengine.authzen.errors import Malformed
from policyengine.bundle import Snapshot
from policyengine.callers.caller import Caller
from policyengine.engine import Engine
from policyengine.server import encode
from policyengine.server.bind import Binding
from policyengine.server.metering import declared
from policyengine.server.page_tokens import PageTokens, Start
from policyengine.server.pipeline import Answer


@dataclass(frozen=True, slots=True)
class Searches:
    """Answers the searches for one kind of thing. No page has more than `max_page` results. `authorizes` says whether
    evaluations are charged; then a limit does not make them a denial."""

    sought: Sought
    tokens: PageTokens
    max_page: int
    binding: Binding
    authorizes: bool = False

    def __call__(self, engine: Engine, body: bytes, caller: Caller) -> Answer:
        """Raises Malformed, and Forbidden."""
        value = self.binding.silent(caller, read.json_object(body), principal_is_sought=self.sought == "subject")
        snapshot = engine.snapshot
        asked = self.binding.asked(caller, snapshot, read.search(value, self.sought), self.sought)
        # A token is valid only for callers with the same binding.
        question = [*asked.question, caller.kind, caller.id, caller.tenant]
        start = self._start(asked, question, snapshot.revision)
        size = self.max_page if start.limit is None else min(start.limit, self.max_page)
        type_ = {"subject": asked.principal["type"], "resource": asked.resource["type"], "action": None}[self.sought]
        results = self.binding.own(
            caller, snapshot, type_, partial(_found, snapshot, asked, self.authorizes), start.after, size + 1
        )
        more = len(results) > size
        answer: dict[str, Any] = {"results": [_result(asked, name) for name in results[:size]]}
        if more or asked.paged:
            token = self._next(question, snapshot.revision, start, results[:size]) if more else ""
            answer = {"page": {"next_token": token, "count": len(answer["results"])}, **answer}
        return encode.value_body(answer), (), 0

    def _start(self, asked: Search, question: list[Any], revision: str) -> Start:
        if asked.token is None:
            return Start(None, asked.limit)
        start = self.tokens.read(asked.token, question, revision)
        if start.limit is None or asked.limit is None or asked.limit == start.limit:
            return Start(start.after, asked.limit if start.limit is None else start.limit)
        raise Malformed("`page.limit` must stay the same")

    def _next(self, question: list[Any], revision: str, start: Start, page: list[str]) -> str:
        # After an empty page (limit 0), the next request may still choose a limit.
        following = Start(page[-1], start.limit) if page else Start(start.after, None)
        return self.tokens.make(question, revision, following)


def _found(snapshot: Snapshot, asked: Search, authorizes: bool, after: str | None, limit: int) -> list[str]:
    """The ids, or names of actions."""
    # As in an evaluation: a request that a limit applies to is not allowed, unless it is metered.
    limits = snapshot.evaluator.limits
    met = limits if authorizes else declared(asked.context, limits)
    if asked.sought == "action":
        return search.actions(
            snapshot, asked.principal, asked.resource, asked.context, after=after, limit=limit, met=met
        )
    entities = search.principals if asked.sought == "subject" else search.resources
    return entities(
        snapshot, asked.principal, asked.action, asked.resource, asked.context, after=after, limit=limit, met=met
    )


def _result(asked: Search, name: str) -> dict[str, str]:
    if asked.sought == "action":
        return {"name": name}
    return {"type": (asked.principal if asked.sought == "subject" else asked.resource)["type"], "id": name}
