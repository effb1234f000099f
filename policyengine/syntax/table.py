"""The parser's table, which Lark makes from the grammar. Making it takes longer than everything else that most commands
do, so it is made when the package is built, and read here.

A table belongs to one grammar and one version of Lark; for any other it is made again. `hatch_build.py` runs this file
by itself, so it imports nothing of the package.
"""

from __future__ import annotations

import pickle
from hashlib import sha256
from pathlib import Path
from typing import Any

import lark

FILE = "policy.table"
# The function that Lark's generated Python parsers call, each with its own transformer.
_LOAD: Any = lark.Lark._load_from_dict


def made(grammar: str) -> bytes:
    """The table of a grammar, in the form of a file."""
    parser = lark.Lark(grammar, parser="lalr", lexer="contextual", maybe_placeholders=True)
    data, memo = parser.memo_serialize([lark.lexer.TerminalDef, lark.grammar.Rule])
    return pickle.dumps({"of": _of(grammar), "data": data, "memo": memo})


def parser(grammar: str, transformer: Any) -> lark.Lark:
    """A parser that calls the transformer, with the table next to this file if it belongs to this grammar."""
    known = _known(grammar)
    if known is None:
        return lark.Lark(grammar, parser="lalr", lexer="contextual", maybe_placeholders=True, transformer=transformer)
    made: lark.Lark = _LOAD(known["data"], known["memo"], transformer=transformer)
    return made


def _known(grammar: str) -> Any:
    try:
        # It came with the package, like the code.
        table = pickle.loads(Path(__file__).with_name(FILE).read_bytes())
        return table if table["of"] == _of(grammar) else None
    except Exception:  # noqa: BLE001 - whatever it is, the table is made again
        return None


def _of(grammar: str) -> tuple[str, str]:
    return sha256(grammar.encode()).hexdigest(), lark.__version__
