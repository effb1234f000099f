"""The request that a page about an evaluation error shows has that error, and is denied."""

from __future__ import annotations

import json

import pytest

from policyengine import Engine
from tests.docs.blocks import blocks_of
from tests.support.paths import PACKAGE

PAGES = PACKAGE / "diagnostics" / "pages"
# An internal error has no request that shows it; a value nested too deeply, or of many elements, would fill the page.
PAGES_WITH_A_REQUEST = (
    "POL501",
    "POL502",
    "POL503",
    "POL504",
    "POL505",
    "POL507",
    "POL520",
    "POL521",
    "POL522",
    "POL523",
    "POL524",
)


@pytest.mark.parametrize("code", PAGES_WITH_A_REQUEST)
def test_the_request_has_the_error(code: str) -> None:
    blocks = blocks_of(PAGES / f"{code}.md")
    policies = next(block.text for block in blocks if block.language == "pol")
    request = next(json.loads(block.text) for block in blocks if block.language == "json")
    decision = Engine.from_text(f"module page\nuse ai\n{policies}").decide(**request)
    assert not decision.allowed
    assert code in {error.code for error in decision.errors}
