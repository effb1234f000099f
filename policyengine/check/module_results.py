"""What checking one module came to, and how a check asks for what an earlier one found out."""

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

# What a module can see of definitions: by name, the module of each and its tree.
Defines = Mapping[str, tuple[str, ast.Define]]


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
    # How many nodes of definitions are written out in the rules and claims.
    written: int = 0
    # How many patterns there are in the rules.
    patterns: int = 0


class Results(Protocol):
    """Results of earlier checks. A result that it gives is equal to the one that checking now would give."""

    def recall(self, module: ModuleTree, schema: Schema, defines: Defines) -> ModuleRules | None: ...

    def keep(self, module: ModuleTree, schema: Schema, defines: Defines, result: ModuleRules) -> None:
        """Takes the result of a check, for later ones."""
        ...

    def whole(self, module: ModuleTree) -> ast.Module:
        """The module's tree with its rules and claims, which the tree that it came with may lack."""
        ...


class NoResults:
    """No earlier results."""

    def recall(self, module: ModuleTree, schema: Schema, defines: Defines) -> ModuleRules | None:
        return None

    def keep(self, module: ModuleTree, schema: Schema, defines: Defines, result: ModuleRules) -> None:
        pass

    def whole(self, module: ModuleTree) -> ast.Module:
        return module.tree
