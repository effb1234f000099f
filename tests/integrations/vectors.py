"""Vectors for tests: a text is the words in it. And the documents that the integrations search in."""

from __future__ import annotations

import math
import zlib
from typing import Any

from policyengine import Engine
from policyengine.filters import Filter

SIZE = 64

POLICIES = """
module notes
use ai
extend User { clearance: Int }
permit cleared: retrieve on Document
  when document.tenant == principal.tenant and document.classification <= principal.clearance
forbid held: retrieve on Document when "hold" in document.labels
require scrub: retrieve on Document when "personal" in document.labels redact(["email"])
"""
ENGINE = Engine.from_text(POLICIES)

# Of texts that are equally near, and so of all orders: text, and what is known of its document.
DOCUMENTS: list[tuple[str, dict[str, Any]]] = [
    ("prices of large pumps", {"id": "d1", "tenant": "globex", "classification": 1, "labels": []}),
    ("prices of small pumps", {"id": "d2", "tenant": "acme", "classification": 1, "labels": []}),
    ("prices of all pumps", {"id": "d3", "tenant": "acme", "classification": 5, "labels": []}),
    ("prices of pumps", {"id": "d4", "tenant": "acme", "classification": 1, "labels": ["hold"]}),
    ("prices", {"id": "d5", "tenant": "acme", "classification": 1}),
    ("prices of pipes", {"id": "d6", "tenant": "acme", "classification": "1", "labels": []}),
    ("prices of used pumps", {"id": "d7", "tenant": "acme", "classification": 1, "labels": ["personal"]}),
    ("prices for friends", {"tenant": "acme", "classification": 1, "labels": []}),
    ("the prices of last year", {"id": "d9", "tenant": None, "classification": 1, "labels": []}),
    ("old prices", {"id": "d10", "tenant": "acme", "classification": 2, "labels": []}),
    ("lunch", {"id": "d11", "tenant": "acme", "classification": 0, "labels": []}),
]
ANN = {"type": "User", "id": "ann", "tenant": "acme", "clearance": 2}
GUS = {"type": "User", "id": "gus", "tenant": "globex", "clearance": 2}
NOBODY = {"type": "User"}


def vector(text: str) -> list[float]:
    made = [0.0] * SIZE
    for word in text.lower().split():
        made[zlib.crc32(word.encode()) % SIZE] += 1.0
    length = math.sqrt(sum(x * x for x in made)) or 1.0
    return [x / length for x in made]


def found(user: dict[str, Any], fulfilled: tuple[str, ...] = ()) -> Filter:
    return ENGINE.filter(principal=user, action="retrieve", resource_type="Document", fulfilled=fulfilled)
