"""Did you mean: the nearest known name to an unknown one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that this one most likely stands for, or an empty string."""
    candidates = sorted(set(known))
    folded = {_folded(candidate): candidate for candidate in reversed(candidates)}
    if _folded(name) in folded and folded[_folded(name)] != name:
        return folded[_folded(name)]
    near = get_close_matches(name, candidates, n=1, cutoff=0.6)
    return near[0] if near else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A help line such as "did you mean `owner`?", or an empty string when nothing is near."""
    near = nearest(name, known)
    return f"did you mean `{near}`?" if near else ""


def _folded(name: str) -> str:
    """A name without what differs between naming styles: `startsWith` is `starts_with`."""
    return name.lower().replace("_", "").replace("-", "")


def one_of(known: Iterable[str], limit: int = 8) -> str:
    """A short list of names for a help line."""
    names = sorted(set(known))
    shown = ", ".join(f"`{name}`" for name in names[:limit])
    return f"{shown}, ..." if len(names) > limit else shown
