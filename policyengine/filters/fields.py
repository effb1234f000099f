"""Where a store keeps the attributes of a document.

A mapping goes from attributes to Fields. Attributes are named as in a policy, below the resource (`tenant`,
`meta.level`, and `id`). Attributes that the mapping does not name are not in the store, and conditions on them cannot
be part of a query.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from policyengine.partial.formula import Path

Null = Literal["absent", "null"]
Names = Literal["checked"]
REST = "*"


@dataclass(frozen=True, slots=True)
class Field:
    """A column, or a key of a payload or of metadata.

    name: the name of the column or key.
    path: the names below it, if it holds JSON objects.
    json: whether it holds JSON values of any shape, rather than values of the attribute's own type.
    null: what a NULL in a typed column means in the document: "absent" (no such attribute) or "null"; None if it may be
        either, so that only evaluation can tell.
    refers_to: the type of the entities whose ids a typed column holds, for an attribute that is a reference.
    names: "checked" if nothing there has a name that a decision refuses, because it is most likely misspelt or only the
        entity source may give it; None if that is unknown, so that only evaluation can tell.
    """

    name: str
    path: Path = ()
    json: bool = False
    null: Null | None = None
    refers_to: str | None = None
    names: Names | None = None

    def __post_init__(self) -> None:
        if self.null not in (None, "absent", "null"):
            raise ValueError(f'null is "absent", "null" or None, not {self.null!r}')
        if self.names not in (None, "checked"):
            raise ValueError(f'names is "checked" or None, not {self.names!r}')
        for name in (self.name, *self.path):
            if not isinstance(name, str):
                raise TypeError(f"the name of a column or a key is a text, not {name!r}")


def column(name: str, *, null: Null | None = None, names: Names | None = None) -> Field:
    """A column or key of the attribute's own type: text for String, an array for Set<String>. Raises ValueError for
    another `null` or `names`, and TypeError for a name that is not text, as do the other functions here."""
    return Field(name, null=null, names=names)


def json(name: str, *path: str, names: Names | None = None) -> Field:
    """A place in a column that holds JSON. `names="checked"` promises that no name in it is one that a decision refuses
    (POL520, POL523): they were checked when they were stored."""
    return Field(name, path, json=True, names=names)


def ref(name: str, type: str, *, null: Null | None = None) -> Field:
    """A column with the ids of entities of one type."""
    if not isinstance(type, str):
        raise TypeError(f"the name of a type is a text, not {type!r}")
    return Field(name, null=null, refers_to=type)


class Fields:
    """A mapping from attributes to Fields, looked up by path."""

    def __init__(self, given: Mapping[str, str | Field], bare_json: bool = False) -> None:
        """A text stands for a column of that name. With `bare_json`, for a key of a JSON document; then `"*"` may also
        be a Field with values of the declared types, which one column cannot hold for all attributes."""
        if not isinstance(given, Mapping):
            raise TypeError("a mapping goes from attributes to columns or keys")
        places = {
            name: place if isinstance(place, Field) else Field(place, json=bare_json) for name, place in given.items()
        }
        self._nested = bare_json
        # `*` is no attribute: a document's attribute of that name belongs to the rest.
        self._rest = places.pop(REST, None)
        self._fields = {tuple(name.split(".")): place for name, place in places.items()}
        self._inside = [path for path in self._fields if len(path) > 1]

    @property
    def everything_else(self) -> Field | None:
        """Where all attributes that are not named are kept; None if the store has no others."""
        return self._rest

    def named(self) -> Iterator[tuple[Path, Field]]:
        """The named attributes, each with its place."""
        yield from self._fields.items()

    def find(self, path: Path) -> Field | None:
        """Where the value at the path is kept; None if the store does not have it."""
        for length in range(len(path), 0, -1):
            place = self._fields.get(path[:length])
            if place is not None:
                rest = path[length:]
                return place if not rest else replace(place, path=(*place.path, *rest)) if place.json else None
        if self._rest is None or not (self._rest.json or self._nested):
            return None
        return replace(self._rest, path=(*self._rest.path, *path))

    def rest(self, path: Path) -> Field | None:
        """Where the document with all attributes that are not named is kept, if the value at the path is one of them;
        None if it is named."""
        named = any(path[:length] in self._fields for length in range(len(path), 0, -1))
        return None if named else self._rest

    def apart(self, path: Path) -> tuple[Path, ...]:
        """What is named below the path and kept elsewhere than the value around it."""
        below = [each for each in self._inside if len(each) > len(path) and each[: len(path)] == path]
        return tuple(each for each in below if not self._is_within(each))

    def _is_within(self, path: Path) -> bool:
        """Whether a named attribute is kept in the very place that it would have without a name."""
        place, around = self._fields[path], self.find(path[:-1])
        if around is None or not (around.json and place.json):
            return False
        return place.name == around.name and place.path == (*around.path, path[-1])

    def locate(self, path: Path) -> tuple[Field, int] | None:
        """The Field that has the value at the path or something around it, and how many names of the path lead to it;
        the other names of the path are within that value. None if the store does not have it.

        A Field for `rec.a` says where `a` is, but not whether a document without it has no `rec` either."""
        for length in range(len(path), 0, -1):
            place = self._fields.get(path[:length])
            if place is not None:
                return place, length
        return None if self._rest is None else (replace(self._rest, path=(*self._rest.path, path[0])), 1)
