"""LlamaIndex: a filter as MetadataFilters, from which each of its vector stores makes its own query.

The stores differ: in what an operator does with a missing value or a value of another type, in whether filters nest,
and in how they quote. So no query is exact, a query contains only conditions that every store treats the same, and it
never contains a text that a store could read as more than a text (several paste it into SQL).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters

from policyengine.filters.backend import Fragment, StoreLimits
from policyengine.filters.fields import Field, Fields
from policyengine.filters.numbers import bound, i64, safe_double
from policyengine.model.types import INT, NUMBER, STRING, EntityT, Type, element_of
from policyengine.model.values import Entity
from policyengine.partial.formula import Atom, Below, Elements, OneOf, Path, Relation

PLAIN = re.compile(r"[\w .@/+-]{1,200}")
RANGE = {"lt": FilterOperator.LT, "lte": FilterOperator.LTE, "gt": FilterOperator.GT, "gte": FilterOperator.GTE}
# A key that no metadata has.
NO_KEY = "policyengine.nothing"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A condition on one key. `==` is `in` with one value."""

    key: str
    operator: FilterOperator
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class FilterGroup:
    """Conditions, of which all have to be met, or some."""

    all: bool
    items: tuple[Tree, ...]


Tree = Leaf | FilterGroup
EVERYTHING = FilterGroup(True, ())
NOTHING = FilterGroup(True, tuple(Leaf(NO_KEY, FilterOperator.IN, (value,)) for value in ("a", "b")))


def metadata_filters(
    keys: Mapping[str, str | Field], *, also: Collection[FilterOperator] = (), nested: bool = False
) -> LlamaIndex:
    """MetadataFilters of LlamaIndex. The query's `native` is None if the store cannot be asked for anything.

    keys: from attributes to keys of the metadata; `ref(...)` for ids of entities. Keys go to the store as they are, and
        are not to come from outside.
    also: what the store knows besides `==` and `in`, and can do with any value that a document may have there: some
        of `<`, `<=`, `>`, `>=`, `any`, `all`.
    nested: whether the store takes filters in filters. Without it alternatives are asked for as far as what they have
        in common goes.

    >>> from policyengine import Engine
    >>> engine = Engine.from_text('''
    ... module notes
    ... use ai
    ... permit own: retrieve on Document when document.tenant == principal.tenant
    ... ''')
    >>> ann = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
    >>> query = engine.filter(principal=ann, action="retrieve", resource_type="Document").to(
    ...     metadata_filters({"tenant": "tenant"}))
    >>> query.exact, query.native.filters
    (False, [MetadataFilter(key='tenant', value='acme', operator=<FilterOperator.EQ: '=='>)])
    """
    return LlamaIndex(Fields(keys), frozenset(also), nested)


@dataclass(frozen=True, slots=True)
class LlamaIndex:
    """See `metadata_filters`."""

    fields: Fields
    also: frozenset[FilterOperator]
    nested: bool
    name: str = "LlamaIndex"

    @property
    def limits(self) -> StoreLimits:
        return StoreLimits(12, 500)

    def all(self, items: Sequence[Tree]) -> Tree:
        return FilterGroup(True, tuple(items))

    def some(self, items: Sequence[Tree]) -> Tree:
        return FilterGroup(False, tuple(items))

    def nothing(self) -> Tree:
        return NOTHING

    def everything(self) -> Tree:
        return EVERYTHING

    def finish(self, native: Tree) -> MetadataFilters | None:
        if self.nested:
            made = _nested(native)
            return made if isinstance(made, MetadataFilters) or made is None else MetadataFilters(filters=[made])
        if isinstance(native, FilterGroup) and not native.all and all(isinstance(each, Leaf) for each in native.items):
            return MetadataFilters(filters=list(map(_filter, native.items)), condition=FilterCondition.OR)
        leaves = _certain(native)
        return MetadataFilters(filters=list(map(_filter, leaves))) if leaves else None

    def atom(self, atom: Atom) -> Fragment | None:
        tree = self._tree(atom)
        return None if tree is None else Fragment(tree, exact=False)

    def _tree(self, atom: Atom) -> Tree | None:
        match atom:
            case Relation(path=path, type=type_, op=op, value=value):
                if op == "==" and type_ != NUMBER:
                    return self._among(path, type_, (value,))
                return self._range(path, type_, op, value) if type_ in (INT, NUMBER) else None
            case OneOf(path=path, type=type_, values=values, negated=False):
                return self._among(path, type_, values)
            case Below(path=path, type=type_, closed=closed, negated=False):
                place = self._place(path)
                ids = [] if place is None else sorted(uid.id for uid in closed if uid.type == place.refers_to)
                return None if place is None else _leaf(place, FilterOperator.IN, ids)
            case Elements(path=path, type=type_, kind="any" | "all" as kind, values=values):
                operator = FilterOperator.ANY if kind == "any" else FilterOperator.ALL
                place, element = self._place(path), element_of(type_)
                if operator not in self.also or place is None or element is None:
                    return None
                return _leaf(place, operator, _constants(place, element, values))
        return None

    def _place(self, path: Path) -> Field | None:
        field = self.fields.find(path)
        return field if field is not None and not field.path else None

    def _among(self, path: Path, type_: Type, values: Sequence[Any]) -> Tree | None:
        place = self._place(path)
        return None if place is None else _leaf(place, FilterOperator.IN, _constants(place, type_, values))

    def _range(self, path: Path, type_: Type, op: Any, value: Any) -> Tree | None:
        place, limits = self._place(path), bound(op, value, whole=type_ == INT)
        if op == "!=" or place is None or limits is None or not {RANGE[name] for name in limits.limits} <= self.also:
            return None
        return FilterGroup(
            True, tuple(Leaf(place.name, RANGE[name], (limit,)) for name, limit in limits.limits.items())
        )


def _constants(place: Field, type_: Type, values: Iterable[Any]) -> list[Any] | None:
    """The values as the metadata have them; None for those that a store may not know or may read in another way."""
    if isinstance(type_, EntityT):
        # References to entities of other types are in no such place.
        ids = [v.uid.id for v in values if isinstance(v, Entity) and v.uid.type == place.refers_to]
        return ids if place.refers_to is not None else None
    return list(values) if type_ in (STRING, INT) else None


def _leaf(place: Field, operator: FilterOperator, values: list[Any] | None) -> Leaf | None:
    if not values:
        return None
    texts = all(value.__class__ is str and PLAIN.fullmatch(value) for value in values)
    if not texts and not all(i64(value) and safe_double(value) for value in values):
        return None
    return Leaf(place.name, operator, tuple(values))


def _filter(leaf: Any) -> MetadataFilter:
    if leaf.operator == FilterOperator.IN and len(leaf.values) == 1:
        return MetadataFilter(key=leaf.key, value=leaf.values[0], operator=FilterOperator.EQ)
    single = leaf.operator in RANGE.values()
    return MetadataFilter(key=leaf.key, value=leaf.values[0] if single else list(leaf.values), operator=leaf.operator)


def _nested(tree: Tree) -> MetadataFilter | MetadataFilters | None:
    if isinstance(tree, Leaf):
        return _filter(tree)
    parts = [part for part in map(_nested, tree.items) if part is not None]
    if not parts or (not tree.all and len(parts) < len(tree.items)):
        return None
    return MetadataFilters(filters=parts, condition=FilterCondition.AND if tree.all else FilterCondition.OR)


def _certain(tree: Tree) -> tuple[Leaf, ...]:
    """What is met wherever the tree is: of alternatives, what each of them demands of the same key."""
    if isinstance(tree, Leaf):
        return (tree,)
    parts = [_certain(item) for item in tree.items]
    if tree.all:
        return tuple(dict.fromkeys(leaf for part in parts for leaf in part))
    first, *others = parts
    kept = [leaf for leaf in first if all(leaf in other for other in others)]
    for leaf in first:
        if leaf.operator != FilterOperator.IN or leaf in kept:
            continue
        same = [[each for each in o if each.key == leaf.key and each.operator == leaf.operator] for o in others]
        if all(same):
            values = dict.fromkeys([*leaf.values, *(value for each in same for value in each[0].values)])
            if len({value.__class__ for value in values}) == 1:
                kept.append(Leaf(leaf.key, leaf.operator, tuple(values)))
    return tuple(kept)
