"""Every fenced block of the documents runs; a test's name is the document and the line of the block."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from policyengine.diagnostics.codes import NOTHING_PERMITS
from tests.docs import http, python, shell
from tests.docs.blocks import Block, blocks_of, complaint, documents
from tests.docs.engine_calls import findings, run_tests
from tests.docs.workspace import Workspace

BLOCKS = [block for path in documents() for block in blocks_of(path)]
FRAGMENT_HEAD = "module docs\nuse ai\n"


def of(*languages: str) -> pytest.MarkDecorator:
    """Parametrise a test over the blocks in these languages."""
    chosen = [block for block in BLOCKS if block.language in languages]
    return pytest.mark.parametrize("block", chosen, ids=lambda block: block.id)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.id)
def test_info_string_is_understood(block: Block) -> None:
    assert complaint(block) is None


@of("pol")
def test_policies(block: Block, tmp_path: Path) -> None:
    source = FRAGMENT_HEAD + block.text if "fragment" in block.options else block.text
    errors, warnings = findings(source, block.id)
    assert errors == codes(block, "error")
    if "warning" in block.options:
        # A fragment about one rule leaves out what grants.
        assert {*warnings} - {NOTHING_PERMITS.id} == {*codes(block, "warning")} - {NOTHING_PERMITS.id}
    if not errors and any(line.startswith("test ") for line in block.text.splitlines()):
        file = tmp_path / "docs.pol"
        file.write_text(source, encoding="utf-8")
        passed, report = run_tests(file)
        assert passed, report


@of("sh", "console", "python")
def test_commands_and_python(
    block: Block, workspace_of: Callable[[str], Workspace], address_of: Callable[[str], str]
) -> None:
    def run(one: Block, workspace: Workspace) -> None:
        if "file" in one.options:
            workspace.save(one)
        if one.language == "python":
            python.run(one, workspace)
        elif one.language in ("sh", "console"):
            served = shell.DOCUMENTED_ADDRESS.search(one.text)
            shell.run(one, workspace, address_of(served_policies(one)) if served else None)

    if "no-run" in block.options and block.language == "python":
        python.compile_block(block)
    elif "no-run" in block.options:
        shell.check_names(block)
    else:
        leading = [b for b in BLOCKS if b.document == block.document and leaves_something(b)]
        workspace_of(block.document).run_through(block, leading, run)


@of("http")
def test_requests(block: Block, address_of: Callable[[str], str]) -> None:
    http.run(block, answer_to(block), address_of(served_policies(block)))


@of("json")
def test_json(block: Block) -> None:
    assert json.loads(block.text) is not None


def codes(block: Block, option: str) -> list[str]:
    """The diagnostics that the info string announces."""
    return sorted(filter(None, block.options.get(option, "").split(",")))


def leaves_something(block: Block) -> bool:
    """Whether later blocks of the document may depend on this one."""
    runs = block.language in ("sh", "console", "python") and "no-run" not in block.options
    return runs or "file" in block.options


def answer_to(block: Block) -> Block | None:
    """The `json` block that follows a request, if that is what follows it."""
    position = BLOCKS.index(block) + 1
    following = BLOCKS[position] if position < len(BLOCKS) else None
    if following and following.document == block.document and following.language == "json":
        return following
    return None


def served_policies(block: Block) -> str:
    """The policies a request goes to: those named, those beside the document, or the support assistant."""
    if "policies" in block.options:
        return block.options["policies"]
    parts = PurePosixPath(block.document).parts
    return "/".join(parts[:-1]) if parts[0] == "policies" and len(parts) > 2 else "policies/support"
