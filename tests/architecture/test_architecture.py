"""The shape of the house, as tests: who imports whom, and what a source file of the package looks like.

The import rules themselves are `[tool.importlinter]` in pyproject.toml.
"""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

import grimp
import pytest

from tests.support.paths import PACKAGE, ROOT, SCRIPTS

MAX_LINES = 400
FILES = sorted(PACKAGE.rglob("*.py"))

# All tests of one file come together, so that it is parsed once and its tree is not kept for the rest of the run.
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)), scope="module")


@cache
def import_graph() -> grimp.ImportGraph:
    return grimp.build_graph("policyengine", exclude_type_checking_imports=False, cache_dir=None)


@lru_cache(maxsize=1)
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def test_import_contracts_are_kept() -> None:
    done = subprocess.run(
        [str(SCRIPTS / "lint-imports"), "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_modules_do_not_import_in_a_circle() -> None:
    graph = import_graph()
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    circle: list[str] = []
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        circle = error.args[1]
    assert not circle


def test_nothing_inside_the_package_imports_its_front_door() -> None:
    assert import_graph().find_modules_that_directly_import("policyengine") == set()


@each_file
def test_module_opens_with_its_contract(path: Path) -> None:
    assert ast.get_docstring(tree(path)), "a module docstring states the contract"


@each_file
def test_file_has_one_job(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{lines} lines: which second job moved in?"


@each_file
def test_functions_do_not_import_the_package(path: Path) -> None:
    found = [node.lineno for node in _imports_in_functions(tree(path)) if _is_our_own(node)]
    assert not found, f"imports inside functions, at lines {found}"


@each_file
def test_only_the_code_generator_executes_code(path: Path) -> None:
    if path.is_relative_to(PACKAGE / "compile"):
        return
    called = {
        node.func.id for node in ast.walk(tree(path)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not called & {"eval", "exec"}


def _imports_in_functions(module: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    for function in ast.walk(module):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield node


def _is_our_own(node: ast.Import | ast.ImportFrom) -> bool:
    if isinstance(node, ast.ImportFrom):
        names = [node.module or ""]
        if node.level:
            return True
    else:
        names = [alias.name for alias in node.names]
    return any(name.split(".")[0] == "policyengine" for name in names)


def test_specification_is_short() -> None:
    """Who reads `evaluate/` knows what a policy means; what makes it fast, or reads texts, is elsewhere."""
    lines = sum(len(path.read_text().splitlines()) for path in (PACKAGE / "evaluate").rglob("*.py"))
    assert lines <= 725


@each_file
def test_codes_are_written_once(path: Path) -> None:
    code = re.compile(r"POL\d{3}")
    written = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and code.fullmatch(node.value)
    ]
    assert path.name == "codes.py" or not written, f"at lines {written}: use the names in diagnostics/codes.py"

    assert not written, "codes are declared in diagnostics/codes.py, and used by their names"


def _named_on_the_map() -> list[tuple[str, str]]:
    text = (PACKAGE / "README.md").read_text(encoding="utf-8")
    section = text.partition("## Where it happens")[2].partition("\n## ")[0]
    return re.findall(r"^\| Wh[^|]*\| `([\w/.]+)`[^|]*\| `([\w.]+)` \|$", section, re.MULTILINE)


@pytest.mark.parametrize(("file", "name"), _named_on_the_map())
def test_what_the_map_names_is_there(file: str, name: str) -> None:
    names = {
        each.id if isinstance(each, ast.Name) else each.name
        for node in ast.walk(tree(PACKAGE / file))
        for each in (node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)])
        if isinstance(each, ast.Name | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    assert set(name.split(".")) <= names


def test_every_folder_and_file_of_the_package_is_on_the_map() -> None:
    rooms = (PACKAGE / "README.md").read_text(encoding="utf-8").partition("## Rooms")[2].partition("\n## ")[0]
    there = {f"{path.name}/" for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    there |= {path.name for path in PACKAGE.glob("*.py") if path.name != "__init__.py"}
    assert sorted(there) == sorted(re.findall(r"^\| `([\w/.]+)`", rooms, re.MULTILINE))
    # Where nobody is named to begin with, the row has nothing to test.
    assert len(_named_on_the_map()) > 20
