"""What the caller says of entities that the unknown entity may mention, or may be.

Mentions of one entity in one request are one entity (`schema/mentions.py`), and the caller's part of the request is
known before the unknown entity is. So its statements about which entities are below others are known too. If the
unknown entity may be one of which the caller states more than the identity, only evaluating the two together gives the
result."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from collections.abc import Set as AbstractSet
from operator import is_
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from policyengine.compile.runtime import plain_pairs
from policyengine.model.entities import PARENTS
from policyengine.model.request import Request
from policyengine.model.types import STRING, EntityT, Type, element_of
from policyengine.model.values import Entity, Fault, Uid, as_entity
from policyengine.partial.atoms import one_of
from policyengine.partial.formula import FALSE, ID, All, Below, Deferred, Formula, Inside, Some, Sourced
from policyengine.partial.logic import conj, disj
from policyengine.schema.members import DELEGATED_BY
from policyengine.schema.mentions import Mentions
from policyengine.schema.misspelt_names import check_other_names, check_own_names
from policyengine.schema.schema import Schema

Document = dict[str, Any]
# These attributes matter whatever the rules read.
_CLIMBED = (PARENTS, DELEGATED_BY)


class _Said(Struct, frozen=True):
    """What the caller says of hierarchies: what is above each entity, and the entities of which nothing can be told."""

    above: tuple[tuple[Uid, frozenset[Uid]], ...]
    faulty: frozenset[Uid]


def widened(formula: Formula, everyone: Iterable[Entity], ancestors_of: Callable[[Entity], frozenset[Uid]]) -> Formula:
    """The formula, with the caller's statements about these entities added to the hierarchies of the source.
    `ancestors_of` is called only if the formula tests a hierarchy. It may raise Fault: then a test of what is that
    entity, or is in it, is an error, and the formula is true of no such thing."""

    said_once: list[_Said] = []

    def said() -> _Said:
        if not said_once:
            above: list[tuple[Uid, frozenset[Uid]]] = []
            faulty: list[Uid] = []
            for entity in everyone:
                try:
                    above.append((entity.uid, ancestors_of(entity)))
                except Fault:
                    faulty.append(entity.uid)
            said_once.append(_Said(tuple(above), frozenset(faulty)))
        return said_once[0]

    return _widened(formula, said)


def _widened(formula: Formula, said: Callable[[], _Said]) -> Formula:
    match formula:
        case All(items=items):
            changed = tuple([_widened(item, said) for item in items])
            return formula if all(map(is_, changed, items)) else All(changed)
        case Some(items=items):
            changed = tuple([_widened(item, said) for item in items])
            return formula if all(map(is_, changed, items)) else Some(changed)
        case Sourced(ids=ids, formula=of):
            return Sourced(ids, lambda id_: _widened(of(id_), said))
        case Below(path=path, type=type_):
            return _told_by(formula, said(), Below(path, type_, frozenset(), said().faulty, True))
        case Inside():
            return _told_by(formula, said(), Inside(frozenset(), said().faulty, True))
    return formula


def _told_by(formula: Below | Inside, said: _Said, sound: Below | Inside) -> Formula:
    """The test of a hierarchy, as a store has to make it; `sound` is true where what is tested mentions no faulty
    entity. Evaluation needs neither: it looks at the targets, in documents with everything that is said of them."""
    below = frozenset(uid for uid, its_ancestors in said.above if not formula.targets.isdisjoint(its_ancestors))
    test = formula if below <= formula.closed else replace(formula, closed=formula.closed | below)
    return All((test, sound)) if said.faulty else test


def looks_above(formula: Any) -> bool:
    """Whether the formula, or what fills its holes, may test a hierarchy: `widened` leaves any other as it is."""
    match formula:
        case All(items=items) | Some(items=items):
            return any(map(looks_above, items))
    return isinstance(formula, Sourced | Below | Inside | Deferred)


def may_be(formula: Formula, ids: frozenset[str], known_id: str | None) -> Formula:
    """The formula, with things of these ids left to evaluation one by one. `known_id` is the id of the thing, if it is
    known."""
    if known_id is not None:
        ids = ids & {known_id}
        return Sourced(ids, lambda _: formula) if ids else formula
    if not ids or formula == FALSE:
        return formula if not ids else Sourced(ids, lambda _: formula)
    return disj(conj(one_of(ID, STRING, sorted(ids), True), formula), Sourced(ids, lambda _: formula))


def _is_compared(type_: Type, through: AbstractSet[str]) -> bool:
    """Whether a value is a collection of entities that are only compared: what is said of them does not matter."""
    element = element_of(type_)
    return isinstance(element, EntityT) and element.names.isdisjoint(through)


class WholeDocument(Struct, frozen=True):
    """Merges the statements about a document, for one request.

    of: returns a document with everything that is said of it; None for one with a name that is most likely misspelt. It
        returns the document itself if nothing is added. Never raises.
    plain: a document with only these names needs nothing added.
    """

    of: Callable[[Any], Any]
    plain: AbstractSet[str]


class Wholes:
    """Merges what a request, and a document in the place of its resource, say of the document and of what it mentions.
    `known` are names of a document that need no check; `through` are the types of mentioned entities of which rules
    read more than the identity."""

    def __init__(self, schema: Schema, type_: str, known: set[str], through: AbstractSet[str]) -> None:
        self._schema, self._type, self._known, self._through = schema, type_, known, through
        where = schema.places_of(type_)
        self._places = tuple(name for name, _ in where)
        self._names = frozenset(self._places)
        self._plain = frozenset(known) - self._names
        self._compared = frozenset(name for name, of in where if name not in _CLIMBED and _is_compared(of, through))

    def of(self, request: Request, mentioned: Mentions) -> WholeDocument:
        """`mentioned` are the mentions in the request."""
        described, known, names, schema = mentioned.own.contents, self._known, self._names, self._schema
        ids = {uid.id for uid in described if uid.type == self._type}
        # Whether the caller's part of the request has no misspelt names: the same for every document.
        is_well_named: bool | None = None

        def whole(document: Any) -> Any:
            nonlocal is_well_named
            if type(document) is not dict:
                return document
            if known.issuperset(document) and (names.isdisjoint(document) or self._is_plain(document, described)):
                id_ = document.get("id")
                if not ids or type(id_) is not str or id_ not in ids:
                    return document
            try:
                thing = as_entity({"type": self._type, **document})
                every = mentioned.of(Request(request.principal, request.action, thing, request.context))
                check_other_names(every, schema)
            except Fault:
                return None
            united = every.resource()
            if is_well_named is None:
                is_well_named = _is_well_named(request, mentioned, schema)
            return (document if united is thing else united.attributes) if is_well_named else None

        # If the caller describes documents, their names alone do not show that nothing is added.
        return WholeDocument(whole, frozenset() if ids else self._plain)

    def _is_plain(self, document: Document, described: Collection[tuple[str, str]]) -> bool:
        """Whether nothing that is said of the mentioned entities matters."""
        own, types, compared, through = document.get("id"), self._schema.entities, self._compared, self._through
        for name in self._places:
            if name in document:
                value = document[name]
                if name in compared and type(value) is list:
                    if plain_pairs(value):
                        continue
                    return False
                for each in value if type(value) is list else (value,):
                    if type(each) is not dict or len(each) != 2:
                        return False
                    of_type, id_ = each.get("type"), each.get("id")
                    if type(of_type) is not str or type(id_) is not str or of_type not in types or id_ == own:
                        return False
                    # No rule reads the caller's description of an entity that is only compared, such as most owners.
                    if (of_type, id_) in described and (of_type in through or name in _CLIMBED):
                        return False
        return True


def _is_well_named(request: Request, mentioned: Mentions, schema: Schema) -> bool:
    try:
        check_own_names(request, mentioned, schema)
    except Fault:
        return False
    return True
