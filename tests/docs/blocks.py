"""The fenced blocks of the documents: which documents there are, and what a block's info string asks for.

In: Markdown files of the checkout. Out: `Block` values in reading order. Never runs anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt

from tests.support.paths import ROOT

DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/*.md",
    "grammar/*.md",
    "policies/**/README.md",
    "policyengine/README.md",
    "policyengine/compile/README.md",
    "policyengine/partial/README.md",
    "policyengine/diagnostics/pages/*.md",
)

# What an info string may say after the language. `file` saves the block for the commands that come after it.
OPTIONS: dict[str, frozenset[str]] = {
    "pol": frozenset({"fragment", "error", "warning", "file"}),
    "sh": frozenset({"no-run", "exit"}),
    "console": frozenset({"no-run", "exit"}),
    "http": frozenset({"status", "policies"}),
    "python": frozenset({"no-run", "file"}),
    "json": frozenset({"file"}),
}
NOT_RUN = frozenset({"text", "lark", "toml", "yaml", "makefile", "dockerfile", "sql", "mermaid"})


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: `line` is that of its opening fence, counted from 1."""

    document: str
    line: int
    language: str
    text: str
    options: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.document}:{self.line}"


def documents() -> list[Path]:
    """Every document there is, each once."""
    return sorted({path for pattern in DOCUMENTS for path in ROOT.glob(pattern)})


def blocks_of(path: Path) -> list[Block]:
    """The fenced blocks of one document, in order."""
    return list(parse(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")))


def parse(document: str, markdown: str) -> Iterator[Block]:
    """The fenced blocks of Markdown text; `document` is the name they carry."""
    for token in MarkdownIt("commonmark").parse(markdown):
        if token.type == "fence" and token.map is not None:
            language, *words = token.info.split() or [""]
            options = {name: value for name, _, value in (word.partition("=") for word in words)}
            yield Block(document, token.map[0] + 1, language, token.content, options)


def complaint(block: Block) -> str | None:
    """What is wrong with the block's info string, if anything."""
    if not block.language:
        return "name the language of the block; `text` is for one that is not run"
    if block.language in NOT_RUN:
        return None
    if block.language not in OPTIONS:
        return f"unknown language `{block.language}`"
    unknown = sorted(block.options.keys() - OPTIONS[block.language])
    return f"unknown option `{unknown[0]}` of `{block.language}`" if unknown else None
