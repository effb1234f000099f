"""Hypothesis strategies for well-typed policies: a schema, definitions, and rules of every kind, as `.pol` text.

What they give is accepted by the checker; if it is not, that is a bug in one of the two, and `Policies.load` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from policyengine.bundle import Snapshot, load_text
from policyengine.model.types import (
    INT,
    NUMBER,
    STRING,
    EntityT,
    RecordField,
    RecordT,
    SetT,
    Type,
    element_of,
    entity,
    is_numeric,
    record,
)
from policyengine.schema.schema import Schema
from tests.support.declarations import Declared, declarations, types_of
from tests.support.expressions import Draw, Writer
from tests.support.requests import THEMES, Theme
from tests.support.scopes import Place, common_actions, joined_args
from tests.support.values import IDS, TEXTS

DEPTH = 3
KINDS = ("permit", "permit", "forbid", "require", "require", "require", "limit", "label")
# Never has a value, for any request.
ERRS = "9223372036854775807 + 1 == 0"


@dataclass(frozen=True, slots=True)
class RuleText:
    kind: str
    name: str
    head: str
    when: str = ""
    unless: str = ""
    because: str = ""
    tail: str = ""
    tried: bool = False

    @property
    def text(self) -> str:
        parts = [f"{self.kind} {self.name}: {self.head}"]
        parts += [f"  {word} {each}" for word, each in (("when", self.when), ("unless", self.unless)) if each]
        parts += [f'  because "{self.because}"'] if self.because else []
        parts += ["  on match log"] if self.tried else []
        parts += [f"  {self.tail}"] if self.tail else []
        return "\n".join(parts) + "\n"

    def erring(self) -> RuleText:
        """The rule with a condition that has no value before its own."""
        return replace(self, when=f"{ERRS} and ({self.when})" if self.when else ERRS)


@dataclass(frozen=True, slots=True, repr=False)
class Policies:
    declared: Declared
    defines: tuple[str, ...]
    rules: tuple[RuleText, ...]
    theme: Theme = THEMES[0]

    @property
    def schema(self) -> Schema:
        return self.declared.schema

    @property
    def text(self) -> str:
        return "\n".join((self.declared.text, *self.defines, "", *(rule.text for rule in self.rules)))

    def __repr__(self) -> str:
        return f"<<<\n{self.text}>>>"

    def with_rules(self, rules: Iterable[RuleText]) -> Policies:
        return replace(self, rules=tuple(rules))

    def load(self, entities: Sequence[dict[str, Any]] = ()) -> Snapshot:
        """The snapshot. Fails with the diagnostics and the text if the checker does not accept it."""
        loaded = load_text(self.text, entities=list(entities))
        if loaded.snapshot is None:
            found = "\n".join(
                f"{d.code.id} {d.span}: {d.message} [{d.span.text}]" for d in loaded.diagnostics if d.is_error
            )
            raise AssertionError(f"a generated policy was refused:\n{found}\n\n{self.text}")
        return loaded.snapshot


@st.composite
def policies(draw: Draw, min_rules: int = 1, max_rules: int = 6, json: bool = True, also: str = "") -> Policies:
    """Without `json` no rule reads data whose shape nobody declared. The last rule is of the kind `also`, if given."""
    declared = draw(declarations())
    defines = draw(_defines(declared.schema, json))
    callable_ = {name: types for name, types, _ in defines}
    # Each count as often as any other: drawn as an integer, most would be near the least.
    count = draw(st.sampled_from(range(min_rules, max_rules + 1)))
    theme = draw(st.sampled_from(THEMES))
    # A first rule that permits, so that what the others say makes a difference.
    kinds = ["permit", *(draw(st.sampled_from(KINDS)) for _ in range(count - 1)), *([also] if also else [])]
    rules = tuple(draw(rule(declared.schema, f"r{i}", callable_, theme, json, kinds[i])) for i in range(len(kinds)))
    return Policies(declared, tuple(text for _, _, text in defines), rules, theme)


@st.composite
def _defines(draw: Draw, schema: Schema, json: bool) -> list[tuple[str, tuple[Type, ...], str]]:
    made: list[tuple[str, tuple[Type, ...], str]] = []
    for i in range(draw(st.integers(0, 2))):
        count = draw(st.integers(0, 2))
        params = [
            draw(st.sampled_from((INT, STRING, entity("User"), entity("Doc"), SetT(STRING)))) for _ in range(count)
        ]
        roots: dict[str, Type] = {f"p{j}": t for j, t in enumerate(params)}
        roots["context"] = _context_type(schema)
        body = Writer(draw, Place(schema, roots, {n: t for n, t, _ in made}, None, json)).condition(2)
        shown = ", ".join(f"p{j}: {t}" for j, t in enumerate(params))
        made.append((f"d{i}", tuple(params), f"define d{i}{f'({shown})' if params else ''}: {body.text}"))
    return made


@st.composite
def rule(
    draw: Draw,
    schema: Schema,
    name: str,
    defines: Mapping[str, tuple[Type, ...]],
    theme: Theme,
    json: bool,
    kind: str,
) -> RuleText:
    head, place = draw(_head(schema, defines, theme, json))
    writer = Writer(draw, place)
    when = unless = because = ""
    shapes = ("when", "when", "when", "unless", "both", *(("bare",) * (0 if kind == "forbid" else 3)))
    shape = draw(st.sampled_from(shapes))
    if shape in ("when", "both"):
        condition = writer.condition(draw(st.sampled_from((0, 0, 1, 2, DEPTH))))
        when, writer = condition.text, writer.knowing(condition.true)
    if shape in ("unless", "both"):
        condition = writer.condition(draw(st.sampled_from((0, 1, 2))))
        unless, writer = condition.text, writer.knowing(condition.false)
    if draw(st.integers(0, 3)) == 3:
        because = f"{name} says so"
    return RuleText(kind, name, head, when, unless, because, _tail(writer, kind))


def _tail(writer: Writer, kind: str) -> str:
    if kind == "require":
        return writer.pick((_approval, *[_redact] * 3, *[_note] * 3, _step_up))(writer)
    if kind == "limit":
        return _limit(writer)
    return ""


def _approval(writer: Writer) -> str:
    return f'approval(by: Group::"{writer.pick(IDS)}"{writer.pick(("", ", within: 15m"))})'


def _redact(writer: Writer) -> str:
    kinds = ", ".join(f'"{k}"' for k in writer.pick((("email",), ("email", "secret"), ())))
    return f"{writer.pick(('', 'on deny '))}redact([{kinds}])"


def _step_up(writer: Writer) -> str:
    return f'{writer.pick(("", "on deny "))}step_up("{writer.pick(TEXTS)}") redact(["a"])'


def _note(writer: Writer) -> str:
    given = [f"text: {writer.value(STRING, 2).text}"]
    if writer.one_in(3):
        given.append(f"n: {writer.value(INT, 2).text}")
    people = writer.readable(lambda t: t == entity("User"))
    if people:
        given.append(f"who: {writer.pick(people).text}")
    data = writer.readable(lambda t: t == writer.place.schema.obligations["note"].params[-1][1].type)
    if data:
        given.append(f"data: {writer.pick(data).text}")
    return f"{writer.pick(('', '', 'on deny '))}note({', '.join(given)})"


def _limit(writer: Writer) -> str:
    keys = writer.readable(lambda t: not isinstance(t, RecordT) and element_of(t) is None)
    # A constant that is no more than nothing is refused, and so is a branch that is one.
    numbers = [p.text for p in writer.readable(is_numeric)]
    metered = ["2.5", *numbers, *(f"{one} + ({writer.value(NUMBER, 1).at(0)})" for one in numbers[:1])]
    of = writer.pick(("requests", f"of {writer.pick(metered)}"))
    by = ", ".join(p.text for p in {writer.pick(keys) for _ in range(writer.pick((1, 2)))})
    ceilings = ["60", "2.5", "0", *(p.text for p in writer.readable(is_numeric))]
    period = writer.pick(("1m", "month", "24h", 'day in "Europe/Berlin"'))
    what = writer.pick((f"{of} per {period}", f"{of} per {period}", "concurrent"))
    end = writer.pick(("", "", " then block for 10m", " on failure allow"))
    if what != "concurrent" and writer.pick((False, False, False, True)):
        over = {"1m": "5m", "24h": "72h"}.get(period, "90d")
        return f"at most 200% of the average over {over} {what} by {by} at least {writer.pick(ceilings)}{end}"
    return f"at most {writer.pick(ceilings)} {what} by {by}{end}"


# ---- heads ----


@st.composite
def _head(
    draw: Draw, schema: Schema, defines: Mapping[str, tuple[Type, ...]], theme: Theme, json: bool
) -> tuple[str, Place]:
    """A head, and what its rule can read."""
    about = [theme.action]
    names = draw(st.sampled_from((*[about] * 8, ["any"], ["read", "edit"], ["edit"], ["call"], ["ask/it"])))
    actions = sorted(schema.actions) if names == ["any"] else names
    everywhere = sorted(frozenset.intersection(*(schema.resources_of(a) for a in actions)))
    resources, principals = types_of(schema, actions)
    resource, types, tools = _resource(draw, everywhere, resources, theme)
    who, by = draw(
        st.sampled_from(
            (
                *[("", principals)] * 5,
                (" for User", ["User"]),
                (" for User", ["User"]),
                (" for Agent", ["Agent"]),
                ("in", ["User"]),
            )
        )
    )
    if who == "in":
        who = f" for User in {_group(draw)}"
    shown = ", ".join(n if n.isidentifier() else f'"{n}"' for n in names)
    roots: dict[str, Type] = {
        "principal": EntityT(frozenset(by)),
        "resource": EntityT(frozenset(types)),
        "action": common_actions(schema, actions),
        "context": _context_type(schema),
    }
    place = Place(schema, roots, defines, joined_args(schema, tools) if tools else None, json)
    return f"{shown} on {resource}{who}", place


def _resource(draw: Draw, everywhere: list[str], some: list[str], theme: Theme) -> tuple[str, list[str], list[str]]:
    """The resource of a head as text, the types it leaves possible, and the tools it names."""
    shapes = ["any", *["types"] * 5]
    shapes += ["entity", "in"] if {"Doc", "Folder", "User"} & set(everywhere) else []
    shapes += ["tool", "tool", "tool"] if "Tool" in everywhere else []
    shape = draw(st.sampled_from(shapes)) if everywhere else "any"
    match shape:
        case "types":
            first = theme.resource if theme.resource in everywhere else everywhere[0]
            types = sorted({first, *([draw(st.sampled_from(everywhere))] if draw(st.integers(0, 2)) == 2 else [])})
            return (types[0] if len(types) == 1 else f"[{', '.join(types)}]"), types, []
        case "entity":
            type_ = draw(st.sampled_from(sorted({"Doc", "Folder", "User"} & set(everywhere))))
            ids = draw(st.sampled_from((["e0"], ["e1"], ["e0", "e1"], ["e0", "e2"])))
            items = [f'{type_}::"{i}"' for i in ids]
            return (items[0] if len(items) == 1 else f"[{', '.join(items)}]"), [type_], []
        case "in":
            type_ = draw(st.sampled_from(sorted({"Doc", "Folder", "User"} & set(everywhere))))
            above = _group(draw) if type_ == "User" else f'Folder::"{draw(st.sampled_from(IDS))}"'
            return f"{type_} in {above}", [type_], []
        case "tool":
            ids = draw(st.sampled_from((["send"], ["find it"], ["find it", "send"], ["undeclared"])))
            items = [f'Tool::"{i}"' for i in ids]
            return (items[0] if len(items) == 1 else f"[{', '.join(items)}]"), ["Tool"], ids
    return "any", some, []


def _context_type(schema: Schema) -> RecordT:
    """The context, without an agent to rely on: most requests have none."""
    fields = dict(schema.context_type(frozenset({"ai", "policy"})).fields)
    return record({**fields, "agent": RecordField(fields["agent"].type, True)})


def _group(draw: Draw) -> str:
    names = draw(st.sampled_from((("Team",), ("Group",), ("Team", "Group"))))
    items = [f'{n}::"{draw(st.sampled_from(IDS))}"' for n in names]
    return items[0] if len(items) == 1 else f"[{', '.join(items)}]"
