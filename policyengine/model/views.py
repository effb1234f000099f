"""The types of parsed arguments: the commands of a command line, the statements of a query."""

from __future__ import annotations

from policyengine.model.types import BOOL, STRING, ListT, RecordField, record

_TEXTS = RecordField(ListT(STRING))
# One command, as `model/commands.py` reads it.
COMMAND = record(
    {
        "name": RecordField(STRING),
        "program": RecordField(STRING),
        "args": _TEXTS,
        "env": _TEXTS,
        "reads": _TEXTS,
        "writes": _TEXTS,
        "within": _TEXTS,
        "runs_code": RecordField(BOOL),
    }
)
# One statement, as `model/statements.py` reads it.
STATEMENT = record(
    {
        "kind": RecordField(STRING),
        "reads": _TEXTS,
        "writes": _TEXTS,
        "columns": _TEXTS,
        "functions": _TEXTS,
        "limited": RecordField(BOOL),
    }
)
