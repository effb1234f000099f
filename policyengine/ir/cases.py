"""The typed form of tests: requests as a caller would send them, and what must come of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from policyengine.diagnostics.source import Span


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a test: plain values as a caller would send them, and what must come of it.

    `reason` is a public reason that must be given, `failure` what must have gone wrong. `after` is how much time has
    passed since the step before, in microseconds."""

    principal: dict[str, Any]
    action: dict[str, Any]
    resource: dict[str, Any]
    context: dict[str, Any]
    decision: Literal["allow", "deny"]
    rules: tuple[str, ...] | None
    obligations: tuple[str, ...] | None
    span: Span = field(compare=False, repr=False)
    approved: tuple[str, ...] = ()
    reason: str | None = None
    failure: Literal["missing", "erred"] | None = None
    after: int = 0


@dataclass(frozen=True, slots=True)
class TestCase:
    """A `test`, or one line of its table: requests one after the other. Of several, each is recorded as `authorize`
    would record it, in `session` if there is one; its labels are those that it has to begin with."""

    __test__ = False  # not for pytest to collect

    name: str
    module: str
    entities: tuple[dict[str, Any], ...]
    steps: tuple[Step, ...]
    span: Span = field(compare=False, repr=False)
    session: tuple[str, tuple[str, ...]] | None = None
