"""Expressions and types as documents.

In: a node and the Notes of its text. Out: a document with the fewest parentheses that keep the tree, plus those that
help a reader: around a comparison after `not`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from policyengine.syntax import ast, walk
from policyengine.syntax.comments import Lead, Notes
from policyengine.syntax.layout import BREAK, HARD, LINE, Doc, IfBroken, Line, Suffix, align, concat, group, join, nest
from policyengine.syntax.quoting import bare_or_quoted, literal, member, quoted, type_of_entity


@dataclass(frozen=True, slots=True)
class _Part:
    """A finished expression. `closed` is its form if an operator follows, which it must not absorb."""

    level: int
    doc: Doc
    closed: Doc

    def at(self, level: int, last: bool = True) -> Doc:
        """The expression as an operand that must bind at least this tightly; `last` if nothing follows it."""
        if self.level < level:
            return concat("(", align(self.doc), ")")
        return self.doc if last else self.closed


def expression(node: ast.Expr, notes: Notes) -> Doc:
    return _part(node, notes).doc


def condition(node: ast.Expr, notes: Notes) -> Doc:
    """The condition of a clause: `and` and `or` hang to the left of the operands, which line up behind the keyword."""
    if isinstance(node, ast.Binary) and walk.is_logical(node):
        parts = [_part(operand, notes) for _, operand in walk.chain(node)]
        return _logical(node, parts, notes, hanging=True).doc
    return expression(node, notes)


def type_(node: ast.TypeExpr, notes: Notes) -> Doc:
    def build(node: ast.TypeExpr, docs: list[Doc]) -> Doc:
        return _build_type(node, docs, notes)

    return walk.fold(node, walk.below_type, build)


def fields(declared: tuple[ast.FieldDecl, ...], notes: Notes, brackets: str) -> Doc:
    docs = [_field(field, type_(field.type, notes)) for field in declared]
    return bracketed(brackets, declared, docs, notes)


def entity(node: ast.EntityLit) -> str:
    return f"{type_of_entity(node.type)}::{quoted(node.id)}"


def arguments(given: tuple[ast.Argument, ...], notes: Notes) -> Doc:
    docs = []
    for argument in given:
        value = expression(argument.value, notes)
        docs.append(value if argument.name is None else concat(f"{argument.name.text}: ", value))
    return bracketed("()", given, docs, notes, hugs=len(given) == 1 and _is_bracketed(given[0].value))


def attributes(record: ast.RecordLit, notes: Notes, brackets: str) -> Doc:
    """The entries of a record; in parentheses they are those of an action."""
    docs = [_entry(entry, expression(entry.value, notes)) for entry in record.entries]
    return bracketed(brackets, record.entries, docs, notes)


def bracketed(brackets: str, items: Sequence[ast.Node], docs: Sequence[Doc], notes: Notes, hugs: bool = False) -> Doc:
    """Items on one line, or one per line with a comma after each. A lone bracketed item `hugs` the enclosing
    brackets."""
    opening, closing = brackets[0], brackets[1]
    if not items:
        return brackets
    noted = id(items) in notes.opening or id(items) in notes.closing or any(_noted(item, notes) for item in items)
    if hugs and not noted:
        return concat(opening, *docs, closing)
    pad = " " if opening == "{" else ""
    body: list[Doc] = [behind(notes.opening.get(id(items)))]
    for item, doc in zip(items, docs, strict=True):
        first, last = item is items[0], item is items[-1]
        body += _above(notes, item, Line(flat=pad) if first else LINE, blanks=not first)
        body += [doc, IfBroken(",") if last else ",", behind(notes.behind.get(id(item)))]
    body += [line for lead in notes.closing.get(id(items), []) for line in (_line(HARD, lead.gap), lead.text)]
    return group(opening, nest(2, *body), Line(flat=pad), closing)


def behind(comment: str | None) -> Doc:
    """A comment at the end of the line, which must then end."""
    return "" if comment is None else concat(Suffix(f"  {comment}"), BREAK)


def before(leads: list[Lead], line: Line = HARD) -> Doc:
    """Comments on lines of their own."""
    return concat(*(part for lead in leads for part in (lead.text, line)))


def _above(notes: Notes, item: ast.Node, line: Line, blanks: bool) -> list[Doc]:
    """The line break before an item, and the comments there."""
    leads = notes.before.get(id(item), [])
    gaps = [*(lead.gap for lead in leads), id(item) in notes.gaps]
    docs: list[Doc] = [_line(line if not leads else HARD, gaps[0] and blanks)]
    for lead, gap in zip(leads, gaps[1:], strict=True):
        docs += [lead.text, _line(HARD, gap)]
    return docs


def _line(line: Line, blank: bool) -> Line:
    return Line(flat=line.flat, hard=line.hard, blank=blank)


def _noted(item: ast.Node, notes: Notes) -> bool:
    return id(item) in notes.before or id(item) in notes.behind


def _is_bracketed(node: ast.Expr) -> bool:
    return isinstance(node, ast.ListLit | ast.RecordLit)


# ---- expressions ----


def _part(node: ast.Expr, notes: Notes) -> _Part:
    def build(node: ast.Expr, parts: list[_Part]) -> _Part:
        return _build(node, parts, notes)

    return walk.fold(node, walk.below_expression, build)


def _build(node: ast.Expr, parts: list[_Part], notes: Notes) -> _Part:
    docs = [part.doc for part in parts]
    match node:
        case ast.Literal():
            text = literal(node)
            return _whole(text, walk.MINUS if text.startswith("-") else walk.POSTFIX)
        case ast.EntityLit():
            return _whole(entity(node))
        case ast.EntityOf(type=name):
            return _whole(concat(f"{type_of_entity(name)}::(", align(docs[0]), ")"))
        case ast.Ref(name=name):
            return _whole(name)
        case ast.ListLit(items=items):
            return _whole(bracketed("[]", items, docs, notes))
        case ast.RecordLit(entries=entries):
            entry_docs = [_entry(entry, doc) for entry, doc in zip(entries, docs, strict=True)]
            return _whole(bracketed("{}", entries, entry_docs, notes))
        case ast.Call(name=name, args=args):
            return _whole(concat(name.text, _arguments(args, docs, notes)))
        case ast.MethodCall(name=name, args=args):
            return _whole(concat(parts[0].at(walk.POSTFIX), f".{name.text}", _arguments(args, docs[1:], notes)))
        case ast.Member(name=name):
            return _whole(concat(parts[0].at(walk.POSTFIX), member(name)))
        case ast.Lookup():
            return _whole(concat(parts[0].at(walk.POSTFIX), "[", docs[1], "]"))
        case ast.HasKey():
            return _comparison(parts[0], " has ", concat("[", docs[1], "]"))
        case ast.Unary():
            return _unary(node, parts[0])
        case ast.Binary():
            return _binary(node, parts, notes)
        case ast.HasOp(path=path):
            return _comparison(parts[0], " has ", ".".join(bare_or_quoted(name) for name in path))
        case ast.IsOp(type=name):
            return _comparison(parts[0], " is ", bare_or_quoted(name))
        case ast.LikeOp(pattern=pattern):
            return _comparison(parts[0], " like ", literal(pattern))
        case ast.Conditional():
            return _conditional(parts)
        case ast.Quantifier(kind="sum", variable=variable):
            rest = concat(f"for {variable.text} in ", align(docs[1]))
            return _whole(group("sum(", nest(2, Line(flat=""), align(docs[0]), LINE, rest), Line(flat=""), ")"))
        case ast.Quantifier(kind=kind, variable=variable):
            head = concat(f"{kind} {variable.text} in ", parts[0].at(walk.SUM), ":")
            return _greedy(group(head, nest(2, LINE, docs[1])))
        case _:
            assert_never(node)


def _whole(doc: Doc, level: int = walk.POSTFIX) -> _Part:
    return _Part(level, doc, doc)


def _greedy(doc: Doc) -> _Part:
    """An expression whose last part extends as far as it can."""
    return _Part(walk.PREFIX, align(doc), concat("(", align(doc), ")"))


def _comparison(left: _Part, operator: str, right: Doc) -> _Part:
    return _whole(concat(left.at(walk.SUM), operator, right), walk.COMPARISON)


def _arguments(args: tuple[ast.Expr, ...], docs: list[Doc], notes: Notes) -> Doc:
    return bracketed("()", args, docs, notes, hugs=len(args) == 1 and _is_bracketed(args[0]))


def _entry(entry: ast.Entry, value: Doc) -> Doc:
    return concat(f"{bare_or_quoted(entry.key)}: ", value)


def _unary(node: ast.Unary, operand: _Part) -> _Part:
    if node.op == "-":
        return _whole(concat("-", operand.at(walk.MINUS)), walk.MINUS)
    # The grammar needs no parentheses for a comparison after `not`, but a reader does.
    level = walk.POSTFIX if operand.level != walk.PREFIX else walk.PREFIX
    return _Part(walk.PREFIX, concat("not ", operand.at(level)), concat("not ", operand.at(level, last=False)))


def _binary(node: ast.Binary, parts: list[_Part], notes: Notes) -> _Part:
    level = walk.level_of(node)
    if walk.is_logical(node):
        return _logical(node, parts, notes)
    if level == walk.COMPARISON:
        return _comparison(parts[0], f" {node.op} ", parts[1].at(walk.SUM))
    docs = [parts[0].at(level)]
    for (op, _), part in zip(walk.chain(node)[1:], parts[1:], strict=True):
        docs += [LINE, f"{op} ", part.at(level + 1)]
    return _whole(align(group(*docs)), level)


def _logical(node: ast.Binary, parts: list[_Part], notes: Notes, hanging: bool = False) -> _Part:
    level, shift = walk.level_of(node), len(node.op) + 1 if hanging else 0
    operands = [operand for _, operand in walk.chain(node)]
    docs = [part.at(level + (i > 0), last=False) for i, part in enumerate(parts)]
    closed = _joined(node.op, shift, operands, docs, notes)
    docs[-1] = parts[-1].at(level + 1)
    return _Part(level, _joined(node.op, shift, operands, docs, notes), closed)


def _joined(op: str, shift: int, operands: list[ast.Expr], docs: list[Doc], notes: Notes) -> Doc:
    """Operands on one line, or one per line; those that the author put on one line stay together if they fit."""
    soft, hard = Line(shift=shift), Line(shift=shift, hard=True)
    segments: list[list[Doc]] = [[docs[0], behind(notes.behind.get(id(operands[0])))]]
    for operand, doc in zip(operands[1:], docs[1:], strict=True):
        leads = notes.before.get(id(operand), [])
        if leads or id(operand) in notes.breaks:
            segments.append([before(leads, hard)])
        else:
            segments[-1].append(soft)
        segments[-1] += [f"{op} ", doc, behind(notes.behind.get(id(operand)))]
    return align(join(hard, (group(*segment) for segment in segments)))


def _conditional(parts: list[_Part]) -> _Part:
    lines = []
    for i in range(0, len(parts) - 1, 2):
        word = "else if " if i else "if "
        lines.append(group(word, parts[i].closed, nest(2, LINE, "then ", parts[i + 1].closed)))
    return _greedy(group(join(LINE, [*lines, concat("else ", parts[-1].doc)])))


# ---- types ----


def _build_type(node: ast.TypeExpr, docs: list[Doc], notes: Notes) -> Doc:
    match node:
        case ast.NamedType(name=name, bounds=limits):
            return concat(name, _bounds(limits))
        case ast.GenericType(name=name, bounds=limits):
            return concat(f"{name.text}<", docs[0], ">", _bounds(limits))
        case ast.MarkedType(marks=marks):
            return concat(docs[0], f" {' '.join(marks)}")
        case ast.EntityType(name=name):
            return f"entity {quoted(name)}"
        case ast.LiteralType(value=value):
            return literal(value)
        case ast.UnionType():
            return align(group(docs[0], *(part for doc in docs[1:] for part in (LINE, "| ", doc))))
        case ast.RecordType(fields=declared):
            field_docs = [_field(field, doc) for field, doc in zip(declared, docs, strict=True)]
            return bracketed("{}", declared, field_docs, notes)
        case _:
            assert_never(node)


def _bounds(limits: tuple[ast.Bound, ...]) -> Doc:
    return f"({', '.join(f'{one.name.text}: {literal(one.value)}' for one in limits)})" if limits else ""


def _field(field: ast.FieldDecl, type_doc: Doc) -> Doc:
    if isinstance(field, ast.Rest):
        return "..."
    return concat(f"{bare_or_quoted(field.name)}{'?' if field.optional else ''}: ", type_doc)
