"""The files of a revision as they were read, kept for processes that start while other files are on disk.

They are in a directory of this user alone, one file for each revision, and are removed with the service.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Collection
from pathlib import Path

from policyengine.files import FilesRead, Text

_ENDING = ".json"


def keep(directory: Path, revision: str, read: FilesRead) -> None:
    """Keeps what was read, unless it is kept already. Raises OSError."""
    file = directory / f"{revision}{_ENDING}"
    if file.exists():
        return
    entities = None if read.entities is None else _said(read.entities)
    made = directory / f".{revision}.{os.getpid()}"
    with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as out:
        json.dump({"texts": [_said(each) for each in read.texts], "entities": entities}, out)
    os.replace(made, file)


def kept(directory: Path, revision: str) -> FilesRead:
    """What was kept. Raises OSError where nothing was."""
    texts = json.loads((directory / f"{revision}{_ENDING}").read_text(encoding="ascii"))
    entities = texts["entities"]
    # Of no state that files can be in: what is there now is looked at soon.
    return FilesRead(
        tuple(_text(each) for each in texts["texts"]), None if entities is None else _text(entities), (), None
    )


def forget(directory: Path, but: Collection[str]) -> None:
    """Of other revisions nothing is kept any longer."""
    for file in directory.glob(f"*{_ENDING}"):
        if file.stem not in but:
            file.unlink(missing_ok=True)


def _said(text: Text) -> list[str]:
    return [text.path, b64encode(text.data).decode("ascii")]


def _text(said: list[str]) -> Text:
    return Text(said[0], b64decode(said[1]))
