"""The grants that a session is narrowed to: those that a host, a planner or a person leaves it, and never more than
before.

A narrowing is kept among the labels of a session, which only ever grow: so every store keeps it, in one step, and
nothing later widens it. In: labels as they are stored. Out: the labels that rules read, and the grants that all
narrowings have in common.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

# No name of a rule, and so no label of a policy, begins like this.
_MARK = "\x1fgrants:"
MOST, LONGEST = 256, 65_536


def narrowing(grants: Collection[Any]) -> str:
    """The label for these grants: texts, or JSON objects, all of one kind. Raises TypeError for anything else, and
    ValueError for too many."""
    if isinstance(grants, str | bytes | Mapping):
        raise TypeError("grants must be a collection")
    kinds = {type(grant) for grant in grants}
    if kinds not in (set(), {str}, {dict}):
        raise TypeError("grants must be all texts or all objects")
    texts = sorted({json.dumps(grant, sort_keys=True, allow_nan=False) for grant in grants})
    label = _MARK + json.dumps(texts)
    if len(texts) > MOST or len(label) > LONGEST:
        raise ValueError(f"a session has at most {MOST} grants, of {LONGEST} characters together")
    return label


def is_reserved(label: str) -> bool:
    return label.startswith(_MARK)


def plain_labels(stored: Iterable[str]) -> tuple[str, ...]:
    """The labels that policies set."""
    return tuple(label for label in stored if not is_reserved(label))


def grants_of(stored: Iterable[str]) -> tuple[Any, ...] | None:
    """The grants of the session; None if it was not narrowed."""
    kept: set[str] | None = None
    for label in stored:
        if is_reserved(label):
            these = set(json.loads(label.removeprefix(_MARK)))
            kept = these if kept is None else kept & these
    return None if kept is None else tuple(json.loads(text) for text in sorted(kept))


def as_read(labels: Sequence[str], grants: Sequence[Any] | None) -> dict[str, Any]:
    """Both as rules read them: `grants` is absent if the session was not narrowed."""
    return {"labels": list(labels), **({} if grants is None else {"grants": list(grants)})}


def carried(stored: Sequence[str]) -> dict[str, Any]:
    """The stored labels, as rules read them."""
    return as_read(plain_labels(stored), grants_of(stored))
