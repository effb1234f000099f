"""Run the Python blocks of a document in one namespace, standing in the document's workspace."""

from __future__ import annotations

import contextlib
import doctest
from types import CodeType

from tests.docs.blocks import Block
from tests.docs.workspace import Workspace

DOCTEST_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def run(block: Block, workspace: Workspace) -> None:
    """Execute a block, one with `>>>` as a doctest. A traceback has the line numbers of the document."""
    with contextlib.chdir(workspace.root):
        if ">>>" in block.text:
            _run_doctest(block, workspace)
        else:
            exec(compile_block(block), workspace.module.__dict__)


def compile_block(block: Block) -> CodeType:
    """The code object of a block; raises SyntaxError."""
    return compile("\n" * block.line + block.text, block.document, "exec")


def _run_doctest(block: Block, workspace: Workspace) -> None:
    namespace = workspace.module.__dict__
    test = doctest.DocTestParser().get_doctest(block.text, namespace, block.id, block.document, block.line)
    report: list[str] = []
    result = doctest.DocTestRunner(optionflags=DOCTEST_OPTIONS).run(test, out=report.append, clear_globs=False)
    namespace.update(test.globs)
    assert result.failed == 0, "".join(report)
