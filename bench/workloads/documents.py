"""The policy and requests of W1, W2, W3 and HTTP: who may retrieve which document.

Four rules, after what every retrieval needs: the tenant and clearance, the owner, a legal hold, and the wall between
tenants. Two variants say what it is to be "legal": an element of an attribute, or membership of a group.
"""

from __future__ import annotations

import random
from typing import Any, Literal

Entity = dict[str, Any]
Request = tuple[Entity, Entity]
Variant = Literal["attribute", "group"]
Shape = Literal["tool", "tenant", "group"]

VARIANTS: tuple[Variant, ...] = ("attribute", "group")
SHAPES: tuple[Shape, ...] = ("tool", "tenant", "group")

GROUPS = ("legal", "eng", "hr", "ops")
LABELS = ("legal_hold", "pii", "public", "draft")
LEGAL = {"type": "Group", "id": "legal"}

POLICY = """\
module documents

use ai

extend User {{ clearance: Int, groups: Set<String> }}

permit cleared: retrieve on Document
  when document.tenant == principal.tenant and document.classification <= principal.clearance

permit owner: retrieve on Document
  when document.owner == principal.id

forbid legal_hold: retrieve on Document
  when "legal_hold" in document.labels
  unless {legal}

forbid tenant_wall: retrieve on Document
  when document.tenant != principal.tenant
"""

IS_LEGAL = {"attribute": '"legal" in principal.groups', "group": 'principal in Group::"legal"'}

IRRELEVANT = {
    "tool": 'call on Tool::"tool_{i}"\n  when principal.tenant == "acme"',
    "tenant": 'retrieve on Document\n  when document.tenant == "t{i}"',
    "group": 'retrieve on Document\n  when principal in Group::"g{i}"',
}


def policy(variant: Variant, shape: Shape = "tool", irrelevant: int = 0) -> str:
    """W1, and so many rules of a shape that never apply to its requests."""
    text = POLICY.format(legal=IS_LEGAL[variant])
    rules = (f"{effect} extra_{i}: {IRRELEVANT[shape].format(i=i)}\n" for i, effect in extras(irrelevant))
    return "\n".join([text, *rules])


def extras(irrelevant: int) -> list[tuple[int, str]]:
    """The number and effect of each irrelevant rule. The numbers are beyond those of W1's tenants and users."""
    return [(1000 + i, "permit" if i % 2 else "forbid") for i in range(irrelevant)]


def requests(seed: int, count: int = 1000) -> list[Request]:
    """Principals and documents, mixed: two thirds within one tenant, about two in five allowed."""
    rng = random.Random(seed)
    found = []
    for number in range(count):
        principal, asked = _principal(rng), document(rng, number)
        if rng.random() < 0.6:
            asked["tenant"] = principal["tenant"]
        found.append((principal, asked))
    return found


def _principal(rng: random.Random) -> Entity:
    groups = rng.sample(GROUPS, rng.randint(0, 3))
    return {
        "type": "User",
        "id": f"u{rng.randint(0, 50)}",
        "tenant": f"t{rng.randint(0, 3)}",
        "clearance": rng.randint(0, 5),
        "groups": groups,
        "parents": [{"type": "Group", "id": group} for group in groups],
    }


def document(rng: random.Random, number: int) -> Entity:
    return {
        "type": "Document",
        "id": f"d{number}",
        "tenant": f"t{rng.randint(0, 3)}",
        "owner": f"u{rng.randint(0, 50)}",
        "classification": rng.randint(0, 5),
        "labels": rng.sample(LABELS, rng.randint(0, 3)),
    }


# ---- the floor: what one would write by hand, without any check of what comes in ----


def floor_attribute(principal: Entity, document: Entity) -> bool:
    if document["tenant"] != principal["tenant"]:
        return False
    if "legal_hold" in document["labels"] and "legal" not in principal["groups"]:
        return False
    return document["classification"] <= principal["clearance"] or document["owner"] == principal["id"]


def floor_group(principal: Entity, document: Entity) -> bool:
    if document["tenant"] != principal["tenant"]:
        return False
    if "legal_hold" in document["labels"] and LEGAL not in principal["parents"]:
        return False
    return document["classification"] <= principal["clearance"] or document["owner"] == principal["id"]


FLOORS = {"attribute": floor_attribute, "group": floor_group}
