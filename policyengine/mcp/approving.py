"""Approvals over MCP: a call that needs a person is put to people, and runs once they have approved it.

The client is told which request for approval waits: the same call in the same session is the same request, and other
arguments are another request. If the host says so, the person at the client is asked (form elicitation), or is led to
the approval page (URL elicitation), or the call waits. The rules determine who may approve; nobody can approve their
own request, however they are asked.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import mcp_types as types
from cachetools import LRUCache
from mcp.shared.exceptions import MCPError

from policyengine.engine import Engine
from policyengine.gate.call import ToolCall
from policyengine.gate.session import Session
from policyengine.state.approval_calls import ApprovalError
from policyengine.state.approval_tasks import Submission, Task

log = logging.getLogger(__name__)

# Of so many different calls it is known how often they were approved.
CALLS = 10_000
# So often, in seconds, it is looked whether somebody has decided.
LOOKS = 0.25
# What is longer is shown to nobody in a form: they would approve what they do not see.
LONGEST_SHOWN = 4_000
_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {"approve": {"type": "boolean", "title": "Approve", "description": "this call, as it stands above"}},
    "required": ["approve"],
}


class InputWanted(Exception):
    """The client must ask a person, and then send its request again (revision 2026-07-28)."""

    def __init__(self, result: types.InputRequiredResult) -> None:
        super().__init__("a person is to be asked")
        self.result = result


@dataclass(frozen=True, slots=True)
class Means:
    """How people are asked. `approver` is the entity of the person at the client, whom the host knows; `page` is the
    URL of the approval page, to which the id of a request is added; `wait` is the number of seconds that a call waits
    for a decision."""

    approver: Mapping[str, Any] | None = None
    page: str | None = None
    wait: float = 0.0


class Approving:
    def __init__(self, engine: Engine, means: Means = Means()) -> None:
        self._engine = engine
        self._means = means
        # How often an approval of a call has been used up, by what it is bound to. What is forgotten costs a call that
        # finds its old approval used up.
        self._used: LRUCache[str, int] = LRUCache(CALLS)

    async def approved(
        self, session: Session, call: ToolCall, context: Any, responses: Mapping[str, Any] | None
    ) -> tuple[ToolCall, str]:
        """The call, decided again if somebody has approved it; and why it may not run. `responses` are what the client
        says that a person answered. Raises InputWanted."""
        wanted = call.grant.access_request if call.grant is not None else None
        if wanted is None:
            return call, call.reason
        digest = wanted.scope.digest
        submission = Submission(once=f"mcp:{session.id}:{digest}:{self._used.get(digest, 0)}", body=digest)
        try:
            task = await self._engine.approvals.request_async(wanted, submission=submission)
        except ApprovalError as error:
            return call, f"{call.reason}; it cannot be asked for: {error.reason}"
        if task.status == "pending":
            task = await self._decided(task, call, context, responses)
        if task.approval is None:
            waits = task.status == "pending"
            said = f"waits as {task.id}: call again once it is approved" if waits else f"was {task.status}"
            return call, f"{call.reason}; the request {said}"
        again = await session.call_async(call.tool, call.proposed, approval=task.approval)
        # Used up, or of no use any more: the next call asks anew.
        self._used[digest] = self._used.get(digest, 0) + 1
        return again, again.reason

    async def _decided(self, task: Task, call: ToolCall, context: Any, responses: Mapping[str, Any] | None) -> Task:
        """The request, once a person has been asked in the way that there is."""
        able = getattr(context.session.client_capabilities, "elicitation", None)
        question = self._question(task, call, able)
        if question is not None:
            answer = await _asked(question, task, context, responses)
            if isinstance(question, types.ElicitRequestFormParams):
                return await self._answered(task, answer)
            if answer is None or answer.action != "accept":
                return task
        return await self._waited(task)

    def _question(self, task: Task, call: ToolCall, able: Any) -> Any:
        if able is None:
            return None
        arguments = json.dumps(dict(call.proposed), ensure_ascii=False, indent=2, default=str)
        message = f"{call.reason}. {call.tool} would run with\n{arguments}"
        # A client that says nothing of forms and pages knows forms.
        if self._means.approver is not None and (able.form is not None or able.url is None):
            return _form(message) if len(message) <= LONGEST_SHOWN else None
        if self._means.page is not None and able.url is not None:
            url = f"{self._means.page.rstrip('/')}/{task.id}"
            return types.ElicitRequestURLParams(message=call.reason, url=url, elicitation_id=task.id)
        return None

    async def _answered(self, task: Task, answer: types.ElicitResult | None) -> Task:
        """The request, as the person at the client has decided it."""
        approver = self._means.approver
        if answer is None or answer.action == "cancel" or approver is None:
            return task
        yes = answer.action == "accept" and (answer.content or {}).get("approve") is True
        decide = self._engine.approvals.approve_async if yes else self._engine.approvals.reject_async
        try:
            return await decide(task.id, approver, caller="mcp")
        except ApprovalError as error:
            log.warning("the person at the client may not decide about %s: %s", task.id, error.reason)
            return task

    async def _waited(self, task: Task) -> Task:
        with anyio.move_on_after(self._means.wait):
            while task.status == "pending":
                await anyio.sleep(LOOKS)
                task = await self._engine.approvals.show_async(task.id)
        return task


def _form(message: str) -> types.ElicitRequestFormParams:
    return types.ElicitRequestFormParams(message=message, requested_schema=_FORM)


async def _asked(
    question: Any, task: Task, context: Any, responses: Mapping[str, Any] | None
) -> types.ElicitResult | None:
    """What a person answers. The client is asked at once, or where it cannot be, to ask and come again."""
    answer = (responses or {}).get(task.id)
    if answer is not None:
        return answer if isinstance(answer, types.ElicitResult) else None
    request = types.ElicitRequest(params=question)
    if not context.session.can_send_request:
        raise InputWanted(types.InputRequiredResult(input_requests={task.id: request}))
    try:
        if isinstance(question, types.ElicitRequestFormParams):
            told = await context.session.elicit_form(question.message, question.requested_schema, context.request_id)
        else:
            told = await context.session.elicit_url(question.message, question.url, task.id, context.request_id)
        return types.ElicitResult.model_validate(told)
    except MCPError:
        return None
