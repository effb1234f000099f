"""The built-in functions: their names, parameters and results.

Arguments are already checked. A pattern or an address range is a constant and is compiled here, so that it cannot fail
later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from policyengine.check.environment import UNKNOWN, TypeEnv
from policyengine.check.operands import aligned, expect, holds_record, need, not_comparable
from policyengine.check.readers import readers
from policyengine.check.recorded import from_source
from policyengine.diagnostics import codes
from policyengine.diagnostics.source import Span
from policyengine.diagnostics.suggest import did_you_mean, nearest, one_of
from policyengine.ir.nodes import Attribute, Call, Const, Expect, Expr, Local, Lookup, Refine, Root, Sources
from policyengine.model import calendar, operators
from policyengine.model.types import (
    BOOL,
    DURATION,
    INT,
    IP,
    JSON,
    STRING,
    TIME,
    ListT,
    RecordField,
    SetT,
    Type,
    comparable,
    element_of,
    join,
    record,
)
from policyengine.model.values import Fault, parse_duration, parse_ip, parse_time
from policyengine.model.views import COMMAND, STATEMENT

# name: (parameters, result)
_SIGNATURES: Mapping[str, tuple[tuple[tuple[str, Type], ...], Type]] = {
    "starts_with": ((("text", STRING), ("start", STRING)), BOOL),
    "ends_with": ((("text", STRING), ("end", STRING)), BOOL),
    "contains": ((("text", STRING), ("part", STRING)), BOOL),
    "lower": ((("text", STRING),), STRING),
    "matches": ((("text", STRING), ("pattern", STRING)), BOOL),
    "search": ((("text", STRING), ("pattern", STRING)), BOOL),
    "email_domain": ((("address", STRING),), STRING),
    "url_host": ((("url", STRING),), STRING),
    "url_scheme": ((("url", STRING),), STRING),
    "path_under": ((("path", STRING), ("folder", STRING)), BOOL),
    "ip": ((("text", STRING),), IP),
    "time": ((("text", STRING),), TIME),
    "duration": ((("text", STRING),), DURATION),
    "in_range": ((("address", IP), ("range", STRING)), BOOL),
    "time_of_day": ((("time", TIME), ("zone", STRING)), DURATION),
    "weekday": ((("time", TIME), ("zone", STRING)), STRING),
    "date": ((("time", TIME), ("zone", STRING)), STRING),
    "argv": ((("command", STRING),), ListT(COMMAND)),
    "sql": ((("query", STRING),), ListT(STATEMENT)),
}
_COLLECTIONS = ("contains_any", "contains_all")
METHODS = ("in_range",)
FUNCTIONS = frozenset(
    {*_SIGNATURES, *_COLLECTIONS, "union", "pairs", "size", "sources", "readers", "texts"} - set(METHODS)
)
# The name of the second argument, and how it is tried.
_CONSTANTS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "matches": ("pattern", operators.pattern),
    "search": ("pattern", operators.pattern),
    "in_range": ("address range", operators.network),
    "path_under": ("folder", operators.folder),
    "time_of_day": ("time zone", calendar.zone),
    "weekday": ("time zone", calendar.zone),
    "date": ("time zone", calendar.zone),
}
_PARSERS = {"ip": parse_ip, "time": parse_time, "duration": parse_duration}


def call(name: str, args: tuple[Expr, ...], span: Span, env: TypeEnv) -> Expr:
    """A built-in function, applied."""
    findings = env.place.findings
    if name in _COLLECTIONS and _count(name, args, ("collection", "items"), span, env):
        return _collections(name, args, span, env)
    if name == "union" and _count(name, args, ("collection", "collection"), span, env):
        return _union(args, span, env)
    if name == "pairs" and _count(name, args, ("list", "list"), span, env):
        return _pairs(args, span, env)
    if name == "size" and _count(name, args, ("collection",), span, env):
        return _size(args[0], span, env)
    if name == "sources" and _count(name, args, ("tool.args.NAME",), span, env):
        return _sources(args[0], span, env)
    if name == "readers" and _count(name, args, ("tool.args.NAME",), span, env):
        return readers(_argument(args[0], env), args[0], span, env)
    if name == "texts" and _count(name, args, ("tool.args",), span, env):
        return Call(function=name, args=args, type=ListT(STRING), span=span)
    if name in _SIGNATURES:
        params, result = _SIGNATURES[name]
        if _count(name, args, tuple(p for p, _ in params), span, env):
            if name == "contains" and element_of(args[0].type) is not None:
                help_ = f"write `{args[1].span.text} in {args[0].span.text}`"
                findings.report(codes.WRONG_TYPE, args[0].span, "`contains` searches a text", "", help_)
                return Const(value=None, type=UNKNOWN, span=span)
            given = tuple(need(a, t, f"`{p}` of `{name}`", findings) for a, (p, t) in zip(args, params, strict=True))
            if name == "path_under" and not isinstance(given[1], Const):
                given = (given[0], from_source("the folder", given[1], "write it as a string", env))
            elif name in _CONSTANTS:
                _try_constant(name, given[1], env)
            return _parsed(name, given, span, env) or Call(function=name, args=given, type=result, span=span)
    return Const(value=None, type=UNKNOWN, span=span)


# What to write instead of functions that other languages have.
_INSTEAD: Mapping[str, str] = {
    "sum": "write `sum(x.price for x in xs)`, or `sum(x for x in xs)` for the elements themselves",
    "max": "write `all x in xs: x <= 5`",
    "min": "write `all x in xs: x >= 5`",
    "count": "write `size(xs)`",
    "len": "write `size(xs)`",
    "zip": "write `all p in pairs(xs, ys): ...`, with `p.first` and `p.second`",
    "hour": 'write `time_of_day(time.now, "Europe/Berlin") < 9h`',
}


def unknown_function(name: str, span: Span, known: frozenset[str], env: TypeEnv) -> None:
    help_ = _INSTEAD.get(name) or did_you_mean(name, known) or f"known: {one_of(known, 20)}"
    env.place.findings.report(codes.UNKNOWN_FUNCTION, span, f"unknown function `{name}`", "", help_)


def unknown_method(name: str, span: Span, env: TypeEnv) -> None:
    near = name if name in FUNCTIONS else nearest(name, FUNCTIONS)
    if name == "contains":
        help_ = "write `ITEM in COLLECTION`, or `contains(TEXT, PART)`"
    elif near:
        help_ = f"it is a function: `{near}(...)`"
    else:
        help_ = did_you_mean(name, METHODS) or f"known: {one_of(METHODS)}"
    env.place.findings.report(codes.UNKNOWN_FUNCTION, span, f"unknown method `{name}`", "", help_)


def _count(name: str, args: tuple[Expr, ...], params: tuple[str, ...], span: Span, env: TypeEnv) -> bool:
    if len(args) == len(params):
        return True
    takes = f"{len(params)} argument{'s' * (len(params) != 1)}"
    env.place.findings.report(
        codes.WRONG_ARGUMENTS, span, f"`{name}` takes {takes}, {len(args)} given", "",
        f"write `{name}({', '.join(params)})`",
    )  # fmt: skip
    return False


def _collections(name: str, args: tuple[Expr, ...], span: Span, env: TypeEnv) -> Expr:
    left, right = aligned(args[0], args[1], env.place.schema)
    for side in (left, right):
        element = element_of(side.type)
        if side.type not in (UNKNOWN, JSON) and element is None:
            env.place.findings.report(
                codes.WRONG_TYPE, side.span, f"`{name}` needs collections, not {side.type}", "",
                "write `[...]` around it" if side.type == STRING else "",
            )  # fmt: skip
        elif element is not None and holds_record(element):
            env.place.findings.report(codes.NOT_COMPARABLE, side.span, "records cannot be compared")
    if left.type == JSON:
        left, right = expect(left, SetT(JSON)), expect(right, SetT(JSON))
    a, b = element_of(left.type), element_of(right.type)
    empty = any(isinstance(side, Const) and side.value == () for side in (left, right))
    if a is not None and b is not None and not comparable(a, b) and not empty:
        not_comparable(left, right, span, env)
    return Call(function=name, args=(left, right), type=BOOL, span=span)


def _union(args: tuple[Expr, ...], span: Span, env: TypeEnv) -> Expr:
    """A set of the elements of either; two collections of the same type."""
    left, right = (expect(side, SetT(JSON)) for side in aligned(args[0], args[1], env.place.schema))
    unknown = Const(value=None, type=UNKNOWN, span=span)
    for side in (left, right):
        element = element_of(side.type)
        if element is None or holds_record(element):
            if side.type != UNKNOWN:
                code = codes.WRONG_TYPE if element is None else codes.NOT_COMPARABLE
                message = (
                    f"`union` needs collections, not {side.type}" if element is None else "records cannot be compared"
                )
                env.place.findings.report(code, side.span, message)
            return unknown
    a, b = element_of(left.type) or JSON, element_of(right.type) or JSON
    empty = [side for side in (left, right) if isinstance(side, Const) and side.value == ()]
    both = (b if empty[0] is left else a) if empty else join(a, b)
    if both is None:
        not_comparable(left, right, span, env)
        return unknown
    return Call(function="union", args=(left, right), type=SetT(both), span=span)


def _pairs(args: tuple[Expr, ...], span: Span, env: TypeEnv) -> Expr:
    """A list of records, one for each place in two lists."""
    given = [expect(arg, ListT(JSON)) for arg in args]
    for side in given:
        if not isinstance(side.type, ListT):
            if side.type != UNKNOWN:
                help_ = "the elements of a set have no order" if isinstance(side.type, SetT) else ""
                env.place.findings.report(
                    codes.WRONG_TYPE, side.span, f"`pairs` needs lists, not {side.type}", "", help_
                )
            return Const(value=None, type=UNKNOWN, span=span)
    first, second = (RecordField(element_of(side.type) or JSON) for side in given)
    type_ = ListT(record({"first": first, "second": second}))
    return Call(function="pairs", args=tuple(given), type=type_, span=span)


def _size(arg: Expr, span: Span, env: TypeEnv) -> Expr:
    arg = expect(arg, ListT(JSON))
    if element_of(arg.type) is None and arg.type not in (STRING, UNKNOWN):
        env.place.findings.report(codes.WRONG_TYPE, arg.span, f"{arg.type} has no size")
    return Call(function="size", args=(arg,), type=INT, span=span)


def _sources(arg: Expr, span: Span, env: TypeEnv) -> Expr:
    path = _argument(arg, env)
    # A parameter of a definition that nothing uses may stand for an argument.
    if path is None and arg.type != UNKNOWN and not env.place.open:
        env.place.findings.report(
            codes.WRONG_ARGUMENTS, arg.span, "`sources` takes the path of a tool argument", "",
            "such as `tool.args.to`, or an element of it: `any x in tool.args.to: ... sources(x)`",
        )  # fmt: skip
    return Sources(path=path or (), type=SetT(STRING), span=span)


def _argument(expr: Expr, env: TypeEnv) -> tuple[str | Local, ...] | None:
    """The path from the arguments of a tool to what an expression reads; None if it reads anything else."""
    match expr:
        case Expect(operand=operand) | Refine(operand=operand):
            return _argument(operand, env)
        case Attribute(base=Root(name="resource"), name="args"):
            return ()
        case Local(slot=slot) if slot in env.place.findings.collections:
            among = _argument(env.place.findings.collections[slot], env)
            return None if among is None else (*among, expr)
        case Lookup(base=Local(slot=slot) as pair, key=Const(value="first" | "second" as side)):
            paired = env.place.findings.collections.get(slot)
            if not isinstance(paired, Call) or paired.function != "pairs":
                return None
            listed = _argument(paired.args[side == "second"], env)
            return None if listed is None else (*listed, pair)
        case Attribute(base=base, name=name):
            above = _argument(base, env)
            return None if above is None else (*above, name)
    return None


def _try_constant(name: str, arg: Expr, env: TypeEnv) -> None:
    if arg.type == UNKNOWN:
        return
    what, read = _CONSTANTS[name]
    if not isinstance(arg, Const):
        env.place.findings.report(
            codes.NOT_CONSTANT, arg.span, f"the {what} must be a constant", "", "write it as a string"
        )
        return
    try:
        if isinstance(arg.value, str):
            read(arg.value)
    except Fault as fault:
        code, help_ = codes.BAD_CONSTANT, ""
        if name in ("matches", "search"):
            code, help_ = codes.BAD_PATTERN, "RE2 has no backreferences and no lookaround"
        env.place.findings.report(code, arg.span, fault.message, "", help_)


def _parsed(name: str, given: tuple[Expr, ...], span: Span, env: TypeEnv) -> Expr | None:
    """A constant time, duration or address, read once."""
    if name not in _PARSERS or not isinstance(given[0], Const) or not isinstance(given[0].value, str):
        return None
    try:
        return Const(value=_PARSERS[name](given[0].value), type=_SIGNATURES[name][1], span=span)
    except Fault as fault:
        env.place.findings.report(codes.BAD_CONSTANT, given[0].span, fault.message)
        return Const(value=None, type=UNKNOWN, span=span)
