"""The formulas of some rules, each worked out once for all requests for which it is the same."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence

from policyengine.ir.nodes import Rule
from policyengine.partial.asking import Asking
from policyengine.partial.formula import FALSE, TRUE, All, Formula, Some
from policyengine.partial.logic import beside
from policyengine.partial.probes import Unrepeatable, answers, names_principal, probes, repeatable
from policyengine.partial.rules import combined, grants, lets_pass

MAX_REMEMBERED = 10_000


class Memory:
    """Some permits and some other rules. Rules that depend on nothing but the unknown entity have one formula."""

    def __init__(self, permits: Sequence[Rule], others: Sequence[Rule], asking: Asking) -> None:
        fixed_permits = [rule for rule in permits if _is_fixed(rule, asking)]
        fixed_others = [rule for rule in others if rule.kind in ("forbid", "limit") and _is_fixed(rule, asking)]
        granted, passed = grants(fixed_permits, asking), lets_pass(fixed_others, asking)
        if not (repeatable(granted) and repeatable(passed)):
            fixed_permits, fixed_others, granted, passed = [], [], FALSE, TRUE
        self._granted, self._passed = granted, passed
        fixed = {*map(id, fixed_permits), *map(id, fixed_others)}
        self._permits = [rule for rule in permits if id(rule) not in fixed]
        self._others = [rule for rule in others if id(rule) not in fixed]
        rest = [*self._permits, *self._others]
        self._probes = probes(rest, asking)
        self._named = names_principal(rest)
        self._formulas: dict[Hashable, Formula] = {}

    def formula(self, asking: Asking, fulfilled: Collection[str], approved: Collection[str]) -> Formula:
        try:
            key = (answers(self._probes, self._named, asking), frozenset(fulfilled), frozenset(approved))
        except (Unrepeatable, TypeError):
            return self._find(asking, fulfilled, approved)
        known = self._formulas.get(key)
        if known is None:
            known = self._find(asking, fulfilled, approved)
            if repeatable(known):
                if len(self._formulas) >= MAX_REMEMBERED:
                    self._formulas.clear()
                self._formulas[key] = known
        return known

    def _find(self, asking: Asking, fulfilled: Collection[str], approved: Collection[str]) -> Formula:
        if self._granted == FALSE and self._passed == TRUE:
            return combined(self._permits, self._others, asking, fulfilled, approved)
        granted = beside(Some, self._granted, grants(self._permits, asking))
        if granted == FALSE:
            return FALSE
        passed = beside(All, self._passed, lets_pass(self._others, asking, fulfilled, approved))
        return beside(All, passed, granted)


def _is_fixed(rule: Rule, asking: Asking) -> bool:
    return not rule.obligations and not names_principal((rule,)) and not probes((rule,), asking)
