"""A rule's text, and below it the Python that answers for it, as lines for a terminal or as JSON.

`>` marks the lines that were made for the rule, `·` those that read what it needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.text import Text

from policyengine.compile.code_listing import CodeListing, ListedFunction, ListedLine, RequestTypes
from policyengine.diagnostics.render import location
from policyengine.diagnostics.safe_text import visible
from policyengine.explain.display import brief
from policyengine.model.types import EntityT, ListT, Prim, RecordT, SetT
from policyengine.model.values import Uid

_MARKS = {"rule": (">", "bold green"), "shared": ("·", "cyan"), "": (" ", "dim")}
# Of a longer run of unrelated lines, only the first and last are shown.
_EDGE = 8


def draw(listing: CodeListing, others: Sequence[RequestTypes]) -> Iterator[Text]:
    """`others` are the further types of requests that the rule can concern."""
    rule = listing.rule
    yield Text.assemble((f"{rule.kind} {rule.name}", "bold"), (f"  {visible(str(rule.span))}", "dim"))
    first, last = rule.span.line_col[0], rule.span.end_line_col[0]
    gutter = len(str(last))
    for number in range(first, last + 1):
        text = visible(rule.span.source.line(number).replace("\t", "    "))
        yield Text.assemble((f"  {number:>{gutter}} │ ", "blue"), text)
    yield Text()
    yield Text(f"{_shown(listing.request_types)}", "bold")
    if others:
        yield Text(f"  as well as {'; '.join(_shown(request_types) for request_types in others)}", "dim")
    for function in listing.functions:
        yield Text()
        rules = f"{function.rules:,} rule{'s' * (function.rules != 1)}"
        yield Text(f"{function.name}: Python that asks {rules}", "bold")
        yield from _lines(function)
    yield Text()
    yield Text("> made for this rule   · reads what it needs", "dim")


def _shown(request_types: RequestTypes) -> str:
    return visible("  ".join(request_types))


def _lines(function: ListedFunction) -> Iterator[Text]:
    for mark, group in groupby(function.lines, key=lambda line: line.mark):
        sign, style = _MARKS[mark]
        for line in _shortened(list(group)) if not mark else group:
            yield Text.assemble((f"  {sign} │ ", "blue"), (visible(line.text), style))
    for name, value in function.constants.items():
        yield Text(f"    {name} is {_constant(value)}", "dim")


def _shortened(lines: list[ListedLine]) -> list[ListedLine]:
    left = len(lines) - 2 * _EDGE
    if left < _EDGE:
        return lines
    return [
        *lines[:_EDGE],
        ListedLine(f"    ... {left:,} unrelated lines", ""),
        *lines[-_EDGE:],
    ]


def _constant(value: Any) -> str:
    """A constant in one line: tables by their size, types by their names."""
    if isinstance(value, Mapping):
        return f"a table of {len(value):,} key{'s' * (len(value) != 1)}"
    if isinstance(value, Prim | EntityT | SetT | ListT | RecordT):
        return f"the type {visible(str(value))}"
    if isinstance(value, Uid):
        return visible(str(value))
    if isinstance(value, frozenset) and value and all(isinstance(item, Uid) for item in value):
        names = sorted(visible(str(item)) for item in value)
        return ", ".join(names[:_EDGE]) + (f", ... {len(names) - _EDGE:,} more" if len(names) > _EDGE else "")
    if isinstance(value, frozenset):
        return brief(sorted(str(item) for item in value))
    return f"the function {value.__name__}" if callable(value) else brief(value)


def as_json(listing: CodeListing, others: Sequence[RequestTypes]) -> dict[str, Any]:
    """The same for tools, with every line."""
    rule = listing.rule
    return {
        "rule": rule.name,
        "kind": rule.kind,
        "location": location(rule.span),
        "text": rule.span.text,
        "for": _request_types_json(listing.request_types),
        "others": [_request_types_json(request_types) for request_types in others],
        "functions": [
            {
                "name": function.name,
                "rules": function.rules,
                "lines": [{"text": line.text, "mark": line.mark or None} for line in function.lines],
                "constants": {name: _constant(value) for name, value in function.constants.items()},
            }
            for function in listing.functions
        ],
    }


def _request_types_json(request_types: RequestTypes) -> dict[str, str]:
    return dict(zip(("principal", "action", "resource"), request_types, strict=True))
