"""The name under which this is installed, everywhere the same; what an archive of it holds."""

from __future__ import annotations

import re
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from policyengine.version import DISTRIBUTION, VERSION
from tests.docs.blocks import documents
from tests.support.paths import PACKAGE, ROOT

_INSTALLED = re.compile(r"pip install (?:-\S+ )*policyengine(?![-_]ai)")


def test_pages_and_messages_install_this_package_and_not_the_other() -> None:
    texts = [*documents(), *PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert [str(path) for path in texts if _INSTALLED.search(path.read_text(encoding="utf-8"))] == []


def test_the_project_goes_by_the_name_that_the_code_knows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == DISTRIBUTION
    assert "version" in project["dynamic"]
    assert any(line.startswith("tzdata") for line in project["dependencies"])


def test_the_source_archive_holds_the_documents_and_the_grammar(tmp_path: Path) -> None:
    [made] = SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(made) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert Path(made).name == f"policyengine_ai-{VERSION}.tar.gz"
    wanted = ["README.md", "CHANGELOG.md", "grammar/policy.lark", "grammar/README.md", "docs/callers.md", "LICENSE"]
    assert [name for name in wanted if name not in names] == []
    assert "policyengine/compile/native/module.c" in names
    assert not [name for name in names if name.startswith((".venv", "bench/.venvs"))]


def test_a_wheel_in_pure_python_is_for_every_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLICYENGINE_PURE", "1")
    [made] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    assert Path(made).name == f"policyengine_ai-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(made) as archive:
        names = archive.namelist()
    assert "policyengine/schema/ai.pol" in names
    tables = {str(path.relative_to(ROOT)) for path in PACKAGE.rglob("*.csv")}
    assert "policyengine/detect/secrets/formats.csv" in tables
    assert tables <= set(names)
    assert {"policyengine/syntax/policy.lark", "policyengine/syntax/policy.table"} <= set(names)
    assert [name for name in names if name.endswith((".so", ".pyd"))] == []
