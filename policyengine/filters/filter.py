"""Which documents a caller may see, for a store or for documents in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, TypeVar

from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.diagnostics.render import concise
from policyengine.diagnostics.source import Source
from policyengine.filters.backend import Backend
from policyengine.filters.compile import compiled
from policyengine.filters.document_type import NOTHING_KNOWN, AboutDocuments
from policyengine.model.decision import Decision, RuleError
from policyengine.model.entities import World
from policyengine.partial.caller_mentions import WholeDocument
from policyengine.partial.formula import FALSE, TRUE, Formula
from policyengine.partial.predicate import predicate, settled
from policyengine.partial.wording import shown

Document = Mapping[str, Any]
D = TypeVar("D", bound=Document)


class Kind(Enum):
    """ALWAYS: every document of the type may be seen. NEVER: none may. CONDITIONAL: it depends on the document."""

    ALWAYS = "always"
    NEVER = "never"
    CONDITIONAL = "conditional"


_SAID = {
    Kind.ALWAYS: "ALWAYS: every {} may be seen",
    Kind.NEVER: "NEVER: no {} may be seen",
    Kind.CONDITIONAL: "CONDITIONAL: it depends on the {}",
}


# The condition that stores leave out if names may be unchecked.
UNCHECKED_NAMES = "no name is misspelt"


class NotExpressible(Exception):
    """A store cannot express a condition exactly, and the caller asked for an exact query."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__("\n".join(concise(d) for d in diagnostics))
        self.diagnostics = diagnostics


@dataclass(frozen=True, slots=True)
class Query:
    """A filter in the terms of one store.

    native: the form that the store takes.
    exact: whether the store finds exactly the documents that may be seen. If not, it finds all of them and perhaps
        more, and the results must go through `recheck`.
    rechecked: the conditions that the query does not express exactly, as readable `.pol`.
    where, params: the two parts of `native`, if it is SQL.
    """

    native: Any
    exact: bool
    rechecked: tuple[str, ...]
    filter: Filter

    @property
    def where(self) -> str:
        """The condition for a WHERE clause."""
        text: str = self.native.where
        return text

    @property
    def params(self) -> list[Any] | dict[str, Any]:
        """The values for the placeholders in `where`."""
        params: list[Any] | dict[str, Any] = self.native.params
        return params

    @property
    def kind(self) -> Kind:
        return self.filter.kind

    def recheck(self, documents: Iterable[D]) -> list[D]:
        """Those of the documents that may be seen, in their order."""
        return self.filter.recheck(documents)


@dataclass(frozen=True)
class Filter:
    """Which documents of one type a caller may see, from one revision of the policies. `Engine.filter` makes it.

    A document may be seen if `decide` allows the request about it without obligations, or only with obligations of the
    types in `fulfilled`, which the caller promises to fulfil. `errors` say what was wrong with the question itself;
    then nothing may be seen. `decide` makes the decision about one document, with the obligations to fulfil and the
    labels that the session has once the document has been fetched. `whole` adds to a document everything that the
    request says of it and of what it mentions.
    """

    formula: Formula
    resource_type: str
    world: World
    revision: str = ""
    errors: tuple[RuleError, ...] = ()
    about: AboutDocuments = field(default=NOTHING_KNOWN, repr=False, compare=False)
    residual: Callable[[str], str] = field(default="# {}\n".format, repr=False, compare=False)
    decide: Callable[[Document], Decision] = field(default=lambda _: Decision("deny"), repr=False, compare=False)
    whole: WholeDocument | None = field(default=None, repr=False, compare=False)
    # The promised obligations, and the formula with blocks taken into account; None if `decide` may differ from the
    # formula.
    fulfilled: frozenset[str] | None = field(default=None, repr=False, compare=False)
    unblocked: Formula = field(default=TRUE, repr=False, compare=False)

    @property
    def kind(self) -> Kind:
        if self.formula == FALSE:
            return Kind.NEVER
        return Kind.ALWAYS if self.formula == TRUE else Kind.CONDITIONAL

    @cached_property
    def matches(self) -> Callable[[Document], bool]:
        """A function that returns whether a document may be seen: exactly what `decide` says. A document is flat, like
        a resource; its `type` may be left out. Never raises because of a document's content."""
        if self.fulfilled is None:
            return predicate(self.formula, self.resource_type, self.world, self.about.required, whole=self.whole)
        # The same result, by a decision about the document.
        decide, fulfilled = self.decide, self.fulfilled
        blocks = self.unblocked != TRUE
        unblocked = predicate(self.unblocked, self.resource_type, self.world)

        def decided(document: dict[str, Any]) -> bool:
            return decide(document).allowed_if(fulfilled) and (not blocks or unblocked(document))

        return settled(self.formula, self.resource_type, self.world, self.about.required, decided, self.whole)

    def explain(self) -> str:
        """What remains of the policies for this caller, as readable `.pol`: every rule that can matter, with known
        values filled in. With the same schema it is a policy that decides about every document as the original does for
        this caller. It shows the content of the request, so it is for those who may see that."""
        headline = _SAID[self.kind].format(self.resource_type if self.resource_type.isidentifier() else "resource")
        return self.residual("; ".join([headline, *(error.message for error in self.errors)]))

    def recheck(self, documents: Iterable[D]) -> list[D]:
        """Those of the documents that may be seen, in their order."""
        return list(filter(self.matches, documents))

    def to(self, backend: Backend, *, exact: bool = False) -> Query:
        """The filter in the terms of a store. With `exact`, raises NotExpressible if the store cannot express every
        condition exactly."""
        made = compiled(self.formula, backend, self.resource_type, self.about.places, self.about.spelling)
        unsure = [shown(atom, self.resource_type) for atom in made.rechecked]
        if made.any_type:
            unsure.append(f"{self.resource_type.lower()} is {self.resource_type}")
        if made.any_name:
            unsure.append(UNCHECKED_NAMES)
        rechecked = tuple(dict.fromkeys(unsure))
        if exact and rechecked:
            raise NotExpressible(tuple(self._not_expressible(text, backend) for text in rechecked))
        return Query(made.native, not rechecked, rechecked, self)

    def _not_expressible(self, condition: str, backend: Backend) -> Diagnostic:
        source = Source(f"filter on {self.resource_type}", condition)
        return Diagnostic(
            codes.NOT_EXPRESSIBLE,
            source.span(0, len(condition)),
            f"{backend.name} cannot express this condition exactly",
            "",
            'say `names="checked"` in the mapping if they are, or leave out `exact=True` and let `recheck` look'
            if condition == UNCHECKED_NAMES
            else "leave out `exact=True` and let `recheck` look at what is found",
        )
