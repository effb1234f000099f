"""The typed form of tests: requests as a caller would send them, and the expected results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from policyengine.diagnostics.source import Span


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a test: plain values as a caller would send them, and the expected result.

    `reason` is a public reason that must be given, `failure` the error that must occur. `after` is the time since the
    previous step, in microseconds."""

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
    """A `test`, or one line of its table: requests in order. If there are several, each is recorded as `authorize`
    would record it, in `session` if there is one; `session` begins with these labels."""

    __test__ = False  # not for pytest to collect

    name: str
    module: str
    entities: tuple[dict[str, Any], ...]
    steps: tuple[Step, ...]
    span: Span = field(compare=False, repr=False)
    session: tuple[str, tuple[str, ...]] | None = None
