"""Everything that generated code may call.

Each function does for generated code what the interpreter does for the same node, or raises. The kind of exception does
not matter: if generated code cannot go on, the interpreter finds the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NoReturn

from policyengine.compile.native import NATIVE
from policyengine.evaluate.tool_arguments import take
from policyengine.model import argument_sources, operators
from policyengine.model.aggregates import summed
from policyengine.model.entities import ABSENT, World
from policyengine.model.provenance import Path, SourceIndex
from policyengine.model.quantifier_cost import look_through, looks
from policyengine.model.refined import refined
from policyengine.model.types import Type
from policyengine.model.values import INT_MAX, INT_MIN, Entity, as_entity, guard, is_text, plain_text


class Unusual(Exception):
    """Something that generated code leaves to the interpreter."""


def bad(*_: Any) -> NoReturn:
    raise Unusual


class Lacking(Exception):
    """A rule read an attribute that has no value."""


def lack(places: list[int], place: int) -> NoReturn:
    """Notes the place where a value was missing, and raises."""
    places.append(place)
    raise Lacking


def fail(places: list[int], place: int) -> object:
    """Notes the place and returns a true value, for a chain of `or`."""
    places.append(place)
    return ERRED


# A value that is true and unlike every other.
ERRED = object()


def plain_texts(value: Any) -> bool:
    """Whether a value is a plain list of plain texts."""
    return type(value) is list and {*map(type, value)} <= _TEXT


_TEXT = {str}


def pairs(value: Any) -> bool:
    """Whether a value is a plain list of plain objects with two members each, as references are."""
    return type(value) is list and {*map(type, value)} <= _OBJECT and {*map(len, value)} <= _TWO


_OBJECT, _TWO = {dict}, {2}
# Also called outside generated code.
plain_pairs: Callable[[Any], bool] = pairs if NATIVE is None else NATIVE.plain_pairs


def document(value: Any, type_: str, names: frozenset[str] | None) -> bool:
    """Whether a value is a plain object with a plain text for its id, and of this type if it has one; and, if `names`
    are given, with no other names."""
    return (
        type(value) is dict
        and (names is None or ({*map(type, value)} <= _TEXT and names.issuperset(value)))
        and type(of_type := value.get("type", type_)) is str
        and of_type == type_
        and type(value.get("id")) is str
    )


plain_document: Callable[[Any, str, frozenset[str] | None], bool] = (
    document if NATIVE is None else NATIVE.plain_document
)


def strings(value: Any) -> Any:
    """A set or list of strings, unchanged; texts that are not plain are converted."""
    if type(value) is not list and type(value) not in (tuple, set, frozenset):
        raise Unusual
    if plain_texts(value):
        return value
    if not all(map(is_text, value)):
        raise Unusual
    return tuple(map(plain_text, value))


def ordered_strings(value: Any) -> Any:
    """A list of strings as it came; a Python set is none."""
    if type(value) is not list and type(value) is not tuple:
        raise Unusual
    return strings(value)


def integers(left: int, right: int) -> bool:
    """True if both fit in 64 bits; raises otherwise."""
    if not (INT_MIN <= left <= INT_MAX and INT_MIN <= right <= INT_MAX):
        raise Unusual
    return True


def holds_any(items: Iterable[Any], test: Callable[[Any], bool]) -> bool:
    return any(test(item) for item in items)


def holds_all(items: Iterable[Any], test: Callable[[Any], bool]) -> bool:
    return all(test(item) for item in items)


def bounded(items: Collection[Any], *around: Collection[Any]) -> Collection[Any]:
    """The elements of a quantifier within others. Raises if the loops together visit too many."""
    count = 1
    for each in around:
        count *= len(each)
    looks(count, items, True)
    return items


def bounded_deep(value: Any, *around: Collection[Any]) -> Any:
    """The same, counting the elements within the elements too."""
    count = 1
    for each in around:
        count *= len(each)
    look_through(count, value, False)
    return value


def kept_uids(cell: list[Any], collection: Callable[[], Iterable[Entity]]) -> Any:
    """The identities of the entities, made once."""
    if not cell:
        cell.append(operators.uids(collection()))
    return cell[0]


def kept(cell: list[Any], collection: Callable[[], Iterable[Any]], element: Type | None = None) -> Any:
    """The elements as a set, made once. Elements that are not scalars are represented by hashable keys."""
    if not cell:
        elements = collection()
        cell.append(frozenset(elements) if element is None else operators.members(elements, element))
    return cell[0]


def counted_any(items: Iterable[Any], test: Callable[[int, Any], bool]) -> bool:
    return any(test(position, item) for position, item in enumerate(items))


def counted_all(items: Iterable[Any], test: Callable[[int, Any], bool]) -> bool:
    return all(test(position, item) for position, item in enumerate(items))


def find(entity: Entity, name: str, owners: frozenset[str] | None, world: World) -> Any:
    """A raw attribute of an entity other than the principal and the resource."""
    value = ABSENT if owners is not None and entity.uid.type not in owners else world.find(entity, name)
    if value is ABSENT:
        raise KeyError(name)
    return value


def has(entity: Entity, name: str, owners: frozenset[str] | None, world: World) -> bool:
    return (owners is None or entity.uid.type in owners) and world.find(entity, name) is not ABSENT


def member(value: Any, name: str) -> Any:
    """A raw member of a record or JSON object."""
    if type(value) is not dict:
        raise Unusual
    return value[name]


def has_member(value: Any, name: str) -> bool:
    if type(value) is not dict:
        raise Unusual
    return name in value


def in_order(hits: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    return hits if len(hits) == 1 else tuple(sorted(hits))


NOTHING: Mapping[str, Any] = {}


def sources(
    path: Path, resource: Any, context: Mapping[str, Any], world: World, read: argument_sources.ProvenanceRead
) -> tuple[str, ...]:
    """The sources of an argument. `read` belongs to one request, and reads its provenance when the first rule asks."""
    known: tuple[str, ...] | None = read.get(path)
    if known is not None:
        return known
    if None not in read:
        return argument_sources.sources(path, as_entity(resource), context, world, read)
    if type(read[None]) is not SourceIndex:
        return argument_sources.sources(path, resource, context, world, read)
    gathered: tuple[str, ...] = read[None].sources(path)
    read[path] = gathered
    return gathered


# The names that generated code knows.
NAMES: Mapping[str, Any] = {
    "bad": bad,
    "absent": ABSENT,
    "Lacking": Lacking,
    "lack": lack,
    "fail": fail,
    "erred": ERRED,
    # Not a collection: a test of what it contains fails.
    "unknown_hierarchy": object(),
    "in_order": in_order,
    "plain_texts": plain_texts if NATIVE is None else NATIVE.plain_texts,
    "nothing": NOTHING,
    "none": frozenset(),
    "strings": strings,
    "ordered_strings": ordered_strings,
    "integers": integers,
    "holds_any": holds_any,
    "holds_all": holds_all,
    "kept": kept,
    "bounded": bounded,
    "bounded_deep": bounded_deep,
    "kept_uids": kept_uids,
    "uids": operators.uids,
    "is_member": operators.is_member,
    "counted_any": counted_any,
    "counted_all": counted_all,
    "summed": summed,
    "str": str,
    "find": find,
    "has": has,
    "member": member,
    "has_member": has_member,
    "guard": guard,
    "as_entity": as_entity,
    "contains": operators.contains,
    "lookup": operators.lookup,
    "refined": refined,
    "take": take,
    "has_key": operators.has_key,
    "within": operators.within,
    "equal": operators.equal,
    "arithmetic": operators.arithmetic,
    "negate": operators.negate,
    "like": operators.like,
    "sources": sources,
}
