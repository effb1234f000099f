"""A hypothesis strategy for schemas, as the declarations of a `.pol` module, and what came of them.

Every type of the language occurs as an attribute, required or optional, of entities (in a hierarchy), actions, tool
arguments and context roots.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from hypothesis import strategies as st

from policyengine.bundle import load_text
from policyengine.schema.schema import Schema
from tests.support.expressions import Draw

# The attributes that entities draw from. A name that two types share has mostly the same type on both.
POOL = (
    ("boss", "User"), ("n", "Int"), ("s", "String"), ("flag", "Bool"), ("tags", "Set<String>"), ("home", "Folder"),
    ("data", "Json"), ("x", "Number"), ("rec", "{ a: Int, b?: String, c: { d?: Bool, e: Ip } }"), ("at", "Time"),
    ("wait", "Duration"), ("addr", "Ip"), ("nums", "Set<Int>"), ("list", "List<Int>"), ("names", "List<String>"),
    ("fans", "Set<User>"), ("docs", "List<Doc>"), ("recs", "List<{ k: String, v?: Int, who?: User }>"),
    ("bag", "Set<Json>"), ("sets", "Set<Set<Int>>"), ("odd name", "String"), ("floats", "List<Number>"),
    ("few", "List<String>(max: 2)"), ("low", "Int(max: 5)"), ("maybe", "Int | null"), ("members", "Set<User | Team>"),
    ("pile", "List<Json>"),
)  # fmt: skip
VARIANTS = (("n", "Number"), ("boss", "Agent"), ("s", "Bool"))
# Has no divisor in common with the size of the pool, so that steps of it reach all of the pool.
STRIDE = 5
_truth = st.sampled_from(("true", "false"))
_masks = st.integers(0, 2**8 - 1)


@dataclass(frozen=True, slots=True)
class Declared:
    text: str
    schema: Schema


@st.composite
def declarations(draw: Draw) -> Declared:
    """`text` starts a module; statements of any kind can follow it."""
    lines = ["use ai", ""]
    for keyword, name, parents in (
        ("extend", "User", ("Team",)),
        ("extend", "Agent", ("Team",)),
        ("entity", "Team", ("Team",)),
        ("entity", "Doc", ("Folder",)),
        ("entity", "Folder", ("Folder", "Team")),
    ):
        lines.append(f"{keyword} {name} in {', '.join(parents)} {{ {_fields(draw)} }}")
    lines += [
        f"action read({_fields(draw, 3)}) on Doc, Folder for User, Agent",
        f"action edit({_fields(draw, 3)}) on Doc for User, Agent",
        f'action "ask/it" on {draw(st.sampled_from(("any", "User, Doc", "User")))}',
        f"tool send({_fields(draw, 6)}) {{ sends_outside: true, reads_untrusted: {draw(_truth)} }}",
        f'tool "find it"({_fields(draw, 6)})',
        "context spot: Folder",
        f"context env: {{ {_fields(draw, 6)} }}",
        f"context more?: {{ {_fields(draw, 3)} }}",
        "obligation note(text: String, n?: Int, at?: Time, who?: User, data?: Json)",
    ]
    text = "\n".join(lines) + "\n"
    return Declared(text, _schema(text))


def _fields(draw: Draw, most: int = 8) -> str:
    start, chosen, optional = draw(st.integers(0, len(POOL) - 1)), draw(st.integers(0, 2**most - 1)), draw(_masks)
    fields = [POOL[(start + i * STRIDE) % len(POOL)] for i in range(most) if chosen >> i & 1]
    variant = start % (2 * len(VARIANTS))
    if variant < len(VARIANTS):
        name, type_ = VARIANTS[variant]
        fields = [(name, type_) if each[0] == name else each for each in fields]
    return ", ".join(_field(name, type_, bool(optional >> i & 1)) for i, (name, type_) in enumerate(fields))


def _field(name: str, type_: str, optional: bool) -> str:
    shown = name if name.isidentifier() else f'"{name}"'
    return f"{shown}{'?' if optional else ''}: {type_}"


@lru_cache(maxsize=256)
def _schema(text: str) -> Schema:
    loaded = load_text(text)
    assert loaded.snapshot is not None, loaded.diagnostics
    return loaded.snapshot.schema


def types_of(schema: Schema, actions: Iterable[str]) -> tuple[list[str], list[str]]:
    """The types of resource and of principal that at least one of the actions takes."""
    names = list(actions)
    resources = frozenset().union(*(schema.resources_of(a) for a in names))
    principals = frozenset().union(*(schema.principals_of(a) for a in names))
    return sorted(resources), sorted(principals)
