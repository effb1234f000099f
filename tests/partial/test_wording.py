"""What a store cannot be asked for is told in the words of the language, as it is for this rule."""

from __future__ import annotations

from policyengine import Engine
from policyengine.filters import sql

POLICY = """
module m
entity User
entity Doc { s: String, n: Int, at: Time, wait: Duration, tags: Set<String> }
action read on Doc for User
define doubled(limit: Int): limit * 2 > 10
permit p: read on Doc
  when lower(doc.s) == "a # b" # a comment
    or doubled(doc.n)  # "another
    or doc.wait > 15m
    or doc.at < time("2026-01-01T00:00:00Z")
    or contains_any(doc.tags, ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"])
"""


def test_each_condition_is_one_line_without_comments() -> None:
    engine = Engine.from_text(POLICY)
    found = engine.filter(principal={"type": "User", "id": "ann"}, action="read", resource_type="Doc")
    told = found.to(sql("sqlite", columns={})).rechecked
    assert {
        'lower(doc.s) == "a # b"',
        "doc.n * 2 > 10",
        'doc.at < time("2026-01-01T00:00:00Z")',
        "doc.at is a Time",
        "doc.wait > 15m",
        'contains_any(doc.tags, ["a", "b", "c", "d", "e", "f", "g", "h", ... 2 more])',
    } <= set(told)
    assert not [text for text in told if "\n" in text or "comment" in text or "another" in text]
