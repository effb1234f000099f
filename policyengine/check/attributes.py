"""Attribute access: the meaning of `base.name` and `base has name` for a typed base."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from policyengine.check.environment import UNKNOWN, Typed, TypeEnv
from policyengine.check.narrowing import Narrowing, path_of
from policyengine.check.operands import need
from policyengine.diagnostics import codes
from policyengine.diagnostics.source import Span
from policyengine.diagnostics.suggest import did_you_mean, one_of
from policyengine.ir.nodes import Attribute, Call, Const, Expr, Has, HasKey, Identity, Local, Lookup, Refine, Root
from policyengine.model.types import (
    BOOL,
    JSON,
    STRING,
    EntityT,
    RecordField,
    RecordT,
    Type,
    element_of,
    entity,
    join,
    unrefined,
)
from policyengine.syntax import ast


@dataclass(frozen=True, slots=True)
class _Found:
    field: RecordField
    owners: frozenset[str] | None = None


def read(base: Typed, name: ast.Name, span: Span, env: TypeEnv) -> Typed:
    """`base.name`. Reports a finding if the attribute is unknown, or is optional and not known to be present."""
    findings = env.place.findings
    if base.type == UNKNOWN:
        return unknown(span)
    if isinstance(base.type, EntityT) and name.text == "id":
        return Typed(Identity(base=base.expr, type=STRING, span=span))
    if isinstance(base.type, EntityT) and name.text == "type":
        findings.report(codes.RESERVED, name.span, "the type of an entity cannot be read", "", "test it with `is`")
        return unknown(span)
    if isinstance(base.expr, Root) and base.expr.name == "action" and name.text == "name":
        return Typed(Identity(base=base.expr, type=STRING, span=span))
    field = _find(base, name, env)
    if field is None:
        return unknown(span)
    if _is_pair(base.expr, env):
        # The elements of a pair were checked together with its list.
        key = Const(value=name.text, type=STRING, span=name.span)
        return Typed(Lookup(base=base.expr, key=key, type=field.field.type, span=span))
    type_ = unrefined(field.field.type)
    expr: Expr = Attribute(base=base.expr, name=name.text, owners=field.owners, type=type_, span=span)
    if type_ != field.field.type:
        expr = Refine(operand=expr, shape=field.field.type, type=type_, span=span)
    path = path_of(expr)
    present = path is not None and path in env.narrowing.present
    if field.field.optional and not present:
        holder = "context" if isinstance(base.expr, Root) and base.expr.name == "context" else base.expr.span.text
        findings.report(
            codes.MAYBE_ABSENT, name.span, f"`{name.text}` may be absent", "optional in the schema",
            f"test it first: `{holder} has {name.text} and ...`",
        )  # fmt: skip
    elif field.owners is not None and not present and env.place.warn_absent:
        lacking = base.type.names - field.owners if isinstance(base.type, EntityT) else frozenset()
        findings.report(
            codes.ABSENT_FOR_SOME,
            name.span,
            f"{one_of(lacking)} {'has' if len(lacking) == 1 else 'have'} no attribute `{name.text}`",
            f"cannot be evaluated for {'it' if len(lacking) == 1 else 'them'}",
            f"{_head_word(base.expr, field.owners)}test it first with `is` or `has`",
        )
    return Typed(narrow(expr, env))


def _is_pair(base: Expr, env: TypeEnv) -> bool:
    """Whether the expression is the variable of a quantifier over `pairs(...)`."""
    among = env.place.findings.collections.get(base.slot) if isinstance(base, Local) else None
    return isinstance(among, Call) and among.function == "pairs"


def _head_word(base: Expr, owners: frozenset[str]) -> str:
    """The words of the head that say which types the rule is for, if the attribute belongs to a principal or
    resource."""
    if not isinstance(base, Root) or base.name not in ("principal", "resource"):
        return ""
    word = "for" if base.name == "principal" else "on"
    return f"say which types the rule is for: `{word} {', '.join(sorted(owners))}`; or " if len(owners) == 1 else ""


def has(base: Typed, name: ast.Name, span: Span, env: TypeEnv) -> Typed:
    """`base has name`. After it, the attribute is known to be present, and the entity to be of a type that has it."""
    if base.type == UNKNOWN:
        return unknown(span)
    if isinstance(base.type, EntityT) and name.text in ("id", "type"):
        env.place.findings.report(codes.RESERVED, name.span, f"every entity has its `{name.text}`", "", "leave it out")
        return unknown(span)
    if isinstance(base.type, EntityT) and (never := _has_never(base, name, span, env)) is not None:
        return never
    undeclared = isinstance(base.type, RecordT) and base.type.open and base.type.get(name.text) is None
    if (base.type == JSON or undeclared) and _is_text(env.locals.get(name.text)):
        asked = base.expr.span.text.partition(" has ")[0]
        env.place.findings.report(
            codes.HAS_VARIABLE, name.span, f"`has {name.text}` asks for an attribute called `{name.text}`",
            f"not for the value of the variable `{name.text}`",
            f"to use its value, write `{asked} has [{name.text}]`; or rename the variable",
        )  # fmt: skip
        return unknown(span)
    field = _find(base, name, env)
    if field is None:
        return unknown(span)
    expr = Has(base=base.expr, name=name.text, owners=field.owners, type=BOOL, span=span)
    path = path_of(base.expr)
    if path is None:
        return Typed(expr)
    types = {path: field.owners} if field.owners is not None else {}
    return Typed(expr, when_true=Narrowing(frozenset({(*path, name.text)}), types))


def _has_never(base: Typed, name: ast.Name, span: Span, env: TypeEnv) -> Typed | None:
    """`base has name` where the types that are left at this point lack the attribute, but other types of the head have
    it. The test is then certainly false, and that is no mistake. None in all other cases."""
    schema, path = env.place.schema, path_of(base.expr)
    assert isinstance(base.type, EntityT)
    if path is None or path not in env.narrowing.types or schema.declaring(base.type.names, name.text):
        return None
    owners = schema.declaring(_possible(base.expr, env), name.text)
    if not owners:
        return None
    narrowing = Narrowing(frozenset({(*path, name.text)}), {path: owners}, impossible=True)
    return Typed(Const(value=False, type=BOOL, span=span), when_true=narrowing)


def _possible(expr: Expr, env: TypeEnv) -> frozenset[str]:
    """The types that an entity can have at this point."""
    type_: Type = expr.type
    match expr:
        case Root(name="principal"):
            type_ = env.place.principal
        case Root(name="resource"):
            type_ = env.place.resource
        case Local(name=name) if name in env.locals:
            type_ = env.locals[name].type
        case Attribute(base=base, name=name):
            inner = base.type
            if isinstance(inner, RecordT):
                field = inner.get(name)
                type_ = unrefined(field.type) if field is not None else type_
            elif isinstance(inner, EntityT):
                entities = env.place.schema.entities
                names = env.place.schema.declaring(inner.names, name)
                types = [unrefined(entities[n].attributes[name].type) for n in names]
                return frozenset().union(*(one.names for one in types if isinstance(one, EntityT)))
    return type_.names if isinstance(type_, EntityT) else frozenset()


def _is_text(variable: Expr | None) -> bool:
    return variable is not None and variable.type in (STRING, JSON)


def lookup(base: Typed, key: Expr, span: Span, env: TypeEnv) -> Typed:
    """`base[key]`: the member of a JSON object under a computed name."""
    if not _takes_keys(base, env):
        return unknown(span)
    key = need(key, STRING, "the name in brackets", env.place.findings)
    return Typed(Lookup(base=base.expr, key=key, type=JSON, span=span))


def has_key(base: Typed, key: Expr, span: Span, env: TypeEnv) -> Typed:
    """`base has [key]`."""
    if not _takes_keys(base, env):
        return unknown(span)
    key = need(key, STRING, "the name in brackets", env.place.findings)
    return Typed(HasKey(base=base.expr, key=key, type=BOOL, span=span))


def _takes_keys(base: Typed, env: TypeEnv) -> bool:
    """Whether `[...]` may follow this expression; reports a finding if not."""
    type_ = base.type
    if type_ in (JSON, UNKNOWN) or (isinstance(type_, RecordT) and type_.open):
        return type_ != UNKNOWN
    help_ = "`[...]` works on `Json` only"
    if element_of(type_) is not None:
        help_ = "a collection has no positions; use `in`, or `any x in xs: ...`"
    elif isinstance(type_, RecordT | EntityT):
        help_ = "write the name of the attribute; `[...]` works on `Json` only"
    env.place.findings.report(codes.WRONG_TYPE, base.expr.span, f"{type_} cannot be read with `[...]`", "", help_)
    return False


def unknown(span: Span) -> Typed:
    return Typed(Const(value=None, type=UNKNOWN, span=span))


def _find(base: Typed, name: ast.Name, env: TypeEnv) -> _Found | None:
    """The declared attribute; None, with a finding, if nothing declares it."""
    type_ = base.type
    if type_ == JSON:
        return _Found(RecordField(JSON))
    if isinstance(base.expr, Root) and base.expr.name == "resource" and name.text == "args" and env.place.tool_args:
        return _Found(RecordField(env.place.tool_args))
    if isinstance(type_, RecordT):
        field = type_.get(name.text)
        if field is not None:
            return _Found(field)
        if type_.open:
            return _Found(RecordField(JSON))
        known: Iterable[str] = [n for n, _ in type_.fields]
        _unknown_attribute(base, name, known, env)
        return None
    if isinstance(type_, EntityT):
        return _find_on_entity(base, type_, name, env)
    env.place.findings.report(
        codes.WRONG_TYPE, name.span, f"{type_} has no attributes", f"`{base.expr.span.text}` is {type_}"
    )
    return None


def _find_on_entity(base: Typed, type_: EntityT, name: ast.Name, env: TypeEnv) -> _Found | None:
    entities = env.place.schema.entities
    if not type_.names:
        env.place.findings.report(codes.WRONG_TYPE, base.expr.span, "no entity type is possible here")
        return None
    owners = env.place.schema.declaring(type_.names, name.text)
    if not owners:
        known = {attribute for n in type_.names for attribute in entities[n].attributes} | {"id"}
        _unknown_attribute(base, name, known, env)
        return None
    fields = [entities[n].attributes[name.text] for n in sorted(owners)]
    joined: Type | None = fields[0].type
    for other in fields[1:]:
        joined = join(joined, other.type) if joined is not None else None
    if joined is None:
        env.place.findings.report(
            codes.SEVERAL_TYPES, name.span, f"`{name.text}` has different types on {one_of(owners)}", "",
            "say which type is meant with `for` or `is`",
        )  # fmt: skip
        return None
    field = RecordField(joined, any(f.optional for f in fields))
    return _Found(field, None if owners == type_.names else owners)


def _unknown_attribute(base: Typed, name: ast.Name, known: Iterable[str], env: TypeEnv) -> None:
    if name.text in env.place.findings.lost:
        return
    known = set(known)
    match base.expr:
        case Root(name="context"):
            owner = "the context"
        case Root(name="action"):
            owner = "the action"
        case _ if isinstance(base.type, EntityT) and len(base.type.names) == 1:
            owner = f"entity type `{base.type}`"
        case _ if isinstance(base.type, EntityT):
            owner = f"any of {one_of(base.type.names)}"
        case _:
            owner = f"`{base.expr.span.text}`"
    help_ = did_you_mean(name.text, known) or (f"known: {one_of(known)}" if known else "")
    if base.type == entity("Tool") and not did_you_mean(name.text, known):
        help_ = f"arguments are in `args`: `{base.expr.span.text}.args.{name.text}`"
    env.place.findings.report(
        codes.UNKNOWN_ATTRIBUTE, name.span, f"unknown attribute `{name.text}` on {owner}",
        "not declared in the schema", help_,
    )  # fmt: skip


def narrow(expr: Expr, env: TypeEnv) -> Expr:
    """The expression with the type that is known at this point."""
    path = path_of(expr)
    if path is None or path not in env.narrowing.types or not isinstance(expr.type, EntityT):
        return expr
    names = expr.type.names & env.narrowing.types[path]
    return _retyped(expr, EntityT(names))


def _retyped(expr: Expr, type_: Type) -> Expr:
    match expr:
        case Attribute(base=base, name=name, owners=owners, span=span):
            return Attribute(base=base, name=name, owners=owners, type=type_, span=span)
        case Root(name=root, span=span):
            return Root(name=root, type=type_, span=span)
        case Local(name=local, slot=slot, span=span):
            return Local(name=local, slot=slot, type=type_, span=span)
    return expr
