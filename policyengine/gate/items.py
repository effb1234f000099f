"""The items of a result that a label `untrusted` or `untrusted_...` is about.

In: the label rules that were set, and the result. Out: the paths to what is not trusted; `()` stands for the whole
result. A rule that tests the items of one list in the result is evaluated again for each item alone. If a rule tests
anything else, or holds for no single item, the whole result is untrusted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from policyengine.check.heads import RESULT
from policyengine.ir.nodes import Attribute, Expect, Expr, HasKey, Lookup, Quantifier, Refine, Root, Rule
from policyengine.ir.walk import walk

LABEL = "untrusted"
ValuePath = tuple[str | int, ...]
_EVERYTHING: ValuePath = ()


def is_about_items(rule: Rule) -> bool:
    name = rule.name.rpartition(".")[2]
    return rule.kind == "label" and (name == LABEL or name.startswith(f"{LABEL}_"))


def doubted(rules: Sequence[Rule], result: Any, is_set: Callable[[Rule, Any], bool]) -> Iterator[ValuePath]:
    """`rules` are set for the whole result; `is_set` tells whether a rule is set for another result."""
    for rule in rules:
        path = _tested_list(rule.condition)
        items = None if path is None else _at(result, path)
        if path is None or not isinstance(items, list | tuple):
            yield _EVERYTHING
            continue
        doubtful = [at for at, item in enumerate(items) if is_set(rule, _with_only(result, path, item))]
        for at in doubtful:
            yield (*path, at)
        if not doubtful:
            yield _EVERYTHING


def _tested_list(condition: Expr) -> tuple[str, ...] | None:
    """The path to the one list of the result whose items the condition tests; None if it tests anything else."""
    paths: list[tuple[str, ...] | None] = []
    mentions = 0
    for node in walk(condition):
        match node:
            case Quantifier(collection=collection):
                path = _path(collection)
                if path is not None:
                    paths.append(path)
            case Attribute(base=Root(name="context"), name=name) if name == RESULT:
                mentions += 1
            case Lookup(base=Root(name="context")) | HasKey(base=Root(name="context")):
                return None
    return paths[0] if paths and len(set(paths)) == 1 and len(paths) == mentions else None


def _path(expr: Expr) -> tuple[str, ...] | None:
    match expr:
        case Expect(operand=operand) | Refine(operand=operand):
            return _path(operand)
        case Attribute(base=Root(name="context"), name=name):
            return () if name == RESULT else None
        case Attribute(base=base, name=name):
            above = _path(base)
            return None if above is None else (*above, name)
    return None


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if type(value) is not dict or name not in value:
            return None
        value = value[name]
    return value


def _with_only(value: Any, path: tuple[str, ...], item: Any) -> Any:
    """The result as it would be if the list at the path had only this item."""
    if not path:
        return [item]
    return {**value, path[0]: _with_only(value[path[0]], path[1:], item)}
