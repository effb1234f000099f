"""From a file, the environment and the command line to settings, or to the problems with them.

The command line wins over the environment, and the environment over the file. An unknown key is refused, in the file
and among the variables that start with POLICYENGINE_, and the message names the nearest known one: a misspelt setting
must not be ignored. Messages never show a value, as it may be a secret.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, SecretStr, ValidationError

from policyengine.diagnostics.suggest import did_you_mean
from policyengine.events.sinks.webhook import secret_key
from policyengine.settings.model import PREFIX, Callback, Events, KeySettings, Settings, Webhook
from policyengine.settings.texts import secret as release_key
from policyengine.workers.protocol import SUPERVISOR

T = TypeVar("T", Webhook, Callback)

CONFIG = f"{PREFIX}CONFIG"
# Variables with the prefix that are not settings of the service.
_OTHERS = frozenset({CONFIG, f"{PREFIX}CACHE_DIR", f"{PREFIX}COMPLETE", SUPERVISOR})
_LEAST_BYTES = 1


class WrongSettings(Exception):
    """The settings cannot be used. `problems` has one line each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def load(
    flags: Mapping[str, Any] | None = None,
    *,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """The settings. `flags` come from the command line, `config` is the file. Raises WrongSettings."""
    variables = os.environ if environment is None else environment
    unknown = [_unknown_variable(name) for name in sorted(variables) if name.startswith(PREFIX) and not _is_known(name)]
    path = config or (Path(variables[CONFIG]) if variables.get(CONFIG) else None)
    from_file = _read(path) if path is not None else {}
    unknown += unknown_keys(from_file, Settings, "")
    if unknown:
        raise WrongSettings(*unknown)
    given = _merged(from_file, _merged(_from_environment(variables), dict(flags or {})))
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise WrongSettings(*problems(error)) from None
    return _with_secrets(settings)


def load_keys(
    store: str | None = None, *, config: Path | None = None, environment: Mapping[str, str] | None = None
) -> KeySettings:
    """Only the settings of API keys, for commands that need no policies. Raises WrongSettings."""
    flags: dict[str, Any] = {"policies": Path()}
    if store is not None:
        flags["keys"] = {"store": store}
    return load(flags, config=config, environment=environment).keys


def from_environment() -> Settings:
    """The settings of this process. Wrong settings end it with status 2, as any other wrong usage does."""
    try:
        return load()
    except WrongSettings as error:
        for problem in error.problems:
            sys.stderr.write(f"error: {problem}\n")
        raise SystemExit(2) from None


# ---- the environment ----


def variable(*path: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + "__".join(path).upper()


def _variables(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The settings that a variable can give, by their path."""
    for name, field in model.model_fields.items():
        inner = _model_of(field.annotation)
        yield (*path, name)
        if inner is not None:
            yield from _variables(inner, (*path, name))


def _model_of(annotation: Any) -> type[BaseModel] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


_KNOWN = {variable(*path): path for path in _variables(Settings)}


def _is_known(name: str) -> bool:
    return name in _KNOWN or name in _OTHERS


def _unknown_variable(name: str) -> str:
    return f"unknown environment variable `{name}`" + _hint(name, [*_KNOWN, *_OTHERS])


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings in variables. Lists and tables are JSON."""
    values: dict[str, Any] = {}
    # The variables of a part come after the part itself, and win over it.
    for name in sorted(_KNOWN):
        if name not in environment:
            continue
        *above, last = _KNOWN[name]
        at = values
        for each in above:
            at = at.setdefault(each, {})
        at[last] = environment[name]
    return _decoded(values, Settings)


def _decoded(found: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    decoded: dict[str, Any] = {}
    for name, value in found.items():
        annotation = model.model_fields[name].annotation
        inner = _model_of(annotation)
        if inner is not None and isinstance(value, dict):
            decoded[name] = _decoded(value, inner)
        elif inner is not None or _is_collection(annotation):
            decoded[name] = _json(name, value)
        else:
            decoded[name] = value
    return decoded


def _is_collection(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) in (list, dict) or any(map(_is_collection, get_args(annotation)))


def _json(name: str, value: str) -> Any:
    try:
        return _parse(value)
    except ValueError:
        raise WrongSettings(f"`{name}`: expected JSON in the environment variable") from None


def _parse(text: str) -> Any:
    # A plain list of words is written without brackets.
    return (
        json.loads(text) if text.lstrip().startswith(("[", "{")) else [each.strip() for each in text.split(",") if each]
    )


# ---- the file ----


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongSettings(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongSettings(f"{path}: not TOML: {error}") from None


def unknown_keys(found: Mapping[str, Any], model: type[BaseModel], place: str) -> list[str]:
    problems = []
    for name, value in found.items():
        field = model.model_fields.get(name)
        if field is None:
            problems.append(f"unknown setting `{place}{name}`" + _hint(name, model.model_fields))
            continue
        inner = _model_of(field.annotation)
        if inner is not None and isinstance(value, Mapping):
            problems += unknown_keys(value, inner, f"{place}{name}.")
        of_list = next(filter(None, map(_model_of, get_args(field.annotation))), None)
        if of_list is not None and isinstance(value, list):
            for i, each in enumerate(value):
                if isinstance(each, Mapping):
                    problems += unknown_keys(each, of_list, f"{place}{name}[{i}].")
    return problems


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for name, value in over.items():
        before = merged.get(name)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[name] = _merged(before, value) if both else value  # type: ignore[arg-type]
    return merged


# ---- secrets and problems ----


def _with_secrets(settings: Settings) -> Settings:
    """The settings with the secrets from files."""
    page_key = _secret(settings, "page_key", settings.page_key_file)
    hash_key = _secret(settings.keys, "hash_key", settings.keys.hash_key_file)
    changed: dict[str, Any] = {}
    if page_key is not None:
        changed["page_key"] = page_key
    if hash_key is not None:
        changed["keys"] = settings.keys.model_copy(update={"hash_key": hash_key})
    text_key = _secret(settings.texts, "key", settings.texts.key_file)
    if text_key is not None:
        try:
            release_key(text_key)
        except ValueError as error:
            raise WrongSettings(f"`key_file`: {error}") from None
        changed["texts"] = settings.texts.model_copy(update={"key": text_key})
    if any(each.secret_file is not None for each in settings.events.webhooks):
        changed["events"] = with_webhook_secrets(settings.events)
    if any(each.secret_file is not None for each in settings.approvals.callbacks):
        callbacks = [_with_secret(each) for each in settings.approvals.callbacks]
        changed["approvals"] = settings.approvals.model_copy(update={"callbacks": callbacks})
    return settings.model_copy(update=changed) if changed else settings


def with_webhook_secrets(events: Events) -> Events:
    """The settings of events, with the secrets from files. Raises WrongSettings."""
    return events.model_copy(update={"webhooks": [_with_secret(each) for each in events.webhooks]})


def _with_secret(webhook: T) -> T:
    secret = _secret(webhook, "secret", webhook.secret_file)
    if secret is None:
        return webhook
    try:
        secret_key(secret.get_secret_value())
    except ValueError as error:
        raise WrongSettings(f"`secret_file`: {error}") from None
    return webhook.model_copy(update={"secret": secret})


def _secret(part: BaseModel, name: str, path: Path | None) -> SecretStr | None:
    if path is None:
        return None
    if name in part.model_fields_set:
        raise WrongSettings(f"`{name}` and `{name}_file` exclude each other")
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise WrongSettings(f"`{name}_file`: {path} cannot be read") from None
    least = next(
        (m.min_length for m in type(part).model_fields[name].metadata if hasattr(m, "min_length")), _LEAST_BYTES
    )
    if len(text) < least:
        raise WrongSettings(f"`{name}_file`: {path} has fewer than {least} characters")
    return SecretStr(text)


def _problem(error: Any) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).lstrip(".")
    message = error["msg"].removeprefix("Value error, ")
    return f"`{place}`: {message[:1].lower()}{message[1:]}" if place else f"{message[:1].lower()}{message[1:]}"


def _hint(name: str, known: Any) -> str:
    hint = did_you_mean(name, known)
    return f"; {hint}" if hint else ""


def problems(error: ValidationError) -> list[str]:
    """A line for each problem."""
    return [_problem(each) for each in error.errors()]
