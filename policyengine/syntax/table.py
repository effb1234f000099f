"""The parser's table: what Lark makes of the grammar. Making it takes longer than all else that most commands do, so it
is made when the package is built, and read here.

A table is of one grammar and one version of Lark; any other is made anew. `hatch_build.py` runs this file by itself, so
it imports nothing of the package.
"""

from __future__ import annotations

import pickle
from hashlib import sha256
from pathlib import Path
from typing import Any

import lark

FILE = "policy.table"
# What parsers that Lark writes as Python files call, each with a transformer of its own.
_LOAD: Any = lark.Lark._load_from_dict


def made(grammar: str) -> bytes:
    """The table of a grammar, as a file holds it."""
    parser = lark.Lark(grammar, parser="lalr", lexer="contextual", maybe_placeholders=True)
    data, memo = parser.memo_serialize([lark.lexer.TerminalDef, lark.grammar.Rule])
    return pickle.dumps({"of": _of(grammar), "data": data, "memo": memo})


def parser(grammar: str, transformer: Any) -> lark.Lark:
    """A parser that calls the transformer: by the table beside this file, if it is one of this grammar."""
    known = _known(grammar)
    if known is None:
        return lark.Lark(grammar, parser="lalr", lexer="contextual", maybe_placeholders=True, transformer=transformer)
    made: lark.Lark = _LOAD(known["data"], known["memo"], transformer=transformer)
    return made


def _known(grammar: str) -> Any:
    try:
        # It came with the package, as the code did.
        table = pickle.loads(Path(__file__).with_name(FILE).read_bytes())
        return table if table["of"] == _of(grammar) else None
    except Exception:  # noqa: BLE001 - whatever it is, the table is made anew
        return None


def _of(grammar: str) -> tuple[str, str]:
    return sha256(grammar.encode()).hexdigest(), lark.__version__
