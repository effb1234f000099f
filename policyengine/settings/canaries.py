"""The canaries of a deployment, in a JSON file: their tokens, what each was planted in, and when.

A reader of the file knows the tokens, so only its owner may read it. A writer of the file determines what is looked
for, so a file that others may write to is refused. It is replaced as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from policyengine.callers.stores.file import locked, read_private, write_private
from policyengine.callers.stores.store import KeyStoreError
from policyengine.detect.content import canary

# What a canary can be planted in.
PLACES = ("tenant", "prompt", "document")


@dataclass(frozen=True, slots=True)
class Planted:
    """`made` is in seconds since 1970."""

    token: str = field(repr=False)
    place: str
    name: str
    made: int

    @property
    def id(self) -> str:
        return canary.id_of(self.token)


def read(path: Path) -> tuple[Planted, ...]:
    """The canaries in the file, in the order in which they were made. Raises ValueError."""
    try:
        listed = json.loads(read_private(path))["canaries"]
        planted = tuple(Planted(**planted_token) for planted_token in listed)
        if not all(
            type(planted_token.token) is str and canary.is_token(planted_token.token) for planted_token in planted
        ):
            raise ValueError(path)
    except KeyStoreError as error:
        raise ValueError(str(error)) from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError(f"{path}: not a canary file") from None
    return planted


def add(path: Path, one: Planted) -> None:
    """Adds a canary. The file and its directory are made if they do not exist. Raises ValueError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{path.parent}: {(error.strerror or 'not possible').lower()}") from None
    _change(path, lambda known: (*known, one))


def forget(path: Path, id_: str) -> Planted:
    """Removes a canary, and returns it. Raises ValueError."""
    gone: list[Planted] = []

    def without(known: Sequence[Planted]) -> Sequence[Planted]:
        gone[:] = [one for one in known if one.id == id_]
        if not gone:
            raise ValueError("no canary has that id")
        return [one for one in known if one.id != id_]

    _change(path, without)
    return gone[0]


def _change(path: Path, change: Callable[[Sequence[Planted]], Sequence[Planted]]) -> None:
    try:
        with locked(path):
            known = change(read(path) if path.exists() else ())
            data = json.dumps({"canaries": [asdict(one) for one in known]}, indent=1)
            write_private(path, data.encode() + b"\n")
    except KeyStoreError as error:
        raise ValueError(str(error)) from None
