"""A formula as a Python function over plain documents: the same result as `satisfies`, many times faster.

The function is made of templates (`templates.py`), one for each kind of atom. Only the shape of a formula decides
which, so a function is compiled once for a shape and then bound to constants; when there are many shapes, a new one
gets a function for each of its parts. If a template meets anything unexpected (it raises, or sees a value of another
class), the specification decides.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Collection
from copy import deepcopy
from functools import lru_cache
from types import CodeType
from typing import Any, NamedTuple

from policyengine.bounded_cache import BoundedCache
from policyengine.compile.pyfunction import bound, compiled, module
from policyengine.model.entities import World
from policyengine.model.types import JSON, element_of
from policyengine.model.values import Fault, as_entity
from policyengine.partial.caller_mentions import WholeDocument
from policyengine.partial.formula import ID, All, Formula, Opaque, Path, Some, Truth
from policyengine.partial.gap import Unknown
from policyengine.partial.satisfies import satisfies
from policyengine.partial.templates import NAMES, SLOW, TEMPLATES, template, tree

# ("all" or "some", parts), or (template, path) for an atom; atoms are numbered in the order in which they come.
FormulaShape = tuple[Any, ...]
Predicate = Callable[[Any], bool]

# Formulas with at most SMALL atoms always get a function of their own, and those with more than LARGE never do.
SMALL, LARGE = 3, 200
# The first FEW shapes get a function at once; later ones when they come up again, or after MANY documents.
FEW, MANY = 32, 1_000
# How many shapes that have come up are remembered.
MAX_SEEN = 2_000
_seen: BoundedCache[tuple[FormulaShape, frozenset[str], bool], None] = BoundedCache(MAX_SEEN)


# Formulas with more atoms than this are answered by a decision about the document, if possible.
MANY_ATOMS = 128


def settled(
    formula: Formula,
    type_: str,
    world: World,
    expected: Collection[str],
    decided: Callable[[dict[str, Any]], bool],
    whole: WholeDocument | None = None,
) -> Predicate:
    """As `predicate`, where `decided` gives the formula's answer for a document by code that is generated for the
    rules. It answers everything that would have to be interpreted, and formulas with very many parts: nothing takes
    much longer than a decision. Formulas have no negation, so a part may be replaced by the answer for the whole."""
    atoms = _outline(formula).atoms
    if len(atoms) <= MANY_ATOMS and not any(_is_long(atom) for _, atom in atoms):
        return predicate(formula, type_, world, expected, whole=whole)
    last: tuple[Any, bool] | None = None

    def decide(document: Any) -> bool:
        nonlocal last
        remembered = last
        if remembered is None or remembered[0] is not document:
            remembered = last = (document, _is_thing(document, type_) and decided(document))
        return remembered[1]

    test = decide if len(atoms) > MANY_ATOMS else predicate(formula, type_, world, expected, decide=decide, whole=whole)

    def matches(document: Any) -> bool:
        nonlocal last
        # The document may have changed since.
        last = None
        return test(document)

    return matches


def _is_thing(document: Any, type_: str) -> bool:
    if type(document) is not dict:
        return False
    of_type = document.get("type", type_)
    if type(of_type) is str and type(document.get("id")) is str:
        return of_type == type_
    try:
        return as_entity({"type": type_, **document}).uid.type == type_
    except Fault:
        return False


def predicate(
    formula: Formula,
    type_: str,
    world: World,
    expected: Collection[str] = (),
    unknown: Unknown = "resource",
    decide: Predicate | None = None,
    whole: WholeDocument | None = None,
) -> Predicate:
    """Whether the formula is true of a document of this type: a dict like a resource (or a principal, if that is
    `unknown`), whose `type` may be left out. The function never raises because of its argument. `expected` are
    attributes that documents should have: those that have them are answered faster, those that lack them slower. With
    `whole`, whether it is true of the document with everything that is said of it."""
    outline = _outline(formula)
    expected_names = frozenset(expected)
    slowly = _specified(type_, world, unknown, decide, whole)

    def function() -> Predicate:
        return _function(formula, outline, type_, expected_names, slowly, whole)

    if not isinstance(formula, All | Some) or _is_worth_a_function(outline, expected_names, whole is not None):
        return function()
    # Callers whose formulas differ in shape have many parts in common, and these have code.
    parts = sorted(formula.items, key=lambda part: _outline(part).cost)
    tests = [predicate(part, type_, world, expected_names, unknown, decide) for part in parts]
    of_parts = _of_parts(tests, isinstance(formula, All))
    if whole is not None:
        of_parts = _of_whole(of_parts, whole, slowly(formula))
    return of_parts if len(outline.atoms) > LARGE else _until_worth_it(of_parts, function)


def _of_parts(tests: list[Predicate], every: bool) -> Predicate:
    """Whether all of the tests hold, or any."""

    def matches(document: Any) -> bool:
        for test in tests:
            if test(document) is not every:
                return not every
        return every

    return matches


def _of_whole(test: Predicate, whole: WholeDocument, slowly: Predicate) -> Predicate:
    """The test for documents to which nothing is added, and the slow test for all others."""
    return lambda document: test(document) if whole.of(document) is document else slowly(document)


def _until_worth_it(test: Predicate, function: Callable[[], Predicate]) -> Predicate:
    """The test; after it was used often enough to be worth it, the function."""
    made: Predicate | None = None
    asked = 0

    def matches(document: Any) -> bool:
        nonlocal made, asked
        if made is not None:
            return made(document)
        asked += 1
        if asked == MANY:
            made = function()
        return test(document)

    return matches


def _is_worth_a_function(outline: _Outline, expected: frozenset[str], whole: bool) -> bool:
    """Whether the shape has code, or is small, or there is little code yet, or the shape comes up again."""
    if len(outline.atoms) <= SMALL:
        return True
    if len(outline.atoms) > LARGE:
        return False
    key = (outline.shape, expected, whole)
    if key in _seen:
        return True
    _seen[key] = None
    return len(_seen) <= FEW


def _function(
    formula: Formula,
    outline: _Outline,
    type_: str,
    expected: frozenset[str],
    slowly: Callable[[Formula], Predicate],
    whole: WholeDocument | None,
) -> Predicate:
    names: dict[str, Any] = {**NAMES, "EMPTY": {}, "TYPE": type_, "slowly": slowly(formula)}
    if whole is not None:
        names |= {"PLAIN": whole.plain, "alone": _alone(whole)}
    for number, (constant, atom) in enumerate(outline.atoms):
        names[f"c{number}"] = constant
        names[f"s{number}"] = slowly(atom)
    made: Predicate = bound(_code(outline.shape, expected, whole is not None), names)
    return made


def _alone(whole: WholeDocument) -> Predicate:
    """True if nothing is said of a document besides its own content; LookupError if more is said, or it has a name that
    is most likely misspelt."""

    def alone(document: Any) -> bool:
        if whole.of(document) is document:
            return True
        raise LookupError

    return alone


def _specified(
    type_: str, world: World, unknown: Unknown, decide: Predicate | None, whole: WholeDocument | None
) -> Callable[[Formula], Predicate]:
    """Decides by the specification whether a formula, or a part of it, is true of a document with everything that is
    said of it."""

    def slowly(part: Formula) -> Predicate:
        if decide is not None and (isinstance(part, All | Some) or _is_long(part)):
            return decide
        if whole is None:
            return lambda document: _slowly(part, type_, world, unknown, document)
        return lambda document: _slowly(part, type_, world, unknown, whole.of(document))

    return slowly


def _is_long(atom: Formula) -> bool:
    """Whether an atom has to be interpreted and may visit a collection, which takes much longer than code."""
    if isinstance(atom, Opaque | Truth | All | Some):
        return isinstance(atom, Opaque)
    of = getattr(atom, "type", None)
    return of is not None and (of == JSON or element_of(of) is not None) and template(atom)[0] == SLOW


def _slowly(formula: Formula, type_: str, world: World, unknown: Unknown, document: Any) -> bool:
    if type(document) is not dict:
        return False
    try:
        thing = as_entity({"type": type_, **document})
    except Fault:
        return False
    return thing.uid.type == type_ and satisfies(formula, thing, world, unknown)


class _Outline(NamedTuple):
    """A formula's shape and its atoms in order, each with its constant. Parts that are cheap, and likely to decide the
    part around them, come first: no formula errs, so their order does not matter."""

    cost: int
    shape: FormulaShape
    atoms: list[tuple[Any, Formula]]


def _outline(formula: Formula) -> _Outline:
    if isinstance(formula, Truth):
        return _Outline(3, ("truth", formula.value), [])
    if isinstance(formula, All | Some):
        parts = sorted(map(_outline, formula.items), key=_cost if isinstance(formula, All) else _cost_of_alternative)
        kind = "all" if isinstance(formula, All) else "some"
        return _Outline(
            3, (kind, tuple([part.shape for part in parts])), [atom for part in parts for atom in part.atoms]
        )
    name, path, constant = template(formula)
    return _Outline(_COSTS[name], (name, path), [(constant, formula)])


def _cost(outline: _Outline) -> float:
    return outline.cost


def _cost_of_alternative(outline: _Outline) -> float:
    # Equality with a text is the cheapest test, and rarely true.
    return outline.cost or 1.5


_COSTS = {
    name: 9 if name == SLOW else 0 if name == "text ==" else 2 if name.startswith(("texts", "ref")) else 1
    for name in TEMPLATES
}


@lru_cache(maxsize=512)
def _code(shape: FormulaShape, expected: frozenset[str], whole: bool) -> CodeType:
    """The code for a shape:

    try:
        x0 = d.get(...)                    before each part, the paths in it that are read more than once
        if not <part of the formula>: return False
        ...
        return <this is plainly a document of the type> or slowly(d)
    except Exception:
        return slowly(d)

    A value that is not a document is refused either way, so only a value that would pass has to be tested for it. The
    same holds for what is said of a document elsewhere, if the formula is about the `whole` of it: it cannot make a
    part true that reads a value which the document has. Whether more is said is looked up once, as `known_alone`, if
    values are expected to be missing.
    """
    reads = Counter(path for path in _paths(shape) if path)
    shared = {path: f"x{i}" for i, path in enumerate(p for p, n in reads.items() if n > 1)}
    remembered = whole and any(path != ID and (len(path) != 1 or path[0] not in expected) for path in _paths(shape))
    alone = "known_alone or (known_alone := alone(d))" if remembered else "alone(d)" if whole else "True"
    writer = _Writer(shared, expected, ast.parse(alone, mode="eval").body)
    body: list[ast.stmt] = [_statement("known_alone = False")] if remembered else []
    unread = dict(shared)
    for part in shape[1] if shape[0] == "all" else (shape,):
        for path in dict.fromkeys(_paths(part)):
            if path in unread:
                name = unread.pop(path)
                body.append(ast.Assign([ast.Name(name, ast.Store())], writer.read(path, name)))
        body.append(ast.If(ast.UnaryOp(ast.Not(), writer.test(part)), [ast.Return(ast.Constant(False))], []))
    fits = f"plain_document(d, TYPE, PLAIN) or {_DOCUMENT} and ({alone})" if whole else _DOCUMENT
    body.append(_statement(f"return {fits} or slowly(d)"))
    guarded = _statement(_GUARD)
    assert isinstance(guarded, ast.Try)
    guarded.body = body
    return compiled(module("predicate", ["d"], [guarded]))


_DOCUMENT = "plain_document(d, TYPE, None)"
_GUARD = "\n try: pass\n except Exception: return slowly(d)"


def _statement(source: str) -> ast.stmt:
    tree = ast.parse(f"def f(): {source}").body[0]
    assert isinstance(tree, ast.FunctionDef)
    return tree.body[0]


def _paths(shape: FormulaShape) -> list[Path]:
    if shape[0] == "truth":
        return []
    if shape[0] in ("all", "some"):
        return [path for part in shape[1] for path in _paths(part)]
    return [shape[1]]


class _Writer:
    """Writes tests, and numbers the atoms in order."""

    def __init__(self, shared: dict[Path, str], expected: frozenset[str], alone: ast.expr) -> None:
        self._shared = shared
        self._expected = expected
        self._alone = alone
        self._number = 0

    def test(self, shape: FormulaShape) -> ast.expr:
        kind, rest = shape
        if kind == "truth":
            return ast.Constant(rest)
        if kind in ("all", "some"):
            op = ast.And() if kind == "all" else ast.Or()
            return ast.BoolOp(op, [self.test(part) for part in rest])
        number, self._number = self._number, self._number + 1
        name = self._shared.get(rest)
        first: ast.expr = _name(name or "d")
        if name is None and rest:
            name = f"y{number}"
            first = ast.NamedExpr(ast.Name(name, ast.Store()), self.read(rest, name))
        return _Bind(number, name or "d", first, self._alone).visit(deepcopy(tree(kind)))  # type: ignore[no-any-return]

    def read(self, path: Path, name: str) -> ast.expr:
        """`d.get("a")`, or `d["a"]` if the attribute is expected; below that, a value that is not an object has no
        members. `name` is free for intermediate values."""
        if path == ID or path[0] in self._expected:
            read_expr: ast.expr = ast.Subscript(_name("d"), ast.Constant(path[0]), ast.Load())
        else:
            read_expr = _get(_name("d"), path[0])
        for inner in path[1:]:
            value = ast.NamedExpr(ast.Name(name, ast.Store()), read_expr)
            is_object = ast.Compare(ast.Call(_name("type"), [value], []), [ast.Is()], [_name("dict")])
            read_expr = _get(ast.IfExp(is_object, _name(name), _name("EMPTY")), inner)
        return read_expr


class _Bind(ast.NodeTransformer):
    """A template with its names replaced by those of one atom."""

    def __init__(self, number: int, value: str, first: ast.expr, alone: ast.expr) -> None:
        self._names = {"v": value, "c": f"c{number}", "s": f"s{number}"}
        self._written = {"w": first, "alone": alone}

    def visit_Name(self, node: ast.Name) -> ast.expr:
        written = self._written.get(node.id)
        return ast.Name(self._names.get(node.id, node.id), node.ctx) if written is None else written


def _get(of: ast.expr, name: str) -> ast.expr:
    return ast.Call(ast.Attribute(of, "get", ast.Load()), [ast.Constant(name)], [])


def _name(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())
