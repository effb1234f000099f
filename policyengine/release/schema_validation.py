"""Whether JSON matches a schema, with bounded work, so that a large schema or text delays nobody.

The library is `jsonschema`, without its unbounded parts. A schema cannot refer to anything outside itself, so nothing
is fetched. Expressions are RE2. Elements are compared by their text. Every evaluation of a keyword is counted,
references included, so a schema that doubles at each step ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from typing import Any

import re2

# The most evaluations of keywords for one text.
MOST_WORK = 100_000
# Keywords that refer to something outside, or use expressions other than RE2.
_REFUSED = frozenset({"$dynamicRef", "$recursiveRef", "patternProperties"})

_left: ContextVar[int] = ContextVar("policyengine_schema_work")


class TooMuchWork(Exception):
    """A schema needs more work for this text than is allowed."""


def check_schema(schema: Any) -> None:
    """Raises ValueError for a schema that is malformed or not supported."""
    kind = _kind(schema)
    todo = [schema]
    while todo:
        part = todo.pop()
        if isinstance(part, Mapping):
            if refused := sorted(_REFUSED & part.keys()):
                raise ValueError(f"a schema with `{refused[0]}` is not read here")
            reference = part.get("$ref")
            if reference is not None and not (isinstance(reference, str) and reference.startswith("#")):
                raise ValueError("a schema refers to nothing outside itself")
            _check_pattern(part.get("pattern"))
            todo.extend(part.values())
        elif isinstance(part, list | tuple):
            todo.extend(part)
    try:
        kind.check_schema(schema)
    except Exception as error:  # noqa: BLE001 - whatever the library raises, it is not a schema
        raise ValueError(f"not a JSON Schema: {getattr(error, 'message', type(error).__name__)}") from None


def errors(schema: Any, text: str) -> Iterator[tuple[str, str]]:
    """Where JSON does not match the schema, as a JSON pointer, and the keyword that fails. Raises TooMuchWork, and
    ValueError for a schema that cannot be followed."""
    from referencing import Registry

    token = _left.set(MOST_WORK)
    try:
        for error in _kind(schema)(schema, registry=Registry()).iter_errors(json.loads(text)):
            pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.absolute_path)
            yield pointer, str(error.validator)
    except (TooMuchWork, GeneratorExit):
        raise
    except Exception:  # noqa: BLE001 - a reference to nothing, a circle: whatever it is, the text was not found to be valid
        raise ValueError("the schema cannot be followed") from None
    finally:
        _left.reset(token)


def _kind(schema: Any) -> Any:
    """The class that checks schemas of this version."""
    try:
        from jsonschema.validators import validator_for
    except ImportError:
        raise ValueError("a schema needs `jsonschema`: install `policyengine-ai[release]`") from None
    return _bounded(validator_for(schema))


@cache
def _bounded(kind: Any) -> Any:
    """The same, bounded. There is one for each version of JSON Schema."""
    from jsonschema.validators import extend

    keywords = {**kind.VALIDATORS, "pattern": _pattern, "uniqueItems": _unique}
    return extend(kind, {name: _counted(keyword) for name, keyword in keywords.items()})


def _counted(keyword: Callable[..., Any]) -> Callable[..., Any]:
    def asked(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        left = _left.get() - 1
        if left < 0:
            raise TooMuchWork
        _left.set(left)
        return keyword(validator, value, instance, schema)

    return asked


def _pattern(validator: Any, pattern: Any, instance: Any, _: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if validator.is_type(instance, "string") and not re2.search(pattern, instance):
        yield ValidationError("pattern")


def _unique(validator: Any, unique: Any, instance: Any, _: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if unique and validator.is_type(instance, "array") and len({_text(one) for one in instance}) < len(instance):
        yield ValidationError("uniqueItems")


def _text(value: Any) -> str:
    """The same text for all equal values: 1 and 1.0 are equal, and 1 and true are not."""
    return json.dumps(_whole(value), sort_keys=True)


def _whole(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {name: _whole(part) for name, part in value.items()}
        case list():
            return [_whole(part) for part in value]
    return value


def _check_pattern(pattern: Any) -> None:
    if isinstance(pattern, str):
        try:
            re2.compile(pattern)
        except re2.error as error:
            raise ValueError(f"not an expression: {error}") from None
