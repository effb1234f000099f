"""Whether a statement is limited to some rows of every table in it, by a condition that always applies or by a number.

In: a statement as the library has parsed it. A condition limits rows if it compares a column with some constants. Zero
does not count: if texts are compared with numbers, it equals most of them.
"""

from __future__ import annotations

from typing import Any

# Up to this many rows count as limited.
MOST_ROWS = 10_000


def is_limited(tree: Any, exp: Any) -> bool:
    if tree.args.get("using") or (isinstance(tree, exp.Update) and _source(tree)):
        # The condition may be about the other table.
        return False
    if not all(_is_tied(join, exp) for join in tree.args.get("joins") or ()):
        return False
    if any(not is_limited(one, exp) for column in _shown(tree, exp) for one in column.find_all(exp.Select)):
        return False
    limit = tree.args.get("limit")
    if limit is not None and _rows(limit.expression, exp) <= MOST_ROWS:
        return True
    where = tree.args.get("where")
    return where is not None and _picks(where.this, exp)


def _source(tree: Any) -> Any:
    return tree.args.get("from_") or tree.args.get("from")


def _shown(tree: Any, exp: Any) -> list[Any]:
    """The expressions of a query's result; a query among them reads rows of its own."""
    return list(tree.expressions) if isinstance(tree, exp.Select) else []


def _is_tied(join: Any, exp: Any) -> bool:
    """Whether a table is joined only to those rows of the other that share a value with it."""
    if join.args.get("using"):
        return True
    return join.args.get("on") is not None and _ties(join.args["on"], exp)


def _ties(condition: Any, exp: Any) -> bool:
    while isinstance(condition, exp.Paren):
        condition = condition.this
    if isinstance(condition, exp.And):
        return _ties(condition.left, exp) or _ties(condition.right, exp)
    if not isinstance(condition, exp.EQ):
        return False
    sides = (condition.left, condition.right)
    return all(isinstance(side, exp.Column) and side.table for side in sides) and sides[0].table != sides[1].table


def _picks(condition: Any, exp: Any) -> bool:
    """Whether the condition compares a column with some constants."""
    while isinstance(condition, exp.Paren):
        condition = condition.this
    if isinstance(condition, exp.And):
        return _picks(condition.left, exp) or _picks(condition.right, exp)
    match type(condition).__name__:
        case "EQ":
            sides = {isinstance(condition.left, exp.Column), isinstance(condition.right, exp.Column)}
            others = [side for side in (condition.left, condition.right) if not isinstance(side, exp.Column)]
            return sides == {True, False} and _is_constant(others[0], exp)
        case "In":
            listed = condition.expressions
            return isinstance(condition.this, exp.Column) and bool(listed) and all(_is_constant(x, exp) for x in listed)
        case "Between":
            low, high = _rows(condition.args.get("low"), exp), _rows(condition.args.get("high"), exp)
            return isinstance(condition.this, exp.Column) and 0 < low < high + 1 < low + MOST_ROWS
    return False


def _is_constant(node: Any, exp: Any) -> bool:
    if isinstance(node, exp.Literal):
        return node.is_string or bool(_number(node))
    return isinstance(node, exp.Placeholder | exp.Parameter)


def _rows(node: Any, exp: Any) -> float:
    """A whole number; for anything else, more rows than a table can have."""
    if isinstance(node, exp.Literal) and not node.is_string and node.this.isdecimal():
        return _number(node)
    return float("inf")


def _number(node: Any) -> float:
    """A number; zero for anything else."""
    try:
        return float(node.this)
    except (ValueError, OverflowError):
        return 0.0
