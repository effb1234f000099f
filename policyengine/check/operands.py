"""Operators on checked operands: which types they take, and what they become.

If one operand is Json, it is expected to have the type of the other, and an `Expect` node says so.
"""

from __future__ import annotations

from policyengine.check.environment import UNKNOWN, Findings, TypeEnv
from policyengine.check.hints import (
    about_action,
    as_other,
    collection_in_collection,
    equal_instead,
    instead_of,
    is_null,
    shown,
)
from policyengine.check.readers import EVERYBODY, is_readers
from policyengine.check.recorded import from_source
from policyengine.diagnostics import codes
from policyengine.diagnostics.source import Span
from policyengine.diagnostics.suggest import did_you_mean
from policyengine.ir.nodes import (
    Arithmetic,
    Attribute,
    Call,
    Compare,
    Const,
    Contains,
    Equal,
    Expect,
    Expr,
    Identity,
    Or,
    Refine,
    Root,
    Within,
)
from policyengine.model import operators
from policyengine.model.calendar import WEEKDAYS
from policyengine.model.refined import is_refined
from policyengine.model.types import (
    BOOL,
    DURATION,
    INT,
    JSON,
    NUMBER,
    STRING,
    TIME,
    EntityT,
    ListT,
    RecordT,
    RefinedT,
    SetT,
    Type,
    comparable,
    element_of,
    is_numeric,
    join,
    unrefined,
)
from policyengine.schema.schema import Schema


def expect(expr: Expr, type_: Type) -> Expr:
    """A Json expression, or a collection of Json, as an expression that must have the type at run time; any other
    expression unchanged."""
    met = expr.type if isinstance(expr, Const) and expr.type != JSON else _met(expr.type, type_)
    return expr if met == expr.type else Expect(operand=expr, type=met, span=expr.span)


def _met(found: Type, wanted: Type) -> Type:
    """The type with the wanted type in place of Json, at any depth of collections."""
    if found == JSON:
        return wanted
    if isinstance(found, SetT | ListT) and isinstance(wanted, SetT | ListT):
        return type(found)(_met(found.element, wanted.element))
    return found


def fits(expr: Expr, type_: Type) -> bool:
    """Whether the expression can stand where a value of the type is required."""
    own_type = expr.type
    if is_null(expr) and type_ not in (JSON, UNKNOWN):
        return False
    if UNKNOWN in (own_type, type_) or own_type in (JSON, type_) or type_ == JSON:
        return True
    if isinstance(own_type, EntityT) and isinstance(type_, EntityT):
        return own_type.names <= type_.names
    if isinstance(type_, SetT | ListT) and isinstance(own_type, SetT | ListT):
        if isinstance(expr, Const) and not expr.value:
            return True
        literal = isinstance(own_type, ListT) and isinstance(expr, Const)
        element = own_type.element if literal else _met(own_type.element, type_.element)
        return (type(own_type) is type(type_) or literal) and join(element, type_.element) == type_.element
    return join(own_type, type_) == type_


def need(expr: Expr, type_: Type, what: str, findings: Findings) -> Expr:
    """The expression as a value of the type; reports a finding if it cannot be one."""
    read = unrefined(type_)
    if isinstance(expr, Const) and type_ != read and fits(expr, read) and not is_refined(expr.value, type_):
        findings.report(codes.WRONG_TYPE, expr.span, f"{what} should be {type_}", "", _nearest(expr, type_))
    type_ = read
    if not fits(expr, type_):
        message = f"{what} should be {type_}, is {shown(expr)}"
        findings.report(codes.WRONG_TYPE, expr.span, message, "", instead_of(expr, type_))
        return Const(value=None, type=UNKNOWN, span=expr.span)
    return expect(expr, type_)


def _nearest(expr: Const, type_: Type) -> str:
    values = type_.values if isinstance(type_, RefinedT) else None
    return did_you_mean(str(expr.value), [v for v in values if isinstance(v, str)]) if values else ""


def _wide(type_: Type, schema: Schema) -> Type:
    """The type that a Json value must have to be compared with a value of this one."""
    if type_ == INT:
        return NUMBER
    if isinstance(type_, SetT | ListT):
        return type(type_)(_among(type_.element, schema))
    return type_


def _among(element: Type, schema: Schema) -> Type:
    """The type that elements of a collection of Json must have to be compared with a value of this type. The collection
    may name entities of several types, as an access list does."""
    return EntityT(frozenset(schema.entities)) if isinstance(element, EntityT) else _wide(element, schema)


def aligned(left: Expr, right: Expr, schema: Schema) -> tuple[Expr, Expr]:
    """Both sides; Json in one of them is expected to have the type of the other."""
    return expect(left, _wide(right.type, schema)), expect(right, _wide(left.type, schema))


def equal(negated: bool, left: Expr, right: Expr, span: Span, env: TypeEnv) -> Expr:
    findings = env.place.findings
    for side, other in ((left, right), (right, left)):
        if is_null(side) and other.type not in (JSON, UNKNOWN):
            findings.report(
                codes.NOT_COMPARABLE, span, f"{other.type} is never null", "", "test with `has` whether it is present"
            )
            return Equal(left=left, right=right, negated=negated, type=BOOL, span=span)
    left, right = aligned(left, right, env.place.schema)
    if UNKNOWN not in (left.type, right.type):
        for side in (left, right):
            if holds_record(side.type):
                help_ = about_action(side) or "compare the fields"
                findings.report(codes.NOT_COMPARABLE, side.span, "records cannot be compared", "", help_)
                return Equal(left=left, right=right, negated=negated, type=BOOL, span=span)
        if isinstance(left.type, SetT) and isinstance(right, Const) and isinstance(right.type, ListT):
            right = Const(value=right.value, type=SetT(right.type.element), span=right.span)
        if isinstance(right.type, SetT) and isinstance(left, Const) and isinstance(left.type, ListT):
            left = Const(value=left.value, type=SetT(left.type.element), span=left.span)
        empty = any(isinstance(s, Const) and s.value == () for s in (left, right))
        same_kind = type(left.type) is type(right.type)
        _check_canonical(left, right, findings)
        _check_values(left, right, findings)
        _check_action(left, right, env)
        if not comparable(left.type, right.type) and not (empty and same_kind):
            not_comparable(left, right, span, env)
    return Equal(left=left, right=right, negated=negated, type=BOOL, span=span)


_FORMS = {"weekday": f"it is one of {', '.join(WEEKDAYS)}", "date": "it is written `2026-12-24`"}


def _check_canonical(left: Expr, right: Expr, findings: Findings) -> None:
    """Reports a text that a function never returns: `lower(x) == "Bob"`."""
    for side, other in ((left, right), (right, left)):
        if not (isinstance(side, Call) and isinstance(other, Const)):
            continue
        given = other.value if isinstance(other.value, tuple) else (other.value,)
        if not all(operators.canonical(side.function, text) for text in given if isinstance(text, str)):
            findings.report(
                codes.NOT_COMPARABLE, other.span, f"`{side.function}` never returns this text", "can never be equal",
                _FORMS.get(side.function, "write it in lower case, and nothing else"),
            )  # fmt: skip


def _check_values(left: Expr, right: Expr, findings: Findings) -> None:
    """Reports a constant that the other side can never equal: `currency == "EURO"`."""
    for side, other in ((left, right), (right, left)):
        shape = side.shape if isinstance(side, Refine) else None
        if not isinstance(shape, RefinedT) or shape.values is None or not isinstance(other, Const):
            continue
        wanted = other.value if isinstance(other.value, tuple) else (other.value,)
        for value in wanted:
            if comparable(shape, other_type := element_of(other.type) or other.type) and not is_refined(value, shape):
                help_ = _nearest(Const(value=value, type=other_type, span=other.span), shape) or f"it is {shape}"
                findings.report(
                    codes.NOT_COMPARABLE, other.span, f"`{side.span.text}` is never this", "can never be equal", help_
                )
                return


def _check_action(left: Expr, right: Expr, env: TypeEnv) -> None:
    """Reports a constant that names no action: `action.name == "retreive"`."""
    for side, other in ((left, right), (right, left)):
        if isinstance(side, Identity) and isinstance(side.base, Root) and isinstance(other, Const):
            wanted = other.value if isinstance(other.value, tuple) else (other.value,)
            known = env.place.schema.actions if side.base.name == "action" else wanted
            for name in wanted:
                if isinstance(name, str) and name not in known:
                    help_ = did_you_mean(name, known) or "there is no action with this name"
                    env.place.findings.report(
                        codes.NOT_COMPARABLE, other.span, "`action.name` is never this", "can never be equal", help_
                    )


def holds_record(type_: Type) -> bool:
    element = element_of(type_)
    return isinstance(type_, RecordT) or (element is not None and holds_record(element))


def not_comparable(left: Expr, right: Expr, span: Span, env: TypeEnv) -> None:
    for side, other in ((left, right), (right, left)):
        name = tool_argument(side)
        if name is not None and env.place.tool_args is not None and isinstance(other, Const):
            env.place.findings.report(
                codes.TOOL_ARGUMENT_TYPE, other.span, f"tool argument `{name}` is {side.type}, this is {other.type}",
                "can never be equal", as_other(other, side.type),
            )  # fmt: skip
            return
    help_ = about_action(left) or next((h for a, b in ((left, right), (right, left)) if (h := equal_instead(a, b))), "")
    env.place.findings.report(codes.NOT_COMPARABLE, span, f"{left.type} and {right.type} can never be equal", "", help_)


def tool_argument(expr: Expr) -> str | None:
    """The name of the tool argument that an expression reads; None if it reads anything else."""
    names: list[str] = []
    while isinstance(expr, Attribute | Refine):
        if isinstance(expr, Refine):
            expr = expr.operand
            continue
        if expr.name == "args" and isinstance(expr.base, Root) and expr.base.name == "resource":
            return ".".join(reversed(names)) or None
        names.append(expr.name)
        expr = expr.base
    return None


def compare(op: str, left: Expr, right: Expr, span: Span, env: TypeEnv) -> Expr:
    findings = env.place.findings
    written = (left, right)
    if left.type == JSON and right.type == JSON:
        left, right = expect(left, NUMBER), expect(right, NUMBER)
    left, right = aligned(left, right, env.place.schema)
    numbers = is_numeric(left.type) and is_numeric(right.type)
    same = left.type == right.type and left.type in (TIME, DURATION)
    null = any(is_null(side) for side in written)
    if (null or not (numbers or same)) and UNKNOWN not in (left.type, right.type):
        findings.report(
            codes.WRONG_TYPE, span, f"`{op}` cannot order {shown(written[0])} and {shown(written[1])}",
            "numbers, times and durations have an order",
            as_other(written[1], written[0].type) or as_other(written[0], written[1].type),
        )  # fmt: skip
    return Compare(op=op, left=left, right=right, type=BOOL, span=span)  # type: ignore[arg-type]


_SUMS: dict[tuple[str, Type, Type], Type] = {
    ("+", TIME, DURATION): TIME,
    ("+", DURATION, TIME): TIME,
    ("-", TIME, DURATION): TIME,
    ("-", TIME, TIME): DURATION,
    ("+", DURATION, DURATION): DURATION,
    ("-", DURATION, DURATION): DURATION,
    ("*", DURATION, INT): DURATION,
    ("*", INT, DURATION): DURATION,
}


def arithmetic(op: str, left: Expr, right: Expr, span: Span, env: TypeEnv) -> Expr:
    findings = env.place.findings
    if left.type == JSON and right.type == JSON:
        left, right = expect(left, NUMBER), expect(right, NUMBER)
    left, right = aligned(left, right, env.place.schema)
    result: Type | None
    if UNKNOWN in (left.type, right.type):
        result = UNKNOWN
    elif is_numeric(left.type) and is_numeric(right.type):
        result = join(left.type, right.type)
    else:
        result = _SUMS.get((op, left.type, right.type))
    if result is None:
        help_ = "texts cannot be joined; compare the parts" if STRING in (left.type, right.type) else ""
        findings.report(codes.WRONG_TYPE, span, f"`{op}` does not take {left.type} and {right.type}", "", help_)
        result = UNKNOWN
    return Arithmetic(op=op, left=left, right=right, type=result, span=span)  # type: ignore[arg-type]


def member_of(item: Expr, right: Expr, span: Span, env: TypeEnv) -> Expr:
    """`item in right`, for a collection or an entity hierarchy."""
    if not is_readers(right):
        return _member_of(item, right, span, env)
    everybody = Const(value=EVERYBODY, type=STRING, span=right.span)
    items = (Contains(item=everybody, collection=right, type=BOOL, span=span), _member_of(item, right, span, env))
    return Or(items=items, type=BOOL, span=span)


def _member_of(item: Expr, right: Expr, span: Span, env: TypeEnv) -> Expr:
    findings = env.place.findings
    if item.type == UNKNOWN or right.type == UNKNOWN:
        return Contains(item=item, collection=right, type=BOOL, span=span)
    schema = env.place.schema
    right = expect(right, SetT(_among(item.type, schema)))
    if isinstance(item, Call) and item.function == "url_host" and element_of(right.type) is not None:
        right = from_source("the list of hosts", right, "write it as a list", env)
    element = element_of(right.type)
    if isinstance(right.type, EntityT) or isinstance(element, EntityT):
        target = right.type if isinstance(right.type, EntityT) else element
        assert isinstance(target, EntityT)
        item = expect(item, target)
        if isinstance(item.type, EntityT):
            _check_hierarchy(item.type, target, span, env)
            return Within(entity=item, target=right, type=BOOL, span=span)
        help_ = "only entities are in a hierarchy, not their attributes"
        findings.report(codes.WRONG_TYPE, item.span, f"{shown(item)} cannot be in a hierarchy of {target}", "", help_)
        return Contains(item=item, collection=right, type=BOOL, span=span)
    if element is None:
        help_ = ""
        if right.type == STRING:
            help_ = "a string is not a collection of its characters; use `like`"
            if isinstance(item.type, EntityT) and isinstance(right, Const):
                help_ = f"write the entity, such as `Group::{right.span.text}`"
        findings.report(
            codes.WRONG_TYPE, right.span, f"`in` needs a collection or an entity, not {right.type}", "", help_
        )
    else:
        if is_null(item) and element != JSON:
            findings.report(codes.NOT_COMPARABLE, item.span, f"{element} is never null", "", "")
            return Contains(item=item, collection=right, type=BOOL, span=span)
        item = expect(item, _wide(element, schema))
        _check_canonical(item, right, findings)
        _check_values(item, right, findings)
        _check_action(item, right, env)
        if isinstance(right, Const) and not right.value:
            pass
        elif holds_record(element):
            findings.report(
                codes.NOT_COMPARABLE, right.span, "records cannot be compared", "", "use `any x in xs: ...`"
            )
        elif not comparable(item.type, element):
            if help_ := collection_in_collection(item, right):
                message = f"{shown(item)} is not an item of {right.type}"
                findings.report(codes.NOT_COMPARABLE, span, message, "`in` takes a single item", help_)
                return Contains(item=item, collection=right, type=BOOL, span=span)
            not_comparable(item, Const(value=None, type=element, span=right.span), span, env)
    return Contains(item=item, collection=right, type=BOOL, span=span)


def _check_hierarchy(entity: EntityT, target: EntityT, span: Span, env: TypeEnv) -> None:
    schema = env.place.schema
    for name in entity.names:
        if name in target.names or schema.ancestors_of(name) & target.names:
            return
    if entity.names and target.names:
        env.place.findings.report(
            codes.NOT_IN_HIERARCHY, span, f"{entity} is never in {target}", "",
            f"declare it: `extend {sorted(entity.names)[0]} in {sorted(target.names)[0]}`",
        )  # fmt: skip
