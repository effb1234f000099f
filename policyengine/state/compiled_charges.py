"""The charges of a request, computed fast: what its limits read is compiled once for the limits that a decision names.

`charges_if_plain` returns what `charges` returns, or None: for a request with agents, a limit that reads more than
plain attributes, a value of an undeclared type, or an entity that the source knows. Then `charges`, the specification,
does the work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from policyengine.bundle import Snapshot
from policyengine.ir.nodes import Attribute, Const, Expr, LimitSpec, Root
from policyengine.ir.walk import walk
from policyengine.model.types import INT, NUMBER, STRING, EntityT, RecordT
from policyengine.model.values import Entity, Fault, Uid, to_json
from policyengine.schema.members import DELEGATED_BY, delegators
from policyengine.state import amounts
from policyengine.state.amounts import LARGEST, MICRO
from policyengine.state.charges import Charges, Metered, RawRequest, key_of, share_of, window
from policyengine.state.operations import MAX_CHARGES, Charge
from policyengine.state.stateful_rules import LimitRule, Metering
from policyengine.state.windows import SECOND, Window

# Takes the raw principal, resource and context; returns a value, or raises anything if one is unusual.
Get = Callable[[Any, Any, Any], Any]
Records = Mapping[str, Mapping[str, Any]]

# How many keys of one limit are remembered, with their digests.
REMEMBERED = 16_384


class _Unusual(Exception):
    """Not compiled, or not as it should be."""


class CompiledLimit(Struct, gc=False):
    """One limit. `known` are the last charges, by the values of its keys: each as all charges of a request."""

    limit: LimitRule
    name: str
    key: Get
    several: bool
    ceiling: Get
    amount: Get | None
    window: Window | None
    block_for: int
    advisory: bool
    share: tuple[int, int, int] | None
    known: dict[Any, tuple[Charge]]
    # Whether the charge depends only on the values of its keys.
    fixed: bool


class CompiledLimits(Struct, gc=False):
    """The limits that one decision names. `compiled` is None if one of them reads too much. A principal of one of the
    types in `delegates` may have got its task from another, and is then not the only actor. If no limit reads more of
    an entity than its identity, other statements about the entity in the same request do not matter."""

    snapshot: Snapshot
    compiled: tuple[CompiledLimit, ...] | None
    delegates: frozenset[str] = frozenset()
    reads_entities: bool = True
    # The limits that count an amount; and whether any of them has a calendar window.
    counted: tuple[LimitRule, ...] = ()
    dated: bool = True
    # The remembered charges of a single limit, if they depend only on its keys, and these read only the identities of
    # entities. For a request without agents in its context; otherwise None, or any exception.
    find: Callable[[Any, Any, Any], tuple[Charge] | None] | None = None

    def charged(self, principal: Any, action: Any, resource: Any, context: Any, now: int) -> tuple[Charge, ...] | None:
        """Only the charges."""
        compiled = self.compiled
        if compiled is None or (context is not None and "agent" in context):
            return None
        if principal["type"] in self.delegates or DELEGATED_BY in principal:
            return None
        try:
            if self.reads_entities and not self.snapshot.evaluator.is_single(principal, action, resource, context):
                return None
            if len(compiled) == 1:
                return _charge(compiled[0], principal, resource, context, now)
            return tuple([_charge(one, principal, resource, context, now)[0] for one in compiled])
        except Exception:  # noqa: BLE001 - the specification decides what it means
            return None

    def metered(self, charges: tuple[Charge, ...], seen: RawRequest) -> tuple[Metered, ...]:
        """The values that the charges of a request were computed from."""
        compiled = self.compiled or ()
        return tuple([Metered(charge, one.limit, seen) for charge, one in zip(charges, compiled, strict=True)])

    def charges_if_plain(self, principal: Any, action: Any, resource: Any, context: Any, now: int) -> Charges | None:
        charges = self.charged(principal, action, resource, context, now)
        if charges is None:
            return None
        return Charges(self.metered(charges, RawRequest(principal, action, resource, context, self.snapshot.world)))


def plan(metering: Metering, snapshot: Snapshot, names: tuple[str, ...]) -> CompiledLimits:
    """What the limits of these names read. It applies to requests that the snapshot allows."""
    limits = [metering.limits[name] for name in names]
    delegates = frozenset(type_ for type_ in snapshot.schema.entities if delegators(type_, snapshot.schema) is not None)
    if len(limits) > MAX_CHARGES:
        return CompiledLimits(snapshot, None)
    try:
        compiled = tuple(_compiled(limit, snapshot.world.records) for limit in limits)
    except (_Unusual, Fault):
        return CompiledLimits(snapshot, None)
    reads = any(_reads_entities(limit.spec) for limit in limits)
    counted = tuple(limit for limit in limits if limit.spec.of is not None)
    find = _finding(compiled[0], delegates) if len(compiled) == 1 and compiled[0].fixed and not reads else None
    return CompiledLimits(
        snapshot, compiled, delegates, reads, counted, any(one.window is None for one in compiled), find
    )


def _finding(one: CompiledLimit, delegates: frozenset[str]) -> Callable[[Any, Any, Any], tuple[Charge] | None]:
    known, key = one.known, one.key

    def find(p: Any, r: Any, c: Any) -> tuple[Charge] | None:
        if p["type"] in delegates or DELEGATED_BY in p:
            return None
        return known.get(key(p, r, c))

    def of_principal(p: Any, r: Any, c: Any) -> tuple[Charge] | None:
        """As `find`, without a call for the key."""
        type_, id_ = p["type"], p["id"]
        if type_ not in names or type(type_) is not str or type(id_) is not str or type(p) is not dict:
            return None
        return None if DELEGATED_BY in p else known.get((type_, id_))

    match one.limit.spec.by:
        case (Root(name="principal") as root,):
            names = _names(root) - delegates
            return of_principal
    return find


def _reads_entities(spec: LimitSpec) -> bool:
    """Whether it reads an attribute of an entity."""
    read = [spec.ceiling, *spec.by, *([spec.of] if spec.of is not None else [])]
    return any(isinstance(e, Attribute) and isinstance(e.base.type, EntityT) for expr in read for e in walk(expr))


def _charge(one: CompiledLimit, principal: Any, resource: Any, context: Any, now: int) -> tuple[Charge]:
    read = one.key(principal, resource, context)
    known = one.known.get(read)
    if known is not None and one.fixed:
        return known
    ceiling = one.ceiling(principal, resource, context)
    amount = MICRO if one.amount is None else one.amount(principal, resource, context)
    lies = one.window if one.window is not None else window(one.limit.spec, now)
    if known is not None:
        [charge] = known
        if charge.amount == amount and charge.ceiling == ceiling and charge.window is lies:
            return known
        meter, by = charge.meter, charge.by
    else:
        meter, by = key_of(one.limit, [_as_evaluated(part) for part in (read if one.several else (read,))])
        if len(one.known) >= REMEMBERED:
            one.known.clear()
    known = (Charge(meter, one.name, by, lies, ceiling, amount, one.block_for, one.advisory, one.share),)
    one.known[read] = known
    return known


def _as_evaluated(read: Any) -> Any:
    """The value of a key, as an evaluation returns it."""
    return to_json(Entity(Uid(*read), {})) if type(read) is tuple else read


# ---- compiling ----


def _compiled(limit: LimitRule, records: Records) -> CompiledLimit:
    spec = limit.spec
    keys = tuple(_key(expr, records) for expr in spec.by)
    fixed = isinstance(spec.ceiling, Const) and spec.of is None and not isinstance(spec.per, str)
    return CompiledLimit(
        limit,
        limit.rule.name,
        _each(keys),
        len(keys) != 1,
        _number(spec.ceiling, records, amounts.ceiling),
        None if spec.of is None else _number(spec.of, records, amounts.amount),
        None if isinstance(spec.per, str) else window(spec, 0),
        round(spec.block_for * SECOND),
        spec.advisory,
        share_of(spec),
        {},
        fixed,
    )


def _each(keys: tuple[Get, ...]) -> Get:
    if len(keys) == 1:
        return keys[0]
    return lambda p, r, c: tuple([key(p, r, c) for key in keys])


def _key(expr: Expr, records: Records) -> Get:
    """The value that identifies a key: a text, or an entity's type and id."""
    match expr:
        case Const(value=value) if type(value) is str:
            return lambda p, r, c: value
        case Root() | Attribute() if isinstance(expr.type, EntityT):
            return _identity(expr)
        case Attribute() if expr.type == STRING:
            return _attribute(expr, records)
    raise _Unusual


def _number(expr: Expr, records: Records, exact: Callable[[Any], int]) -> Get:
    """A number in millionths."""
    if isinstance(expr, Const):
        constant = exact(expr.value)
        return lambda p, r, c: constant
    if not isinstance(expr, Attribute) or expr.type not in (INT, NUMBER):
        raise _Unusual
    getter = _attribute(expr, records)

    def number(p: Any, r: Any, c: Any) -> int:
        value = getter(p, r, c)
        if not 0 <= value <= LARGEST:
            raise _Unusual
        return exact(value)

    return number


def _attribute(expr: Attribute, records: Records) -> Get:
    plain = _PLAIN.get(str(expr.type))
    base, name, owners = expr.base, expr.name, expr.owners
    if plain is None:
        raise _Unusual
    if isinstance(base.type, EntityT):
        entity = _entity(base)

        def of_entity(p: Any, r: Any, c: Any) -> Any:
            record = entity(p, r, c)
            type_ = record["type"]
            if owners is not None and type_ not in owners:
                raise _Unusual
            if type_ in records and record["id"] in records[type_]:
                # The source knows the entity, and its record takes precedence.
                raise _Unusual
            value = record[name]
            if type(value) not in plain:
                raise _Unusual
            return value

        return of_entity
    if not (isinstance(base, Attribute) and _is_context(base.base) and isinstance(base.type, RecordT)):
        raise _Unusual
    part = base.name

    def of_record(p: Any, r: Any, c: Any) -> Any:
        record = c[part]
        value = record[name]
        if type(record) is not dict or type(value) not in plain:
            raise _Unusual
        return value

    return of_record


_PLAIN = {str(STRING): (str,), str(INT): (int,), str(NUMBER): (int, float)}


def _identity(expr: Expr) -> Get:
    names = _names(expr)

    def identify(value: Any, _r: Any = None, _c: Any = None) -> tuple[str, str]:
        type_, id_ = value["type"], value["id"]
        if type_ not in names or type(type_) is not str or type(id_) is not str or type(value) is not dict:
            raise _Unusual
        return type_, id_

    return _from(expr, identify)


def _entity(expr: Expr) -> Get:
    """A raw entity, after a check that it is one."""
    names = _names(expr)

    def checked(value: Any, _r: Any = None, _c: Any = None) -> Any:
        type_ = value["type"]
        if type_ not in names or type(type_) is not str or type(value["id"]) is not str or type(value) is not dict:
            raise _Unusual
        return value

    return _from(expr, checked)


def _names(expr: Expr) -> frozenset[str]:
    """The possible types of the entity."""
    if not isinstance(expr.type, EntityT):
        raise _Unusual
    return expr.type.names


def _from(expr: Expr, identify: Callable[..., Any]) -> Get:
    """Applies `identify` to this part of a request; for the principal, the first part, without another call."""
    match expr:
        case Root(name="principal"):
            return identify
        case Root(name="resource"):
            return lambda p, r, c: identify(r)
        case Attribute(name=name, base=base) if _is_context(base):
            return lambda p, r, c: identify(c[name])
    raise _Unusual


def _is_context(expr: Expr) -> bool:
    return isinstance(expr, Root) and expr.name == "context"
