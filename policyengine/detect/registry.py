"""Which finders there are, and what they find in a text: kinds to finders, findings in one order.

Only finders whose kinds are needed run. Findings come sorted by place, then kind, score and detector, each once. They
may overlap: what to do about that is the business of whoever cuts the text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from policyengine.detect import own
from policyengine.detect.content import canary, deceit, injection, leakage, links
from policyengine.detect.finder import Begins, DetectorFailed, Finder, UnknownKind
from policyengine.detect.finding import Finding, covers, place
from policyengine.detect.personal import (
    bank,
    births,
    cards,
    crypto,
    domains,
    email,
    identifiers,
    network,
    phones,
    streets,
)
from policyengine.detect.reserved import WIDTH as RESERVED_WIDTH
from policyengine.detect.reserved import opened, reserved
from policyengine.detect.secrets import finder as secrets
from policyengine.detect.view import View
from policyengine.detect.vocabulary import Vocabulary

ORDINARY = frozenset({"domain"})
"""Kinds that ordinary text is full of: for those who ask for them by name."""

LANGUAGES = births.LANGUAGES | streets.LANGUAGES
"""Those whose addresses and dates of birth are known."""

_Plan = tuple[tuple[Finder, ...], frozenset[str]]
_MOST_PLANS = 256


@dataclass(frozen=True, slots=True)
class Registry:
    """Finders, and the values that are never a finding."""

    finders: tuple[Finder, ...]
    allowed: frozenset[str] = frozenset()
    kinds: frozenset[str] = field(init=False, default=frozenset())
    # What was asked for before: the finders for these kinds, and each kind that is one of them.
    _plans: dict[frozenset[str], _Plan] = field(init=False, default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", frozenset(kind for finder in self.finders for kind in finder.kinds))


def registry(vocabulary: Vocabulary | None = None, plugged: Iterable[Finder] = ()) -> Registry:
    """The built-in finders with these words, and what else is plugged in. Raises ValueError for words that no finder
    can be made of."""
    words = vocabulary if vocabulary is not None else Vocabulary()
    return Registry((*_built_in(words), *plugged), words.allowed)


def _built_in(words: Vocabulary) -> tuple[Finder, ...]:
    languages = LANGUAGES if words.languages is None else words.languages
    for unknown in sorted(languages - LANGUAGES):
        raise ValueError(f"`{unknown}` is none of the languages: {', '.join(sorted(LANGUAGES))}")
    return (
        secrets.finder(),
        email.finder(),
        phones.finder(words.regions),
        cards.finder(),
        bank.finder(),
        bank.bic_finder(),
        identifiers.finder(words.regions),
        network.ip_finder(),
        network.mac_finder(),
        crypto.finder(),
        births.finder(languages),
        streets.finder(languages),
        domains.finder(),
        canary.finder(words.canaries),
        leakage.finder(words.fingerprints),
        deceit.finder(),
        links.finder(words.link_hosts),
        injection.finder(),
        *own.finders(words.patterns, words.words),
    )


def unknown_kinds(kinds: Iterable[str], known: Registry) -> list[str]:
    """Those that no finder finds, sorted."""
    there = known.kinds
    return sorted(group for group in set(kinds) if not any(covers(group, kind) for kind in there))


def needed(kinds: Iterable[str], known: Registry) -> tuple[Finder, ...]:
    """The finders for these kinds, in the registry's order. Raises UnknownKind."""
    return _plan(frozenset(kinds), known)[0]


def _plan(wanted: frozenset[str], known: Registry) -> _Plan:
    plan = known._plans.get(wanted)
    if plan is None:
        for kind in unknown_kinds(wanted, known):
            raise UnknownKind(kind)
        meant = frozenset(kind for kind in known.kinds if any(covers(group, kind) for group in wanted))
        plan = tuple(finder for finder in known.finders if finder.kinds & meant), meant
        if len(known._plans) < _MOST_PLANS:
            known._plans[wanted] = plan
    return plan


def width(kinds: Iterable[str], known: Registry) -> int | None:
    """The W of these kinds together: how far a finding can depend on text. None: on the whole. Raises UnknownKind."""
    widest = 0
    for finder in needed(kinds, known):
        if finder.width is None:
            return None
        widest = max(widest, finder.width)
    return widest + RESERVED_WIDTH if widest else 0


def begins(kinds: Iterable[str], known: Registry) -> Begins | None:
    """From where on a match of these kinds may still begin; None where one may anywhere. Raises UnknownKind."""
    each = [finder.begins for finder in needed(kinds, known)]
    those = tuple(dict.fromkeys(one for one in each if one is not None))
    if None in each or not those:
        return None
    return lambda text, start: opened(text, start, min(one(text, start) for one in those))


def find(text: str, kinds: Iterable[str], known: Registry) -> tuple[Finding, ...]:
    """Every finding of these kinds. Raises DetectorFailed if one of the finders fails, and UnknownKind."""
    finders, meant = _plan(frozenset(kinds), known)
    found: set[Finding] = set()
    view = View(text)
    for finder in finders:
        found.update(_ask(finder, view))
    return tuple(sorted((f for f in found if _counts(f, text, meant, known)), key=place))


def nothing_begins(text: str, start: int, end: int, kinds: Iterable[str], known: Registry) -> bool:
    """Whether no finding of these kinds begins from `start` on and before `end`: that is asked of no more of the text
    than each finder has to see. Raises as `find`."""
    finders, meant = _plan(frozenset(kinds), known)
    for finder in finders:
        low = 0 if finder.width is None else max(0, start - finder.width - RESERVED_WIDTH)
        view = View(text[low:])
        if any(start <= one.start + low < end and _counts(one, view.text, meant, known) for one in _ask(finder, view)):
            return False
    return True


def _ask(finder: Finder, view: View) -> Iterable[Finding]:
    try:
        found = finder.look(view) if finder.look is not None else finder.find(view.text)
        sound = all(_sound(each, finder, len(view.text)) for each in found)
    except Exception:  # noqa: BLE001 - whatever a finder raises, its text must not show in what is raised from here
        raise DetectorFailed(finder.name) from None
    if not sound:
        raise DetectorFailed(finder.name, "said something that is no finding in the text")
    return found


def _sound(found: Finding, finder: Finder, size: int) -> bool:
    return 0 <= found.start < found.end <= size and 0.0 <= found.score <= 1.0 and found.kind in finder.kinds


def _counts(found: Finding, text: str, meant: frozenset[str], known: Registry) -> bool:
    return (
        found.kind in meant
        and not reserved(text, found.start, found.end, known.kinds)
        and text[found.start : found.end] not in known.allowed
    )
