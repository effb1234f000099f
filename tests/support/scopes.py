"""What an expression of a generated policy can read, and what it must test first.

In: a schema, the roots of a place with their types, and the facts that are established there. Out: the paths that can
be written there. A fact is the text of the test that established it (`principal has boss`, `principal is User`); `isnt`
is the fact that an `is` test failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from policyengine.model.types import JSON, STRING, EntityT, RecordField, RecordT, Type, join, record, unrefined
from policyengine.schema.schema import Schema

Facts = frozenset[str]
NO_FACTS: Facts = frozenset()
DEPTH = 3


@dataclass(frozen=True, slots=True)
class Path:
    """Something readable. `missing` are the tests that have to hold before it may be read, outermost first."""

    text: str
    type: Type
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """The roots of one rule, with the definitions that it can call: name to parameter types."""

    schema: Schema
    roots: Mapping[str, Type]
    defines: Mapping[str, tuple[Type, ...]] = field(default_factory=dict)
    tool_args: RecordT | None = None
    # Whether values whose shape nobody declared may be read.
    json: bool = True
    _seen: dict[tuple[Facts, tuple[tuple[str, Type], ...]], tuple[Path, ...]] = field(
        default_factory=dict, compare=False
    )

    def paths(self, facts: Facts, locals_: tuple[tuple[str, Type], ...]) -> tuple[Path, ...]:
        """Every path of this place under these facts, with these quantifier variables."""
        key = (facts, locals_)
        if key not in self._seen:
            found = [p for name, type_ in self.roots.items() for p in self._below(name, type_, (), facts, DEPTH)]
            found += [p for name, type_ in locals_ for p in self._below(name, type_, (), facts, DEPTH - 1)]
            self._seen[key] = tuple(found)
        return self._seen[key]

    def _below(self, text: str, type_: Type, missing: tuple[str, ...], facts: Facts, depth: int) -> Iterator[Path]:
        type_ = unrefined(type_)
        if isinstance(type_, EntityT):
            type_ = EntityT(self.possible(text, type_.names, facts))
        if text != "context":
            yield Path(text, type_, missing)
        if depth == 0:
            return
        match type_:
            case EntityT():
                yield Path(f"{text}.id", STRING, missing)
                fields = self._attributes(type_, text)
            case RecordT(fields=declared):
                fields = dict(declared)
            case _:
                return
        for name, one in fields.items():
            test = f"{text} has {written(name)}"
            needed = (*missing, test) if one.optional and test not in facts else missing
            yield from self._below(text + member(name), one.type, needed, facts, depth - 1)

    def possible(self, text: str, names: frozenset[str], facts: Facts) -> frozenset[str]:
        """The types that an entity can still have under the facts."""
        for fact in sorted(facts):
            head, _, word = fact.rpartition(" ")
            if head == f"{text} is":
                names &= {word}
            elif head == f"{text} isnt":
                names -= {word}
            elif fact.startswith(f"{text} has "):
                names &= self.schema.declaring(names, fact.removeprefix(f"{text} has ").strip('"'))
        return names

    def _attributes(self, type_: EntityT, text: str) -> Mapping[str, RecordField]:
        """The attributes of an entity whose types can be told; one that some types lack counts as optional."""
        entities = self.schema.entities
        found: dict[str, RecordField] = {}
        for name in sorted({a for n in type_.names for a in entities[n].attributes}):
            owners = [entities[n].attributes[name] for n in sorted(type_.names) if name in entities[n].attributes]
            joined: Type | None = owners[0].type
            for other in owners[1:]:
                joined = join(joined, other.type) if joined is not None else None
            if joined is not None:
                some_lack_it = len(owners) < len(type_.names)
                found[name] = RecordField(joined, some_lack_it or any(f.optional for f in owners))
        if text == "resource" and self.tool_args is not None:
            found["args"] = RecordField(self.tool_args)
        return found


def written(name: str) -> str:
    """An attribute's name as it is written after `has`."""
    return name if name.isidentifier() else f'"{name}"'


def member(name: str) -> str:
    return f".{name}" if name.isidentifier() else f'["{name}"]'


def joined_args(schema: Schema, ids: list[str]) -> RecordT | None:
    """The arguments that a rule about these tools can read, as far as their types agree."""
    if any(i not in schema.tools for i in ids):
        return None
    merged = schema.tools[ids[0]].args
    for i in ids[1:]:
        both = join(merged, schema.tools[i].args)
        assert isinstance(both, RecordT)
        merged = both
    return merged


def common_actions(schema: Schema, names: list[str]) -> RecordT:
    """The attributes of several actions; those that only some have are optional."""
    merged: Type = record(dict(schema.actions[names[0]].attributes))
    for name in names[1:]:
        merged = join(merged, record(dict(schema.actions[name].attributes))) or JSON
    assert isinstance(merged, RecordT)
    return merged
