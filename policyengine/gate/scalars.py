"""The scalars in a value, and its parts by their JSON Pointers. Does not recurse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

PLAIN = (str, int, float, bool)


def scalars(value: Any) -> Iterator[Any]:
    """The texts, numbers and truth values in a value, including the names of members."""
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, Mapping):
            todo.extend(one.keys())
            todo.extend(one.values())
        elif isinstance(one, list | tuple | set | frozenset):
            todo.extend(one)
        elif one is not None:
            yield one


def pointers(args: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Every argument and every part of one, with its JSON Pointer."""
    todo: list[tuple[str, Any]] = [(f"/{_escaped(name)}", value) for name, value in args.items()]
    while todo:
        path, value = todo.pop()
        yield path, value
        if value.__class__ in PLAIN:
            continue
        if isinstance(value, Mapping):
            todo.extend((f"{path}/{_escaped(name)}", item) for name, item in value.items())
        elif isinstance(value, list | tuple):
            todo.extend((f"{path}/{at}", item) for at, item in enumerate(value))


def _escaped(name: str) -> str:
    return name if name.isalnum() else name.replace("~", "~0").replace("/", "~1")
