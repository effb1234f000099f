"""`test` statements: from a tree to plain values and an expectation.

A test is one request, several in order, or a table: one request for each `case`, with the values of its columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

from policyengine.check.environment import Findings, Place
from policyengine.check.stated import check_arguments, entity_of, root_of
from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Note
from policyengine.diagnostics.source import Span
from policyengine.diagnostics.suggest import did_you_mean, one_of
from policyengine.ir.cases import Step, TestCase
from policyengine.schema.constants import constant_record
from policyengine.syntax import ast
from policyengine.syntax.walk import mentions

SESSION = "session"
# So much of a table's line is part of the test's name.
_LINE = 60
_FAILURES: Mapping[str, Literal["missing", "erred"]] = {"missing": "missing", "erred": "erred"}


@dataclass(frozen=True, slots=True)
class KnownNames:
    """The names that a test may use: every rule, and the fixtures that its module sees. `used` collects the fixtures in
    use."""

    rules: frozenset[str]
    fixtures: Mapping[str, ast.Fixture]
    used: set[str] = field(default_factory=set)


def check_test(tree: ast.Test, place: Place, known: KnownNames) -> tuple[TestCase, ...]:
    """The test as plain values, one for each line of its table. Empty, with a finding, if the test cannot run."""
    items = _spliced(tree.items, place, known)
    if items is None:
        return ()
    lines = [item for item in items if isinstance(item, ast.Case)]
    rest = tuple(item for item in items if not isinstance(item, ast.Case))
    if not lines:
        case = _read(tree, rest, {}, place, known)
        return (case,) if case is not None else ()
    asks = [item for item in rest if isinstance(item, ast.Ask)]
    for item in [*asks[1:], *(item for item in rest if isinstance(item, ast.Expect | ast.After))]:
        _bad(place, item.span, "a test with a table has only one request", "each `case` says what it expects")
        return ()
    cases = []
    columns = _columns(lines[0], place)
    _check_columns(lines, columns, rest, place)
    for line in lines:
        names = constant_record(line.values, place.findings.diagnostics)
        case = _read(tree, (*rest, line.expect), names, place, known)
        if case is not None:
            shown = " ".join(line.values.span.text.split()).removeprefix("{").removesuffix("}").strip()
            shown = shown if len(shown) <= _LINE else f"{shown[: _LINE - 3]}..."
            cases.append(replace(case, name=f"{case.name} {shown}", span=line.span))
    return tuple(cases)


def _bad(place: Place, at: Span, message: str, help_: str = "", *notes: Note) -> None:
    place.findings.report(codes.BAD_TEST, at, message, "", help_, *notes)


# ---- tables and fixtures ----


def check_fixture(tree: ast.Fixture, findings: Findings) -> None:
    """Checks that a fixture only states things and asks nothing."""
    for item in tree.items:
        if not isinstance(item, ast.Given | ast.Approved):
            message = f"the fixture `{tree.name.text}` may only state what tests share"
            findings.report(codes.BAD_TEST, item.span, message, "", "move this line to the tests that use it")


def _spliced(items: Iterable[ast.TestItem], place: Place, known: KnownNames) -> tuple[ast.TestItem, ...] | None:
    """The items, with each fixture replaced by its content; None, with a finding, if there is no such fixture."""
    spliced: list[ast.TestItem] = []
    whole = True
    for item in items:
        if not isinstance(item, ast.UseFixture):
            spliced.append(item)
            continue
        for name in item.fixtures:
            fixture = known.fixtures.get(name.text)
            if fixture is None:
                help_ = did_you_mean(name.text, known.fixtures) or "declare it: `fixture NAME { principal ... }`"
                _bad(place, name.span, f"unknown fixture `{name.text}`", help_)
                whole = False
                continue
            known.used.add(name.text)
            spliced += (stated for stated in fixture.items if isinstance(stated, ast.Given | ast.Approved))
    return tuple(spliced) if whole else None


def _columns(line: ast.Case, place: Place) -> tuple[str, ...]:
    for entry in line.values.entries:
        if entry.key.text in ("true", "false", "null"):
            _bad(place, entry.key.span, f"`{entry.key.text}` is a value and cannot name a column")
    return tuple(entry.key.text for entry in line.values.entries)


def _check_columns(lines: Sequence[ast.Case], columns: tuple[str, ...], items: Sequence[Any], place: Place) -> None:
    """Checks that every line has the columns of the first line, and that every column is used."""
    for line in lines[1:]:
        named = {entry.key.text for entry in line.values.entries}
        for missing in (name for name in columns if name not in named):
            _bad(place, line.values.span, f"this case has no `{missing}`", "every case has the same columns")
        for entry in line.values.entries:
            if entry.key.text not in columns:
                help_ = did_you_mean(entry.key.text, columns) or "every case has the same columns"
                _bad(place, entry.key.span, f"the first case has no `{entry.key.text}`", help_)
    records = [record for item in items for record in _records(item)]
    for entry in lines[0].values.entries:
        if not any(mentions(record, entry.key.text) for record in records):
            message = f"nothing in this test reads the column `{entry.key.text}`"
            _bad(place, entry.key.span, message, "write its name where its value is needed")


def _records(item: ast.TestItem) -> Iterator[ast.RecordLit]:
    values: list[object] = []
    match item:
        case ast.Given(value=value):
            values = [value]
        case ast.Ask(attributes=attributes, resource=resource):
            values = [attributes, resource]
    for stated in values:
        record = stated.attributes if isinstance(stated, ast.EntityValue) else stated
        if isinstance(record, ast.RecordLit):
            yield record


# ---- the requests, in order ----


@dataclass(slots=True)
class _Stated:
    """What has been stated so far. `since` holds what was stated since the last request, so that nothing is stated
    twice."""

    names: Mapping[str, Any]
    principal: dict[str, Any] | None = None
    context: dict[str, Any] = field(default_factory=dict)
    entities: list[dict[str, Any]] = field(default_factory=list)
    approved: tuple[str, ...] = ()
    since: dict[str, Span] = field(default_factory=dict)
    after: int = 0


def _read(
    tree: ast.Test, items: Sequence[ast.TestItem], names: Mapping[str, Any], place: Place, known: KnownNames
) -> TestCase | None:
    asks = [item for item in items if isinstance(item, ast.Ask)]
    expects = [item for item in items if isinstance(item, ast.Expect)]
    principals = [item for item in items if isinstance(item, ast.Given) and item.name.text == "principal"]
    for what, example, statement in (
        ("principal", 'principal User::"ann" { ... }', principals),
        ("request", 'retrieve on Document::"d1" { ... }', asks),
        ("decision", "expect allow by RULE", expects),
    ):
        if not statement:
            _bad(place, tree.name.span, f"a test needs a {what}", f"such as `{example}`")
            return None
    several = len(asks) > 1 or len(expects) > 1
    if not several:
        # One request: what stands where in the test means nothing.
        items = [*(i for i in items if not isinstance(i, ast.Ask | ast.Expect)), asks[0], expects[0]]
    stated = _Stated(names)
    steps: list[Step] = []
    pending: ast.Ask | None = None
    for item in items:
        match item:
            case ast.Given():
                if not _given(item, stated, bool(steps or pending), place):
                    return None
            case ast.Approved(rules=named):
                stated.approved = tuple(sorted({*stated.approved, *(_rules(named, place, known) or ())}))
            case ast.After(duration=duration, span=span):
                if not steps or pending:
                    _bad(place, span, "`after` belongs between two steps", "a step is a request and its `expect`")
                    return None
                stated.after += _microseconds(duration)
            case ast.Ask():
                if pending is not None:
                    _bad(
                        place,
                        pending.span,
                        "a request without `expect`",
                        "each step ends with the decision that it expects",
                    )
                    return None
                pending = item
            case ast.Expect():
                if pending is None:
                    _bad(place, item.span, "`expect` without a request before it", "one `expect` for each request")
                    return None
                if stated.principal is None:
                    _bad(place, tree.name.span, "the principal must come before the first request")
                    return None
                steps.append(_step(pending, item, stated, place, known))
                pending, stated.since, stated.after = None, {}, 0
    if pending is not None:
        _bad(place, pending.span, "a request without `expect`", "each step ends with the decision that it expects")
        return None
    session = _session(items, place) if several else None
    if several:
        steps = [replace(step, context={k: v for k, v in step.context.items() if k != SESSION}) for step in steps]
    return TestCase(str(tree.name.value), place.module, tuple(stated.entities), tuple(steps), tree.span, session)


def _microseconds(duration: ast.Literal) -> int:
    assert isinstance(duration.value, timedelta)
    return duration.value // timedelta(microseconds=1)


def _given(given: ast.Given, stated: _Stated, begun: bool, place: Place) -> bool:
    """Takes in a statement. False, with a finding, if the test cannot run with it."""
    name, value = given.name.text, given.value
    if name == "entity":
        if begun:
            _bad(place, given.span, "entities must come before the first request", "move it there")
            return False
        if isinstance(value, ast.EntityValue):
            stated.entities.append(entity_of(value, place, stated.names))
        return True
    if name == "principal":
        if not isinstance(value, ast.EntityValue):
            _bad(place, given.span, "the principal must be an entity", 'write `principal User::"id" {...}`')
            return False
        entities: dict[str, Any] = {name: entity_of(value, place, stated.names)}
    else:
        entities = root_of(given, place, stated.names)
    for part in entities:
        if part in stated.since:
            note = Note(stated.since[part], "first stated here")
            what = "a test has only one principal" if part == "principal" else f"`{part}` is stated twice"
            _bad(place, given.span, what, "leave one of them out, or write a second test", note)
            return False
        stated.since[part] = given.span
    if name == "principal":
        stated.principal = entities[name]
    else:
        stated.context |= entities
    return True


def _step(ask: ast.Ask, expect: ast.Expect, stated: _Stated, place: Place, known: KnownNames) -> Step:
    names = stated.names
    action = constant_record(ask.attributes, place.findings.diagnostics, names)
    if ask.action.text not in place.schema.actions:
        help_ = did_you_mean(ask.action.text, place.schema.actions)
        message = f"unknown action `{ask.action.text}`"
        place.findings.report(codes.UNKNOWN_ACTION, ask.action.span, message, "", help_)
    if expect.decision == "allow":
        check_arguments(ask, place, names)
    reason, failure = _because(expect, place)
    assert stated.principal is not None
    return Step(
        principal=stated.principal,
        action={**action, "name": ask.action.text},
        resource=entity_of(ask.resource, place, names),
        context=dict(stated.context),
        decision=expect.decision,
        rules=_rules(expect.rules, place, known),
        obligations=_owing(expect.obligations, place) if expect.obligations is not None else None,
        span=ask.span,
        approved=stated.approved,
        reason=reason,
        failure=failure,
        after=stated.after,
    )


def _session(items: Sequence[ast.TestItem], place: Place) -> tuple[str, tuple[str, ...]] | None:
    """The session that the steps share: its id, and the labels that it starts with."""
    given = [item for item in items if isinstance(item, ast.Given) and item.name.text == SESSION]
    for item in items:
        if isinstance(item, ast.Given) and item.name.text == "context" and isinstance(item.value, ast.RecordLit):
            for entry in item.value.entries:
                if entry.key.text == SESSION:
                    help_ = 'write `session Session::"s1"`'
                    _bad(place, entry.span, "in a test with several steps the session is stated on its own", help_)
    if not given:
        return None
    if len(given) > 1:
        _bad(place, given[1].span, "the steps of a test share one session", "write a second test")
        return None
    value = given[0].value
    stated = constant_record(value.attributes, []) if isinstance(value, ast.EntityValue) else {}
    labels = stated.get("labels", [])
    texts = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    if not isinstance(value, ast.EntityValue) or not texts or stated.keys() - {"labels"} or value.parents:
        help_ = 'such as `session Session::"s1" { labels: ["saw_web"] }`; the steps set the rest'
        _bad(place, given[0].span, "a shared session starts with labels and nothing else", help_)
        return None
    return value.entity.id.text, tuple(labels)


# ---- what is expected ----


def _because(expect: ast.Expect, place: Place) -> tuple[str | None, Literal["missing", "erred"] | None]:
    """The public reason, or the error that must have occurred."""
    match expect.because:
        case None:
            return None, None
        case ast.Literal(value=value):
            return str(value), None
        case ast.Name(text=word, span=span):
            if word not in _FAILURES:
                help_ = did_you_mean(word, _FAILURES) or "`missing`, `erred`, or a reason in quotes"
                _bad(place, span, f"unknown cause `{word}`", help_)
                return None, None
            if expect.decision == "allow":
                _bad(place, span, f"`allow` cannot be expected because of what is {word}", "expect `deny`")
            return None, _FAILURES[word]


def _owing(names: tuple[ast.Name, ...], place: Place) -> tuple[str, ...]:
    known = place.schema.obligations
    for name in names:
        if name.text not in known:
            help_ = did_you_mean(name.text, known) or f"known: {one_of(known)}"
            message = f"unknown obligation `{name.text}`"
            place.findings.report(codes.UNKNOWN_OBLIGATION, name.span, message, "", help_)
    return tuple(name.text for name in names)


def _rules(names: tuple[ast.Name, ...] | None, place: Place, known: KnownNames) -> tuple[str, ...] | None:
    if names is None:
        return None
    rule_names = []
    for name in names:
        local = f"{place.module}.{name.text}"
        full = local if local in known.rules else name.text
        if full not in known.rules:
            mine = [r.removeprefix(f"{place.module}.") for r in known.rules]
            help_ = did_you_mean(name.text, mine) or f"known: {one_of(mine)}" if mine else ""
            place.findings.report(codes.UNKNOWN_RULE, name.span, f"unknown rule `{name.text}`", "", help_)
        rule_names.append(full)
    return tuple(sorted(rule_names))
