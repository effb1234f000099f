"""Entities of a source against the schema: attributes that are not declared, and attributes of another type than
declared.

In: records as they were read. Out: a Misfit for everything that rules could not read as intended. A missing attribute
is not a misfit: rules that read it report an error. Shows no values, only names and types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policyengine.diagnostics.suggest import did_you_mean, one_of
from policyengine.model.types import EntityT, ListT, RecordField, RecordT, SetT, Type
from policyengine.model.values import Fault, Uid, as_entity, guard
from policyengine.schema.schema import Schema

Path = tuple[str | int, ...]
_IDENTITY = ("type", "id", "parents")


@dataclass(frozen=True, slots=True)
class Misfit:
    """What is wrong, and where: the path to a value or, with `named`, to the name of one."""

    path: Path
    named: bool
    message: str
    help: str = ""


def misfits(records: Sequence[Mapping[str, Any]], schema: Schema) -> Iterator[Misfit]:
    """Everything in the records that does not fit the schema. Records without a type and id are checked elsewhere."""
    seen: set[Uid] = set()
    for number, item in enumerate(records):
        try:
            uid = as_entity(item).uid
        except Fault as fault:
            yield Misfit((number,), False, fault.message)
            continue
        if uid in seen:
            yield Misfit((number, "id"), False, f"`{uid}` is given twice")
        seen.add(uid)
        known = schema.entities.get(uid.type)
        if known is None:
            yield _undeclared((number, "type"), uid.type, schema)
        else:
            yield from _fields(item, dict(known.attributes), (number,), f"entity type `{uid.type}`", schema)
        if "parents" in item:
            yield from _parents(item["parents"], (number, "parents"), schema)


def _undeclared(path: Path, type_: str, schema: Schema) -> Misfit:
    help_ = did_you_mean(type_, schema.entities) or f"declared: {one_of(schema.entities)}"
    return Misfit(path, False, f"unknown type `{type_[:100]}`", help_)


def _parents(parents: Any, path: Path, schema: Schema) -> Iterator[Misfit]:
    if not isinstance(parents, list | tuple):
        yield Misfit(path, False, "`parents` is a list of entities")
        return
    for number, parent in enumerate(parents):
        try:
            type_ = as_entity(parent).uid.type
        except Fault as fault:
            yield Misfit((*path, number), False, fault.message)
            continue
        if type_ not in schema.entities:
            yield _undeclared((*path, number, "type"), type_, schema)


def _fields(
    values: Mapping[str, Any], declared: Mapping[str, RecordField], path: Path, where: str, schema: Schema
) -> Iterator[Misfit]:
    entity = where.startswith("entity type")
    for name, value in values.items():
        if entity and name in _IDENTITY:
            continue
        field = declared.get(name)
        if field is None:
            help_ = did_you_mean(name, declared) or (f"declared: {one_of(declared)}" if declared else "")
            yield Misfit((*path, name), True, f"unknown attribute `{name[:100]}` on {where}", help_)
        else:
            yield from _value(value, field.type, (*path, name), name, schema)


def _value(value: Any, type_: Type, path: Path, name: str, schema: Schema) -> Iterator[Misfit]:
    match type_:
        case SetT(element) | ListT(element) if isinstance(value, list | tuple):
            for number, item in enumerate(value):
                yield from _value(item, element, (*path, number), name, schema)
            return
        case RecordT(fields) if isinstance(value, dict):
            yield from _fields(value, dict(fields), path, f"`{name[:100]}`", schema)
            return
        case EntityT() if isinstance(value, dict) and value.get("type") in schema.entities:
            known = schema.entities[value["type"]]
            yield from _fields(value, dict(known.attributes), path, f"entity type `{known.name}`", schema)
    try:
        guard(value, type_)
    except Fault as fault:
        yield Misfit(path, False, f"`{name[:100]}` should be {type_}: {fault.message}")
