"""The operations of a store on approvals, each in one atomic step.

A request for approval is a document of its own, the ticket, and a line in its tenant's index of unfinished requests.

    {"id", "tenant", "secret", "owner", "requester", "agents", "scope", "revision", "any_revision", "uses", "used",
     "needs": [{"rule", "same", "by", "of", "within", "approvers": [...]}, ...],
     "state": "pending" | "approved" | "denied" | "cancelled", "created", "expires", "decided", "until", "revoked",
     "log": [{"at", "who", "what", "why"}, ...], "callback", "told", "claimed", ... and what people are shown}

`same` is what `approving.written` gives, so that a changed rule is a different one; `rule` is its name.

Times are microseconds, 0 for never. An operation that is rejected writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Ticket = Mapping[str, Any]
ApprovalVerdict = Literal["approve", "reject"]


@dataclass(frozen=True, slots=True)
class Consume:
    """Part of a commit: uses an approval once. `scope` is the digest of what is about to run, `rules` those that demand
    an approval of it, as `approving.written` gives them. Requests from before `since` are void."""

    key: str
    secret: str
    tenant: str
    scope: str
    revision: str
    rules: tuple[str, ...]
    since: int = 0


@dataclass(frozen=True, slots=True)
class OpenTicket:
    """Requests an approval. `ticket` is the document without its times; it can be decided for `life` microseconds.
    `once` is the key of a retry and `body` the digest that its request must have; `token` is a key that may be used
    once, within `token_life`."""

    key: str
    index: str
    ticket: Ticket
    life: int
    once: str = ""
    body: str = ""
    token: str = ""
    token_life: int = 0

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(sorted({key for key in (self.key, self.index, self.once, self.token) if key}))


@dataclass(frozen=True, slots=True)
class DecideTicket:
    """Approves or rejects. `who` is the approver, and `rules` those that it may approve; `by` is the caller that sent
    it."""

    key: str
    index: str
    verdict: ApprovalVerdict
    who: str
    rules: tuple[str, ...]
    why: str = ""
    by: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(sorted((self.key, self.index)))


@dataclass(frozen=True, slots=True)
class CloseTicket:
    """Cancels a pending request or, with `revoke`, revokes an approval. `owner` is who made the request; None for an
    operator."""

    key: str
    index: str
    owner: str | None
    who: str
    why: str = ""
    revoke: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(sorted((self.key, self.index)))


@dataclass(frozen=True, slots=True)
class TellTicket:
    """Claims the report of a ticket's end: `claim` is for how many microseconds only this caller will try to report it;
    0 means that it has been reported, or never will be."""

    key: str
    index: str
    claim: int

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(sorted((self.key, self.index)))


@dataclass(frozen=True, slots=True)
class Enter:
    """Adds a line to an index, to be removed at a given time."""

    key: str
    name: str
    life: int

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key,)


@dataclass(frozen=True, slots=True)
class Keep:
    """Stores a text, unless there is one already: the first wins."""

    key: str
    text: str
    life: int

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key,)


ApprovalOperation = OpenTicket | DecideTicket | CloseTicket | TellTicket | Enter | Keep

# The reasons for rejections.
UNKNOWN_TICKET = "there is no such request for approval"
NOT_PENDING = "the request for approval is no longer pending"
NOT_APPROVED = "the request for approval is not approved"
NOT_OWNER = "only the requester or an operator may cancel it"
SELF = "nobody may approve their own request, nor may an agent that acts for them"
NOT_ELIGIBLE = "this approver may not approve this request"
ALREADY = "this approver has already approved this request"
TOO_MANY = "too many requests for approval are pending"
REPLAYED = "the denial was already submitted"
TOLD = "no callback is due"
# The reasons for which a presented approval is rejected, as on the wire.
UNVERIFIABLE = "the approval cannot be verified"
OUT_OF_SCOPE = "the approval is for something else"
EXPIRED = "the approval is no longer valid"
