"""What the rules about a text need to know of it, so that nothing else is searched for.

It depends on the checked policies alone, and errs on the safe side: an expression that it does not understand reads
everything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from policyengine.detect.finding import covers
from policyengine.detect.registry import Registry
from policyengine.ir.footprint import expressions, footprint
from policyengine.ir.nodes import (
    And,
    Attribute,
    Call,
    Const,
    Contains,
    Equal,
    Expr,
    Has,
    Identity,
    Is,
    Local,
    Or,
    PolicySet,
    Quantifier,
    Root,
    Rule,
    Within,
)
from policyengine.ir.walk import children
from policyengine.model.types import RecordT

# Attributes of a text that need an inspection.
LOOKED_AT = frozenset({"findings", "found", "scores", "size", "text", "valid"})
KINDS, FOUND = "findings", "found"
KIND, TYPE = "kind", "type"
INPUT = "input"
# A member of a finding, and the word that it is compared with.
Compared = tuple[str, str]

# Orders about findings.
ORDERS = frozenset({"redact", "mask", "hash", "replace", "tokenize"})

IsSubject = Callable[[Expr], bool]


@dataclass(frozen=True, slots=True)
class Needs:
    """What these rules read: `attributes` of the text, `kinds` of findings; `all_kinds` if no kind is named. `compared`
    are the words that `kind` and `type` of a finding are compared with, each with the member. `rules` are those whose
    conditions or obligations need the whole text."""

    attributes: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    all_kinds: bool = False
    rules: tuple[str, ...] = ()
    compared: frozenset[Compared] = frozenset()

    def misnamed(self, known: Collection[str]) -> bool:
        """Whether a finding is compared with an impossible word: a `kind` with a dot, or a `type` that does not exist.
        Such a rule would never hold."""
        return any("." in word if name == KIND else word not in known for name, word in self.compared)

    @property
    def reads_whole_text(self) -> bool:
        """Whether deciding needs the whole text."""
        return bool(self.rules)


@dataclass
class _Reads:
    attributes: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    all_kinds: bool = False
    compared: set[Compared] = field(default_factory=set)


def output(expr: Expr) -> bool:
    """Whether the expression is the subject of rules about a text that is released."""
    return isinstance(expr, Root) and expr.name == "resource"


def model_input(expr: Expr) -> bool:
    """Whether the expression is the subject of rules about the input of a model."""
    return (
        isinstance(expr, Attribute)
        and expr.name == INPUT
        and isinstance(expr.base, Root)
        and expr.base.name == "context"
    )


def needs(rules: Iterable[Rule], subject: IsSubject) -> Needs:
    """What these rules, which may apply to one request, need to know of the text."""
    whole = _Reads()
    looking: list[str] = []
    for rule in rules:
        if subject is model_input and not _may_read_input(rule):
            continue
        reads = _Reads()
        for expr in expressions(rule):
            _read(expr, subject, reads)
        if reads.attributes & LOOKED_AT:
            looking.append(rule.name)
        whole.attributes |= reads.attributes
        whole.kinds |= reads.kinds
        whole.all_kinds |= reads.all_kinds
        whole.compared |= reads.compared
    return Needs(
        frozenset(whole.attributes),
        frozenset(whole.kinds),
        whole.all_kinds,
        tuple(looking),
        frozenset(whole.compared),
    )


def _may_read_input(rule: Rule) -> bool:
    """Whether the rule may read the input: many rules about calls of a model are not about texts."""
    asked = footprint(rule)
    return asked.reads(INPUT) or asked.elements


@dataclass(frozen=True, slots=True)
class TextNeeds:
    """What the rules about one kind of text need to know: `whole` is for all that are in force, `before` for those of
    them that hold a stream back, `cutting` for those that cut one, and `tried` for those in force and those on
    trial."""

    whole: Needs
    before: Needs
    cutting: Needs
    tried: Needs
    # The attributes that are needed without finders; None for all of them.
    measured: frozenset[str] | None = None

    @property
    def before_any(self) -> TextNeeds:
        """The needs before the first chunk: nothing has arrived for the rules that cut, and the others do not read the
        text."""
        return replace(self, tried=self.whole)


def text_needs(policies: PolicySet, action: str, resource_type: str, subject: IsSubject) -> TextNeeds:
    """What the rules about a text need to know of it."""
    rules = applying(policies.rules, action, resource_type)
    tried = applying(policies.tried, action, resource_type)
    whole = needs(rules, subject)
    every = needs([*rules, *tried], subject) if tried else whole
    # An approval is bound to everything that rules could read, and a limit evaluates its amount again later. A rule
    # that reads the text as a whole reads everything.
    bound = every.attributes >= LOOKED_AT or any(footprint(rule).approval or rule.kind == "limit" for rule in rules)
    return TextNeeds(
        whole,
        needs([rule for rule in rules if not rule.cuts], subject),
        needs([rule for rule in rules if rule.cuts], subject),
        every,
        None if bound else every.attributes,
    )


@dataclass(frozen=True, slots=True)
class OrdersGiven:
    """The orders that rules may give: about findings of these kinds, or to `withhold` a text; and the kinds that rules
    which cut a stream read."""

    kinds: frozenset[str]
    withhold: bool

    def hold(self, known: Registry) -> bool:
        """Whether a stream may have to wait for its end to carry out an order."""
        whole = [finder for finder in known.finders if finder.width is None]
        return self.withhold or any(
            covers(group, kind) for finder in whole for kind in finder.kinds for group in self.kinds
        )


def orders_given(policies: PolicySet, action: str, resource_type: str) -> OrdersGiven:
    """The orders that the rules about a text may give."""
    rules = applying(policies.rules, action, resource_type)
    given = [obligation for rule in rules for obligation in rule.obligations]
    named = {
        kind
        for obligation in given
        for name, value in obligation.properties
        if obligation.type in ORDERS and name == "kinds" and isinstance(value, Const)
        for kind in value.value
    }
    cutting = needs([rule for rule in rules if rule.cuts], output)
    return OrdersGiven(frozenset(named) | cutting.kinds, any(one.type == "withhold" for one in given))


def applying(rules: Sequence[Rule], action: str, resource_type: str) -> list[Rule]:
    """The rules that may apply to such a request."""
    return [
        rule
        for rule in rules
        if (rule.head.actions is None or action in rule.head.actions)
        and (rule.head.resource.types is None or resource_type in rule.head.resource.types)
    ]


def _read(expr: Expr, subject: IsSubject, reads: _Reads) -> None:
    match expr:
        case Contains(item=Const(value=str(kind)), collection=Attribute(base=base, name=name)) if (
            name == KINDS and subject(base)
        ):
            reads.attributes.add(KINDS)
            reads.kinds.add(kind)
        case Call(
            function="contains_any" | "contains_all", args=(Attribute(base=base, name=name), Const(value=those))
        ) if name == KINDS and subject(base):
            reads.attributes.add(KINDS)
            reads.kinds.update(those)
        case Quantifier(kind="any", slot=slot, collection=Attribute(base=base, name=name), body=body) if (
            name == FOUND and subject(base) and (kinds := _kinds(body, slot)) is not None
        ):
            reads.attributes.add(FOUND)
            reads.kinds |= kinds
            _read(body, subject, reads)
        case Attribute(base=base, name=name) | Has(base=base, name=name) if subject(base):
            reads.attributes.add(name)
            if name in (KINDS, FOUND) and isinstance(expr, Attribute):
                reads.all_kinds = True
        case Identity(base=base) | Is(entity=base) if subject(base):
            return
        case Within(entity=entity, target=target) if subject(entity):
            _read(target, subject, reads)
        case _ if subject(expr) or (isinstance(expr, Root) and expr.name == "context" and subject is model_input):
            # Read as a whole: any of its attributes may be read.
            reads.attributes |= LOOKED_AT
            reads.all_kinds = True
        case _:
            reads.compared |= _compared(expr)
            for part in children(expr):
                _read_part(expr, part, subject, reads)


def _read_part(parent: Expr, part: Expr, subject: IsSubject, reads: _Reads) -> None:
    """Reads a part of something other than the text itself. Another member of the context does not read the context as
    a whole."""
    if isinstance(parent, Attribute | Has) and isinstance(part, Root):
        return
    _read(part, subject, reads)


def _kinds(body: Expr, slot: int) -> frozenset[str] | None:
    """The kinds that a finding must have for the condition to hold; None if it may have any."""
    match body:
        case Equal(left=left, right=Const(value=str(kind)), negated=False) if _is_kind(left, slot):
            return frozenset({kind})
        case Equal(left=Const(value=str(kind)), right=right, negated=False) if _is_kind(right, slot):
            return frozenset({kind})
        case Contains(item=item, collection=Const(value=those)) if _is_kind(item, slot):
            return frozenset(those)
        case And(items=items):
            return next((kinds for item in items if (kinds := _kinds(item, slot)) is not None), None)
        case Or(items=items):
            each = [_kinds(item, slot) for item in items]
            known = [kinds for kinds in each if kinds is not None]
            return frozenset().union(*known) if len(known) == len(each) else None
    return None


def _is_kind(expr: Expr, slot: int) -> bool:
    return (
        isinstance(expr, Attribute)
        and expr.name in (KIND, TYPE)
        and isinstance(expr.base, Local)
        and expr.base.slot == slot
    )


def _compared(expr: Expr) -> frozenset[Compared]:
    """The words that this compares the kind or type of a finding with."""
    match expr:
        case (
            Equal(left=Attribute() as member, right=Const(value=str(word)))
            | Equal(left=Const(value=str(word)), right=Attribute() as member)
        ) if _of_finding(member):
            return frozenset({(member.name, word)})
        case Contains(item=Attribute() as member, collection=Const(value=words)) if _of_finding(member):
            return frozenset((member.name, word) for word in words)
    return frozenset()


def _of_finding(member: Attribute) -> bool:
    """Only findings have a detector."""
    return (
        member.name in (KIND, TYPE)
        and isinstance(member.base, Local)
        and isinstance(member.base.type, RecordT)
        and "detector" in dict(member.base.type.fields)
    )
