"""Where one document's blocks run: a directory with a copy of policies/, and one Python namespace.

Blocks that leave something behind (commands, Python, saved files) run in reading order, each once in a
process. A test that asks for a later block first runs the earlier ones, so that one test alone behaves as in
a whole run.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.blocks import Block
from tests.support.paths import ROOT, SCRIPTS


class Workspace:
    """`root` is the directory, `cwd` where its shell stands, `module` the Python namespace, and `commands` where its
    shell finds `policyengine`."""

    def __init__(self, document: str, root: Path, commands: Path = SCRIPTS) -> None:
        self.root = root
        self.commands = commands
        self.cwd = root
        self.last_status = 0
        self.module = ModuleType("documented_" + re.sub(r"\W", "_", document))
        self._done: dict[int, bool] = {}
        sys.modules[self.module.__name__] = self.module
        if (ROOT / "policies").exists():
            shutil.copytree(ROOT / "policies", root / "policies")

    def run_through(self, block: Block, blocks: Sequence[Block], run: Callable[[Block, Workspace], None]) -> None:
        """Run `block`, after the blocks before it that have not run yet. Fails if one of those fails."""
        for earlier in blocks:
            if earlier.line >= block.line:
                break
            if not self._run_once(earlier, run):
                pytest.fail(f"the block at {earlier.id}, which comes first, fails")
        if self._done.pop(block.line, None) is not True:
            self._done[block.line] = False
            run(block, self)
        self._done[block.line] = True

    def save(self, block: Block) -> None:
        """Write the block to the file that its info string names."""
        path = self.root / block.options["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")

    def _run_once(self, block: Block, run: Callable[[Block, Workspace], None]) -> bool:
        if block.line not in self._done:
            self._done[block.line] = False
            try:
                run(block, self)
            except (Exception, pytest.fail.Exception):  # noqa: BLE001 - its own test shows what it raises
                return False
            self._done[block.line] = True
        return self._done[block.line]
