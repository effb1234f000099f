"""What a caller has verified for a request: the approvals that were given, and the limits that it meters.

In: what the caller passes. Out: names of rules. If no such rule has the name, or a plain text is passed for a
collection, that is a mistake in the code of the caller and raises TypeError: it is not part of a request.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from policyengine.diagnostics.safe_text import is_safe
from policyengine.diagnostics.suggest import did_you_mean
from policyengine.ir.footprint import footprint
from policyengine.ir.nodes import Rule

NONE: frozenset[str] = frozenset()
# The collections whose `in` finds exactly their elements.
_PLAIN = (list, tuple, set, frozenset)


def approvals_of(rules: Iterable[Rule]) -> frozenset[str]:
    """The rules that demand an approval."""
    return frozenset(rule.name for rule in rules if footprint(rule).approval)


def limits_of(rules: Iterable[Rule]) -> frozenset[str]:
    return frozenset(rule.name for rule in rules if rule.kind == "limit")


def approvals(given: Any, known: frozenset[str]) -> frozenset[str]:
    """The `approved` of a caller; `known` are the rules that demand an approval."""
    if type(given) in _PLAIN:
        # Nearly all callers pass this.
        for name in given:
            if type(name) is not str:
                break
        else:
            named = frozenset(given)
            if named <= known:
                return named
    return _names(given, known, "approved", "rules that demand an approval", "no rule of this name demands an approval")


def meters(given: Any, known: frozenset[str]) -> frozenset[str]:
    """The `metered` of a caller: True for all limits. `known` are the limits."""
    if given is True or given is False:
        return known if given else NONE
    if given == () and type(given) is tuple:
        return NONE
    return _names(given, known, "metered", "limits", "no limit has this name")


def _names(given: Any, known: frozenset[str], what: str, of: str, unknown: str) -> frozenset[str]:
    if given is None:
        return NONE
    # In each of these, `in` finds more than the elements.
    plain = isinstance(given, Collection) and not isinstance(given, str | bytes | bytearray | memoryview | Mapping)
    names = list(given) if plain else [None]
    if not all(issubclass(type(name), str) for name in names):
        raise TypeError(f"`{what}` must be a collection of names of {of}")
    names_given = frozenset(map(str.__str__, names))
    for name in sorted(names_given - known):
        shown = name if len(name) <= 80 and is_safe(name) else "..."
        raise TypeError(f"`{what}`: {unknown}: `{shown}` {did_you_mean(shown, known)}".rstrip())
    return names_given
