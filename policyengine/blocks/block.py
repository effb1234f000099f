"""What a block is: a kind, an id, until when and why."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal, get_args

BlockKind = Literal["principal", "tenant", "agent", "tool", "model", "session"]
KINDS: tuple[BlockKind, ...] = get_args(BlockKind)

_TYPED = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)::(".*")', re.DOTALL)
# The longest id or reason, in characters.
LONGEST = 512


@dataclass(frozen=True, slots=True)
class Block:
    """`type` is empty if the block is for an id of any type. `until` is in microseconds since 1970, 0 for ever; `at` is
    when it was set, and `by` who set it. `why` is shown to everyone who is denied."""

    kind: BlockKind
    id: str
    type: str = ""
    until: int = 0
    why: str = ""
    by: str = ""
    at: int = 0

    @property
    def name(self) -> str:
        """Whom it stops, as one text."""
        return block_name(self.kind, self.type, self.id)

    @property
    def shown(self) -> str:
        """Whom it stops, as people write it."""
        return f"{self.type}::{json.dumps(self.id, ensure_ascii=False)}" if self.type else self.id


def block_name(kind: BlockKind, type_: str, id_: str) -> str:
    return json.dumps([kind, type_, id_])


def read_id(text: str) -> tuple[str, str]:
    """The type and the id in the text of a block: `ann` of any type, or `User::"ann"`. Raises ValueError."""
    typed = _TYPED.fullmatch(text)
    if typed is not None:
        try:
            id_ = json.loads(typed[2])
        except ValueError:
            raise ValueError("after `::` comes a text in double quotes") from None
        type_ = typed[1]
    else:
        id_, type_ = text, ""
    if not 0 < len(id_) <= LONGEST or len(type_) > LONGEST:
        raise ValueError(f"an id has at least one character, and at most {LONGEST}")
    return type_, id_
