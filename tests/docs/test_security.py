"""Every threat of SECURITY.md names tests, and there are such tests."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.support.paths import ROOT

ROWS = [line for line in (ROOT / "SECURITY.md").read_text("utf-8").splitlines() if "`tests/" in line]
TESTS = sorted({name for row in ROWS for name in re.findall(r"`(tests/[^`]+)`", row)})


@cache
def defined(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("name", TESTS)
def test_what_holds_a_threat_off_is_there(name: str) -> None:
    path, test = name.split("::")
    assert test in defined(path)


def test_every_threat_has_one() -> None:
    lines = (ROOT / "SECURITY.md").read_text("utf-8").splitlines()
    threats = [line for line in lines if line.startswith("| ") and "threat |" not in line]
    assert threats == ROWS
    assert len(threats) == 16 + 30
