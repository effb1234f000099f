"""What must be true of every store that is asked with a filter."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from hypothesis import strategies as st

from policyengine import Engine
from policyengine.filters import Backend, Filter, Query
from tests.support.examples import is_default
from tests.support.expressions import Draw
from tests.support.filter_corpus import (
    ABSENT,
    CONDITIONS,
    ENTITIES,
    HOSTILE,
    PRINCIPAL,
    SCHEMA,
    TYPED,
    allowed,
    documents,
    engine,
)
from tests.support.requests import HOSTILE as HOSTILE_VALUES
from tests.support.requests import Choices, entity
from tests.support.scenarios import scenarios

Document = dict[str, Any]
# What a store finds for a native query: the ids.
Ask = Callable[[Any], list[str]]

KINDS = ("permit", "forbid")
TYPED_DOCUMENTS = documents(TYPED)
ALL_DOCUMENTS = documents(TYPED, HOSTILE)
# Of any shape too, but none says of what type it is.
UNTYPED_DOCUMENTS = [each for each in ALL_DOCUMENTS if "type" not in each]


@cache
def corpus_filter(condition: str, kind: str) -> Filter:
    """The filter of the corpus' principal, for one condition as a permit or as a forbid."""
    return engine(condition, kind).filter(principal=PRINCIPAL, action="read", resource_type="Doc")


@cache
def _allowed(condition: str, kind: str, hostile: bool) -> list[str]:
    some = hostile_documents(condition) if hostile else TYPED_DOCUMENTS
    return allowed(engine(condition, kind), list(some))


def corpus_allowed(condition: str, kind: str, hostile: bool) -> list[str]:
    """Which are allowed of the typed documents, which come first, and of the hostile ones of the condition."""
    return _allowed(condition, kind, False) + (_allowed(condition, kind, True) if hostile else [])


# In the default profile, one in so many of the hostile documents in which nothing is amiss that a condition reads.
# Each still meets fifty conditions or more: what it does wherever it is not read, it does to many of them.
SHARE = 5


@cache
def hostile_documents(condition: str) -> tuple[Document, ...]:
    """The hostile documents that a condition is asked about: all where something is amiss in what it reads, and of the
    others a part, another one for each condition, or all of them in the profiles that have time."""
    hostile = ALL_DOCUMENTS[len(TYPED_DOCUMENTS) :]
    if not is_default():
        return tuple(hostile)
    reads, first = {*re.findall(r"\w+", condition), "type"}, CONDITIONS.index(condition)
    if "doc in" in condition:
        reads.add("parents")
    return tuple(
        each for at, each in enumerate(hostile) if (first + at) % SHARE == 0 or not reads.isdisjoint(_amiss(at))
    )


@cache
def _amiss(at: int) -> frozenset[str]:
    """The attributes that a hostile document has otherwise than the document that it was made from, the first one."""
    usual, document = TYPED_DOCUMENTS[0], HOSTILE[at]
    return frozenset(
        name for name in {*usual, *document} if repr(usual.get(name, ABSENT)) != repr(document.get(name, ABSENT))
    )


def forget_corpus() -> None:
    """Gives back what was kept of the corpus for the next store."""
    for each in (engine, corpus_filter, _allowed):
        each.cache_clear()


def check(filter_: Filter, expected: list[str], backend: Backend, ask: Ask, documents: list[Document]) -> bool:
    """Asserts that the store finds what may be seen, after a recheck unless the query is exact; says whether it is."""
    query, surplus = _asked(filter_, expected, backend, ask)
    looked_at = {*expected, *surplus}
    rechecked = query.recheck([each for each in documents if each["id"] in looked_at])
    assert {each["id"] for each in rechecked} == set(expected)
    return query.exact


def _asked(filter_: Filter, expected: list[str], backend: Backend, ask: Ask) -> tuple[Query, set[str]]:
    """The query, and what the store finds beyond what may be seen: nothing, if the query is exact."""
    query = filter_.to(backend)
    found = ask(query.native)
    assert len(found) == len(set(found))
    missed, surplus = set(expected) - set(found), set(found) - set(expected)
    assert not missed, ("too few", missed, query.native)
    assert not (query.exact and surplus), ("too many", surplus, query.native)
    return query, surplus


def check_corpus(
    condition: str, backend: Backend, ask: Ask, hostile: bool = False, documents: list[Document] | None = None
) -> None:
    """One condition of the corpus, as permit and as forbid. The store holds the typed documents, and all others if
    `hostile`, or only some of these, `documents`; of the hostile ones, those of the condition are looked at. A recheck
    lets through nothing that a store finds beyond what may be seen; that it lets through what may be seen is true of no
    store in particular (`filters/test_matches.py`)."""
    asked_about = corpus_documents(condition) if hostile else TYPED_DOCUMENTS
    some = {each["id"]: each for each in asked_about}
    if documents is not None:
        held = {each["id"] for each in documents}
        some = {id_: each for id_, each in some.items() if id_ in held}
    for kind in KINDS:
        expected = [id_ for id_ in corpus_allowed(condition, kind, hostile) if id_ in some]
        query, surplus = _asked(
            corpus_filter(condition, kind),
            expected,
            backend,
            lambda native: [id_ for id_ in ask(native) if id_ in some],
        )
        assert query.recheck([some[id_] for id_ in surplus]) == []


def corpus_documents(condition: str) -> list[Document]:
    """The typed documents and the hostile ones that a condition is asked about."""
    return [*TYPED_DOCUMENTS, *hostile_documents(condition)]


def shown(backend: Backend) -> str:
    """What the store is asked for conditions of every kind: the text of a golden file."""
    lines = []
    for condition in CONDITIONS[::6]:
        query = corpus_filter(condition, "permit").to(backend)
        native = json.dumps(query.native, ensure_ascii=False, default=str)
        lines.append(f"{condition}\n    {native}\n" + ("" if query.exact else "    rechecked\n"))
    return "\n".join(lines)


# ---- conditions of the corpus, put together ----

_PRINCIPALS = (
    PRINCIPAL,
    {**PRINCIPAL, "id": "bob", "s": "é", "n": 2, "teams": [], "clearances": ["a"], "groups": [], "parents": []},
    {**PRINCIPAL, "s": "", "n": 7, "teams": ["", "5", "null"], "clearances": [], "boss": {"type": "User", "id": "bob"}},
    {"type": "User", "id": "nobody"},
)
_some = st.sampled_from(CONDITIONS)
_combined = st.recursive(
    _some,
    lambda inner: st.one_of(
        inner.map(lambda a: f"not ({a})"),
        st.tuples(inner, inner).map(lambda ab: f"({ab[0]}) and ({ab[1]})"),
        st.tuples(inner, inner).map(lambda ab: f"({ab[0]}) or ({ab[1]})"),
        st.tuples(inner, inner, inner).map(lambda abc: f"if {abc[0]} then {abc[1]} else {abc[2]}"),
    ),
    max_leaves=6,
)


class Combined:
    """Policies over conditions of the corpus, their filter for some principal, and which documents may be seen."""

    def __init__(self, permits: list[str], forbids: list[str], principal: Document) -> None:
        rules = [f"permit p{i}: read on Doc when {c}" for i, c in enumerate(permits)]
        rules += [f"forbid f{i}: read on Doc when {c}" for i, c in enumerate(forbids)]
        self.text = "\n".join(rules)
        self._engine = Engine.from_text(SCHEMA + self.text, entities=ENTITIES)
        self._principal = principal
        self.filter = self._engine.filter(principal=principal, action="read", resource_type="Doc")

    def __repr__(self) -> str:
        return f"{self.text}\n{self._principal}"

    def allowed(self, documents: list[Document]) -> list[str]:
        resources = [{"type": "Doc", **each} for each in documents]
        asked = [{"principal": self._principal, "action": "read", "resource": each} for each in resources]
        answers = self._engine.decide_many(asked)
        return [each["id"] for each, d in zip(documents, answers, strict=True) if d.allowed]


combined = st.builds(
    Combined,
    st.lists(_combined, min_size=1, max_size=2),
    st.lists(_combined, max_size=1),
    st.sampled_from(_PRINCIPALS),
)


# ---- generated policies and documents ----


class Generated:
    """A filter of generated policies, documents of its type and which of them may be seen."""

    def __init__(self, made: Engine, asked: dict[str, Any], documents: list[Document]) -> None:
        self.type: str = asked["resource"]["type"]
        self.schema = made.snapshot.schema
        self.documents = documents
        self.filter = made.filter(
            principal=asked["principal"], action=asked["action"], resource_type=self.type, context=asked["context"]
        )
        answers = made.decide_many([{**asked, "resource": {"type": self.type, **each}} for each in documents])
        self.allowed = [each["id"] for each, d in zip(documents, answers, strict=True) if d.allowed]


@st.composite
def generated(draw: Draw, broken: bool = False, count: int = 8) -> Generated:
    """With `broken`, half of the documents have JSON of any shape in some places."""
    scenario = draw(scenarios(asked=("well-typed",)))
    made, asked = scenario.engine(), scenario.requests[0]
    choose = Choices(None, draw(st.integers(0, 2**32)))
    type_ = asked["resource"]["type"]
    documents = []
    for number in range(count):
        document = entity(choose, made.snapshot.schema, type_, f"d{number}")
        del document["type"]
        if broken and number % 2:
            for name in [n for n in document if n != "id" and choose.upto(3) == 0]:
                document[name] = _broken(choose, document[name])
        documents.append(document)
    return Generated(made, asked, documents)


_JSON = tuple(
    value
    for value in HOSTILE_VALUES
    if type(value) in (str, int, bool, type(None), list, dict) and "\\ud800" not in repr(value)
    and not (isinstance(value, int) and abs(value) > 2**63)
    and not (isinstance(value, dict) and any(type(k) is not str for k in value))
    and len(repr(value)) < 200
)  # fmt: skip


def _broken(choose: Choices, value: Any) -> Any:
    if isinstance(value, list) and choose.upto(1):
        return [*value, choose.pick(_JSON)]
    if isinstance(value, dict) and choose.upto(1):
        return {**value, choose.pick(("type", "id", "a", "k")): choose.pick(_JSON)}
    return choose.pick(_JSON)
