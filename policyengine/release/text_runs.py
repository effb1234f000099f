"""The texts of a value that continue one another: those in the blocks of a message, and of consecutive messages.

Only the shape of the value is used, as model interfaces define it. All other texts of a value stand alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

TEXT, REASONING, APART = "text", "reasoning", ""

# Members of messages and blocks that hold what is said.
_SAID = {
    "content": TEXT, "output": TEXT, "parts": TEXT, "refusal": TEXT, "text": TEXT,
    "reasoning": REASONING, "reasoning_content": REASONING, "summary": REASONING, "thinking": REASONING,
}  # fmt: skip
# Alternative answers, of which only one is used.
_CHOICE = re.compile(r"\A(?:/[^/]*)?/(?:choices|candidates)/\d+")


def channel(value: Mapping[str, Any], name: str, around: str) -> str:
    """What a text in this member is part of: TEXT and REASONING are read one text after the other, APART is by itself.
    `around` is what the object itself is part of. A list in `content`, as a tool of MCP returns it, is read in
    order."""
    kind = value.get("type")
    if (
        not isinstance(kind, str)
        and not isinstance(value.get("role"), str)
        and not (around and value.keys() <= _SAID.keys())
        and not (name == "content" and isinstance(value[name], list | tuple))
    ):
        return APART
    said = _SAID.get(name, APART)
    if said and (around == REASONING or str(kind).startswith(("reasoning", "thinking"))):
        return REASONING
    return said


def runs(texts: Iterable[tuple[int, str, str]]) -> tuple[tuple[int, ...], ...]:
    """The numbers of the texts that form one, from texts with a number, a place and a channel each. An empty text
    separates nothing."""
    those: dict[tuple[str, str], list[int]] = {}
    for number, path, one in texts:
        choice = _CHOICE.match(path)
        those.setdefault((one, choice.group() if choice is not None else ""), []).append(number)
    return several(those.values())


def several(groups: Iterable[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """The groups of more than one text, in order."""
    return tuple(sorted(tuple(group) for group in groups if len(group) > 1))
