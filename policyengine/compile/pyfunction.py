"""Python syntax trees to Python functions.

In: the statements of a function. Out: the function, with nothing of Python within its reach but what is listed here.
The only code in the project that compiles anything.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any

from policyengine.compile.runtime import NAMES


def module(name: str, parameters: Sequence[str], body: list[ast.stmt]) -> ast.Module:
    """A module with one function in it, every node placed."""
    args = [ast.arg(p) for p in parameters]
    arguments = ast.arguments(posonlyargs=[], args=args, kwonlyargs=[], kw_defaults=[], defaults=[])
    tree = ast.Module([ast.FunctionDef(name, arguments, body, [])], [])
    _locate(tree, (1, 0, 1, 0))
    return tree


def _locate(node: ast.AST, above: tuple[int, int, int, int]) -> None:
    """Gives every node a place in the policy text: its own, or that of the enclosing node."""
    here = (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset) if hasattr(node, "lineno") else above  # type: ignore[attr-defined]
    if "lineno" in node._attributes:
        node.lineno, node.col_offset, node.end_lineno, node.end_col_offset = here  # type: ignore[attr-defined]
    for child in ast.iter_child_nodes(node):
        _locate(child, here)


def function(tree: ast.Module, names: Mapping[str, Any], path: str = "<policies>") -> Any:
    """The function in the module, with `names` as its globals."""
    return bound(compiled(tree, path), names)


def compiled(tree: ast.Module, path: str = "<policies>") -> CodeType:
    """The code of the function in the module."""
    code = compile(tree, path, "exec", dont_inherit=True, optimize=2)
    return next(constant for constant in code.co_consts if isinstance(constant, CodeType))


def bound(code: CodeType, names: Mapping[str, Any]) -> Any:
    """The function with this code, with `names` as its globals."""
    return FunctionType(code, {"__builtins__": _BUILTINS, **NAMES, **names})


# The only parts of Python that generated code can reach.
_BUILTINS = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "dict": dict,
    "len": len,
    "list": list,
    "Exception": Exception,
    "KeyError": KeyError,
    "type": type,
}
