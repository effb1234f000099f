"""The effective settings as TOML, after file, environment and flags, with every secret hidden."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from policyengine.settings.model import Settings

HIDDEN = "********"
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def shown(settings: Settings) -> str:
    """TOML that `load` reads, except for the secrets. Settings without a value are comments."""
    return "\n".join(_table(settings.model_dump(mode="python"), ())) + "\n"


def _table(values: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    tables = {name: value for name, value in values.items() if isinstance(value, dict) and value}
    lists = {name: value for name, value in values.items() if _is_tables(value)}
    for name, value in values.items():
        if name not in tables and name not in lists:
            yield f"# {_key(name)} is not set" if value is None else f"{_key(name)} = {_value(name, value)}"
    for name, value in tables.items():
        yield f"\n[{'.'.join(map(_key, (*path, name)))}]"
        yield from _table(value, (*path, name))
    for name, value in lists.items():
        for each in value:
            yield f"\n[[{'.'.join(map(_key, (*path, name)))}]]"
            yield from _table(each, (*path, name))


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _value(name: str, value: Any) -> str:
    match value:
        case SecretStr():
            return json.dumps(HIDDEN)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case list():
            return f"[{', '.join(_value(name, each) for each in value)}]"
        case dict():
            return "{}"
    return json.dumps(_without_password(str(value)), ensure_ascii=False)


def _without_password(text: str) -> str:
    """A URL without its password; any other text as it is."""
    if "://" not in text:
        return text
    try:
        parts = urlsplit(text)
        password = parts.password
    except ValueError:
        return HIDDEN
    if password is None and not parts.query:
        return text
    user, _, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    netloc = f"{name}:{HIDDEN}@{host}" if password is not None else parts.netloc
    # Connection strings may have a password among their parameters.
    return urlunsplit((parts.scheme, netloc, parts.path, HIDDEN if parts.query else "", ""))
