"""The orders of policies for a text: obligations, read once, as treatments of the findings in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from policyengine.detect.finding import covers
from policyengine.model.decision import Obligation

TreatmentKind = Literal["mask", "tokenize", "hash", "replace", "redact"]
# Weakest first.
_ORDER: tuple[TreatmentKind, ...] = ("mask", "tokenize", "hash", "replace", "redact")
# A mask shows no more of a value than this.
LONGEST_KEEP = 8


@dataclass(frozen=True, slots=True)
class Treatment:
    """`keep` is how many characters a mask shows, at most `LONGEST_KEEP` and never more than half of a value; `text` is
    the text of a replacement."""

    how: TreatmentKind
    keep: int = 0
    text: str = ""

    @property
    def strength(self) -> tuple[int, int, str]:
        return _ORDER.index(self.how), -self.keep, self.text

    @property
    def needs_value(self) -> bool:
        """Whether the result depends on the value, which must then be known from end to end."""
        return self.how in ("mask", "tokenize", "hash")


REDACT = Treatment("redact")


@dataclass(frozen=True, slots=True)
class Orders:
    """All orders of one decision. `truncate` is in characters of the released text; `withhold` is what leaves instead
    of everything; `others` are the obligations that are not about the text."""

    treatments: tuple[tuple[str, Treatment], ...] = ()
    truncate: int | None = None
    withhold: str | None = None
    others: tuple[Obligation, ...] = ()

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(group for group, _ in self.treatments)

    @property
    def needs_value(self) -> bool:
        return any(treatment.needs_value for _, treatment in self.treatments)

    def of(self, kind: str) -> Treatment | None:
        """The strongest treatment of a kind; None if none is ordered."""
        those = [treatment for group, treatment in self.treatments if covers(group, kind)]
        return max(those, key=lambda one: one.strength, default=None)


class CannotCarryOut(Exception):
    """An obligation lacks something that it needs. Nothing leaves."""


def orders(obligations: Sequence[Obligation]) -> Orders:
    """The orders in these obligations. Raises CannotCarryOut for properties that cannot be read as an order."""
    treatments: set[tuple[str, Treatment]] = set()
    cuts: list[int] = []
    withheld: list[str] = []
    others: list[Obligation] = []
    for obligation in obligations:
        said = obligation.properties
        match obligation.type:
            case "redact" | "mask" | "hash" | "replace" | "tokenize":
                treatment = _treatment(obligation.type, said)
                treatments.update((kind, treatment) for kind in _kinds(said))
            case "truncate":
                cuts.append(_count(said, "to"))
            case "withhold":
                withheld.append(_text(said, "message"))
            case _:
                others.append(obligation)
    return Orders(
        tuple(sorted(treatments, key=lambda one: (one[0], one[1].strength))),
        min(cuts, default=None),
        min(withheld, default=None),
        tuple(others),
    )


def _treatment(how: TreatmentKind, said: Mapping[str, Any]) -> Treatment:
    if how == "mask":
        return Treatment(how, keep=min(_count(said, "keep"), LONGEST_KEEP))
    return Treatment(how, text=_text(said, "with")) if how == "replace" else Treatment(how)


def _kinds(said: Mapping[str, Any]) -> Sequence[str]:
    kinds = said.get("kinds")
    if not isinstance(kinds, list | tuple | set | frozenset) or not all(isinstance(kind, str) for kind in kinds):
        raise CannotCarryOut("`kinds` must be a set of texts")
    return sorted(kinds)


def _count(said: Mapping[str, Any], name: str) -> int:
    number = said.get(name)
    if type(number) is not int or number < 0:
        raise CannotCarryOut(f"`{name}` must be a whole number, 0 or more")
    return number


def _text(said: Mapping[str, Any], name: str) -> str:
    text = said.get(name)
    if not isinstance(text, str):
        raise CannotCarryOut(f"`{name}` must be a text")
    return text
