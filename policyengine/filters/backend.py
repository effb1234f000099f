"""What a store has to be able to do.

A backend says of each atom how the store asks for it. Its answer may be true of more documents than the atom is (then
it is not exact), never of fewer. As formulas know only `and` and `or`, the whole query then finds every document that
the formula is true of; what it finds too much is sorted out by evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from policyengine.filters.fields import Fields
from policyengine.partial.formula import Atom, Path


@dataclass(frozen=True, slots=True)
class Fragment:
    """A condition in the terms of a store. `exact` if it is true of exactly the documents that its atom is true of."""

    native: Any
    exact: bool = True


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """How large a query a store can be asked for.

    depth: of alternatives inside conditions inside alternatives; beyond it, stores run out of stack.
    conditions: in all.
    """

    depth: int
    conditions: int = 20_000


class Backend(Protocol):
    """One store. `finish` makes the query that a caller hands to the store, out of a condition."""

    @property
    def name(self) -> str: ...

    @property
    def fields(self) -> Fields:
        """Where the store keeps the attributes of a document."""

    @property
    def limits(self) -> StoreLimits: ...

    def atom(self, atom: Atom) -> Fragment | None:
        """The atom in the terms of the store; None if it cannot be asked at all."""

    def naming(self, path: Path, name: str) -> Fragment | None:
        """That something at the path has an object with this name in it, at any depth, or more; None if the store
        cannot be asked."""

    def all(self, items: Sequence[Any]) -> Any:
        """The conjunction of two or more conditions."""

    def some(self, items: Sequence[Any]) -> Any:
        """The disjunction of two or more conditions."""

    def nothing(self) -> Any:
        """A condition that no document meets."""

    def everything(self) -> Any:
        """A condition that every document meets."""

    def finish(self, native: Any) -> Any:
        """The query, from a condition."""
