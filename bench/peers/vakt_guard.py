"""vakt: policies are Python objects in its memory storage, conditions its own rules. What it has no rule for, such as
comparing an attribute of one side with one of the other, is a custom rule, as in its documentation. Its logger is off.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import vakt
from vakt.rules.base import Rule

from bench.peers import Prepared, Workload, extras, require_documents


class Holds(Rule):
    """A condition on the subject and the resource."""

    def __init__(self, condition: Callable[[Any, Any], bool]) -> None:
        self.condition = condition

    def satisfied(self, what: Any, inquiry: Any = None) -> bool:
        return self.condition(inquiry.subject, inquiry.resource)


LEGAL = {
    "attribute": lambda subject: "legal" in subject["groups"],
    "group": lambda subject: {"type": "Group", "id": "legal"} in subject["parents"],
}


def prepare(workload: Workload) -> Prepared:
    require_documents(workload)
    logging.disable(logging.CRITICAL)
    storage = vakt.MemoryStorage()
    for number, (effect, action, kind, condition) in enumerate(_rules(workload)):
        storage.add(
            vakt.Policy(
                number,
                actions=[vakt.rules.Eq(action)],
                resources=[{"type": vakt.rules.Eq(kind)}],
                subjects=[Holds(condition)],
                effect=vakt.ALLOW_ACCESS if effect == "permit" else vakt.DENY_ACCESS,
            )
        )
    guard = vakt.Guard(storage, vakt.RulesChecker())
    inquiries = [vakt.Inquiry(action="retrieve", resource=d, subject=p) for p, d in workload["requests"]]
    return guard.is_allowed, inquiries


def _rules(workload: Workload) -> list[tuple[str, str, str, Callable[[Any, Any], bool]]]:
    legal = LEGAL[workload["variant"]]
    retrieve = ("retrieve", "Document")
    return [
        (
            "permit",
            *retrieve,
            lambda s, r: r["tenant"] == s["tenant"] and r["classification"] <= s["clearance"],
        ),
        ("permit", *retrieve, lambda s, r: r["owner"] == s["id"]),
        ("forbid", *retrieve, lambda s, r: "legal_hold" in r["labels"] and not legal(s)),
        ("forbid", *retrieve, lambda s, r: r["tenant"] != s["tenant"]),
        *[(effect, *_irrelevant(workload["shape"], i)) for i, effect in extras(workload)],
    ]


def _irrelevant(shape: str, i: int) -> tuple[str, str, Callable[[Any, Any], bool]]:
    if shape == "tool":
        tool = f"tool_{i}"
        return "call", "Tool", lambda s, r: r["id"] == tool and s["tenant"] == "acme"
    if shape == "tenant":
        tenant = f"t{i}"
        return "retrieve", "Document", lambda s, r: r["tenant"] == tenant
    group = {"type": "Group", "id": f"g{i}"}
    return "retrieve", "Document", lambda s, r: group in s["parents"]
