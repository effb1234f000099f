"""The result of a tool in the form that rules read, and back.

Rules read plain data: JSON values, a text that is JSON as its value, and anything else as the text that a model would
get. No part of a result is ignored because its class is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from policyengine.gate.call import Observed
from policyengine.model.json_text import parse_loosely
from policyengine.model.values import Fault

# Values that are nested deeper are read as a text.
DEEPEST = 60


def looked_at(result: Any) -> Any:
    """A result in the form that rules read."""
    return read(result) if isinstance(result, str) else as_json_data(result)


def read(text: str) -> Any:
    """A text as the object or list that it is in JSON, or unchanged. Text in which a key occurs twice stays text:
    otherwise one value of the key would be inspected, while the model reads both."""
    try:
        value = parse_loosely(text)
    except Fault:
        return text
    return value if isinstance(value, dict | list) else text


def as_json_data(value: Any, depth: int = 0) -> Any:
    """A value as JSON data. Raises only what the value's own methods raise."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if depth > DEEPEST:
        return str(value)
    if isinstance(value, Mapping):
        members = {str(key): as_json_data(item, depth + 1) for key, item in value.items()}
        # `1` and `"1"` would become the same name, and one value would hide the other.
        return members if len(members) == len(value) else [as_json_data(pair, depth + 1) for pair in value.items()]
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json_data(item, depth + 1) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: as_json_data(getattr(value, one.name), depth + 1) for one in fields(value)}
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return as_json_data(dump(mode="json"), depth + 1)
    return str(value)


def given_back(result: Any, looked: Any, seen: Observed) -> Any:
    """What the model may have of a result: the original if nothing was changed, or the reason if it may have
    nothing."""
    if not seen.allowed:
        return seen.reason
    if seen.value == looked:
        return result
    if isinstance(result, str) and not isinstance(seen.value, str):
        return json.dumps(seen.value, ensure_ascii=False)
    return seen.value
