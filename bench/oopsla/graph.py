"""What the generators have in common."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The probability of each possible edge, as in the original.
EDGE = 0.05

Entity = dict[str, Any]
Reference = dict[str, str]


@dataclass(frozen=True, slots=True)
class Application:
    """`asks` are the actions with the types they are asked by and about."""

    name: str
    entities: Callable[[random.Random, int], list[Entity]]
    asks: Mapping[str, tuple[str, str]]

    @property
    def policy(self) -> str:
        return self._text("pol")

    @property
    def cedar(self) -> str:
        return self._text("cedar")

    def requests(self, rng: random.Random, graph: list[Entity], count: int) -> list[tuple[Reference, str, Reference]]:
        """Any action, by anyone it may be asked by, about anything it may be asked about; all that exist."""
        by_type: dict[str, list[Reference]] = {}
        for entity in graph:
            by_type.setdefault(entity["type"], []).append(ref(entity["type"], entity["id"]))
        found = []
        for _ in range(count):
            action = rng.choice(list(self.asks))
            asker, asked = self.asks[action]
            found.append((rng.choice(by_type[asker]), action, rng.choice(by_type[asked])))
        return found

    def _text(self, suffix: str) -> str:
        return Path(__file__).with_name(f"{self.name}.{suffix}").read_text(encoding="utf-8")


def ref(type_: str, name: object) -> Reference:
    return {"type": type_, "id": str(name)}


def entity(type_: str, id_: object, parents: Iterable[Reference] = (), /, **attributes: Any) -> Entity:
    return {"type": type_, "id": str(id_), **attributes, "parents": list(parents)}


def some(rng: random.Random, type_: str, numbers: Iterable[int]) -> list[Reference]:
    """Each of these, or not."""
    return [ref(type_, number) for number in numbers if rng.random() < EDGE]
