"""Where each comment of a text belongs in its tree.

In: a tree with its spans. Out: Notes, which say for nodes (by identity) what stands before, behind and between them.
Every comment gets exactly one place:

* on a line of its own, it stays before the statement, clause, item or `and`/`or` operand that follows it;
* at the end of a line, it stays behind the item that ends there, or behind the bracket that opens there;
* anywhere else it moves to a line of its own before the smallest clause or item that it is in.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field, fields
from itertools import pairwise

from policyengine.diagnostics.source import Source
from policyengine.syntax import ast
from policyengine.syntax.walk import chain, is_logical


@dataclass(frozen=True, slots=True)
class Lead:
    """A comment on a line of its own; `gap` is true where an empty line stands above it."""

    text: str
    gap: bool


@dataclass(frozen=True, slots=True)
class Notes:
    """What a text says beyond its tree. Keys are the `id` of a node, or of a tuple for what stands between brackets."""

    before: dict[int, list[Lead]] = field(default_factory=dict)
    behind: dict[int, str] = field(default_factory=dict)
    opening: dict[int, str] = field(default_factory=dict)
    closing: dict[int, list[Lead]] = field(default_factory=dict)
    # Items with an empty line above them, and operands that start a line.
    gaps: set[int] = field(default_factory=set)
    breaks: set[int] = field(default_factory=set)


NO_NOTES = Notes()


def place(module: ast.Module) -> Notes:
    """The place of every comment, and the line breaks and empty lines worth keeping."""
    source, notes = module.span.source, Notes()
    root = _grow(module, notes)
    for comment in module.comments:
        _place(comment, _innermost(root, comment.span.start), source, notes)
    return notes


# ---- the parts of a tree that can hold comments ----


@dataclass(slots=True, eq=False)
class _Slot:
    """An item, or a sequence of items. A comment may stand on a line before it (`leads`), behind it (`trails`), or
    behind its opening bracket (`opens`)."""

    key: int
    start: int
    end: int
    parent: _Slot | None = None
    sequence: bool = False
    leads: bool = True
    trails: bool = True
    opens: bool = False
    clause: bool = False
    children: list[_Slot] = field(default_factory=list)

    def item(self, node: ast.Node, leads: bool = True, trails: bool = True) -> _Slot:
        clause = isinstance(node, ast.When | ast.Because)
        span = node.span
        return self._hang(_Slot(id(node), span.start, span.end, self, leads=leads, trails=trails, clause=clause))

    def between(self, items: tuple[ast.Node, ...], start: int, end: int, trails: bool = False) -> _Slot:
        return self._hang(_Slot(id(items), start, end, self, sequence=True, leads=False, trails=trails, opens=True))

    def _hang(self, child: _Slot) -> _Slot:
        self.children.append(child)
        return child


_SEQUENCES = {
    (ast.ListLit, "items"), (ast.RecordLit, "entries"), (ast.Call, "args"), (ast.MethodCall, "args"),
    (ast.ObligationCall, "args"), (ast.RecordType, "fields"), (ast.EntityDecl, "fields"), (ast.ExtendDecl, "fields"),
    (ast.ActionDecl, "params"), (ast.ToolDecl, "params"), (ast.ObligationDecl, "params"), (ast.Define, "params"),
}  # fmt: skip
# Written with brackets only if there are several.
_LISTS = {(ast.ScopeOf, "items"), (ast.ScopeOf, "within"), (ast.EntityValue, "parents")}
_ITEMS = (ast.When, ast.Because, ast.Head, ast.ObligationCall, ast.LimitBody)


def _grow(module: ast.Module, notes: Notes) -> _Slot:
    """The slots of a tree, in the order of the text."""
    source = module.span.source
    brackets = _Brackets(source.text)
    root = _Slot(id(module), 0, len(source.text), sequence=True, leads=False)
    todo: list[tuple[ast.Node, _Slot]] = [(module, root)]
    while todo:
        node, slot = todo.pop()
        todo += _branches(node, slot, brackets)
        if isinstance(node, ast.Binary) and is_logical(node):
            _note_breaks(node, notes)
    _order(root, source, notes)
    return root


def _order(root: _Slot, source: Source, notes: Notes) -> None:
    slots = [root]
    while slots:
        slot = slots.pop()
        slot.children.sort(key=lambda child: child.start)
        if slot.sequence:
            notes.gaps.update(child.key for child in slot.children if _gap_above(source, child.start))
        slots += slot.children


def _branches(node: ast.Node, slot: _Slot, brackets: _Brackets) -> list[tuple[ast.Node, _Slot]]:
    """The nodes below a node, each with the slot that it makes or else the one that it is in."""
    match node:
        case ast.Module():
            return _module_items(node, slot)
        case ast.Test() | ast.Fixture():
            inside = slot.between(node.items, node.name.span.end, node.span.end) if node.items else slot
            return [(item, inside.item(item)) for item in node.items]
        case ast.Binary() if is_logical(node):
            first, *rest = (operand for _, operand in chain(node))
            operands = [(operand, slot.item(operand, trails=operand is not rest[-1])) for operand in rest]
            return [(first, slot.item(first, leads=False)), *operands]
        case _:
            return [branch for f in fields(node) for branch in _branch(node, f.name, slot, brackets)]


def _module_items(node: ast.Module, slot: _Slot) -> list[tuple[ast.Node, _Slot]]:
    items = [(item, slot.item(item)) for item in (*node.uses, *node.statements)]
    if node.name is None:
        return list(items)
    named = slot.item(node.name)
    # The node is the name alone; its line starts with the first word of the text.
    first_word = _BLANK.match(node.span.source.text)
    named.start = first_word.end() if first_word else 0
    return [(node.name, named), *items]


def _branch(node: ast.Node, name: str, slot: _Slot, brackets: _Brackets) -> list[tuple[ast.Node, _Slot]]:
    value, where = getattr(node, name), (type(node), name)
    if isinstance(value, ast.Node):
        if isinstance(value, _ITEMS) or where == (ast.ToolDecl, "facts"):
            return [(value, slot.item(value, leads=not isinstance(value, ast.Head)))]
        return [(value, slot)]
    if not isinstance(value, tuple) or not value:
        return []
    if where in _SEQUENCES or (where in _LISTS and len(value) > 1):
        start, end = brackets.around(value[0].span.start)
        inside = slot.between(value, start, end, trails=isinstance(node, ast.ToolDecl))
        return [(part, inside.item(part)) for part in value]
    return [(part, slot.item(part) if isinstance(part, _ITEMS) else slot) for part in value]


def _note_breaks(node: ast.Binary, notes: Notes) -> None:
    """Authors group conditions by line: a break before `and` or `or` is kept."""
    operands = [operand for _, operand in chain(node)]
    for left, right in pairwise(operands):
        if "\n" in left.span.source.text[left.span.end : right.span.start]:
            notes.breaks.add(id(right))


_BLANK = re.compile(r"(?:\s|#[^\n]*)*")


class _Brackets:
    """The pairs of brackets in a text."""

    _TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|#[^\n]*|[(\[{]|[)\]}]')

    def __init__(self, text: str) -> None:
        self._opens: list[int] = []
        self._closes: list[int] = []
        self._outer: list[int] = []
        current: list[int] = []
        for found in self._TOKEN.finditer(text):
            if found[0] in "([{":
                self._outer.append(current[-1] if current else -1)
                current.append(len(self._opens))
                self._opens.append(found.start())
                self._closes.append(len(text))
            elif found[0] in ")]}" and current:
                self._closes[current.pop()] = found.end()

    def around(self, offset: int) -> tuple[int, int]:
        """Start and end of the innermost pair that opens before an offset and closes after it."""
        pair = bisect_left(self._opens, offset) - 1
        while self._closes[pair] <= offset:
            pair = self._outer[pair]
        return self._opens[pair], self._closes[pair]


# ---- placing one comment ----


def _innermost(slot: _Slot, at: int) -> _Slot:
    while True:
        nearest = bisect_left(slot.children, at, key=lambda child: child.start) - 1
        if nearest < 0 or slot.children[nearest].end <= at:
            return slot
        slot = slot.children[nearest]


def _place(comment: ast.Comment, slot: _Slot, source: Source, notes: Notes) -> None:
    at = comment.span.start
    split = bisect_left(slot.children, at, key=lambda child: child.start)
    left = slot.children[split - 1] if split else None
    right = slot.children[split] if split < len(slot.children) else None
    if _starts_line(source, at):
        _on_own_line(comment, slot, right, notes)
    elif left is not None and "\n" not in source.text[left.end : at]:
        _behind(comment, slot, left, notes)
    elif slot.opens and left is None and slot.key not in notes.opening:
        notes.opening[slot.key] = comment.text
    else:
        _on_own_line(comment, slot, right, notes)


def _behind(comment: ast.Comment, slot: _Slot, left: _Slot, notes: Notes) -> None:
    # Clauses may change places, and their comments with them.
    while left.children and left.children[-1].clause and left.children[-1].end == left.end:
        left = left.children[-1]
    if left.trails:
        notes.behind[left.key] = comment.text
    else:
        _before(comment, slot if left.sequence else left, notes)


def _on_own_line(comment: ast.Comment, slot: _Slot, right: _Slot | None, notes: Notes) -> None:
    if right is not None and not right.sequence:
        _before(comment, right, notes)
    elif right is None and slot.sequence:
        notes.closing.setdefault(slot.key, []).append(_lead(comment))
    else:
        _before(comment, slot, notes)


def _before(comment: ast.Comment, slot: _Slot, notes: Notes) -> None:
    while not slot.leads:
        assert slot.parent is not None
        slot = slot.parent
    lead = _lead(comment)
    if comment.span.start > slot.start and slot.key in notes.gaps:
        notes.gaps.remove(slot.key)
        lead = Lead(comment.text, gap=True)
    notes.before.setdefault(slot.key, []).append(lead)


def _lead(comment: ast.Comment) -> Lead:
    return Lead(comment.text, _gap_above(comment.span.source, comment.span.start))


def _starts_line(source: Source, at: int) -> bool:
    line, column = source.line_col(at)
    return not source.line(line)[: column - 1].strip()


def _gap_above(source: Source, at: int) -> bool:
    """Whether what stands at an offset is the first on its line, and the line above is empty."""
    line, _ = source.line_col(at)
    return line > 1 and _starts_line(source, at) and not source.line(line - 1).strip()
