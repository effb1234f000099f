"""Trees, typed policies and findings as plain data, and back.

In: values of the classes listed here. Out: nested lists of plain scalars, which any data format can hold. Reading them
makes values of these classes and no others, so that the result is data and never code. Reading anything that was not
written here raises, or returns values of unexpected types, but has no other effect.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from policyengine.diagnostics.codes import CODES
from policyengine.diagnostics.diagnostic import Code, Diagnostic, Note
from policyengine.diagnostics.source import Source, Span
from policyengine.ir import nodes as ir
from policyengine.model.types import EntityT, ListT, Prim, RecordField, RecordT, RefinedT, SetT
from policyengine.model.values import Entity, Uid, parse_time
from policyengine.syntax import ast


class Unstorable(Exception):
    """A value that cannot be written as plain data."""


# Tags for everything that is not a dataclass; those of dataclasses follow.
_TUPLE, _SET, _SPAN, _FOREIGN, _SHARED, _TIME, _DURATION, _IP, _UID, _ENTITY, _CODE, _CLASSES = range(12)
_SCALARS = frozenset({str, int, float, bool, type(None)})
_TYPES = (Prim, SetT, ListT, RecordT, EntityT, RefinedT)
_TREES = tuple(c for c in vars(ast).values() if isinstance(c, type) and issubclass(c, ast.Node) and c is not ast.Node)
_STORED: tuple[type[Any], ...] = (
    *typing.get_args(ir.Expr), *_TREES, *_TYPES, RecordField,
    ir.Scope, ir.Head, ir.ObligationSpec, ir.LimitSpec, ir.Footprint, ir.Proof, Diagnostic, Note,
)  # fmt: skip
_TAGS = {cls: tag for tag, cls in enumerate(_STORED, _CLASSES)}
_NAMES = {cls: tuple(f.name for f in fields(cls)) for cls in _STORED}


@dataclass(slots=True)
class Writer:
    """Writes the values of one text. `home` is that text; `modules` names the others that places may be in."""

    home: Source
    modules: Mapping[Source, str]
    # Types, frozensets and footprints, each written once.
    shared: list[Any] = field(default_factory=list)
    _numbers: dict[Any, int] = field(default_factory=dict)

    def put(self, value: Any) -> Any:
        """The value as plain data. Raises Unstorable."""
        cls = value.__class__
        if cls in _SCALARS:
            return value
        if cls is Span:
            return self._span(value)
        if cls is tuple:
            return [_TUPLE, *(self.put(item) for item in value)]
        if cls in _TYPES or cls is frozenset:
            return [_SHARED, self.share(value)]
        if cls in _TAGS:
            return [_TAGS[cls], *(self.put(getattr(value, name)) for name in _NAMES[cls])]
        return self._other(value)

    def _span(self, span: Span) -> list[Any]:
        if span.source is self.home:
            return [_SPAN, span.start, span.end]
        if span.source not in self.modules:
            raise Unstorable("a place in an unknown text")
        return [_FOREIGN, span.start, span.end, self.modules[span.source]]

    def share(self, value: Any) -> int:
        """The number of a type, frozenset or footprint among those that are written once."""
        cls = value.__class__
        number = self._numbers.get(value)
        if number is None:
            if cls is frozenset:
                data = [_SET, *sorted((self.put(item) for item in value), key=repr)]
            else:
                data = [_TAGS[cls], *(self.put(getattr(value, name)) for name in _NAMES[cls])]
            number = self._numbers[value] = len(self.shared)
            self.shared.append(data)
        return number

    def _other(self, value: Any) -> list[Any]:
        match value:
            case Uid(type=type_, id=id_):
                return [_UID, type_, id_]
            case Code(id=id_):
                return [_CODE, id_]
            case datetime():
                return [_TIME, value.isoformat()]
            case timedelta():
                return [_DURATION, value.days, value.seconds, value.microseconds]
            case IPv4Address() | IPv6Address():
                return [_IP, str(value)]
            case Entity(uid=uid, attributes=attributes) if not attributes:
                return [_ENTITY, uid.type, uid.id]
        raise Unstorable(type(value).__name__)


@dataclass(slots=True)
class Reader:
    """Reads what a Writer wrote. `home` and `modules` are the texts; `shared` is what the Writer had in `shared`."""

    home: Source
    modules: Mapping[str, Source]
    shared: list[Any] = field(default_factory=list)

    def read_shared(self, data: list[Any]) -> None:
        """Reads the values that others refer to by number; must come before these."""
        for one in data:
            self.shared.append(self.get(one))

    def get(self, data: Any) -> Any:
        """The value. Raises for anything that no Writer wrote."""
        if data.__class__ is not list:
            return data
        tag, get = data[0], self.get
        if tag >= _CLASSES:
            cls = _STORED[tag - _CLASSES]
            made = object.__new__(cls)
            for name, item in zip(_NAMES[cls], data[1:], strict=True):
                object.__setattr__(made, name, get(item) if item.__class__ is list else item)
            return made
        if tag == _SPAN:
            return Span(self.home, data[1], data[2])
        if tag == _SHARED:
            return self.shared[data[1]]
        if tag == _TUPLE:
            return tuple([get(item) if item.__class__ is list else item for item in data[1:]])
        if tag == _SET:
            return frozenset([get(item) if item.__class__ is list else item for item in data[1:]])
        return self._other(tag, data)

    def _other(self, tag: int, data: list[Any]) -> Any:
        if tag == _FOREIGN:
            return Span(self.modules[data[3]], data[1], data[2])
        if tag == _UID:
            return Uid(data[1], data[2])
        if tag == _ENTITY:
            return Entity(Uid(data[1], data[2]))
        if tag == _CODE:
            return CODES[data[1]]
        if tag == _TIME:
            return parse_time(data[1])
        if tag == _DURATION:
            return timedelta(data[1], data[2], data[3])
        return ip_address(data[1])
