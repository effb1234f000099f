"""Documents that are for groups, and a principal who is in many of these."""

from __future__ import annotations

from typing import Any

from policyengine import Engine
from policyengine.filters import Filter

POLICIES = """
module teams
entity Group
entity User in Group
entity Doc { allowed: Set<Group>, folder: Group }
action read on Doc for User
permit member: read on Doc when any g in doc.allowed: principal in g
permit home: read on Doc when principal in doc.folder
"""


def in_many_groups(count: int) -> Filter:
    """The filter of a principal in so many groups."""
    parents = [{"type": "Group", "id": f"g{i}"} for i in range(count)]
    principal = {"type": "User", "id": "u", "parents": parents}
    return Engine.from_text(POLICIES).filter(principal=principal, action="read", resource_type="Doc")


def for_groups(count: int, nobody: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Documents with the ids of groups, as stores hold them. `d` is for the groups of `nobody`, beside its folder."""
    return [
        {"id": "a", "allowed": ["g0"], "folder": "h"},
        {"id": "b", "allowed": ["x", f"g{count - 1}"], "folder": "h"},
        {"id": "c", "allowed": [f"g{count}"], "folder": "h"},
        {"id": "d", "allowed": [*nobody], "folder": f"g{count - 1}"},
    ]


def those_seen(count: int) -> list[str]:
    """Which of these may be seen."""
    return ["a", "b", "d"] if count else []
