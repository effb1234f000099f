"""The result of checking one module, and how a check asks for the results of an earlier check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.diagnostics.source import Span
from policyengine.ir.nodes import Proof, Rule
from policyengine.schema.declare import ModuleTree
from policyengine.schema.schema import Schema
from policyengine.syntax import ast

# The definitions that a module can see: by name, the module and the tree of each.
Defines = Mapping[str, tuple[str, ast.Define]]


@dataclass(frozen=True, slots=True)
class ModuleRules:
    """The rules and claims of one module, the findings, and the definitions that they use. `lints` count only if there
    is no error."""

    rules: tuple[Rule, ...]
    # By the name of a rule: where the name is written. Then the keys of the conditions of permits and forbids, which
    # `lint_rules` compares.
    names: Mapping[str, Span]
    asks: Mapping[str, frozenset[bytes]]
    # The types of obligations that the rules impose.
    owed: frozenset[str]
    proofs: tuple[Proof, ...]
    diagnostics: tuple[Diagnostic, ...]
    lints: tuple[Diagnostic, ...]
    used_defines: frozenset[tuple[str, str]]
    # How many nodes of definitions are written out in the rules and claims.
    written: int = 0
    # How many patterns there are in the rules.
    patterns: int = 0


class Results(Protocol):
    """Results of earlier checks. Each equals the result of checking now."""

    def recall(self, module: ModuleTree, schema: Schema, defines: Defines) -> ModuleRules | None: ...

    def keep(self, module: ModuleTree, schema: Schema, defines: Defines, result: ModuleRules) -> None:
        """Keeps the result of a check for later checks."""
        ...

    def whole(self, module: ModuleTree) -> ast.Module:
        """The module's tree with its rules and claims, which the given tree may lack."""
        ...


class NoResults:
    """No earlier results."""

    def recall(self, module: ModuleTree, schema: Schema, defines: Defines) -> ModuleRules | None:
        return None

    def keep(self, module: ModuleTree, schema: Schema, defines: Defines, result: ModuleRules) -> None:
        pass

    def whole(self, module: ModuleTree) -> ast.Module:
        return module.tree
