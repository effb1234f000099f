"""Conditions and documents that a filter must get right, whatever the store: chosen to tell apart what stores confuse.

Missing, null, empty; a scalar where a collection belongs and the reverse; numbers and booleans as text; what a pattern
language, a quoting rule, a collation or a float would change.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from policyengine import Engine
from policyengine.filters import json

SCHEMA = """
module corpus
entity Group in Group
entity User in Group { s: String, n: Int, teams: Set<String>, clearances: Set<String>, groups: Set<Group>, boss?: User }
entity Folder in Folder
entity Doc in Folder {
  s: String, n: Int, x: Number, flag: Bool, tags: Set<String>, names: List<String>, nums: Set<Int>, owner: User,
  readers: Set<User>, allowed: Set<Group>, folder: Folder, at: Time, wait: Duration, addr: Ip, data: Json,
  rec: { a: Int, b?: String, deep: { c: String } },
  so?: String, no?: Int, fo?: Bool, to?: Set<String>, oo?: User
}
action read on Doc for User
"""

ENTITIES: list[dict[str, Any]] = [
    {"type": "Group", "id": "root"},
    {"type": "Group", "id": "staff", "parents": [{"type": "Group", "id": "root"}]},
    {"type": "Group", "id": "legal", "parents": [{"type": "Group", "id": "staff"}]},
    {"type": "User", "id": "bob", "s": "b", "parents": [{"type": "Group", "id": "legal"}]},
    {"type": "Folder", "id": "hr"},
    {"type": "Folder", "id": "pay", "parents": [{"type": "Folder", "id": "hr"}]},
]

PRINCIPAL: dict[str, Any] = {
    "type": "User", "id": "ann", "s": "a", "n": 5, "teams": ["a", "b%", "é"], "clearances": ["x", "y", "z"],
    "groups": [{"type": "Group", "id": "legal"}, {"type": "Group", "id": "other"}],
    "parents": [{"type": "Group", "id": "legal"}],
}  # fmt: skip

TEXTS = (
    "", "a", "A", "b", "abc", "a%", "a_c", "a*c", "a\\c", "b%", "%", "_", "*", "'", '"', "a'b", "x; --", "é", "e\u0301",
    "ß", "ss", "İ", "😀", "a\nb", " a", "a ", "5", "true", "null", "[]", "a" * 3000,
)  # fmt: skip
BIG = 2**53

CONDITIONS: tuple[str, ...] = (
    "true",
    "false",
    # ---- text ----
    'doc.s == "a"', 'doc.s != "a"', "doc.s == principal.s", "doc.s != principal.s", 'not (doc.s == "a")',
    'doc.s == ""', 'doc.s != ""', 'doc.s == "A"', 'doc.s == "é"', 'doc.s != "é"', 'doc.s == "a%"', 'doc.s == "\'"',
    'doc.s == "\\\\"', 'doc.s == "x; --"', 'doc.s == "😀"', 'doc.s == "5"', 'doc.s == "null"', 'doc.s == "true"',
    'doc.s in ["a", "b%", "é"]', 'not (doc.s in ["a", "b%", "é"])', "doc.s in principal.teams",
    "not (doc.s in principal.teams)", 'doc.s in []', 'not (doc.s in [])',
    'doc.s like "a*"', 'not (doc.s like "a*")', 'doc.s like "*c"', 'doc.s like "a*c"', 'doc.s like "*b*"',
    'doc.s like "a%*"', 'doc.s like "*_*"', 'doc.s like "*"', 'doc.s like "a"', 'doc.s like "*%*"', 'doc.s like "A*"',
    'doc.s like "*a*b*c*"', 'doc.s like "a*a"', 'doc.s like "\\\\*"', "doc.s like \"*'*\"", 'doc.s like "é*"',
    'starts_with(doc.s, "a")', 'not starts_with(doc.s, "a")', 'ends_with(doc.s, "%")', 'starts_with(doc.s, "_")',
    'starts_with(doc.s, "")', "starts_with(doc.s, principal.s)", 'starts_with("abc", doc.s)',
    'contains(doc.s, "b")', 'not contains(doc.s, "%")', 'contains(doc.s, "")', "contains(doc.s, principal.s)",
    'contains("abc", doc.s)', 'search(doc.s, "[b-c]$")',
    'lower(doc.s) == "a"', 'matches(doc.s, "[a-c]+")', 'not matches(doc.s, "[a-c]+")',
    'email_domain(doc.s) == "a.example"',
    "size(doc.s) == 1", "size(doc.s) != 1", "size(doc.s) > 2", "size(doc.s) == 0", "size(doc.s) < principal.n",
    # ---- numbers ----
    "doc.n == 5", "doc.n != 5", "doc.n < 5", "doc.n <= 5", "doc.n > 5", "doc.n >= 5", "not (doc.n < 5)", "5 < doc.n",
    "doc.n == principal.n", "doc.n in [1, 5]", "not (doc.n in [1, 5])", f"doc.n == {BIG + 1}", f"doc.n > {BIG}",
    f"doc.n != {BIG}", "doc.n == -1", "doc.n == 0", "doc.n < 9223372036854775807", "doc.n == 9223372036854775807",
    "doc.x == 5", "doc.x == 5.0", "doc.x != 5", "doc.x < 0.5", "doc.x <= 0.1", "doc.x > -1", "doc.x == 0", "doc.x >= 0",
    f"doc.x == {BIG}", f"doc.x > {BIG}", f"doc.x == {BIG + 1}", "doc.x in [0.1, 5]", "not (doc.x in [0.1, 5])",
    "doc.n + 1 == 6", "doc.n * 2 > 9", "doc.n - 1 < doc.x", "-doc.n == 5", "doc.n < doc.x", "doc.n == doc.x",
    "doc.n != doc.x", "not (doc.n < doc.x)",
    # ---- booleans ----
    "doc.flag", "not doc.flag", "doc.flag == true", "doc.flag != true", "doc.flag == false", "doc.flag or doc.n == 5",
    "not doc.flag and doc.n == 5",
    # ---- collections ----
    '"a" in doc.tags', 'not ("a" in doc.tags)', '"" in doc.tags', '"a%" in doc.tags', '"é" in doc.tags',
    "principal.s in doc.tags", 'contains_any(doc.tags, ["a", "b"])', 'not contains_any(doc.tags, ["a", "b"])',
    'contains_all(doc.tags, ["a", "b"])', 'not contains_all(doc.tags, ["a", "b"])', "contains_any(doc.tags, [])",
    "contains_all(doc.tags, [])", "contains_any(doc.tags, principal.teams)",
    "contains_all(principal.clearances, doc.tags)",
    "not contains_all(principal.clearances, doc.tags)", "contains_all(doc.tags, principal.clearances)",
    "size(doc.tags) == 0", "size(doc.tags) > 0", "size(doc.tags) == 2", "size(doc.tags) != 2", "size(doc.names) >= 2",
    "size(doc.names) == 0", "doc.tags == []", 'doc.tags == ["a"]', 'doc.tags != ["a", "b"]', 'doc.names == ["a", "b"]',
    'doc.names == []', '"a" in doc.names', 'not ("a" in doc.names)', "5 in doc.nums", "not (5 in doc.nums)",
    "contains_any(doc.nums, [1, 5])", "contains_all([1, 5], doc.nums)", f"{BIG + 1} in doc.nums",
    'any t in doc.tags: t == "a"', 'any t in doc.tags: t != "a"', 'all t in doc.tags: t == "a"',
    'all t in doc.tags: t != "a"', "all t in doc.tags: t in principal.teams", "any t in doc.tags: t in principal.teams",
    'any t in doc.tags: not (t in ["a"])', 'any t in doc.tags: t like "a*"', 'all n in doc.nums: n > 0',
    "any t in principal.teams: t == doc.s", "any t in principal.teams: t in doc.tags",
    "all t in principal.clearances: t in doc.tags", 'any t in doc.names: t == "a" and doc.flag',
    # ---- entities and hierarchies ----
    "doc.owner == principal", "doc.owner != principal", 'doc.owner == User::"ann"', "not (doc.owner == principal)",
    'doc.owner in [User::"ann", User::"bob"]', 'not (doc.owner in [User::"ann", User::"bob"])',
    "principal in doc.readers", "not (principal in doc.readers)", 'User::"bob" in doc.readers',
    "doc.owner.id == principal.id", "doc.owner.id != principal.id", 'doc.owner.s == "b"',
    'doc.owner in Group::"staff"', 'not (doc.owner in Group::"staff")', 'doc.owner in Group::"root"',
    'doc.folder in Folder::"hr"', 'not (doc.folder in Folder::"hr")', 'doc.folder == Folder::"pay"',
    'doc in Folder::"hr"', 'not (doc in Folder::"hr")', 'doc in [Folder::"pay", Folder::"nope"]',
    "any g in doc.allowed: principal in g", "not (any g in doc.allowed: principal in g)",
    "all g in doc.allowed: principal in g", "contains_any(doc.allowed, principal.groups)",
    'Group::"legal" in doc.allowed', 'doc == Doc::"d1"', 'doc != Doc::"d1"', 'doc.id == "d2"', 'doc.id != "d2"',
    'doc in [Doc::"d1", Doc::"d3"]', 'doc.id in ["d1", "d4"]', 'doc.id like "d1*"',
    # ---- other types ----
    'doc.at < time("2026-01-01T00:00:00Z")', 'doc.at >= time("2026-01-01T00:00:00Z")',
    'doc.at == time("2026-01-01T00:00:00Z")', 'doc.at != time("2026-01-01T00:00:00Z")',
    "doc.wait > 15m", "doc.wait == 15m", "doc.wait != 15m", 'doc.addr.in_range("10.0.0.0/8")',
    'not doc.addr.in_range("10.0.0.0/8")', 'doc.addr == ip("10.0.0.1")', 'doc.addr != ip("10.0.0.1")',
    # ---- records and json ----
    "doc.rec.a == 1", "doc.rec.a != 1", 'doc.rec has b and doc.rec.b == "x"', "not (doc.rec has b)",
    'doc.rec.deep.c == "y"', 'doc.rec.deep.c != "y"', 'doc.rec has b and doc.rec.b != "x"',
    'doc.data == "a"', 'doc.data != "a"', "doc.data == null", "doc.data != null", "doc.data == 5", "doc.data == true",
    "doc.data == []", 'doc.data has k and doc.data.k == "v"', 'doc.data has k and doc.data.k != "v"',
    "doc.data has k", "not (doc.data has k)", 'doc.data has k and doc.data.k == null', "doc.data.k > 5",
    '"v" in doc.data.k', 'not ("v" in doc.data.k)', 'doc.data.k like "v*"', "doc.data.k", "not doc.data.k",
    # ---- optional attributes ----
    "doc has so", "not (doc has so)", 'doc has so and doc.so == "a"', 'doc has so and doc.so != "a"',
    'not (doc has so) or doc.so == "a"', 'not (doc has so) or doc.so != "a"', 'doc has so and doc.so in ["a", ""]',
    "doc has no and doc.no > 5", "not (doc has no) or doc.no <= 5", "doc has fo and doc.fo",
    "doc has fo and not doc.fo",
    'doc has to and "a" in doc.to', 'doc has to and not ("a" in doc.to)', 'not (doc has to) or not ("a" in doc.to)',
    "doc has oo and doc.oo == principal", "not (doc has oo) or doc.oo != principal", "doc has so and doc has no",
    "doc has so or doc has no", "not (doc has so and doc has no)",
    # ---- what is combined, and what errs first ----
    'doc.s == "a" and doc.n == 5', 'doc.s == "a" or doc.n == 5', 'not (doc.s == "a" and doc.n == 5)',
    'not (doc.s == "a" or doc.n == 5)', 'doc.n == 5 or doc.s == "a"', 'doc.s == "a" and doc.s == "b"',
    'doc.s != "a" and doc.s != "b"', 'doc.s == "a" or doc.s == "b"', 'doc.s in ["a", "b"] and doc.s in ["b", "c"]',
    'if doc.flag then doc.s == "a" else doc.n == 5', 'not (if doc.flag then doc.s == "a" else doc.n == 5)',
    '(doc.s == "a") == doc.flag', '(if doc.flag then doc.s else "b") == "b"',
    'principal.n > 3 and doc.s == "a"', 'principal.n < 3 and doc.s == "a"', 'principal.n < 3 or doc.s != "a"',
    "principal has boss and doc.owner == principal.boss", 'doc.s == "a" or not (doc.tags == []) or doc.n > 7',
    'not (doc.s == "a") and not ("a" in doc.tags) and not doc.flag', '[doc.s, "z"] == ["a", "z"]',
    'principal.s in [doc.s, doc.rec.deep.c]', "doc.s == doc.rec.deep.c", "doc.s != doc.rec.deep.c",
    "doc.owner == doc.owner",
)  # fmt: skip


def _of(**attributes: Any) -> dict[str, Any]:
    """A document that has everything, but for what is given; ABSENT takes an attribute away."""
    whole: dict[str, Any] = {
        "s": "a", "n": 5, "x": 5, "flag": True, "tags": ["a", "b"], "names": ["a", "b"], "nums": [1, 5],
        "owner": _ref("User", "ann"), "readers": [_ref("User", "ann")], "allowed": [_ref("Group", "staff")],
        "folder": _ref("Folder", "pay"), "at": "2026-01-01T00:00:00Z", "wait": "15m", "addr": "10.0.0.1", "data": "a",
        "rec": {"a": 1, "b": "x", "deep": {"c": "y"}},
        "so": "a", "no": 7, "fo": True, "to": ["a"], "oo": _ref("User", "ann"),
    }  # fmt: skip
    return {name: v for name, v in {**whole, **attributes}.items() if v is not ABSENT}


def _ref(type_: str, id_: str) -> dict[str, str]:
    return {"type": type_, "id": id_}


ABSENT = object()
NAMES = tuple(_of())
# Of the declared types, or absent: what a store with typed columns can hold.
TYPED: tuple[dict[str, Any], ...] = (
    _of(),
    *(_of(**{name: ABSENT}) for name in NAMES),
    *(_of(s=text, so=text, tags=[text], to=[text, "a"], names=[text, "b"]) for text in TEXTS),
    *(_of(n=n, no=n, nums=[n]) for n in (0, -1, 1, 4, 6, BIG, BIG + 1, BIG - 1, 2**63 - 1, -(2**63))),
    *(_of(x=x) for x in (0, 0.0, -0.0, 0.1, 0.5, -1.5, 5.0, 4.999999999999999, float(BIG), 1e300, -1e-300)),
    _of(flag=False, fo=False),
    _of(tags=[], to=[], names=[], nums=[], readers=[], allowed=[]),
    _of(tags=["a", "a"], names=["a", "a"], nums=[5, 5]),
    _of(tags=["b"], names=["b", "a"], nums=[-5], to=["b"]),
    _of(tags=["x", "y"], nums=[1]),
    _of(tags=["x", "y", "z", "w"], nums=[1, 5, 7]),
    _of(owner=_ref("User", "bob"), oo=_ref("User", "bob"), readers=[_ref("User", "bob"), _ref("User", "ann")]),
    _of(owner=_ref("User", "nobody"), readers=[_ref("User", "nobody")], allowed=[_ref("Group", "nope")]),
    _of(allowed=[_ref("Group", "legal"), _ref("Group", "nope")], folder=_ref("Folder", "hr")),
    _of(allowed=[_ref("Group", "other")], folder=_ref("Folder", "elsewhere")),
    _of(at="2025-12-31T23:59:59.999999Z", wait="16m", addr="11.0.0.1"),
    _of(at="2026-01-01T01:00:00+01:00", wait="900s", addr="::ffff:10.0.0.1"),
    _of(at="2027-01-01T00:00:00Z", wait="0s", addr="fe80::1"),
    _of(rec={"a": 2, "deep": {"c": "a"}}),
    _of(rec={"a": -1, "b": "", "deep": {"c": ""}}),
    *(
        _of(data=v)
        for v in ({"k": "v"}, {"k": None}, {"k": 7}, {"k": ["v"]}, {"k": True}, {"k": "vw"}, {}, [], None, 5)
    ),
    *(_of(data=v) for v in (5.0, "5", True, False, "", ["a"], [[]], {"k": {"k": 1}}, {"k": "7"}, {"k": []}, {"k": ""})),
    _of(parents=[]),
    _of(parents=[_ref("Folder", "hr")]),
    _of(parents=[_ref("Folder", "elsewhere"), _ref("Folder", "pay")]),
    _of(parents=[_ref("Folder", "elsewhere")]),
)
_WRONG: tuple[Any, ...] = (
    None, "", "5", "a", 5, 5.0, 0, 1, True, False, [], {}, ["a"], [None], ["a", None], [5], ["5", 5], [["a"]], [{}],
    {"a": 1}, {"type": "User", "id": "ann"}, {"type": "User", "id": 5}, {"type": "User"}, {"type": "Nope", "id": "ann"},
    [{"type": "User", "id": "ann"}, None], [{"type": "User", "id": "ann"}, "bob"], 2**63, 1e400, "15", "2026-01-01",
    {"type": "Folder", "id": "x", "parents": [{"type": "Folder", "id": "hr"}]},
    {"type": "User", "id": "x", "parents": [{"type": "Group", "id": "staff"}]}, {"type": "Folder", "id": "x",
    "parents": 5},
)  # fmt: skip
# JSON of any shape in every place: what a store of JSON documents can hold. `1e400` is too large for JSON and left out.
HOSTILE: tuple[dict[str, Any], ...] = (
    *(_of(**{name: value}) for name in NAMES for value in _WRONG if value != 1e400),
    *(_of(rec={"a": value, "b": value, "deep": value}) for value in _WRONG if value != 1e400),
    *(_of(rec={"a": 1, "b": "x", "deep": {"c": value}}) for value in _WRONG if value != 1e400),
    *(_of(parents=value) for value in _WRONG if value != 1e400),
    *(_of(parents=[value]) for value in _WRONG if value != 1e400),
    *(_of(data={"k": value}) for value in _WRONG if value != 1e400),
    # What says of itself that it is of a type, which no other attribute can be called.
    *(_of(type=value) for value in ("Doc", "doc", "Folder", ["Doc"], {"type": "Doc"}, *_WRONG) if value != 1e400),
    {},
)


# Documents with a name that a decision refuses, each otherwise like others.
MISSPELT: tuple[dict[str, Any], ...] = (
    _of(parent=[]), _of(S_O="a"), _of(owner={"type": "User", "id": "ann", "bos": None}),
    _of(readers=[{"type": "User", "id": "bob", "Parents": []}]),
)  # fmt: skip

# Each attribute at the key of its name, of any shape, and nothing else: no key that says of what type a document is.
ANY_SHAPE = {name: json(name, names="checked") for name in ("id", *NAMES, "parents")}


def documents(*groups: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    """The documents of these groups, each with an id of its own."""
    return [{"id": f"d{i}", **each} for i, each in enumerate(each for group in groups for each in group)]


# Several stores ask for the same conditions; one engine takes 40 kB.
@lru_cache(maxsize=2000)
def engine(condition: str, kind: str = "permit") -> Engine:
    """An engine with one rule for the condition. A `forbid` stands beside a permit for everything."""
    rule = f"{kind} rule: read on Doc\n  when {condition}\n"
    return Engine.from_text(
        SCHEMA + rule + ("permit all: read on Doc\n" if kind == "forbid" else ""), entities=ENTITIES
    )


def allowed(engine: Engine, documents: list[dict[str, Any]]) -> list[str]:
    """The ids of the documents that `decide` allows."""
    asked = [{"principal": PRINCIPAL, "action": "read", "resource": {"type": "Doc", **each}} for each in documents]
    return [each["id"] for each, d in zip(documents, engine.decide_many(asked), strict=True) if d.allowed]
