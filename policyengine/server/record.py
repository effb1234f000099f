"""The records of a request: one for each answered decision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from policyengine.authzen.engine_arguments import DecideArguments, Parts
from policyengine.callers.caller import Caller
from policyengine.model.decision import Decision

Decided = tuple[DecideArguments, Decision]


@dataclass(frozen=True, slots=True)
class DirectAnswer:
    """The body of a 200, the requests and their decisions, and how many of the decisions are allows."""

    body: bytes
    asked: Sequence[Parts]
    decisions: Sequence[Decision]
    allowed: int


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One decision as it left the service: who asked for it, where, what for, and the answer.

    `seconds` is the time of the whole HTTP request, however many decisions it asked for.
    """

    request_id: str
    endpoint: str
    caller: Caller
    request: DecideArguments
    decision: Decision
    seconds: float


# Takes the records of one HTTP request, in the order of its answers.
Record = Callable[[Iterable[DecisionRecord]], None]


def records(
    request_id: str, endpoint: str, caller: Caller, decided: Sequence[Decided], seconds: float
) -> list[DecisionRecord]:
    """The records of one HTTP request."""
    return [DecisionRecord(request_id, endpoint, caller, request, decision, seconds) for request, decision in decided]
