"""The environment of an expression: what its names mean there, and what is known about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from policyengine.check.narrowing import NOTHING, Narrowing, both
from policyengine.diagnostics.diagnostic import Code, Diagnostic, Note
from policyengine.diagnostics.source import Span
from policyengine.ir.nodes import Expr
from policyengine.model.types import Prim, RecordT, Type
from policyengine.schema.schema import Schema
from policyengine.syntax import ast

# The type of an expression with an error. It fits everywhere, so that one mistake is reported once.
UNKNOWN = Prim("?")
MAX_DEPTH = 100
MAX_NODES = 20_000
# The most nodes that may be written out of definitions in all rules of a bundle together, and the allowance that each
# rule adds.
MAX_WRITTEN, MAX_WRITTEN_EACH = 200_000, 100


@dataclass(frozen=True, slots=True)
class Typed:
    """A checked expression, and what is certain once it is true or false."""

    expr: Expr
    when_true: Narrowing = NOTHING
    when_false: Narrowing = NOTHING

    @property
    def type(self) -> Type:
        return self.expr.type


class TooLarge(Exception):
    """Raised for a rule whose written-out form exceeds MAX_NODES. Caught where the rule is checked."""


class Findings:
    """Collects the findings of a check, and counts the nodes that it makes."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.nodes = 0
        self.slots = 0
        # What the rules so far have of definitions, written out; and that more than there may be has been told.
        self.written = 0
        self.rules = 0
        self.exhausted = False
        self.used_defines: set[tuple[str, str]] = set()
        # Attributes whose declaration has an error. To report them as unknown as well would report one mistake twice.
        self.lost: frozenset[str] = frozenset()
        # Definitions that were refused because their name already has a meaning: it is not known which of the two a use
        # means.
        self.refused: set[str] = set()
        # What the variables of quantifiers stand for an element of, by slot, and of which of them only what the entity
        # source says counts.
        self.collections: dict[int, Expr] = {}
        self.recorded: set[int] = set()

    def report(self, code: Code, span: Span, message: str, label: str = "", help: str = "", *notes: Note) -> None:
        self.diagnostics.append(Diagnostic(code, span, message, label, help, notes))

    def used_here(self, since: int, span: Span) -> None:
        """Adds a note to findings inside a definition that says where the definition was used."""
        note = Note(span, "used here")
        self.diagnostics[since:] = [replace(d, notes=(*d.notes, note)) for d in self.diagnostics[since:]]

    def count(self) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise TooLarge

    def left(self, written: int, rules: int = 0) -> int:
        """How many nodes may still be written out of definitions, after this many nodes in this many more rules."""
        return MAX_WRITTEN + MAX_WRITTEN_EACH * (self.rules + rules) - self.written - written

    def next_slot(self) -> int:
        self.slots += 1
        return self.slots


@dataclass(frozen=True, slots=True)
class Place:
    """What stays the same throughout one rule."""

    module: str
    visible: frozenset[str]
    schema: Schema
    defines: Mapping[str, tuple[str, ast.Define]]
    findings: Findings
    principal: Type
    resource: Type
    action: Type
    context: RecordT
    alias: str | None = None
    tool_args: RecordT | None = None
    # Not a rule but a definition that nothing uses, which may be meant for rules about any type.
    open: bool = False
    # What a rule of this kind does when it cannot be evaluated is worth a warning, or is just "does not grant".
    warn_absent: bool = False


@dataclass(frozen=True, slots=True)
class TypeEnv:
    place: Place
    narrowing: Narrowing = NOTHING
    locals: Mapping[str, Expr] = field(default_factory=dict)
    expanding: tuple[str, ...] = ()
    depth: int = 0

    def knowing(self, narrowing: Narrowing) -> TypeEnv:
        return self if narrowing is NOTHING else replace(self, narrowing=both(self.narrowing, narrowing))

    def deeper(self) -> TypeEnv:
        # For each node of each rule: `replace` takes four times as long.
        return TypeEnv(self.place, self.narrowing, self.locals, self.expanding, self.depth + 1)

    def binding(self, name: str, value: Expr) -> TypeEnv:
        return replace(self, locals={**self.locals, name: value})
