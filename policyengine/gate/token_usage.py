"""The tokens that a call of a model used, from the reports of frameworks and providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The counts that make up the total, in order of preference.
_USED = (
    ("prompt_tokens", "completion_tokens"), ("total_tokens",), ("total_token_count",),
    ("input_tokens", "output_tokens"), ("input_token_count", "output_token_count"),
)  # fmt: skip


def tokens_of(usage: Any) -> int | None:
    """The number of tokens; None if a part of it is missing."""
    if not isinstance(usage, Mapping):
        return None
    for names in _USED:
        counts = [count for name in names if isinstance(count := usage.get(name), int)]
        if len(counts) == len(names):
            return sum(counts)
    return None
