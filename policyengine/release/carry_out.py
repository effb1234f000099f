"""Carries out what a decision orders on content: all of it, or nothing leaves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from policyengine.detect.finder import DetectorFailed
from policyengine.detect.finding import Finding, covers
from policyengine.detect.registry import Registry, find, needed, width
from policyengine.diagnostics import codes
from policyengine.model.decision import Decision, Obligation, RuleError
from policyengine.release.content import Content, Unscannable
from policyengine.release.edits import applied_apart, edits
from policyengine.release.scanning import look_twice
from policyengine.release.split_values import look_over
from policyengine.release.tokenizing import Keys, NoKey
from policyengine.release.treatment import CannotCarryOut, Orders, orders

# Wider than any text: a finder that reads the whole text has no other width.
_WHOLE = 1 << 62
# How many replacements are remembered that contain no findings.
REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Carried:
    """What remains of the content. If `errors` is not empty, something could not be done and nothing remains. `found`
    are the findings that were to be treated."""

    value: Any = None
    errors: tuple[RuleError, ...] = ()
    found: tuple[tuple[Finding, ...], ...] = ()
    owed: tuple[Obligation, ...] = ()


def ordered(decision: Decision, fulfilled: Collection[str]) -> Orders:
    """The orders of the decision, for a caller that fulfils these types of obligation itself. Raises CannotCarryOut."""
    read = orders(decision.obligations)
    unknown = sorted({one.type for one in read.others if one.type not in fulfilled})
    if unknown:
        raise CannotCarryOut(
            f"obligations that the caller must carry out and name in `fulfilled`: {', '.join(unknown)}"
        )
    return read


def check_replacements(read: Orders, registry: Registry) -> None:
    """Raises CannotCarryOut if a replacement contains what is to be removed. Plugged-in finders are not asked."""
    texts = {treatment.text for _, treatment in read.treatments if treatment.how == "replace" and treatment.text}
    if not texts:
        return
    asked = frozenset(texts), read.kinds
    if asked not in registry.clean:
        each = {kind for finder in needed(read.kinds, registry) if finder.look is not None for kind in finder.kinds}
        kinds = frozenset(kind for kind in each if any(covers(group, kind) for group in read.kinds))
        if any(find(text, kinds, registry) for text in texts):
            raise CannotCarryOut("a finder finds something in the text of a `replace` obligation: choose another")
        if len(registry.clean) >= REMEMBERED:
            registry.clean.clear()
        registry.clean[asked] = True


def carry_out(
    content: Content, decision: Decision, registry: Registry, keys: Keys, fulfilled: Collection[str] = ()
) -> Carried:
    """Never raises: an order that cannot be carried out is an error, and nothing leaves."""
    try:
        if not decision.obligations:
            return Carried(content.rebuilt([segment.text for segment in content.segments]))
        read = ordered(decision, fulfilled)
        if read.withhold is not None:
            return Carried(_cut(read.withhold, read.truncate), owed=read.others)
        check_replacements(read, registry)
        findings = look_twice(content, read.kinds, registry) if read.kinds else []
        over, parts = look_over(content, read.kinds, registry, findings)
        wide = width(read.kinds, registry) or _WHOLE
        value = content.rebuilt(_treated(content, findings, parts, read, keys, wide))
        findings = [[*those, *more] for those, more in zip(findings, over, strict=True)] if parts else findings
        if read.truncate is not None:
            value = _truncated(value, content, read.truncate)
        return Carried(value, found=tuple(map(tuple, findings)), owed=read.others)
    except (CannotCarryOut, DetectorFailed, NoKey, Unscannable) as error:
        return Carried(errors=(RuleError("", codes.NOT_CARRIED_OUT.id, str(error)),))


def _treated(
    content: Content,
    findings: list[list[Finding]],
    parts: Mapping[int, list[Finding]],
    ordered: Orders,
    keys: Keys,
    wide: int,
) -> list[str]:
    """The text of each segment, with the orders carried out."""
    texts = [segment.text for segment in content.segments]
    for at, (reading, those) in enumerate(zip(content.readings(), findings, strict=False)):
        if not those and at not in parts:
            continue
        text, borders = content.joined(reading)
        changes = edits(text, those, ordered, keys, wide, parts.get(at, ()))
        for number, left in zip(reading, applied_apart(text, borders, changes), strict=True):
            texts[number] = left
    return texts


def _truncated(value: Any, content: Content, to: int) -> Any:
    """The first characters of a text, or of the texts of a list, which count as one."""
    if content.plain:
        return _cut(value, to)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise CannotCarryOut("only a text, or a list of texts, can be truncated")
    starts = accumulate(map(len, value), initial=0)
    return [_cut(text, max(to - start, 0)) for text, start in zip(value, starts, strict=False)]


def _cut(text: str, to: int | None) -> str:
    return text if to is None else text[:to]
