"""What all filters for one action on documents of one type have in common, whoever asks."""

from __future__ import annotations

from dataclasses import dataclass

from policyengine.compile.evaluator import Evaluator
from policyengine.filters.mention_places import MentionPlace, places
from policyengine.filters.misspelt_names import Spelling, spelling
from policyengine.partial.caller_mentions import Wholes
from policyengine.schema.schema import Schema


@dataclass(frozen=True, slots=True)
class AboutDocuments:
    """`required` are the attributes that the schema requires of a document; `wholes` merges everything that is said of
    one. `places` are where a document mentions entities; `spelling` tells whether a mapping leads to names that may be
    unchecked."""

    required: frozenset[str] = frozenset()
    wholes: Wholes | None = None
    places: tuple[MentionPlace, ...] = ()
    spelling: Spelling | None = None


NOTHING_KNOWN = AboutDocuments()


class KnownDocuments:
    """Works this out for a snapshot, once for each action and type."""

    def __init__(self, schema: Schema, evaluator: Evaluator) -> None:
        self._schema, self._evaluator = schema, evaluator
        # Only for declared actions and types: callers could make up others without end.
        self._known: dict[tuple[str, str], AboutDocuments] = {}

    def of(self, action: str, type_: str) -> AboutDocuments:
        """For documents of a type, in requests with this action."""
        known = self._known.get((action, type_))
        if known is None:
            known = self._found(action, type_)
            if action in self._schema.actions and type_ in self._schema.entities:
                self._known[action, type_] = known
        return known

    def _found(self, action: str, type_: str) -> AboutDocuments:
        schema, evaluator = self._schema, self._evaluator
        declared = schema.entities.get(type_)
        fields = {} if declared is None else declared.attributes
        required = frozenset(name for name, field in fields.items() if not field.optional)
        wholes = Wholes(schema, type_, evaluator.vetted_names.members(type_), evaluator.read_through(action, type_))
        return AboutDocuments(required, wholes, places(schema, type_), spelling(schema, type_))
