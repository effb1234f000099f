"""What a store must be able to do.

For each atom, a backend gives the store's condition. This may be true of more documents than the atom (then it is not
exact), never of fewer. Since formulas have only `and` and `or`, the whole query then finds every document for which the
formula is true; evaluation removes the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from policyengine.filters.fields import Fields
from policyengine.partial.formula import Atom, Path


@dataclass(frozen=True, slots=True)
class Fragment:
    """A condition in the terms of a store. `exact` if it is true of exactly the documents for which its atom is
    true."""

    native: Any
    exact: bool = True


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """The largest query that a store accepts.

    depth: of alternatives inside conditions inside alternatives; beyond it, stores run out of stack.
    conditions: the total number.
    """

    depth: int
    conditions: int = 20_000


class Backend(Protocol):
    """One store. `finish` turns a condition into the query that a caller passes to the store."""

    @property
    def name(self) -> str: ...

    @property
    def fields(self) -> Fields:
        """Where the store keeps the attributes of a document."""

    @property
    def limits(self) -> StoreLimits: ...

    def atom(self, atom: Atom) -> Fragment | None:
        """The atom in the terms of the store; None if the store cannot express it."""

    def naming(self, path: Path, name: str) -> Fragment | None:
        """True if something at the path contains an object with this name in it, at any depth; may be true of more
        documents. None if the store cannot express it."""

    def all(self, items: Sequence[Any]) -> Any:
        """The conjunction of two or more conditions."""

    def some(self, items: Sequence[Any]) -> Any:
        """The disjunction of two or more conditions."""

    def nothing(self) -> Any:
        """A condition that no document meets."""

    def everything(self) -> Any:
        """A condition that every document meets."""

    def finish(self, native: Any) -> Any:
        """The query for a condition."""
