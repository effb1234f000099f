"""Every code has a page, every page a code; what a page shows is true."""

from __future__ import annotations

import pytest

from policyengine.bundle import load_text
from policyengine.diagnostics.codes import CODES, NOTHING_PERMITS
from policyengine.diagnostics.diagnostic import Code
from tests.docs.blocks import Block, blocks_of
from tests.support.paths import PACKAGE

PAGES = PACKAGE / "diagnostics" / "pages"
EVERY_CODE = pytest.mark.parametrize("code", CODES.values(), ids=list(CODES))


def test_pages_are_of_codes() -> None:
    assert {path.name for path in PAGES.iterdir()} == {f"{code}.md" for code in CODES}


@EVERY_CODE
def test_a_page_says_which_code_it_is_about(code: Code) -> None:
    lines = (PAGES / f"{code.id}.md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == f"# {code.id}: {code.title}"
    assert f"Severity: {code.severity}." in lines


@EVERY_CODE
def test_a_page_shows_the_finding_first_and_then_policies_without_it(code: Code) -> None:
    blocks = [block for block in blocks_of(PAGES / f"{code.id}.md") if block.language == "pol"]
    wrong = [block for block in blocks if code.id in (block.options.get("error"), block.options.get("warning"))]
    assert wrong == blocks[: len(wrong)]
    for block in wrong:
        assert code.id in _found(block)
    for block in blocks[len(wrong) :]:
        # A fragment about one rule leaves out what grants.
        assert _found(block) <= {NOTHING_PERMITS.id} - {code.id}


def _found(block: Block) -> set[str]:
    head = "module page\nuse ai\n" if "fragment" in block.options else ""
    return {d.code.id for d in load_text(head + block.text, "page.pol").diagnostics}
