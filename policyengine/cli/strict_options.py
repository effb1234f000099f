"""Commands that refuse options that are probably not meant as written.

An option with one value that is given twice would silently lose the first, and an empty path would mean the current
directory. Both most often come from a variable in a script that does not hold what its author thinks.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class Command(TyperCommand):
    """A command that refuses an option given twice and a value that is empty. The exit status is 2."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            given, _, order = self.make_parser(ctx).parse_args(args=list(args))
            for param in dict.fromkeys(list[Any](order)):
                value = given.get(param.name)
                if order.count(param) > 1 and _has_one_value(param):
                    ctx.fail(f"`{param.opts[0]}` is given twice: it takes one value")
                # A list may well be empty: `--fulfils ""`.
                if not getattr(param, "multiple", False) and "" in (
                    value if isinstance(value, list | tuple) else [value]
                ):
                    ctx.fail(f"`{_name(param)}` is empty (the current directory is `.`)")
        return super().parse_args(ctx, args)


def _has_one_value(param: Any) -> bool:
    """Whether a second value would replace the first: for flags, only those that have an opposite."""
    if param.param_type_name != "option" or param.multiple or getattr(param, "count", False):
        return False
    return not param.is_flag or bool(param.secondary_opts)


def _name(param: Any) -> str:
    return str(param.opts[0]) if param.param_type_name == "option" else str(param.metavar or param.name).rstrip(".")
