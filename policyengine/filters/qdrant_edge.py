"""A Qdrant filter for the embedded engine, `qdrant_edge`, which takes its own objects and not the REST form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy
import qdrant_edge as edge


def edge_filter(native: Mapping[str, Any]) -> edge.Filter:
    """The `native` of a `qdrant(...)` query as a `qdrant_edge.Filter`."""
    clauses = {clause: [_condition(each) for each in items] for clause, items in native.items()}
    return edge.Filter(must=clauses.get("must"), should=clauses.get("should"), must_not=clauses.get("must_not"))


def _condition(each: Mapping[str, Any]) -> Any:
    if "has_id" in each:
        return edge.HasIdCondition(set(each["has_id"]))
    if "is_empty" in each:
        return edge.IsEmptyCondition(each["is_empty"]["key"])
    if "is_null" in each:
        return edge.IsNullCondition(each["is_null"]["key"])
    if "nested" in each:
        return edge.NestedCondition(each["nested"]["key"], edge_filter(each["nested"]["filter"]))
    if "key" not in each:
        return edge_filter(each)
    if "match" in each:
        return edge.FieldCondition(each["key"], match=_match(each["match"]))
    if "range" in each:
        return edge.FieldCondition(each["key"], range=_range(each["range"]))
    return edge.FieldCondition(each["key"], values_count=edge.ValuesCount(**each["values_count"]))


def _match(match: Mapping[str, Any]) -> Any:
    kinds: dict[str, Any] = {
        "value": edge.MatchValue, "any": edge.MatchAny, "except": edge.MatchExcept, "prefix": edge.MatchPrefix,
        "substring": edge.MatchSubstring,
    }  # fmt: skip
    ((kind, asked),) = match.items()
    # A Python bool is an int, and the engine would take it for one.
    return kinds[kind](numpy.bool_(asked) if isinstance(asked, bool) else asked)


def _range(limits: Mapping[str, Any]) -> Any:
    if any(isinstance(limit, str) for limit in limits.values()):
        return edge.RangeDateTime(**limits)
    return edge.RangeFloat(**limits)
