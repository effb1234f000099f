"""`init`: what it makes works, and it overwrites nothing."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Cli
from tests.cli.running import run


def test_the_project_works(tmp_path: Path, cli: Cli) -> None:
    project = tmp_path / "new"
    assert cli("init", project) == 0
    assert "policyengine check policies" in cli.out
    assert cli("check", "--strict", project / "policies") == 0
    assert cli("fmt", "--check", project / "policies") == 0
    assert cli("test", project / "policies") == 0
    assert "never:" not in cli.out
    for name, status in {"allow": 0, "deny": 3, "approval": 3, "owes": 4}.items():
        words = (project / "policies", "-e", project / "entities.json", "-r", project / "requests" / f"{name}.json")
        assert cli("decide", *words) == status, name
        assert cli("explain", *words) == 0


def test_the_steps_it_prints_run(tmp_path: Path, warm: Path) -> None:
    steps = [line.split("#")[0].split() for line in run("init", cwd=tmp_path, warm=warm).stdout.splitlines()]
    commands = [words[1:] for words in steps if words[:1] == ["policyengine"] and words[1] != "serve"]
    assert len(commands) == 4
    for words in commands:
        assert run(*words, cwd=tmp_path, warm=warm).returncode == 0


def test_nothing_is_overwritten(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "README.md").write_text("mine", encoding="utf-8")
    assert cli("init", tmp_path) == 2
    assert "README.md" in cli.err
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "mine"


def test_a_file_is_no_directory(tmp_path: Path, cli: Cli) -> None:
    file = tmp_path / "file"
    file.touch()
    assert cli("init", file) == 2
