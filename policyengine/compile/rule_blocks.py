"""Rules in blocks, as many as go into one generated function; and tables of such blocks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policyengine.compile.codegen import Careful, Fast, careful_function, fast_function
from policyengine.compile.index import Dimension
from policyengine.compile.making import FEW, need
from policyengine.compile.site import Site
from policyengine.ir.nodes import Rule

# Rules in one generated function; more are spread over several.
BLOCK = 200


class RuleBlock:
    """Some rules, and the functions made of them when they are first needed."""

    __slots__ = ("_careful", "_env", "_fast", "_learn", "_site", "number", "rules")

    def __init__(
        self, number: int, rules: Sequence[Rule], site: Site, env: Mapping[str, Any], learn: Callable[[RuleBlock], None]
    ) -> None:
        self.number = number
        # Told when functions are made for the first time.
        self._learn = learn
        self.rules = tuple(rules)
        self._site = site
        self._env = env
        self._fast: Fast | None = None
        self._careful: Careful | None = None

    def ask(self, *request: Any) -> tuple[tuple[int, int], ...]:
        """The block's number and the mask of the rules that held, if any did. Raises when a rule may have erred."""
        if self._fast is None:
            self._need()
            self._learn(self)
            self._fast = fast_function(self.rules, self._site, self._env)
        held = self._fast(*request)
        return ((self.number, held),) if held else ()

    @property
    def is_made(self) -> bool:
        return self._fast is not None and self._careful is not None

    @property
    def is_wanted(self) -> bool:
        """Whether it was asked anything."""
        return self._fast is not None or self._careful is not None

    def prepare(self) -> None:
        """Makes the functions before they are asked for."""
        if self._fast is None:
            self._learn(self)
        self._fast = self._fast or fast_function(self.rules, self._site, self._env)
        self.prepare_carefully()

    def prepare_carefully(self) -> None:
        self._careful = self._careful or careful_function(self.rules, self._site, self._env)

    def ask_carefully(self, *request: Any) -> tuple[int, int]:
        """The masks of the rules that held and that erred."""
        if self._careful is None:
            self._need()
            self._careful = careful_function(self.rules, self._site, self._env)
        return self._careful(*request)

    def _need(self) -> None:
        if len(self.rules) > FEW:
            need(self, self.prepare)


@dataclass(frozen=True, slots=True)
class Row:
    """The blocks for one value of a key: most often one."""

    blocks: tuple[RuleBlock, ...]

    def ask(self, *request: Any) -> tuple[tuple[int, int], ...]:
        # The last one is made last.
        if not self.blocks[-1].is_wanted:
            need_all(self.blocks)
        return tuple(hit for block in self.blocks for hit in block.ask(*request))


@dataclass(frozen=True, slots=True)
class BlockTable:
    """A table with blocks for its rules. `all` asks every rule of the table, for when the key has no value."""

    dimension: Dimension
    rows: Mapping[Hashable, RuleBlock | Row]
    all: tuple[Rule, ...]


def blocks_of(row: RuleBlock | Row) -> tuple[RuleBlock, ...]:
    return row.blocks if isinstance(row, Row) else (row,)


def need_all(blocks: Sequence[RuleBlock]) -> None:
    """Several are made at once, where they have to be."""
    unmade = [block for block in blocks if not block.is_made] if len(blocks) > 1 else ()
    if sum(len(block.rules) for block in unmade) > FEW:
        need(tuple(unmade), lambda: prepare_all(unmade))


def prepare_all(blocks: Iterable[RuleBlock]) -> None:
    for block in blocks:
        block.prepare()


def chunks(rules: Sequence[Rule]) -> list[Sequence[Rule]]:
    return [rules[i : i + BLOCK] for i in range(0, len(rules), BLOCK)]
