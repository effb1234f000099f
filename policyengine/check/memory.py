"""What checking a module came to, kept for the next time.

A module is checked again only if its text, the schema, or a definition that it can see has changed. Comparing that is
cheap, as an unchanged file keeps its tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.diagnostics.source import Span
from policyengine.ir.nodes import Proof, Rule
from policyengine.schema.declare import ModuleTree
from policyengine.schema.schema import Schema
from policyengine.syntax import ast

Defines = Mapping[str, tuple[str, ast.Define]]
# Modules kept; past that all are forgotten.
MOST = 10_000


@dataclass(frozen=True, slots=True)
class ModuleRules:
    """The rules and claims of one module, what was found, and which definitions they use. `lints` count only if nothing
    has an error."""

    rules: tuple[Rule, ...]
    # By the rule's name: where that is written; and keys of the conditions of permits and forbids, which `lint_rules`
    # compares.
    names: Mapping[str, Span]
    asks: Mapping[str, frozenset[bytes]]
    # The types of obligations that the rules impose.
    owed: frozenset[str]
    proofs: tuple[Proof, ...]
    diagnostics: tuple[Diagnostic, ...]
    lints: tuple[Diagnostic, ...]
    used_defines: frozenset[tuple[str, str]]


class Memory:
    """Results by module name, each with what it was made from. One thread may write while others read."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[ModuleTree, Schema, Defines, ModuleRules]] = {}

    def recall(self, module: ModuleTree, schema: Schema, defines: Defines) -> ModuleRules | None:
        """The result for this very tree, under an equal schema and the same definitions."""
        known = self._kept.get(module.name)
        if known is None or known[0].tree is not module.tree or known[0].visible != module.visible:
            return None
        same = known[2].keys() == defines.keys() and all(known[2][name][1] is defines[name][1] for name in defines)
        return known[3] if same and (known[1] is schema or known[1] == schema) else None

    def forget(self) -> None:
        self._kept.clear()

    def keep(self, module: ModuleTree, schema: Schema, defines: Defines, result: ModuleRules) -> None:
        if len(self._kept) >= MOST:
            self._kept.clear()
        self._kept[module.name] = (module, schema, defines, result)
