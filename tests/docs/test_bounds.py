"""The page of bounds says what the code has."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyengine.check.environment import MAX_WRITTEN
from policyengine.evaluate.combine import MOST_LISTED
from policyengine.evaluate.delegation import MAX_CHAIN
from policyengine.explain.trace_json import MOST_RULES
from policyengine.files import MOST_ENTRIES
from policyengine.model.entities import MAX_ANCESTORS
from policyengine.model.looks import MAX_LOOKS
from policyengine.model.operators import MAX_PATTERNS
from policyengine.server.aside import MAKING, PARTS, REST, STREAMS
from policyengine.server.explain import MOST_ASKED
from policyengine.server.filter import MOST_EXPLAINED
from policyengine.server.work import ERROR, KILOBYTE, LOOKS
from policyengine.settings.model import Limits, Settings
from policyengine.syntax.parse import MAX_FILE, MAX_TEXT
from policyengine.workers.words import PATIENCE

PAGE = (Path(__file__).parents[2] / "docs" / "bounds.md").read_text(encoding="utf-8")
LIMITS, SETTINGS = Limits(), Settings(policies=Path("."), insecure=True)


@pytest.mark.parametrize(
    "said",
    [
        f"`limits.concurrency`, {LIMITS.concurrency} ",
        f"`limits.wait`, {LIMITS.wait} ",
        f"`limits.headers`, {LIMITS.headers}, of `limits.header_bytes`, {LIMITS.header_bytes // 1024} KiB",
        f"`limits.header_seconds`, {LIMITS.header_seconds:.0f}, `limits.body_seconds`, {LIMITS.body_seconds:.0f} ",
        f"`limits.read_seconds`, {LIMITS.read_seconds:.0f} ",
        f"`max_batch`, {SETTINGS.max_batch:,}; `max_metered_batch`, {SETTINGS.max_metered_batch:,}",
        f"`max_work`, {SETTINGS.max_work:,} units",
        f"`max_page`, {SETTINGS.max_page:,} ",
        f"once for all who wait | {MAKING:.0f} ",
        f"agents behind each other | {MAX_CHAIN} ",
        f"of one entity | {MAX_ANCESTORS:,} ",
        f"each with each | {MAX_LOOKS:,} ",
        f"in an answer | {MOST_LISTED} ",
        f"a file | {MAX_FILE:,} characters",
        f"a text in it | {MAX_TEXT:,} characters",
        f"patterns of a policy set | {MAX_PATTERNS:,} ",
        f"{MAX_WRITTEN:,} nodes",
        f"files below one directory | {MOST_ENTRIES:,} ",
        f"{LOOKS} elements that quantifiers",
        f"conditions, {MOST_RULES:,} rules",
        f"waited for {PATIENCE:.0f} seconds",
    ],
)
def test_the_page_says_what_the_code_has(said: str) -> None:
    assert said in PAGE.replace("\n", " ")


def test_the_parts_of_all_requests_leave_room_for_decisions() -> None:
    assert (PARTS["waiting"], PARTS["computing"], PARTS["texts"], STREAMS) == (3 / 8, 1 / 8, 1 / 8, 1 / 4)
    assert sum(PARTS.values()) + STREAMS <= 1 - REST == 7 / 8
    assert (MOST_ASKED, MOST_EXPLAINED, KILOBYTE, ERROR) == (65_536, 65_536, 1_024, 10)
