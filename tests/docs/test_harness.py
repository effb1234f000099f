"""The harness itself: it finds blocks, and it notices output that differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import http, shell
from tests.docs.blocks import Block, complaint, parse
from tests.docs.matching import differences, output_matches
from tests.docs.workspace import Workspace
from tests.support.paths import SCRIPTS


def block(text: str, **options: str) -> Block:
    return Block("README.md", 1, "sh", text, options)


@pytest.fixture
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace("harness", tmp_path_factory.mktemp("harness"))


def test_blocks_are_found_with_their_lines_and_options() -> None:
    found = list(parse("x.md", "text\n\n```pol fragment error=POL204\na\n```\n\n- item\n\n  ```sh\n  $ ls\n  ```\n"))
    assert [(b.id, b.language, b.text) for b in found] == [
        ("x.md:3", "pol", "a\n"),
        ("x.md:9", "sh", "$ ls\n"),
    ]
    assert found[0].options == {"fragment": "", "error": "POL204"}


@pytest.mark.parametrize("info", ["", "pool", "pol eror=POL204", "sh fragment"])
def test_a_mistyped_info_string_is_noticed(info: str) -> None:
    (found,) = parse("x.md", f"```{info}\n```\n")
    assert complaint(found)


def test_commands_are_separated_from_their_output() -> None:
    text = "$ cat <<'EOF' \\\n  | sort\nb\nEOF\nb\n$ echo $?\n0\n"
    assert shell.commands(text) == [
        shell.Command("cat <<'EOF' \\\n  | sort\nb\nEOF", "b"),
        shell.Command("echo $?", "0"),
    ]


def test_commands_run_where_the_last_one_left_off(workspace: Workspace) -> None:
    shell.run(block("$ mkdir a && cd a\n$ pwd\n.../a\n$ (exit 3)\n$ echo $?\n3\n"), workspace, None)
    assert workspace.cwd.name == "a"


@pytest.mark.parametrize("text", ["$ false\n", "$ echo a\nb\n", "$ make test\n", "false\n"])
def test_a_command_that_disappoints_is_noticed(text: str, workspace: Workspace) -> None:
    with pytest.raises(AssertionError):
        shell.run(block(text), workspace, None)


def test_an_announced_exit_status_is_expected(workspace: Workspace) -> None:
    shell.run(block("$ exit 3\n", exit="3"), workspace, None)
    with pytest.raises(AssertionError):
        shell.run(block("$ true\n", exit="3"), workspace, None)


def test_names_in_a_block_that_is_not_run_must_exist() -> None:
    shell.check_names(block("make serve PORT=9000\n$ make test  # it's quick\n"))
    with pytest.raises(AssertionError):
        shell.check_names(block("make tset\n"))


def test_a_later_block_first_runs_the_earlier_ones(workspace: Workspace) -> None:
    blocks = [Block("README.md", line, "sh", "") for line in (1, 2, 3)]
    order: list[int] = []

    def run(one: Block, _: Workspace) -> None:
        order.append(one.line)

    workspace.run_through(blocks[1], blocks, run)
    workspace.run_through(blocks[0], blocks, run)
    workspace.run_through(blocks[2], blocks, run)
    assert order == [1, 2, 3]


def test_output_matches_as_text_or_as_json() -> None:
    assert output_matches("took ... ms\n...\ndone", "took 3 ms\na\nb\ndone  \n")
    assert output_matches('{"a": "..."}', '{\n  "a": 1,\n  "b": 2\n}\n')
    assert not output_matches("done", "done and more")


def test_json_differences() -> None:
    assert differences({"a": [1, {"b": "..."}]}, {"a": [1, {"b": None}], "c": 1}) == []
    assert differences({"a": True}, {"a": 1}) == ["$.a is 1, not true"]
    assert differences({"a": []}, {}) == ["$.a is missing"]
    assert differences([1], [1, 2]) == ["$ has 2 items, not 1"]


def test_a_request_is_read() -> None:
    request = http.parse('POST /access/v1/evaluation HTTP/1.1\nContent-Type: application/json\n\n{"a":\n\n1}\n')
    assert request == http.Request(
        "POST", "/access/v1/evaluation", {"Content-Type": "application/json"}, b'{"a":\n\n1}'
    )


@pytest.mark.parametrize(
    "command",
    [
        "policyengine --version",
        "policyengine",
        "policyengine decide --no-such-option",
        "policyengine check policies/support && policyengine test policies/support",
        "policyengine schema show policies/support | head -3",
        "policyengine check nowhere; echo $?",
        "printf 'permit  a: b on any' | policyengine fmt -; echo $?",
        "cd policies && policyengine check support 2>&1 >/dev/full; echo $?",
        "echo '{' | policyengine decide policies/support -r -; echo $? >&2",
        "COLUMNS=40 policyengine decide --help",
        "POLICYENGINE_STATE=nowhere policyengine state show",
    ],
)
def test_a_warm_command_is_the_installed_one(
    command: str, tmp_path_factory: pytest.TempPathFactory, warm: Path
) -> None:
    installed, started = (
        Workspace("harness", tmp_path_factory.mktemp("harness"), commands) for commands in (SCRIPTS, warm)
    )
    assert shell.run_one(command, started, None) == shell.run_one(command, installed, None)
    assert started.last_status == installed.last_status
