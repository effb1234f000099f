"""`scan`: what stands where in files, without values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

VALUE = "ann.lee@example.com"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "notes.txt"
    path.write_text(f"first\nwrite to {VALUE}, or 4111 1111 1111 1111\nsee https://docs.example.com\n")
    return path


def test_findings_have_a_place_and_no_value(file: Path, cli: Cli) -> None:
    assert cli("scan", file) == 3
    assert cli.out == f"{file}:2:10: email (0.95)\n{file}:2:34: credit_card (0.85)\n"
    assert VALUE not in cli.out + cli.err


def test_kinds_that_are_asked_for(file: Path, cli: Cli) -> None:
    assert cli("scan", file, "--kinds", "domain,secret") == 3
    assert cli.out == f"{file}:3:13: domain (0.90)\n"
    assert cli("scan", file, "--kinds", "secret") == 0
    assert (cli.out, cli.err) == ("", "nothing was found\n")


def test_json_lines(file: Path, cli: Cli) -> None:
    assert cli("scan", file, "--json", "--kinds", "email") == 3
    assert json.loads(cli.out) == {
        "file": str(file), "line": 2, "column": 10, "start": 15, "end": 34,
        "kind": "email", "score": 0.95, "detector": "email",
    }  # fmt: skip


def test_what_is_not_meant(file: Path, cli: Cli) -> None:
    assert cli("scan", file, "--kinds", "emial") == 2
    assert "did you mean `email`?" in cli.err
    assert cli("scan", file, "--regions", "USA") == 2
    assert cli("scan", file.parent / "none.txt") == 2


def test_bytes_that_are_no_text_do_not_stop_it(tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(b"\xff\x00\xfe" + VALUE.encode() + b"\x80")
    assert cli("scan", path, "--kinds", "email") == 3
