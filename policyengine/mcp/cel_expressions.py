"""Expressions of a mapping, in the Common Expression Language, over `params` and `token`.

What they say may come from the server whose tool is called. They are evaluated by a library without a way out of it,
which bounds their length, depth and steps; what comes back is JSON, or nothing where an optional selection found none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional

LONGEST, LONGEST_REASON = 4_000, 200
_INT = 1 << 63


class MappingError(Exception):
    """No request can be made of a mapping. The message says what failed, and shows no value of a request."""


class Absent:
    """The field is left out."""


ABSENT = Absent()


@lru_cache(1)
def _environment() -> cel.Env:
    variables = {"params": cel.Type.DYN, "token": cel.Type.DYN}
    return cel.NewEnv(variables=variables, extensions=[ext_optional.ExtOptional()])


@lru_cache(1_000)
def _compiled(text: str) -> cel.Expression:
    return _environment().compile(text)


def evaluated(text: str, params: Mapping[str, Any], token: Mapping[str, Any]) -> Any:
    """The value of an expression, or ABSENT. Raises MappingError."""
    if len(text) > LONGEST:
        raise MappingError(f"an expression has more than {LONGEST} characters")
    given = {"params": params, "token": token}
    try:
        value = _compiled(text).eval(data=given)
        if value.type() != cel.Type.ERROR:
            return _json(value.plain_value())
        if (why := _error(value)) is not None:
            raise ValueError(why)
        # An optional. In a list, one that is none takes no place. The new line ends a comment.
        result = _compiled(f"[?({text}\n)]").eval(data=given).plain_value()
        return _json(result[0]) if result else ABSENT
    except Exception as error:  # noqa: BLE001  whatever a library makes of a stranger's text is not a request
        raise MappingError(f"expression '${_shown(text)}' failed: {_shown(_reason(error))}") from None


def _error(value: Any) -> str | None:
    """What an error says; None for what the library cannot hand out, which is an optional."""
    try:
        return str(value.value())
    except TypeError:
        return None


def _json(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int) and -_INT <= value < _INT:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list):
        return [_json(each) for each in value]
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return {name: _json(each) for name, each in value.items()}
    raise ValueError("the value is not JSON")


def _reason(error: Exception) -> str:
    """The first line of what the library says, which names keys and places, without its caret."""
    said = str(error).partition("\n")[0]
    strange = isinstance(error, SystemError) or "function return value" in said
    return "the value is not JSON" if strange else said


def _shown(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= LONGEST_REASON else flat[:LONGEST_REASON] + "..."
