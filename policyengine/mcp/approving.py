"""Approvals over MCP: a call that needs a person is put to people, and runs when it is made again once they said yes.

The client is told which request for approval waits. It cannot say yes itself: whoever asks never approves. The same
call in the same session is the same request; other arguments are another.
"""

from __future__ import annotations

from cachetools import LRUCache

from policyengine.engine import Engine
from policyengine.gate.call import ToolCall
from policyengine.gate.session import Session
from policyengine.state.approval_calls import ApprovalError
from policyengine.state.tasks import Submission

# Of so many different calls it is known how often they were approved.
CALLS = 10_000


class Approving:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # How often an approval of a call has been used up, by what it is bound to. What is forgotten costs a call that
        # finds its old approval used up.
        self._used: LRUCache[str, int] = LRUCache(CALLS)

    async def approved(self, session: Session, call: ToolCall) -> tuple[ToolCall, str]:
        """The call, decided again if somebody has approved it; and why it may not run."""
        wanted = call.grant.access_request if call.grant is not None else None
        if wanted is None:
            return call, call.reason
        digest = wanted.scope.digest
        asking = Submission(once=f"mcp:{session.id}:{digest}:{self._used.get(digest, 0)}", body=digest)
        try:
            task = await self._engine.approvals.request_async(wanted, asking=asking)
        except ApprovalError as error:
            return call, f"{call.reason}; it cannot be asked for: {error.reason}"
        if task.approval is None:
            waits = task.status == "pending"
            said = f"waits as {task.id}: call again once it is approved" if waits else f"was {task.status}"
            return call, f"{call.reason}; the request {said}"
        again = await session.call_async(call.tool, call.proposed, approval=task.approval)
        # Used up, or of no use any more: the next call asks anew.
        self._used[digest] = self._used.get(digest, 0) + 1
        return again, again.reason
