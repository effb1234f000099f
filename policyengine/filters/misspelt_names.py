"""Whether a document, as a mapping has it, can contain a name for which a decision refuses it.

A document with a name that is most likely misspelt (`parent` for `parents`) is denied, and so is a document that says
about an entity what only the entity source may say, at any place and whatever the rules ask. Stores compare values and
cannot check such names. If a mapping leads to objects whose names may be unchecked, only evaluation can tell."""

from __future__ import annotations

from collections.abc import Callable

from policyengine.diagnostics.suggest import misspelt
from policyengine.filters.fields import Fields
from policyengine.model.entities import PARENTS
from policyengine.model.types import EntityT, ListT, RecordT, RefinedT, Type
from policyengine.partial.formula import Path
from policyengine.schema.members import names_of
from policyengine.schema.schema import Schema, mentions

# Whether the objects that a mapping leads to may have such a name.
Spelling = Callable[[Fields], bool]


def spelling(schema: Schema, type_: str) -> Spelling:
    """The check for documents of a type."""

    def unchecked(fields: Fields) -> bool:
        others = fields.everything_else
        if others is not None and others.names is None:
            return True
        for path, place in fields.named():
            if _refused(path, type_, schema):
                return True
            type_there = _at(path, type_, schema)
            # An id gives nothing but the identity.
            if type_there is not None and mentions(type_there) and place.refers_to is None and place.names is None:
                return True
        return False

    return unchecked


def _refused(path: Path, type_: str, schema: Schema) -> bool:
    """Whether a name on the path is one for which an entity is refused."""
    around: Type | None = EntityT(frozenset({type_}))
    for name in path:
        for each in sorted(around.names) if isinstance(around, EntityT) else ():
            names = names_of(each, schema)
            if name in names.sourced or (name not in names.members and misspelt(name, names.weighty)):
                return True
        around = _inside(around, name, schema)
    return False


def _at(path: Path, type_: str, schema: Schema) -> Type | None:
    """The type of the value at the path, if it can mention entities; None otherwise."""
    type_there: Type | None = EntityT(frozenset({type_}))
    for name in path:
        type_there = _inside(type_there, name, schema)
    return type_there


def _inside(type_: Type | None, name: str, schema: Schema) -> Type | None:
    match type_:
        case RefinedT(base=base):
            return _inside(base, name, schema)
        case RecordT(fields):
            return next((field.type for each, field in fields if each == name), None)
        case EntityT(names):
            if name == PARENTS:
                return ListT(EntityT(schema.every_type()))
            declared = (schema.entities[each].attributes.get(name) for each in sorted(names) if each in schema.entities)
            # If several types have such an attribute, one that mentions entities decides.
            types = sorted((field.type for field in declared if field is not None), key=mentions)
            return types[-1] if types else None
    return None
