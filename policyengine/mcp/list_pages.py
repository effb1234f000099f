"""The pages in which a gateway lists tools: a message is read and written at once, so it must not be too long."""

from __future__ import annotations

from collections.abc import Sized

import mcp_types as types
from mcp.shared.exceptions import MCPError

# So many tools at most are one page.
PAGE = 1_000
_INVALID = -32602
_LONGEST = 9


def place(params: types.PaginatedRequestParams | None) -> int:
    """Where the page begins that is asked for. Raises MCPError for a cursor that was not given here."""
    cursor = params.cursor if params is not None else None
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _LONGEST):
        raise MCPError(_INVALID, "there is no such page")
    return int(cursor)


def after(begin: int, whole: Sized) -> str | None:
    """The cursor of the next page; None after the last."""
    return str(begin + PAGE) if begin + PAGE < len(whole) else None
