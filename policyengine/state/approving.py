"""Approvals while authorizing: requesting a missing one, and using one that is presented.

A request names an approval by its id. Only the store says what the id stands for, and that is compared with the request
that is about to run.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import timedelta
from hashlib import sha256
from secrets import token_hex
from typing import Any, Literal

from policyengine.bundle import Snapshot
from policyengine.ir.nodes import APPROVAL, Const, Rule
from policyengine.model.decision import Approval
from policyengine.model.request import Request
from policyengine.state import approval_operations as reasons
from policyengine.state.approval_operations import Consume
from policyengine.state.approval_scope import ApprovalScope, scope
from policyengine.state.windows import SECOND

# How long an approval holds if its rule gives no time.
WITHIN = timedelta(minutes=15)

Why = Literal["approval_expired", "out_of_scope", "approval_unverifiable", "policy_denied"]
# Why a presented approval did not help, in the words of AuthZEN's profile.
WHY: Mapping[str, Why] = {
    reasons.EXPIRED: "approval_expired",
    reasons.OUT_OF_SCOPE: "out_of_scope",
    reasons.UNVERIFIABLE: "approval_unverifiable",
}


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """What to request: the missing approvals, and what they would be bound to. Made if a request was denied for nothing
    else, and valid for the policies of `revision`."""

    approvals: tuple[Approval, ...]
    scope: ApprovalScope
    tenant: str
    session: str | None
    revision: str


@dataclass(frozen=True, slots=True)
class Used:
    """An approval that was used. `until` is when it ends, in seconds since 1970."""

    id: str
    until: float


@dataclass(frozen=True, slots=True)
class ApprovalRef:
    """An approval or a request for one, as its id names it: its place, and its secret."""

    tenant: str
    number: str
    secret: str = ""

    @property
    def key(self) -> str:
        return ticket_key(self.tenant, self.number)


def ticket_key(tenant: str, number: str) -> str:
    return f"approval:{tenant}:{number}"


def index_key(tenant: str) -> str:
    """The key of a tenant's index of unfinished requests."""
    return f"approvals:{tenant}"


def new_reference(tenant: str) -> ApprovalRef:
    """A new reference: 128 random bits, and as many more that are unknown to those who know the request."""
    return ApprovalRef(tenant, token_hex(16), token_hex(16))


def task_id(reference: ApprovalRef) -> str:
    return f"arq_{reference.number}{_suffix(reference.tenant)}"


def approval_id(reference: ApprovalRef) -> str:
    return f"apr_{reference.number}{reference.secret}{_suffix(reference.tenant)}"


def reference(id_: Any) -> ApprovalRef | None:
    """The reference in an id, if it looks like one."""
    if not isinstance(id_, str) or not id_.isascii() or len(id_) > 1_024:
        return None
    kind, _, rest = id_.partition("_")
    numbers, _, suffix = rest.partition(".")
    if len(numbers) != {"arq": 32, "apr": 64}.get(kind):
        return None
    try:
        tenant = urlsafe_b64decode(suffix + "=" * (-len(suffix) % 4)).decode("utf-8", "surrogatepass")
    except (Error, UnicodeDecodeError):
        return None
    approval = ApprovalRef(tenant, numbers[:32], numbers[32:])
    # Each reference has exactly one text.
    return approval if id_ in (task_id(approval), approval_id(approval)) else None


def _suffix(tenant: str) -> str:
    encoded = urlsafe_b64encode(tenant.encode("utf-8", "surrogatepass")).decode().rstrip("=")
    return f".{encoded}" if encoded else ""


# ---- authorizing ----


def access_request(
    request: Request, approvals: tuple[Approval, ...], snapshot: Snapshot, tenant: str, session: str | None
) -> AccessRequest:
    """The missing approvals. Raises Fault for a request that cannot be shown to an approver."""
    scoped = scope(request, snapshot.world, snapshot.schema, tenant, session)
    return AccessRequest(approvals, scoped, tenant, session, snapshot.revision)


def consume(id_: Any, wanted: AccessRequest, snapshot: Snapshot, since: int = 0) -> Consume | None:
    """The use of an approval; None if this is not the id of one. Requests from before `since` are void."""
    named = reference(id_)
    if named is None or not named.secret or named.tenant != wanted.tenant:
        return None
    rules = tuple(written(rule) for rule in demanding(snapshot, {each.rule for each in wanted.approvals}))
    return Consume(named.key, named.secret, wanted.tenant, wanted.scope.digest, snapshot.revision, rules, since)


def demanding(snapshot: Snapshot, names: Collection[str]) -> list[Rule]:
    """The rules of these names, in order."""
    return sorted((rule for rule in snapshot.policies.rules if rule.name in names), key=lambda rule: rule.name)


def written(rule: Rule) -> str:
    """The name of a rule with a digest of its meaning, so that a changed rule has a different text."""
    return f"{rule.name}:{sha256(repr(_structure(rule)).encode()).hexdigest()[:16]}"


def _structure(value: Any) -> Any:
    """The meaning of a typed rule, without places, and the same in every process: sets are sorted."""
    if is_dataclass(value):
        return (type(value).__name__, *(_structure(getattr(value, one.name)) for one in fields(value) if one.repr))
    if isinstance(value, Mapping):
        return sorted((repr(_structure(name)), _structure(item)) for name, item in value.items())
    if isinstance(value, set | frozenset):
        return sorted(repr(_structure(item)) for item in value)
    return tuple(map(_structure, value)) if isinstance(value, tuple | list) else value


@dataclass(frozen=True, slots=True)
class Demand:
    """The approval that a rule demands. `within` is in microseconds."""

    by: tuple[str, str]
    within: int
    uses: int
    of: int
    any_revision: bool


def demand(rule: Rule) -> Demand:
    """The demand of a rule; its properties are constants."""
    spec = next(each for each in rule.obligations if each.type == APPROVAL)
    given = {name: value.value for name, value in spec.properties if isinstance(value, Const)}
    by = given["by"].uid
    within: timedelta = given.get("within", WITHIN)
    return Demand(
        by=(by.type, by.id),
        within=round(within.total_seconds() * SECOND),
        uses=given.get("uses", 1),
        of=given.get("of", 1),
        any_revision=given.get("any_revision", False),
    )
