"""Findings in the forms that other programs read: SARIF for code scanning, and the commands of GitHub's workflows.

In: diagnostics. Out: text, in which nothing from a policy acts as a command to the program that shows it.

Sources: SARIF 2.1.0 (OASIS); "Workflow commands for GitHub Actions" (`::error`), with its escapes of `%`, line ends
and, in properties, `:` and `,`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from policyengine.diagnostics.diagnostic import Code, Diagnostic
from policyengine.diagnostics.safe_text import one_line
from policyengine.diagnostics.source import Span
from policyengine.version import VERSION

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


class ReportFormat(StrEnum):
    """How a command prints what it found."""

    HUMAN = "human"
    JSON = "json"
    CONCISE = "concise"
    SARIF = "sarif"
    GITHUB = "github"


# ---- SARIF ----


def sarif(found: Iterable[Diagnostic], page: Callable[[Code], str]) -> dict[str, Any]:
    """One run. `page` gives the page about a code, as Markdown."""
    diagnostics = list(found)
    codes = {code.id: code for code in sorted({d.code for d in diagnostics}, key=lambda code: code.id)}
    places = {id_: place for place, id_ in enumerate(codes)}
    driver = {"name": "policyengine", "version": VERSION, "rules": [_rule(c, page(c)) for c in codes.values()]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(d, places[d.code.id]) for d in diagnostics],
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: Code, page: str) -> dict[str, Any]:
    return {
        "id": code.id,
        "shortDescription": {"text": code.title},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": str(code.severity)},
    }


def _result(diagnostic: Diagnostic, rule: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": diagnostic.code.id,
        "ruleIndex": rule,
        "level": str(diagnostic.code.severity),
        "message": {"text": _text(diagnostic)},
        "locations": [_location(diagnostic.span)],
    }
    if diagnostic.notes:
        result["relatedLocations"] = [
            {"id": number, "message": {"text": one_line(note.message)}, **_location(note.span)}
            for number, note in enumerate(diagnostic.notes, 1)
        ]
    return result


def _text(diagnostic: Diagnostic) -> str:
    parts = (diagnostic.message, diagnostic.label, diagnostic.help)
    return "; ".join(one_line(part) for part in parts if part)


def _location(span: Span) -> dict[str, Any]:
    line, column = span.line_col
    end_line, end_column = span.end_line_col
    region = {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(span.source.path)}, "region": region}}


def _uri(path: str) -> str:
    """A relative path stays relative, as code scanning requires: it is below the root of the repository."""
    pure = PurePath(path)
    text = quote(pure.as_posix().encode("utf-8", "surrogateescape"))
    return f"file://{text}" if pure.is_absolute() else text


# ---- GitHub's workflow commands ----


def github(diagnostic: Diagnostic) -> str:
    """`::error file=...,line=...::message`, which GitHub shows beside the line."""
    span = diagnostic.span
    line, column = span.line_col
    end_line, end_column = span.end_line_col
    properties: dict[str, object] = {"file": span.source.path, "line": line, "endLine": end_line}
    if line == end_line:
        # GitHub's columns are inclusive, and are shown for one line only.
        properties |= {"col": column, "endColumn": max(column, end_column - 1)}
    properties["title"] = f"{diagnostic.code.id}: {diagnostic.code.title}"
    shown = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    return f"::{diagnostic.code.severity} {shown}::{_data(_text(diagnostic))}"


def github_error(message: str) -> str:
    """An error that has no place in a file."""
    return f"::error::{_data(one_line(message))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(one_line(text)).replace(":", "%3A").replace(",", "%2C")
