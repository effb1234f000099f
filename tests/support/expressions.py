"""A hypothesis strategy for well-typed expressions, as text.

In: a Place, and a type. Out: text of an expression of that type that the checker accepts there, written with no more
parentheses than the grammar needs. What `has` and `is` establish is carried through `and`, `or`, `not`, `if` and into
quantifiers, as the checker carries it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from policyengine.model.types import (
    BOOL,
    DURATION,
    INT,
    IP,
    JSON,
    NUMBER,
    STRING,
    TIME,
    EntityT,
    ListT,
    Prim,
    RecordT,
    SetT,
    Type,
    element_of,
    is_numeric,
)
from tests.support.scopes import NO_FACTS, Facts, Path, Place, member, written
from tests.support.values import ADDRESSES, DURATIONS, IDS, INTS, KNOWN, NUMBERS, RANGES, TEXTS, TIMES

# How tightly the outermost operator of a text binds; OPEN reaches as far to the right as it can.
OPEN, OR, AND, NOT, COMPARISON, SUM, PRODUCT, UNARY, POSTFIX = range(9)

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True, slots=True)
class Text:
    """An expression, and what is established once it turned out true or false."""

    text: str
    level: int = POSTFIX
    true: Facts = NO_FACTS
    false: Facts = NO_FACTS
    # How loosely an OPEN text binds to what is written before it.
    left: int = NOT

    def at(self, level: int) -> str:
        """The text as an operand of something that binds at this level."""
        return self.text if self.level >= level else f"({self.text})"


_HOSTS = '"evil.test", "a.example"'
_GIVEN = {"url_host": _HOSTS, "email_domain": _HOSTS, "url_scheme": '"https", "ftp"'}


@dataclass(frozen=True, slots=True)
class Writer:
    """Draws expressions at one point of a rule."""

    draw: Draw
    place: Place
    facts: Facts = NO_FACTS
    locals: tuple[tuple[str, Type], ...] = ()

    def knowing(self, facts: Facts) -> Writer:
        return replace(self, facts=self.facts | facts)

    def pick(self, options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def one_in(self, n: int) -> bool:
        return self.draw(st.integers(0, n - 1)) == n - 1

    # ---- what can be read here ----

    def readable(self, wanted: Callable[[Type], bool]) -> list[Path]:
        paths = self.place.paths(self.facts, self.locals)
        return [p for p in paths if not p.missing and (self.place.json or p.type != JSON) and wanted(p.type)]

    def testable(self) -> list[str]:
        """The next test on the way to something that cannot be read yet."""
        return sorted({p.missing[0] for p in self.place.paths(self.facts, self.locals) if p.missing})

    # ---- conditions ----

    def condition(self, depth: int) -> Text:
        """An expression of type Bool."""
        if depth <= 0:
            return self._test()
        kind = self.pick(
            ("test", "test", "test", "and", "and", "guarded", "or", "not", "if", "quantifier", "quantifier", "define")
        )
        match kind:
            case "and" | "guarded":
                left = self._presence() if kind == "guarded" else self.condition(depth - 1)
                right = self.knowing(left.true).condition(depth - 1)
                return self._chain("and", AND, left, right, left.true | right.true, NO_FACTS)
            case "or":
                left = self.condition(depth - 1)
                right = self.knowing(left.false).condition(depth - 1)
                return self._chain("or", OR, left, right, NO_FACTS, left.false | right.false)
            case "not":
                inner = self.condition(depth - 1)
                if inner.level == OPEN and inner.left >= NOT:
                    return Text(f"not {inner.text}", OPEN, inner.false, inner.true)
                return Text(f"not {inner.at(NOT)}", NOT, inner.false, inner.true)
            case "if":
                test = self.condition(depth - 1)
                yes = self.knowing(test.true).condition(depth - 1)
                no = self.knowing(test.false).condition(depth - 1)
                return Text(f"if {test.text} then {yes.text} else {no.text}", OPEN)
            case "quantifier":
                return self._quantifier(depth)
            case "define" if self.place.defines:
                name = self.pick(sorted(self.place.defines))
                args = [self.value(t, depth - 1) for t in self.place.defines[name]]
                # The definition may compare it with what a function gives, and this text can come from any of them.
                args = [Text('"a"') if arg.text.startswith('"') else arg for arg in args]
                return Text(f"{name}({', '.join(a.text for a in args)})" if args else name)
        return self._test()

    def _chain(self, op: str, level: int, left: Text, right: Text, true: Facts, false: Facts) -> Text:
        # What follows `else` or `:` takes all that comes after it, so it can only stand at the end.
        if right.level == OPEN and right.left > level:
            return Text(f"{left.at(level)} {op} {right.text}", OPEN, true, false, level)
        return Text(f"{left.at(level)} {op} {right.at(level + 1)}", level, true, false)

    def _presence(self) -> Text:
        """`has` or `is`: something that makes more readable."""
        tests = self.testable()
        entities = [
            p for p in self.readable(lambda t: isinstance(t, EntityT) and len(t.names) > 1) if "(" not in p.text
        ]
        if entities and (not tests or self.one_in(3)):
            path = self.pick(entities)
            assert isinstance(path.type, EntityT)
            name = self.pick(sorted(path.type.names))
            yes, no = frozenset({f"{path.text} is {name}"}), frozenset({f"{path.text} isnt {name}"})
            return Text(f"{path.text} is {name}", COMPARISON, yes, no)
        if tests:
            test = self.pick(tests)
            return Text(test, COMPARISON, frozenset({test}))
        return self._test()

    def _quantifier(self, depth: int) -> Text:
        collections = self.readable(lambda t: element_of(t) is not None or t == JSON)
        if not collections:
            return self._test()
        path = self.pick(collections)
        name = f"v{len(self.locals)}"
        if self.one_in(8) and isinstance(path.type, ListT) and _comparable(path.type.element):
            other = self.pick(self.readable(lambda t: t == path.type)).text
            test = f"{name}.first {self.pick(('==', '!='))} {name}.second"
            return Text(f"{self.pick(('any', 'all'))} {name} in pairs({path.text}, {other}): {test}", OPEN)
        inside = replace(self, locals=(*self.locals, (name, element_of(path.type) or JSON)))
        body = _using(inside.condition(depth - 1), name, element_of(path.type) or JSON, set(self.place.defines))
        return Text(f"{self.pick(('any', 'all'))} {name} in {path.text}: {body.text}", OPEN)

    def _test(self) -> Text:
        """One comparison."""
        options = self._tests()
        return self.pick(options)()

    def _tests(self) -> list[Callable[[], Text]]:
        found: list[Callable[[], Text]] = [self._equal, self._equal, self._order, self._member, self._text_test]
        if self.readable(lambda t: t == BOOL):
            found.append(lambda: Text(self.pick(self.readable(lambda t: t == BOOL)).text))
        if self.testable() or self.one_in(4):
            found.append(self._presence)
        if self.readable(lambda t: isinstance(t, EntityT)):
            found.append(self._hierarchy)
        if self.readable(lambda t: t == JSON):
            found += [self._json, self._json, self._json]
        if self.readable(_of_json) and self.place.json:
            found += [self._json_collection, self._json_collection]
        if self.readable(lambda t: t == IP):
            found.append(self._address)
        if self.place.tool_args is not None and self.place.tool_args.fields:
            found += [self._sources, self._source_of_element]
        if self.readable(lambda t: element_of(t) is not None):
            found.append(self._collections)
        if self.one_in(6):
            found += [self._clock, self._named_by_text, self._texts]
        if self.one_in(20):
            found.append(lambda: Text(self.pick(("true", "false"))))
            found.append(
                lambda: Text(f'action.name {self.pick(("==", "!="))} "{self.pick(("read", "call"))}"', COMPARISON)
            )
        return found

    def _equal(self) -> Text:
        paths = self.readable(_comparable)
        if not paths:
            return Text("1 == 1", COMPARISON)
        path = self.pick(paths)
        left, right = Text(path.text), self.value(path.type, 1)
        if self.one_in(4) and not _literal(right.text):
            left, right = right, left
        return Text(f"{left.at(SUM)} {self.pick(('==', '!='))} {right.at(SUM)}", COMPARISON)

    def _order(self) -> Text:
        type_ = self.pick((INT, NUMBER, INT, TIME, DURATION))
        left, right = self.value(type_, 1), self.value(type_, 1)
        return Text(f"{left.at(SUM)} {self.pick(('<', '<=', '>', '>='))} {right.at(SUM)}", COMPARISON)

    def _member(self) -> Text:
        paths = self.readable(lambda t: element_of(t) is not None and _comparable(element_of(t)))
        if not paths or self.one_in(4):
            type_ = self.pick((INT, STRING))
            item = self.value(type_, 1)
            # What a function never gives is refused.
            given = _GIVEN.get(item.text.partition("(")[0])
            if given is not None:
                return Text(f"{item.text} in [{given}]", COMPARISON)
            items = ", ".join(self.value(type_, 0).text for _ in range(self.pick((1, 2, 3))))
            return Text(f"{item.at(SUM)} in [{items}]", COMPARISON)
        path = self.pick(paths)
        element = element_of(path.type)
        assert element is not None
        if element_of(element) is not None:
            # A literal list is not a set, so an element that is one can only be read.
            inner = self.readable(lambda t: t == element)
            return Text(f"{self.pick(inner).text} in {path.text}", COMPARISON) if inner else self._equal()
        item = self.value(element, 1)
        if item.text.startswith("url_host("):
            # Hosts are not looked for in what a request supplies.
            item = self.value(element, 0)
        return Text(f"{item.at(SUM)} in {path.text}", COMPARISON)

    def _collections(self) -> Text:
        paths = self.readable(lambda t: element_of(t) is not None and _comparable(element_of(t)))
        if not paths:
            return self._equal()
        path = self.pick(paths)
        function = self.pick(("contains_any", "contains_all"))
        element = element_of(path.type)
        same = self.readable(lambda t: element_of(t) == element)
        among = path.text
        if self.one_in(4):
            among = f"union({path.text}, {self.pick(same).text})"
            if self.one_in(3):
                return Text(f"size({among}) {self.pick(('>', '=='))} 1", COMPARISON)
        if self.one_in(2) or not _has_literals(element) or element_of(element) is not None:
            return Text(f"{function}({among}, {self.pick(same).text})")
        items = ", ".join(self.value(element, 0).text for _ in range(self.pick((0, 1, 2))))
        return Text(f"{function}({among}, [{items}])")

    def _hierarchy(self) -> Text:
        path = self.pick(self.readable(lambda t: isinstance(t, EntityT)))
        assert isinstance(path.type, EntityT)
        schema = self.place.schema
        above = sorted({t for n in path.type.names for t in {n} | schema.ancestors_of(n)})
        target = EntityT(frozenset({self.pick(above)}))
        if self.one_in(3):
            items = ", ".join(self.value(target, 0).text for _ in range(self.pick((1, 2))))
            return Text(f"{path.text} in [{items}]", COMPARISON)
        return Text(f"{path.text} in {self.value(target, 1).at(SUM)}", COMPARISON)

    def _text_test(self) -> Text:
        text = self.value(STRING, 1)
        match self.pick(("like", "starts", "matches", "path")):
            case "like":
                pattern = self.pick(("*", "a*", "*@acme.com", "*a*", "**", "a*b*", ""))
                return Text(f'{text.at(SUM)} like "{pattern}"', COMPARISON)
            case "starts":
                function = self.pick(("starts_with", "ends_with", "contains"))
                return Text(f"{function}({text.text}, {self.value(STRING, 0).text})")
            case "matches":
                function = self.pick(("matches", "search"))
                return Text(f'{function}({text.text}, "{self.pick(("a+", "[a-z]*", ".*", "(?i)ACME", "acme|b"))}")')
        recorded = self._recorded(STRING)
        folder = self.pick(recorded) if recorded and self.one_in(2) else f'"{self.pick(("/", "/srv", "/srv/data"))}"'
        return Text(f"path_under({text.text}, {folder})")

    def _recorded(self, *wanted: Type) -> list[str]:
        """What an entity source may have of the entities of a request."""
        own = [p.text for p in self.readable(lambda t: t in wanted) if p.text.count(".") == 1 or ".boss." in p.text]
        # A request may supply everything else.
        return [
            t for t in own if t.startswith(("principal.", "spot.", "resource.s")) and not t.endswith((".id", ".type"))
        ]

    def _address(self) -> Text:
        return Text(f'{self.value(IP, 1).at(POSTFIX)}.in_range("{self.pick(RANGES)}")')

    def _sources(self) -> Text:
        args = self.place.tool_args
        assert args is not None
        name = self.pick([name for name, _ in args.fields])
        path = next(p for p in self.place.paths(self.facts, self.locals) if p.text.startswith("resource.args"))
        field = args.get(name)
        assert field is not None
        test = f"{path.text} has {written(name)}"
        source = f'"{self.pick(("user", "model", "untrusted", "unknown"))}" in sources({path.text}{member(name)})'
        if field.optional and test not in self.facts:
            return Text(f"{test} and {source}", AND)
        return Text(source, COMPARISON)

    def _source_of_element(self) -> Text:
        """Where an element of an argument came from."""
        lists = [p for p in self.readable(lambda t: element_of(t) is not None) if p.text.startswith("resource.args.")]
        if not lists:
            return self._sources()
        source = f'"{self.pick(("user", "model", "untrusted", "unknown"))}" in sources(w)'
        return Text(f"{self.pick(('any', 'all'))} w in {self.pick(lists).text}: {source}", OPEN)

    def _clock(self) -> Text:
        time, zone = self.value(TIME, 1), self.pick(("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"))
        match self.pick(("time_of_day", "weekday", "date")):
            case "time_of_day":
                op, length = self.pick(("<", ">=")), self.value(DURATION, 1)
                return Text(f'time_of_day({time.text}, "{zone}") {op} {length.at(SUM)}', COMPARISON)
            case "weekday":
                return Text(f'weekday({time.text}, "{zone}") in ["sat", "sun", "fri"]', COMPARISON)
        return Text(f'date({time.text}, "{zone}") != "2026-01-31"', COMPARISON)

    def _named_by_text(self) -> Text:
        """An entity with an id out of the request, which the source may not know."""
        type_ = self.pick(("User", "Team"))
        texts = [p.text for p in self.readable(lambda t: t == STRING)] + [f'"{i}"' for i in KNOWN]
        made = f"{type_}::({self.pick(texts)})"
        return Text(self.pick((f'{made} in Team::"{self.pick(KNOWN)}"', f'{made}.id != "a"')), COMPARISON)

    def _texts(self) -> Text:
        paths = [path for path in self.readable(lambda t: True) if path.text != "action"]
        if not paths:
            return self._equal()
        found = f"texts({self.pick(paths).text})"
        return Text(
            self.pick((f'"a" in {found}', f'contains_any({found}, ["acme", "b"])', f"size({found}) > 1")), COMPARISON
        )

    def _json(self) -> Text:
        """Operators on data whose shape nobody declared; many have no value for many requests."""
        data = self.pick(self.readable(lambda t: t == JSON)).text
        return self.pick(
            (
                Text(f"{data} == null", COMPARISON),
                Text(f'{data} has k and {data}.k == "{self.pick(TEXTS)}"', AND),
                Text(f"{data} has k", COMPARISON),
                Text(f"{data} has k.a", COMPARISON),
                Text(f"{data}.n > {self.pick(INTS[:5])}", COMPARISON),
                Text(f"{data}.n + 1 == {data}.n", COMPARISON),
                Text(f'{data} == "a"', COMPARISON),
                Text(f"{data} == {self.pick(INTS[:5])}", COMPARISON),
                Text(f'"a" in {data}', COMPARISON),
                Text(f"{data} == [1, 2]", COMPARISON),
                Text(f'contains_any({data}, ["a", "b"])'),
                Text(f"size({data}) > 1", COMPARISON),
                Text(f"{data}.t < {self.value(TIME, 0).text}", COMPARISON),
                Text(f'{data}.u == User::"{self.pick(IDS)}"', COMPARISON),
                Text(f"{data} == {data}", COMPARISON),
                Text(f"{data}.flag"),
                Text(f"{data} has [{self.value(STRING, 0).text}]", COMPARISON),
                Text(f'{data}[{self.value(STRING, 0).text}] == "{self.pick(TEXTS)}"', COMPARISON),
                Text(f'starts_with({data}.k, "a")'),
                Text(f'ip({data}.ip).in_range("10.0.0.0/8")'),
            )
        )

    def _json_collection(self) -> Text:
        """A collection whose elements nobody declared, and something of a type, which each of them has to have then."""
        among = self.pick(self.readable(_of_json)).text
        data = self.readable(lambda t: t == JSON)
        if data and self.one_in(3):
            among = f"[{self.pick(data).text}.{self.pick(('k', 'n', 'u'))}, {self.pick(data).text}.k]"
        type_ = self.pick((STRING, STRING, INT, NUMBER, TIME, IP, EntityT(frozenset({"User"}))))
        item = self.value(type_, 0)
        match self.pick(("in", "in", "any", "all", "equal")):
            case "in":
                return Text(f"{item.at(SUM)} in {among}", COMPARISON)
            case "equal" if not among.startswith("["):
                return Text(f"{among} {self.pick(('==', '!='))} [{self._literal(type_).text}]", COMPARISON)
            case "any":
                return Text(f"contains_any({among}, [{item.text}])")
        return Text(f"contains_all({among}, [{item.text}])")

    # ---- values ----

    def value(self, type_: Type, depth: int) -> Text:
        """An expression of the type, or of one that fits where it is wanted."""
        paths = self.readable(lambda t: t == type_ or (type_ == NUMBER and t == INT) or _narrower(t, type_))
        if depth > 0 and self.one_in(3):
            made = self._computed(type_, depth)
            if made is not None:
                return made
        if paths and (not _has_literals(type_) or self.one_in(2)):
            return Text(self.pick(paths).text)
        return self._literal(type_)

    def _computed(self, type_: Type, depth: int) -> Text | None:
        if self.one_in(4) and not isinstance(type_, RecordT):
            test = self.condition(0)
            yes, no = self.knowing(test.true).value(type_, 0), self.knowing(test.false).value(type_, 0)
            if not isinstance(type_, EntityT | SetT | ListT) and type_ != JSON:
                return Text(f"if {test.text} then {yes.text} else {no.text}", OPEN)
        if is_numeric(type_):
            return self._number(type_, depth)
        match type_:
            case Prim(name="Bool"):
                return Text(f"({self.condition(depth - 1).text})")
            case Prim(name="String"):
                return self._string(depth)
            case Prim(name="Time"):
                length = self.value(DURATION, depth - 1)
                op = self.pick(("+", "-"))
                return Text(f"{self.value(TIME, depth - 1).at(SUM)} {op} {length.at(PRODUCT)}", SUM)
            case Prim(name="Duration"):
                if self.one_in(2):
                    left, right = self.value(TIME, depth - 1), self.value(TIME, depth - 1)
                    return Text(f"{left.at(SUM)} - {right.at(PRODUCT)}", SUM)
                count, length = self.value(INT, depth - 1), self.value(DURATION, depth - 1)
                return Text(f"{count.at(PRODUCT)} * {length.at(UNARY)}", PRODUCT)
            case Prim(name="Ip"):
                texts = self.readable(lambda t: t == STRING)
                return Text(f"ip({self.pick(texts).text})") if texts else None
            case ListT(element=element) if _has_literals(element) and element_of(element) is None:
                items = ", ".join(self.value(element, 0).text for _ in range(self.pick((1, 2))))
                return Text(f"[{items}]")
        return None

    def _number(self, type_: Type, depth: int) -> Text:
        match self.pick(("sum", "sum", "product", "minus", "size", "added")):
            case "added" if (found := self._added(type_)) is not None:
                return found
            case "sum":
                left, right = self.value(type_, depth - 1), self.value(type_, depth - 1)
                return Text(f"{left.at(SUM)} {self.pick(('+', '-'))} {right.at(PRODUCT)}", SUM)
            case "product":
                left, right = self.value(type_, depth - 1), self.value(type_, depth - 1)
                return Text(f"{left.at(PRODUCT)} * {right.at(UNARY)}", PRODUCT)
            case "minus":
                return Text(f"-{self.value(type_, depth - 1).at(UNARY)}", UNARY)
        sized = self.readable(lambda t: t == STRING or _countable(t))
        return Text(f"size({self.pick(sized).text})") if sized else Text("1")

    def _added(self, type_: Type) -> Text | None:
        """The sum of something of each element."""
        paths = self.readable(lambda t: element_of(t) is not None or t == JSON)
        if not paths:
            return None
        path, name = self.pick(paths), f"v{len(self.locals)}"
        element = element_of(path.type) or JSON
        inside = replace(self, locals=(*self.locals, (name, element)))
        if element == JSON:
            added = [f"{name}.n", name] if type_ == NUMBER else []
        else:
            own = inside.readable(lambda t: t == type_ or (type_ == NUMBER and t == INT))
            added = [p.text for p in own if p.text == name or p.text.startswith(f"{name}.")]
            if type_ != DURATION:
                added.append(f"(if {name} == {name} then 1 else 0)" if _comparable(element) else "")
        added = [text for text in added if text]
        return Text(f"sum({self.pick(added)} for {name} in {path.text})") if added else None

    def _string(self, depth: int) -> Text:
        text = self.value(STRING, depth - 1).text
        return Text(f"{self.pick(('lower', 'lower', 'email_domain', 'url_host', 'url_scheme'))}({text})")

    def _literal(self, type_: Type) -> Text:
        match type_:
            case Prim(name="Bool"):
                return Text(self.pick(("true", "false")))
            case Prim(name="Int"):
                number = self.pick(INTS)
                return Text(str(number), POSTFIX if number >= 0 else UNARY)
            case Prim(name="Number"):
                number = self.pick(NUMBERS)
                return Text(str(number), POSTFIX if number >= 0 else UNARY)
            case Prim(name="String"):
                return Text(f'"{self.pick(TEXTS)}"')
            case Prim(name="Time"):
                return Text(f'time("{self.pick(TIMES)}")')
            case Prim(name="Duration"):
                return Text(self.pick(DURATIONS))
            case Prim(name="Ip"):
                return Text(f'ip("{self.pick(ADDRESSES)}")')
            case Prim(name="Json"):
                return Text(self.pick(("null", '"a"', "1")))
            case EntityT(names=names):
                # Known to the entity source, as a definition may read its attributes.
                return Text(f'{self.pick(sorted(names))}::"{self.pick(KNOWN)}"')
            case SetT(element=element) | ListT(element=element):
                return Text(f"[{', '.join(self._literal(element).text for _ in range(self.pick((0, 1, 2))))}]")
        raise AssertionError(f"no literal of {type_}")


def _using(body: Text, name: str, type_: Type, defines: set[str]) -> Text:
    """The condition of a quantifier, which has to read the variable. A definition may not read what it is given, and
    `is` may be certain."""
    words = set(re.findall(r"\w+", re.sub(rf"\b{name} is \w+", "", body.text)))
    if name in words and not words & defines:
        return body
    use = f"{name} has {written(type_.fields[0][0])}" if isinstance(type_, RecordT) else f"{name} == {name}"
    return Text(f"{use} and {body.text if body.level == OPEN else body.at(NOT)}", AND)


def _comparable(type_: Type | None) -> bool:
    """Whether values of the type can be compared with something that can be written."""
    return _has_literals(type_)


def _has_literals(type_: Type | None) -> bool:
    element = element_of(type_) if type_ is not None else None
    if element is not None:
        # A literal list of lists is not a collection of sets.
        return element_of(element) is None and element != JSON and _has_literals(element)
    return type_ is not None and type_ != JSON and not isinstance(type_, RecordT)


def _of_json(type_: Type) -> bool:
    return element_of(type_) == JSON


def _countable(type_: Type) -> bool:
    element = element_of(type_)
    return element is not None and not isinstance(element, RecordT)


def _narrower(found: Type, wanted: Type) -> bool:
    return isinstance(found, EntityT) and isinstance(wanted, EntityT) and found.names <= wanted.names


def _literal(text: str) -> bool:
    return text.startswith("[")
