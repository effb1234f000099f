"""The values that rules read from a request by a plain path, such as `document.owner`, `principal.manager.email` or
`context.place`; and the types that such values in JSON must have: `document.meta.score < 3` reads a number.

In: expressions. Out: these reads, each with a number; the reads that an evaluation always performs, in order, before
anything else could fail; and functions that take a raw value, or say why there is none. `evaluate/interpret.py` defines
what a value is, and what is wrong with one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policyengine.evaluate.interpret import guarded_attribute, raw_attribute
from policyengine.ir import nodes as ir
from policyengine.ir.nodes import Rule
from policyengine.ir.walk import walk
from policyengine.model.entities import ABSENT, World
from policyengine.model.types import BOOL, INT, JSON, NUMBER, STRING, EntityT, ListT, RecordT, RefinedT, SetT, Type
from policyengine.model.values import Fault, guard

# Why an attribute has no value: code and message. Faults are the reasons by the number of the read.
Reason = tuple[str, str]
Faults = dict[int, Reason]
# Takes a raw value, or ABSENT, or the value that the attribute belongs to. Returns the value, or ABSENT and notes why.
TakeValue = Callable[[Any, Faults], Any]
Choice = ir.If | ir.And | ir.Or
# The expressions that may be reads, and the ones that they may be read of.
READABLE = (ir.Attribute, ir.Expect)
Readable = ir.Attribute | ir.Expect
_SCALARS = (STRING, BOOL, INT, NUMBER)


@dataclass(frozen=True, slots=True)
class NumberedRead:
    """An expression that is read, and the name that it is read to. Without `is_value` the read only checks that the
    value is there and has the right outer type; its contents are checked where they are used."""

    number: int
    expr: Readable
    is_value: bool

    @property
    def name(self) -> str:
        return f"v{self.number}"


def base_of(expr: Readable) -> ir.Expr:
    return expr.operand if isinstance(expr, ir.Expect) else expr.base


def is_readable(expr: ir.Expr) -> bool:
    """Whether an expression is an attribute on a plain path, or the type that JSON under one must have."""
    if isinstance(expr, ir.Expect):
        if expr.type not in _SCALARS and not isinstance(expr.type, SetT | ListT):
            return False
        expr = expr.operand
    while isinstance(expr, ir.Attribute):
        expr = expr.base
        if isinstance(expr, ir.Root):
            return True
        if not (isinstance(expr, ir.Attribute) and _is_value(expr.type)):
            return False
    return False


def _is_value(type_: Type) -> bool:
    """Whether a full check of a value takes no longer than a check of its outer type."""
    if isinstance(type_, RefinedT):
        return _is_value(type_.base) and type_.base != JSON
    return not isinstance(type_, SetT | ListT) or type_.element == STRING


def reads_of(rules: Iterable[Rule]) -> dict[Readable, NumberedRead]:
    """All reads in the conditions of the rules, each after the read that it depends on."""
    reads: dict[Readable, NumberedRead] = {}

    def add(expr: Readable) -> None:
        if expr not in reads:
            base = base_of(expr)
            if isinstance(base, READABLE):
                add(base)
            reads[expr] = NumberedRead(len(reads), expr, _is_value(expr.type))

    for rule in rules:
        for node in walk(rule.condition):
            if isinstance(node, READABLE) and is_readable(node):
                add(node)
    return reads


def first_read(rule: Rule) -> ir.Attribute | None:
    """The attribute that a rule, with its scope, reads before anything that could fail or decide."""
    scopes = (rule.head.resource, rule.head.principal)
    if any(scope.entities is not None or scope.within is not None for scope in scopes):
        return None
    first = next(iter(certain(rule.condition)), None)
    return first if isinstance(first, ir.Attribute) else None


def certain(expr: ir.Expr) -> list[Readable]:
    """What an evaluation always reads, in order, until anything else could fail."""
    reads: list[Readable] = []
    for step in steps(expr):
        if not isinstance(step, READABLE):
            # The first condition or item is always evaluated; nothing after it is certain.
            return [*reads, *certain(step.condition if isinstance(step, ir.If) else step.items[0])]
        reads.append(step)
    return reads


def steps(expr: ir.Expr) -> list[Readable | Choice]:
    """The same, with the choices between them, where an evaluation decides what else it reads."""
    return _steps(expr)[0]


def _steps(expr: ir.Expr) -> tuple[list[Readable | Choice], bool]:
    """The same, and whether nothing else in the whole expression can fail."""
    match expr:
        case ir.Const() | ir.Root() | ir.Local():
            return [], True
        case ir.Attribute(base=base):
            before, plain = _steps(base)
            return ([*before, expr], _is_value(expr.type)) if plain and is_readable(expr) else (before, False)
        case ir.Expect(operand=operand) if is_readable(expr):
            before, plain = _steps(operand)
            return ([*before, expr], _is_value(expr.type)) if plain else (before, False)
        case ir.Identity(base=one) | ir.Not(operand=one) | ir.Like(operand=one) | ir.Is(entity=one):
            return _steps(one)
        case ir.Has(base=base):
            return _steps(base)[0], isinstance(base, ir.Root)
        case ir.Equal(left=left, right=right) | ir.Compare(left=left, right=right):
            reads, plain = _all_of((left, right))
            return reads, plain and left.type in _SCALARS and right.type in _SCALARS
        case ir.Arithmetic(left=left, right=right) | ir.Lookup(base=left, key=right) | ir.HasKey(base=left, key=right):
            return _all_of((left, right))[0], False
        case ir.Contains(item=item, collection=among) | ir.Within(entity=item, target=among):
            return _all_of((item, among))[0], False
        case ir.Call(args=parts) | ir.Collection(items=parts):
            return _all_of(parts)[0], False
        case ir.Negate(operand=one) | ir.Expect(operand=one) | ir.Refine(operand=one) | ir.EntityOf(id=one):
            return _steps(one)[0], False
        case ir.Recorded(base=one) | ir.Quantifier(collection=one):
            return _steps(one)[0], False
        case ir.If() | ir.And() | ir.Or():
            return [expr], True
    return [], False


def _all_of(parts: Sequence[ir.Expr]) -> tuple[list[Readable | Choice], bool]:
    reads: list[Readable | Choice] = []
    for part in parts:
        more, plain = _steps(part)
        reads += more
        if not plain:
            return reads, False
    return reads, True


def taking(read: NumberedRead, world: World) -> TakeValue:
    """For an attribute of the principal, the resource, the action or the context: takes what is there under its name.
    For anything else: takes the value that it is read of."""
    if isinstance(read.expr, ir.Expect):
        return _expecting(read)
    number, attribute = read.number, read.expr
    collections = _collections(attribute.type)
    missing, by_class = _reason(ABSENT, attribute), _reasons_by_class(attribute)

    def take(value: Any, faults: Faults) -> Any:
        why = missing if value is ABSENT else by_class.get(type(value))
        if why is not None:
            faults[number] = why
            return ABSENT
        if not read.is_value and type(value) in collections:
            return value
        try:
            return guarded_attribute(value, attribute)
        except Fault as fault:
            faults[number] = fault.code, fault.message
            return ABSENT

    def take_of(base: Any, faults: Faults) -> Any:
        # If the base has no value, nothing uses this one.
        if base is ABSENT:
            return ABSENT
        try:
            value = raw_attribute(base, attribute.name, attribute.owners, world)
        except Fault as fault:
            faults[number] = fault.code, fault.message
            return ABSENT
        return take(value, faults)

    return take if isinstance(attribute.base, ir.Root) else take_of


def _collections(type_: Type) -> tuple[type, ...]:
    """The Python types of a collection."""
    return (list, tuple, set, frozenset) if isinstance(type_, SetT) else (list, tuple)


def _expecting(read: NumberedRead) -> TakeValue:
    number, type_, collections = read.number, read.expr.type, _collections(read.expr.type)

    def take(value: Any, faults: Faults) -> Any:
        # If the value to check is missing, nothing uses the result.
        if value is ABSENT or (not read.is_value and type(value) in collections):
            return value
        try:
            return guard(value, type_)
        except Fault as fault:
            faults[number] = fault.code, fault.message
            return ABSENT

    return take


def _reasons_by_class(attribute: ir.Attribute) -> dict[type, Reason]:
    """The reasons for classes whose instances never have the attribute's type."""
    scalar = _FIT.get(attribute.type)
    if scalar is None and not isinstance(attribute.type, EntityT | RecordT | SetT | ListT):
        return {}
    examples = [*_SCALAR_EXAMPLES, *([] if scalar is None else ([], {}))]
    misfits = [one for one in examples if type(one) not in (scalar or ())]
    return {type(one): _reason(one, attribute) for one in misfits}


def _reason(value: Any, attribute: ir.Attribute) -> Reason:
    try:
        guarded_attribute(value, attribute)
    except Fault as fault:
        return fault.code, fault.message
    raise AssertionError


_FIT: Mapping[Type, frozenset[type]] = {
    STRING: frozenset({str}), BOOL: frozenset({bool}), INT: frozenset({int}), NUMBER: frozenset({int, float})
}  # fmt: skip
_SCALAR_EXAMPLES: tuple[Any, ...] = (None, True, 1, 1.0, "")
