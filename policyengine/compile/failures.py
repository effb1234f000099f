"""Remembers why rules fail for reasons other than an attribute without a value in the request."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from types import TracebackType
from typing import Any

from policyengine.compile.runtime import find, member
from policyengine.diagnostics import codes
from policyengine.ir.nodes import Rule
from policyengine.model.decision import RuleError
from policyengine.model.values import Fault

Errors = tuple[tuple[int, Rule, RuleError], ...]
# The most failures that are remembered for each rule; after that, rules that fail are interpreted each time.
MOST = 32
# The functions that look for an attribute that is not there. Elsewhere a missing key can mean several things.
_MISSING = frozenset({id(member.__code__), id(find.__code__)})


class RuleFailures:
    """The failures of one block of rules. Each has a number below 0, which never changes."""

    __slots__ = ("_errors", "_most", "_next", "_numbers")

    def __init__(self, rules: int) -> None:
        self._most = MOST * rules
        self._next = count(-1, -1)
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._errors: dict[int, Errors] = {}

    def failed(self, error: Exception, mask: int, places: list[int]) -> int:
        """Adds the number of this failure to `places`. Returns the mask of the rules that the interpreter has to be
        asked about: all of them, or none."""
        key = _key(error, mask)
        if key is None:
            return mask
        number = self._numbers.get(key)
        if number is None:
            if len(self._numbers) >= self._most:
                return mask
            number = self._numbers.setdefault(key, next(self._next))
        places.append(number)
        return 0 if number in self._errors else mask

    def learn(self, places: Sequence[int], errors: dict[int, tuple[Rule, RuleError]]) -> bool:
        """Remembers the interpreter's errors, by the number of the rule, for all failures of one request, which are in
        `places`. Returns whether all of them are known from now on."""
        unknown = {number for number in places if number < 0} - self._errors.keys()
        for key, number in list(self._numbers.items()) if unknown else ():
            if number in unknown:
                mask: int = key[0]
                those = [(n, *errors[n]) for n in range(mask.bit_length()) if mask >> n & 1 and n in errors]
                if len(those) == mask.bit_count():
                    self._errors[number] = tuple(those)
        return errors.keys() <= {each for number in places if number < 0 for each, *_ in self.errors(number)}

    def errors(self, number: int) -> Errors:
        """The errors of one failure; empty if they are not known yet."""
        return self._errors.get(number, ())


def _key(error: Exception, mask: int) -> tuple[Any, ...] | None:
    """What was raised, and where: the code object and the instruction in it, for each function on the stack."""
    chain: list[int] = []
    at: TracebackType | None = error.__traceback__
    while at is not None:
        chain.append(id(at.tb_frame.f_code))
        chain.append(at.tb_lasti)
        at = at.tb_next
    if type(error) is Fault:
        # The work is counted before all parts of an expression have been evaluated, so the same place can fail
        # differently.
        return None if error.code == codes.TOO_MUCH_WORK.id else (mask, error.code, error.message, *chain)
    if type(error) is KeyError and chain[-2] in _MISSING:
        return (mask, *chain)
    return None
