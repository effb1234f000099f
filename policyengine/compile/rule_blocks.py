"""Rules in blocks, each as large as one generated function can be; and tables of such blocks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policyengine.compile.call_site import CallSite
from policyengine.compile.codegen import FastFunction, fast_function
from policyengine.compile.compile_on_demand import FEW, need
from policyengine.compile.failures import RuleFailures
from policyengine.compile.fallible_expressions import ReadPlace
from policyengine.compile.fallible_rules import FallibleFunction, Report, careful_function
from policyengine.compile.index import Dimension
from policyengine.compile.runtime import Unusual
from policyengine.ir.nodes import Rule
from policyengine.model.decision import RuleError

# The most rules in one generated function; more rules make several functions.
BLOCK = 200
# The number of a block, the mask of the rules that held, and what it reports of others.
Hit = tuple[int, int, Report]


class RuleBlock:
    """Some rules, and the functions made of them when they are first needed."""

    __slots__ = ("_careful", "_env", "_failures", "_fast", "_learn", "_places", "_site", "number", "rules")

    def __init__(
        self,
        number: int,
        rules: Sequence[Rule],
        site: CallSite,
        env: Mapping[str, Any],
        learn: Callable[[RuleBlock], None],
    ) -> None:
        self.number = number
        # Called when functions are made for the first time.
        self._learn = learn
        self.rules = tuple(rules)
        self._site = site
        self._env = env
        self._fast: FastFunction | None = None
        self._careful: FallibleFunction | None = None
        self._places: Sequence[ReadPlace] = ()
        self._failures = RuleFailures(len(self.rules))

    def ask(self, *request: Any) -> tuple[tuple[int, int], ...]:
        """The block's number and the mask of the rules that held, if any did. Raises if a rule may have erred."""
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
        """Whether the block was ever evaluated."""
        return self._fast is not None or self._careful is not None

    def prepare(self) -> None:
        """Makes the functions before they are asked for."""
        if self._fast is None:
            self._learn(self)
        self._fast = self._fast or fast_function(self.rules, self._site, self._env)
        self.prepare_carefully()

    def prepare_carefully(self) -> FallibleFunction:
        if self._careful is None:
            # The places are set first, because they are looked up as soon as the function is.
            made, self._places = careful_function(self.rules, self._site, self._env["world"], self._env, self._failures)
            self._careful = made
        return self._careful

    def ask_carefully(self, *request: Any) -> tuple[int, int, Report]:
        """The masks of the rules that held and of those that failed, and what is reported of others."""
        return self.prepare_asked()(*request) if self._careful is None else self._careful(*request)

    def prepare_asked(self) -> FallibleFunction:
        """The careful function, made now if that is allowed here."""
        if self._careful is None:
            self._need()
        return self.prepare_carefully()

    def ask_with_report(self, *request: Any) -> tuple[Hit, ...]:
        """The block's number, the mask of the rules that held, and what is reported of others, if there is anything.
        Raises if a rule failed for an unknown reason."""
        held, failed, report = self.ask_carefully(*request)
        if failed:
            raise Unusual
        return ((self.number, held, report),) if held or report else ()

    def errors(self, report: Report, failed: int) -> list[tuple[Rule, RuleError]]:
        """The rules with a reported error, and the errors, except for rules in the mask `failed`."""
        if not report:
            return []
        places, faults = report
        why = dict(faults)
        lacking = [
            (self.rules[number], RuleError(self.rules[number].name, *why[place.read], str(span)))
            for place in (self._places[number] for number in places if number >= 0)
            for number, span in place.rules
        ]
        known = (each for number in places if number < 0 for each in self._failures.errors(number))
        return lacking + [(rule, error) for number, rule, error in known if not failed >> number & 1]

    def learn(self, report: Report, failed: int, errors: Mapping[str, RuleError]) -> bool:
        """Remembers the interpreter's errors for the rules that failed, by their names. Returns whether all of them are
        known from now on."""
        if not failed or not report:
            return not failed
        places, _ = report
        numbered = ((n, rule) for n, rule in enumerate(self.rules) if failed >> n & 1)
        return self._failures.learn(places, {n: (rule, errors[rule.name]) for n, rule in numbered})

    def _need(self) -> None:
        if len(self.rules) > FEW:
            need(self, self.prepare)


@dataclass(frozen=True, slots=True)
class Row:
    """The blocks for one value of a key: most often one."""

    blocks: tuple[RuleBlock, ...]

    def ask(self, *request: Any) -> tuple[tuple[int, int], ...]:
        # The last block is the last to be made: if it exists, all do.
        if not self.blocks[-1].is_wanted:
            need_all(self.blocks)
        return tuple(hit for block in self.blocks for hit in block.ask(*request))

    def ask_with_report(self, *request: Any) -> tuple[Hit, ...]:
        need_all(self.blocks)
        return tuple(hit for block in self.blocks for hit in block.ask_with_report(*request))


@dataclass(frozen=True, slots=True)
class BlockTable:
    """A table with blocks for its rules. `all` asks every rule of the table, for when the key has no value."""

    dimension: Dimension
    rows: Mapping[Hashable, RuleBlock | Row]
    all: tuple[Rule, ...]


def blocks_of(row: RuleBlock | Row) -> tuple[RuleBlock, ...]:
    return row.blocks if isinstance(row, Row) else (row,)


def need_all(blocks: Sequence[RuleBlock]) -> None:
    """Makes several blocks at once, if they do not exist yet."""
    unmade = [block for block in blocks if not block.is_made] if len(blocks) > 1 else ()
    if sum(len(block.rules) for block in unmade) > FEW:
        need(tuple(unmade), lambda: prepare_all(unmade))


def prepare_all(blocks: Iterable[RuleBlock]) -> None:
    for block in blocks:
        block.prepare()


def chunks(rules: Sequence[Rule]) -> list[Sequence[Rule]]:
    return [rules[i : i + BLOCK] for i in range(0, len(rules), BLOCK)]
