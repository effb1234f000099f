"""Where each comment of a text belongs in its tree.

In: a tree with its spans. Out: Notes, with the comments before, after and between nodes (by identity). Every comment
gets exactly one place:

* on a line of its own, it stays before the statement, clause, item or `and`/`or` operand that follows it;
* at the end of a line, it stays after the item that ends there, or after the bracket that opens there;
* anywhere else it moves to a line of its own before the smallest clause or item that it is in.

These places are what a reader expects, but they would change the order of some comments. `reorder` gets the order in
which the comments came out, and gives those another place: after the item that they are in or, if that is taken, before
the innermost item that contains both.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Literal, assert_never

from policyengine.diagnostics.source import Source
from policyengine.syntax import ast
from policyengine.syntax.walk import below_type, chain, fold, is_logical

# A quoted text, which may contain the sign of a comment, or a comment.
COMMENT = re.compile(r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"|(#[^\n]*)')


@dataclass(frozen=True, slots=True)
class Lead:
    """A comment on a line of its own; `gap` is true if an empty line is above it."""

    text: str
    gap: bool


@dataclass(frozen=True, slots=True)
class Notes:
    """What a text contains beyond its tree. Keys are the `id` of a node, or of the tuple of the items between
    brackets."""

    before: dict[int, list[Lead]] = field(default_factory=dict)
    behind: dict[int, str] = field(default_factory=dict)
    opening: dict[int, str] = field(default_factory=dict)
    closing: dict[int, list[Lead]] = field(default_factory=dict)
    # Items with an empty line above them, and operands that start a line.
    gaps: set[int] = field(default_factory=set)
    breaks: set[int] = field(default_factory=set)


NO_NOTES = Notes()


_Where = Literal["before", "behind", "opening", "closing"]


@dataclass(slots=True, eq=False)
class _Placed:
    """A comment, the slot that it is in, and its place: a side of a slot."""

    comment: ast.Comment
    inside: _Slot
    where: _Where
    slot: _Slot
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """The places of all comments of a text, in the order of the text."""

    placed: tuple[_Placed, ...]
    gaps: frozenset[int]
    breaks: frozenset[int]

    def notes(self, numbered: bool = False) -> Notes:
        """The notes for the layout; `numbered` with numbers instead of texts, to see the order in which they come
        out."""
        notes = Notes(gaps=set(self.gaps), breaks=set(self.breaks))
        for number, one in enumerate(self.placed):
            _note(one, f"#{number}" if numbered else one.comment.text, notes)
        return notes

    def reorder(self, order: list[int]) -> None:
        """Gives other places to comments that came out in a different order from that of the text."""
        at = {number: position for position, number in enumerate(order)}
        taken = {one.slot.end for one in self.placed if one.where == "behind"}
        for number in range(len(self.placed) - 1):
            if at[number] > at[number + 1]:
                self._settle(number, number + 1, taken)

    def _settle(self, number: int, later: int, taken: set[int]) -> None:
        first, second = self.placed[number], self.placed[later]
        slot: _Slot | None = None if second.moved else second.inside
        while slot is not None and not slot.trails:
            slot = slot.parent
        if slot is not None and slot.end not in taken and self._last_in(slot, later):
            second.where, second.slot, second.moved = "behind", slot, True
            taken.add(slot.end)
            return
        together = _together(first.slot, second.slot)
        for one in (first, second):
            one.where, one.slot, one.moved = "before", together, True

    def _last_in(self, slot: _Slot, number: int) -> bool:
        return number + 1 == len(self.placed) or self.placed[number + 1].comment.span.start >= slot.end


def without_comments(text: str) -> str:
    """The text of an expression in one line, without its comments."""
    bare = COMMENT.sub(lambda found: "" if found[1] is not None else found[0], text)
    lines = (line.replace("\t", " ").strip() for line in bare.split("\n"))
    return " ".join(line for line in lines if line)


def place(module: ast.Module) -> Placement:
    """The place of every comment, and the line breaks and empty lines worth keeping."""
    notes = Notes()
    root = _grow(module, notes)
    inside = [(comment, _innermost(root, comment.span.start)) for comment in module.comments]
    opened: set[int] = set()
    placed = tuple(_place(comment, slot, module.span.source, opened) for comment, slot in inside)
    return Placement(placed, frozenset(notes.gaps), frozenset(notes.breaks))


# ---- the parts of a tree that can hold comments ----


@dataclass(slots=True, eq=False)
class _Slot:
    """An item, or a sequence of items. A comment may be on a line before it (`leads`), after it (`trails`), or after
    its opening bracket (`opens`)."""

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
        clause = isinstance(node, ast.When | ast.Because | ast.Mode)
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
# These have brackets only if there are several items.
_LISTS = {(ast.ScopeOf, "items"), (ast.ScopeOf, "within"), (ast.EntityValue, "parents")}
_ITEMS = (ast.When, ast.Because, ast.Mode, ast.Head, ast.ObligationCall, ast.LimitBody)


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
    """The nodes below a node, each with its own slot or else the enclosing one."""
    match node:
        case ast.Module():
            return _module_items(node, slot)
        case ast.Test() | ast.Fixture():
            start, end = brackets.around(node.items[0].span.start) if node.items else (slot.start, slot.end)
            inside = slot.between(node.items, start, end) if node.items else slot
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
    # The node is only the name; its line starts with the first word of the text.
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
        inside = slot.between(value, start, end, trails=_has_trailing_head(node))
        return [(part, inside.item(part)) for part in value]
    nodes = [part for part in value if isinstance(part, ast.Node)]
    return [(part, slot.item(part) if isinstance(part, _ITEMS) else slot) for part in nodes]


def _has_trailing_head(node: ast.Node) -> bool:
    """Whether a comment after the head of a tool is kept there. It is not where the tool ends with its head, or where
    the braces of the type that it returns have comments of their own."""
    if not isinstance(node, ast.ToolDecl) or node.facts is None:
        return False
    returns = node.returns
    return returns is None or not fold(
        returns, below_type, lambda of, parts: isinstance(of, ast.RecordType) or any(parts)
    )


def _note_breaks(node: ast.Binary, notes: Notes) -> None:
    """Authors group conditions by line: a break before `and` or `or` is kept."""
    operands = [operand for _, operand in chain(node)]
    for left, right in pairwise(operands):
        if "\n" in left.span.source.text[left.span.end : right.span.start]:
            notes.breaks.add(id(right))


_BLANK = re.compile(r"(?:\s|#[^\n]*)*")


class _Brackets:
    """The pairs of brackets in a text."""

    _TOKEN = re.compile(r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"|#[^\n]*|[(\[{]|[)\]}]')

    def __init__(self, text: str) -> None:
        self._opens: list[int] = []
        self._closes: list[int] = []
        self._outer: list[int] = []
        current: list[int] = []
        for token in self._TOKEN.finditer(text):
            if token[0] in "([{":
                self._outer.append(current[-1] if current else -1)
                current.append(len(self._opens))
                self._opens.append(token.start())
                self._closes.append(len(text))
            elif token[0] in ")]}" and current:
                self._closes[current.pop()] = token.end()

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


def _place(comment: ast.Comment, slot: _Slot, source: Source, opened: set[int]) -> _Placed:
    at = comment.span.start
    split = bisect_left(slot.children, at, key=lambda child: child.start)
    left = slot.children[split - 1] if split else None
    right = slot.children[split] if split < len(slot.children) else None
    if _starts_line(source, at):
        return _on_own_line(comment, slot, right)
    if left is not None and "\n" not in source.text[left.end : at]:
        return _behind(comment, slot, left)
    if slot.opens and left is None and slot.key not in opened:
        opened.add(slot.key)
        return _Placed(comment, slot, "opening", slot)
    return _on_own_line(comment, slot, right)


def _behind(comment: ast.Comment, slot: _Slot, left: _Slot) -> _Placed:
    # Clauses may be reordered, together with their comments.
    while left.children and left.children[-1].clause and left.children[-1].end == left.end:
        left = left.children[-1]
    if left.trails:
        return _Placed(comment, slot, "behind", left)
    return _Placed(comment, slot, "before", _leading(slot if left.sequence else left))


def _on_own_line(comment: ast.Comment, slot: _Slot, right: _Slot | None) -> _Placed:
    if right is not None and not right.sequence:
        return _Placed(comment, slot, "before", _leading(right))
    if right is None and slot.sequence:
        return _Placed(comment, slot, "closing", slot)
    return _Placed(comment, slot, "before", _leading(slot))


def _leading(slot: _Slot) -> _Slot:
    """The smallest slot around it that can have comments before it."""
    while not slot.leads:
        assert slot.parent is not None
        slot = slot.parent
    return slot


def _together(left: _Slot, right: _Slot) -> _Slot:
    """The smallest slot that contains both and can have comments before it."""
    around = set()
    slot: _Slot | None = left
    while slot is not None:
        around.add(id(slot))
        slot = slot.parent
    while id(right) not in around:
        assert right.parent is not None
        right = right.parent
    return _leading(right)


def _note(one: _Placed, text: str, notes: Notes) -> None:
    comment, slot = one.comment, one.slot
    gap = _gap_above(comment.span.source, comment.span.start)
    match one.where:
        case "before":
            if comment.span.start > slot.start and slot.key in notes.gaps:
                notes.gaps.remove(slot.key)
                gap = True
            notes.before.setdefault(slot.key, []).append(Lead(text, gap))
        case "behind":
            notes.behind[slot.key] = text
        case "opening":
            notes.opening[slot.key] = text
        case "closing":
            notes.closing.setdefault(slot.key, []).append(Lead(text, gap))
        case _:
            assert_never(one.where)


def _starts_line(source: Source, at: int) -> bool:
    line, column = source.line_col(at)
    return not source.line(line)[: column - 1].strip()


def _gap_above(source: Source, at: int) -> bool:
    """Whether the text at an offset is the first on its line, and the line above is empty."""
    line, _ = source.line_col(at)
    return line > 1 and _starts_line(source, at) and not source.line(line - 1).strip()
