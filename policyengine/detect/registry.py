"""Which finders there are, and what they find in a text: kinds to finders, findings in one order.

Only finders whose kinds are needed run. Findings come sorted by place, then kind, score and detector, each once. They
may overlap; whoever edits the text resolves that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from policyengine.detect import custom_patterns
from policyengine.detect.content import canary, deceit, injection, leakage, links
from policyengine.detect.finder import Begins, DetectorFailed, Finder, Unanswered, UnknownKind
from policyengine.detect.finding import Finding, covers, moved, place
from policyengine.detect.match_starts import by_width, last_word
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
from policyengine.detect.prefilter import WhichFinders, WhichTexts, where, worth
from policyengine.detect.reserved import WIDTH as RESERVED_WIDTH
from policyengine.detect.reserved import opened, reserved, without_words
from policyengine.detect.secrets import finder as secrets
from policyengine.detect.shadow import shadow
from policyengine.detect.view import View
from policyengine.detect.vocabulary import Vocabulary

ORDINARY = frozenset({"domain"})
"""Kinds that ordinary text is full of: for those who ask for them by name."""

LANGUAGES = births.LANGUAGES | streets.LANGUAGES
"""Those whose addresses and dates of birth are known."""

_MOST_PLANS = 256
SHORT = 1_024
"""A longer text is asked about at once: most have everything that finders need."""


# Finders, by the expression that each of their matches contains.
Groups = tuple[tuple[re.Pattern[str] | None, tuple[Finder, ...]], ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The finders for some kinds, and each kind that is one of them. `worth` selects from the `signed` finders those to
    ask about a short text; `where`, if all are signed, selects from many texts; `reach` is how far they look back.
    `others` are the rest, grouped by the characters that they need: without these, no finder of a group has to be
    asked."""

    finders: tuple[Finder, ...]
    kinds: frozenset[str]
    signed: tuple[Finder, ...]
    reach: int | None
    worth: WhichFinders
    where: WhichTexts | None
    others: Groups


@dataclass(frozen=True, slots=True)
class Registry:
    """Finders, and the values that are never findings."""

    finders: tuple[Finder, ...]
    allowed: frozenset[str] = frozenset()
    kinds: frozenset[str] = field(init=False, default=frozenset())
    # The plans for the kinds that were asked for before.
    _plans: dict[frozenset[str], Chosen] = field(init=False, default_factory=dict, compare=False, repr=False)
    # Texts in which the built-in finders find nothing of some kinds.
    clean: dict[tuple[frozenset[str], frozenset[str]], bool] = field(
        init=False, default_factory=dict, compare=False, repr=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", frozenset(kind for finder in self.finders for kind in finder.kinds))


def registry(vocabulary: Vocabulary | None = None, plugged: Iterable[Finder] = ()) -> Registry:
    """The built-in finders with these words, and plugged-in finders. Raises ValueError for words that no finder can be
    made from."""
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
        *custom_patterns.finders(words.patterns, words.words),
    )


def unknown_kinds(kinds: Iterable[str], known: Registry) -> list[str]:
    """Those of the kinds that no finder finds, sorted."""
    there = known.kinds
    return sorted(group for group in set(kinds) if not any(covers(group, kind) for kind in there))


def needed(kinds: Iterable[str], known: Registry) -> tuple[Finder, ...]:
    """The finders for these kinds, in the registry's order. Raises UnknownKind."""
    return _chosen(kinds, known).finders


def _chosen(kinds: Iterable[str], known: Registry) -> Chosen:
    wanted = kinds if type(kinds) is frozenset else frozenset(kinds)
    chosen = known._plans.get(wanted)
    if chosen is None:
        for kind in unknown_kinds(wanted, known):
            raise UnknownKind(kind)
        meant = frozenset(kind for kind in known.kinds if any(covers(group, kind) for group in wanted))
        finders = tuple(_only(finder, meant) for finder in known.finders if finder.kinds & meant)
        signed = tuple(finder for finder in finders if finder.signs)
        rest = tuple(finder for finder in finders if not finder.signs)
        reaches = [_reach(finder) for finder in signed]
        reach = None if None in reaches else max((each for each in reaches if each is not None), default=0)
        many = where(signed) if signed and not rest else None
        chosen = Chosen(finders, meant, signed, reach, worth(signed), many, _grouped(rest))
        # Kinds come from policies, which are few, and from callers, who may name any: once it is full, the first ones
        # stay.
        if len(known._plans) < _MOST_PLANS:
            known._plans[wanted] = chosen
    return chosen


def _only(finder: Finder, kinds: frozenset[str]) -> Finder:
    return finder if finder.only is None or finder.kinds <= kinds else finder.only(finder.kinds & kinds)


def _grouped(finders: Iterable[Finder]) -> Groups:
    groups: dict[str | None, list[Finder]] = {}
    for finder in finders:
        groups.setdefault(finder.holds, []).append(finder)
    return tuple((None if holds is None else re.compile(holds), tuple(holders)) for holds, holders in groups.items())


def width(kinds: Iterable[str], known: Registry) -> int | None:
    """The W of these kinds together: how far away text can affect a finding. None: any distance. Raises UnknownKind."""
    widest = 0
    for finder in needed(kinds, known):
        if finder.width is None:
            return None
        widest = max(widest, finder.width)
    return widest + RESERVED_WIDTH if widest else 0


def begins(kinds: Iterable[str], known: Registry) -> Begins | None:
    """From where on a match of these kinds may still begin; None if one may begin anywhere. For a finder without
    `begins` its width decides; a match that reaches the width may go on, but is one run all the same. Raises
    UnknownKind."""
    finders = needed(kinds, known)
    by_opening: dict[str | None, list[Begins]] = {}
    for finder in finders:
        if finder.begins is None and finder.width is None:
            return None
        beginning = finder.begins if finder.begins is not None else by_width(finder.width or 0)
        if beginning not in by_opening.setdefault(finder.opens, []):
            by_opening[finder.opens].append(beginning)
    if not by_opening:
        return None
    unconditional = tuple(by_opening.get(None, ()))
    conditional = [
        (re.compile(opens).search, tuple(beginnings)) for opens, beginnings in by_opening.items() if opens is not None
    ]
    opening = re.compile("|".join(f"(?:{opens})" for opens in by_opening if opens is not None)).search

    def earliest(text: str, start: int) -> int:
        until = len(text) if not conditional else last_word(text, start)
        for beginning in unconditional:
            place = beginning(text, start)
            if place < until:
                until = place
        for opens, beginnings in conditional if conditional and opening(text, start) is not None else ():
            if opens(text, start) is not None:
                for beginning in beginnings:
                    place = beginning(text, start)
                    if place < until:
                        until = place
        return opened(text, start, until)

    return earliest


def find(text: str, kinds: Iterable[str], known: Registry) -> tuple[Finding, ...]:
    """Every finding of these kinds. Raises DetectorFailed if one of the finders fails, and UnknownKind."""
    chosen = known._plans.get(kinds) if type(kinds) is frozenset else None
    if chosen is None:
        chosen = _chosen(kinds, known)
    asked_finders = chosen.finders
    if len(text) < SHORT:
        asked_finders = chosen.worth(shadow(text)) if chosen.signed else ()
        for holds, finders in chosen.others:
            if holds is None or holds.search(text) is not None:
                asked_finders = (*asked_finders, *finders)
    if not asked_finders:
        return ()
    findings: list[Finding] = []
    views = _Views(text, without_words(text, known.kinds))
    for finder in asked_finders:
        findings += _ask(finder, views)
    return _kept_findings(findings, text, chosen, known) if findings else ()


def _kept_findings(findings: list[Finding], text: str, chosen: Chosen, known: Registry) -> tuple[Finding, ...]:
    # Only a text with a bracket can have a replacement such as `[email]`, which is never a finding.
    if known.allowed or "[" in text:
        counted = [finding for finding in findings if _counts(finding, text, chosen.kinds, known)]
    else:
        counted = [finding for finding in findings if finding.kind in chosen.kinds]
    return tuple(counted) if len(counted) < 2 else tuple(sorted(set(counted), key=place))


def find_many(texts: Sequence[str], kinds: Iterable[str], known: Registry) -> list[tuple[Finding, ...]]:
    """`find` for each text, in order. For many short texts this is faster than calling `find`. Raises as `find`."""
    wanted = frozenset(kinds)
    chosen = _chosen(wanted, known)
    if chosen.where is None or len(texts) < 2:
        return [find(text, wanted, known) for text in texts]
    # Finder by finder: one finder for all texts is faster than all finders for each text.
    work: dict[int, tuple[Finder, list[tuple[int, _Views]]]] = {}
    for index in chosen.where(texts):
        views = _Views(texts[index], without_words(texts[index], known.kinds))
        for finder in chosen.worth(views.marked.shadow) if len(texts[index]) < SHORT else chosen.finders:
            work.setdefault(id(finder), (finder, []))[1].append((index, views))
    findings: dict[int, list[Finding]] = {}
    for finder, indexed_views in work.values():
        for index, views in indexed_views:
            if found := _ask(finder, views):
                findings.setdefault(index, []).extend(found)
    findings_by_text: list[tuple[Finding, ...]] = [()] * len(texts)
    for index, text_findings in findings.items():
        findings_by_text[index] = _kept_findings(text_findings, texts[index], chosen, known)
    return findings_by_text


def nothing_begins(text: str, start: int, end: int, kinds: Iterable[str], known: Registry) -> bool:
    """Whether no finding of these kinds begins in the text from `start` up to `end`. Each finder reads only as much of
    the text as it needs for that. Raises as `find`."""
    chosen = _chosen(kinds, known)
    bare = without_words(text, known.kinds)
    views_from: dict[int, _Views] = {}

    def from_near(reach: int | None) -> tuple[int, _Views]:
        low = 0 if reach is None else max(0, start - reach)
        views = views_from.get(low)
        if views is None:
            views = views_from[low] = _Views(text[low:], bare[low:])
        return low, views

    def finds_nothing(finder: Finder) -> bool:
        low, views = from_near(_reach(finder))
        for finding in _ask(finder, views):
            if start <= finding.start + low < end:
                shifted = moved(finding, finding.start + low, finding.end + low)
                if _counts(shifted, text, chosen.kinds, known):
                    return False
        return True

    if chosen.signed:
        for finder in chosen.worth(from_near(chosen.reach)[1].marked.shadow):
            if not finds_nothing(finder):
                return False
    for holds, finders in chosen.others:
        if holds is None or holds.search(text, start) is not None:
            for finder in finders:
                if not finds_nothing(finder):
                    return False
    return True


def _reach(finder: Finder) -> int | None:
    return finder.width if finder.reach is None else finder.reach


class _Views:
    """A text as it is, and without the words of its marks, which most finders look at."""

    __slots__ = ("bare", "marked")

    def __init__(self, text: str, bare: str) -> None:
        self.marked = View(text)
        self.bare = self.marked if bare == text else View(bare)


def _ask(finder: Finder, views: _Views) -> Sequence[Finding]:
    """What a finder finds. One that is plugged in reads the text itself."""
    text = views.marked.text
    try:
        if finder.look is None:
            findings = finder.find(text)
        else:
            findings = finder.look(views.marked if finder.reads_marks else views.bare)
        # A plugged-in finder is not trusted: with a wrong place, the wrong text would be cut out.
        sound, size = True, len(text)
        for one in findings:
            if not (0 <= one.start < one.end <= size and 0.0 <= one.score <= 1.0 and one.kind in finder.kinds):
                sound = False
    except Unanswered as error:
        raise DetectorFailed(finder.name, str(error)) from None
    except Exception as error:  # noqa: BLE001 - whatever a finder raises, its text must not show in the new error
        raise DetectorFailed(finder.name, f"failed: it raised {type(error).__name__}") from None
    if not sound:
        raise DetectorFailed(finder.name, "said something that is not a finding in the text")
    return findings


def _counts(found: Finding, text: str, meant: frozenset[str], known: Registry) -> bool:
    return (
        found.kind in meant
        and not reserved(text, found.start, found.end, known.kinds)
        and text[found.start : found.end] not in known.allowed
    )
