"""Whoever asks, and whoever asked before: a filter is what `decide` says for this caller.

Callers and documents have few different values, so that values that come from different places are often the same.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from policyengine import Engine
from policyengine.model.values import as_entity
from policyengine.partial.satisfies import satisfies
from tests.support.evaluators import reference

SCHEMA = """\
entity Team in Team {}
entity User in Team { tenant: String, level: Int, teams: Set<String>, nick?: String, boss?: User, share: Number }
entity Doc in Team {
  tenant: String, owner: String, level: Int, tags: Set<String>, team: Team, teams: Set<Team>, by: User, note?: String,
  open: Bool, share: Number, author: { name: String }
}
action read on Doc for User
obligation redact(kinds: Set<String>)
"""
OF_BOTH = (
    "doc.tenant == principal.tenant", "principal.tenant != doc.tenant", "doc.owner == principal.id",
    "doc.level <= principal.level", "principal.level < doc.level", "doc.share == principal.share",
    "contains_any(doc.tags, principal.teams)", "contains_all(principal.teams, doc.tags)",
    "contains_all(doc.tags, principal.teams)", "principal.id in doc.tags", "doc.owner in principal.teams",
    "(any t in principal.teams: t in doc.tags)", "(all t in principal.teams: t in doc.tags)",
    "(any t in principal.teams: t == doc.owner)", "(any t in doc.tags: t == principal.tenant)",
    "principal in doc.team", "principal in doc.teams", "doc.by == principal", "doc.by.id == principal.id",
    "(principal has nick and doc.owner == principal.nick)", "(doc has note and doc.note == principal.tenant)",
    "(principal has boss and doc.by == principal.boss)", "doc.author.name == principal.tenant",
    "(if principal.level > 1 then doc.open else doc.owner == principal.id)", "doc.id == principal.id",
    "size(doc.tags) > principal.level", "doc.owner == lower(principal.tenant)",
)  # fmt: skip
OF_DOC = (
    'doc.tenant == "a"', 'doc.owner != "b"', 'doc.owner in ["a", "b"]', '"a" in doc.tags', "doc has note", "doc.open",
    "doc.level < 2", 'contains_any(doc.tags, ["b", "c"])', 'doc in Team::"a"', 'doc.team in Team::"a"',
    'doc.owner like "a*"',
)  # fmt: skip
OF_CALLER = (
    'principal.tenant == "a"', 'principal in Team::"a"', 'principal in [Team::"b", Team::"c"]', "principal.level > 1",
    '"a" in principal.teams', 'contains_any(principal.teams, ["b", "c"])', 'principal.id in ["a", "b"]',
    'principal == User::"a"', 'principal has nick', '(principal.tenant == "a" or principal.tenant == "b")',
    "principal.level == 1", 'context.place == "a"',
)  # fmt: skip


def _joined(atoms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from((" and ", " or ")), inner).map("".join).map("({})".format),
            st.tuples(inner, inner, inner).map(lambda three: "(if {} then {} else {})".format(*three)),
        ),
        max_leaves=4,
    )


_atoms = st.sampled_from(OF_BOTH) | st.sampled_from(OF_BOTH) | st.sampled_from(OF_DOC) | st.sampled_from(OF_CALLER)
_parts = st.one_of(
    _atoms,
    _atoms.map("not {}".format).map("({})".format),
    st.tuples(_atoms, st.sampled_from((" and ", " or ")), _atoms).map("".join).map("({})".format),
)
# Of one attribute: what callers have in common with each other, or with the policies, is most often found here.
OF_ONE = (
    ("doc.owner == principal.id", "doc.owner == principal.tenant", "doc.owner in principal.teams",
     'doc.owner in ["a", "b"]', 'doc.owner == "a"', 'doc.owner == "b"', "doc.owner != principal.tenant"),
    ("principal.id in doc.tags", "principal.tenant in doc.tags", "contains_any(doc.tags, principal.teams)",
     '"a" in doc.tags', '"b" in doc.tags', 'contains_any(doc.tags, ["a", "b"])'),
    ("doc.by == principal", "doc.by.id == principal.tenant", 'doc.by in [User::"a", User::"b"]', 'doc.by == User::"a"'),
)  # fmt: skip
_one = st.sampled_from(OF_ONE).flatmap(lambda atoms: st.lists(_joined(st.sampled_from(atoms)), min_size=1, max_size=4))
# What rules have in common is worked out for all of them at once.
_pools = st.lists(_parts, min_size=1, max_size=5) | _one
_heads = st.sampled_from(("Doc", "Doc", "Doc", 'Doc in Team::"a"', '[Doc::"a", Doc::"b"]'))
_who = st.sampled_from(("", "", "", " for User", ' for User in Team::"a"', ' for User::"b"'))
_kinds = st.sampled_from(("permit", "permit", "forbid", "forbid", "require"))


@st.composite
def policies(draw: st.DrawFn) -> str:
    """One to six rules, a permit first, with conditions in common."""
    parts = st.lists(st.sampled_from(draw(_pools)), min_size=1, max_size=3)
    conditions = st.tuples(st.sampled_from((" and ", " and ", " or ")), parts).map(
        lambda drawn: drawn[0].join(drawn[1])
    )
    rules = []
    for number, kind in enumerate(["permit", *draw(st.lists(_kinds, max_size=5))]):
        owed = '\n  redact(["x"])' if kind == "require" else ""
        rules.append(f"{kind} r{number}: read on {draw(_heads)}{draw(_who)}\n  when {draw(conditions)}{owed}\n")
    return SCHEMA + "context place: String\n" + "".join(rules)


_name = st.sampled_from("abc")
_names = st.lists(_name, max_size=3)
_hostile: st.SearchStrategy[Any] = st.sampled_from((None, 1, True, "", [], ["a", 1], {}, {"type": "Team"}, 1.5))
_level = st.integers(0, 3)
_user = _name.map(lambda id_: {"type": "User", "id": id_})
_team = _name.map(lambda id_: {"type": "Team", "id": id_})
_teams = st.lists(_team, max_size=3)


def _entity(type_: str, attributes: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Well-typed most often."""
    whole = st.fixed_dictionaries({"type": st.just(type_), "id": _name}, optional=attributes)
    typed = st.fixed_dictionaries({"type": st.just(type_), "id": _name, **attributes})
    odd = st.dictionaries(st.sampled_from(tuple(attributes)), _hostile, max_size=1)
    return st.one_of(typed, typed, typed, st.tuples(whole, odd).map(lambda both: {**both[0], **both[1]}))


callers = _entity(
    "User",
    {
        "tenant": _name,
        "level": _level,
        "teams": _names,
        "nick": _name,
        "boss": _user,
        "share": _level,
        "parents": _teams,
    },
)
documents = _entity(
    "Doc",
    {
        "tenant": _name,
        "owner": _name,
        "level": _level,
        "tags": _names,
        "team": _team,
        "teams": _teams,
        "by": _user,
        "note": _name,
        "open": st.booleans(),
        "share": _level,
        "author": st.fixed_dictionaries({"name": _name}),
        "parents": _teams,
    },
)
SOURCED = [
    {"type": "User", "id": "c", "tenant": "c", "parents": [{"type": "Team", "id": "b"}]},
    {"type": "Team", "id": "b", "parents": [{"type": "Team", "id": "a"}]},
]
_fulfilled = st.sampled_from(((), ("redact",)))


@given(
    policies(),
    st.lists(callers, min_size=4, max_size=8),
    st.lists(documents, min_size=2, max_size=4),
    _fulfilled,
    st.booleans(),
)
def test_a_filter_is_the_decision_for_each_caller(
    text: str, asking: list[Any], stored: list[Any], fulfilled: tuple[str, ...], sourced: bool
) -> None:
    engine = Engine.from_text(text, entities=SOURCED if sourced else None)
    context = {"place": "a"}
    # The second time, what was found out for the first callers is used for all.
    for caller in (*asking, *asking):
        found = engine.filter(
            principal=caller, action="read", resource_type="Doc", context=context, fulfilled=fulfilled
        )
        for document in stored:
            asked = {"principal": caller, "action": "read", "resource": document, "context": context}
            expected = reference(engine.snapshot, asked).allowed_if(fulfilled)
            assert found.matches(document) is expected, (caller, document, found.formula)
            # A formula is true of a document with everything that is said of it.
            whole = found.whole.of(document) if found.whole else document
            assert (
                whole is not None and satisfies(found.formula, as_entity(whole), engine.snapshot.world)
            ) is expected, found.formula
