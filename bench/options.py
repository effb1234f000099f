"""How a run is to be done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """`rounds` and `seconds` bound what one subject gets in one case: as many turns, as much time."""

    seed: int = 1
    quick: bool = False
    peers: bool = True

    @property
    def rounds(self) -> int:
        return 50 if self.quick else 300

    @property
    def seconds(self) -> float:
        return 0.2 if self.quick else 1.5

    @property
    def requests(self) -> int:
        return 1000
