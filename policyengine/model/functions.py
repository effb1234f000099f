"""The built-in functions by the names that typed expressions use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from policyengine.model import aggregates, calendar, operators
from policyengine.model.commands import argv
from policyengine.model.statements import sql
from policyengine.model.texts_within import texts
from policyengine.model.types import JSON, Type, element_of
from policyengine.model.values import parse_duration, parse_ip, parse_time

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "contains_any": operators.contains_any,
    "contains_all": operators.contains_all,
    "union": aggregates.union,
    "pairs": aggregates.pairs,
    "size": operators.size,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
    "contains": operators.contains_text,
    "lower": str.lower,
    "matches": operators.matches,
    "search": operators.search,
    "email_domain": operators.email_domain,
    "url_host": operators.url_host,
    "url_scheme": operators.url_scheme,
    "path_under": operators.path_under,
    "ip": parse_ip,
    "time": parse_time,
    "duration": parse_duration,
    "in_range": operators.in_range,
    "time_of_day": calendar.time_of_day,
    "weekday": calendar.weekday,
    "date": calendar.date_of,
    "texts": texts,
    "argv": argv,
    "sql": sql,
}


def type_argument(function: str, *types: Type) -> tuple[Type, ...]:
    """The type that some functions also need, from the types of their arguments: whether two values are equal depends
    on their type."""
    match function:
        case "size" | "texts":
            return types
        case "contains_any" | "contains_all":
            return (element_of(types[0]) or JSON,)
    return ()
