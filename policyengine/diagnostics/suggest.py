"""Did you mean: the nearest known name to an unknown one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from typing import NamedTuple

# So many known names are compared with an unknown one, and so long a name is compared at all.
MOST_COMPARED, LONGEST = 64, 100


class _Known(NamedTuple):
    """Known names, sorted; sorted as they read backwards; and by what is the same in all naming styles."""

    names: list[str]
    backwards: list[str]
    folded: dict[str, str]


@lru_cache(maxsize=64)
def _known(names: frozenset[str]) -> _Known:
    ordered = sorted(names)
    return _Known(ordered, sorted(n[::-1] for n in names), {_folded(name): name for name in reversed(ordered)})


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that this one most likely stands for, or an empty string."""
    if len(name) > LONGEST:
        return ""
    among = _known(frozenset(known))
    same = among.folded.get(_folded(name), name)
    if same != name:
        return same
    near = get_close_matches(name, _worth_comparing(name, among), n=1, cutoff=0.6)
    return near[0] if near else ""


def _worth_comparing(name: str, among: _Known) -> list[str]:
    """All of few names; of many those that stand beside this one, sorted by their beginnings and by their ends: a slip
    is either behind most of what they share or before it."""
    if len(among.names) <= MOST_COMPARED:
        return among.names
    ahead, back, reach = bisect_left(among.names, name), bisect_left(among.backwards, name[::-1]), MOST_COMPARED // 4
    beside = among.names[max(0, ahead - reach) : ahead + reach]
    behind = [each[::-1] for each in among.backwards[max(0, back - reach) : back + reach]]
    return [each for each in sorted({*beside, *behind}) if len(each) <= LONGEST]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A help line such as "did you mean `owner`?", or an empty string when nothing is near."""
    near = nearest(name, known)
    return f"did you mean `{near}`?" if near else ""


def slip(name: str, known: Iterable[str]) -> str:
    """The known name of which this one is most likely a slip of the pen, or an empty string: another naming style, one
    letter wrong, missing, too many or out of place, in long names two. Stricter than `nearest`, for refusing a request
    by it: `object` is not a slip of `subject`."""
    if len(name) > 64:
        return ""
    for candidate in sorted(set(known)):
        allowed = 0 if len(candidate) < 4 else 1 if len(candidate) < 8 or len(name) < 8 else 2
        if name != candidate and (_folded(name) == _folded(candidate) or _distance(name, candidate) <= allowed):
            return candidate
    return ""


def _distance(one: str, other: str) -> int:
    """How many letters must be put in, left out, replaced or swapped with the next."""
    if abs(len(one) - len(other)) > 2:
        return 3
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        last, before, row = before, row, [i]
        for j, b in enumerate(other, 1):
            best = min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, last[j - 2] + 1)
            row.append(best)
    return row[-1]


def misspelt(name: str, known: Iterable[str]) -> str:
    """The known name that this one most likely was to be, or an empty string. Stricter than `nearest`, as nothing is
    known to be wrong yet: it is the same but for naming style, or differs in one letter: left out, added, exchanged
    with the next or, in a word of more than four, another."""
    folded = _folded(name)
    if len(name) > 100:
        return ""
    for candidate in sorted(set(known) - {name}):
        wanted = _folded(candidate)
        if folded == wanted or (len(wanted) > 2 and _one_apart(folded, wanted)):
            return candidate
    return ""


def _one_apart(a: str, b: str) -> bool:
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    left, right = a[start:], b[start:]
    if len(a) == len(b):
        exchanged = left[:2] == right[1::-1] and left[2:] == right[2:] and len(left) > 1
        return exchanged or (len(b) > 4 and left[1:] == right[1:])
    return left[1:] == right if len(a) > len(b) else left == right[1:]


def _folded(name: str) -> str:
    """A name without what differs between naming styles: `startsWith` is `starts_with`."""
    return name.lower().replace("_", "").replace("-", "")


def one_of(known: Iterable[str], limit: int = 8) -> str:
    """A short list of names for a help line."""
    names = sorted(set(known))
    shown = ", ".join(f"`{name}`" for name in names[:limit])
    return f"{shown}, ..." if len(names) > limit else shown
