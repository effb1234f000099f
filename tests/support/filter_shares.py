"""How much of what policies say a store is asked for exactly.

Of the conditions of the corpus, each as a permit and as a forbid, and of policies put together from them: the same ones
in every run. No store is needed for that.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from random import Random

from policyengine import Engine
from policyengine.filters import Backend, Filter
from tests.support.filter_checks import KINDS, corpus_filter
from tests.support.filter_corpus import CONDITIONS, ENTITIES, PRINCIPAL, SCHEMA

POLICIES, SEED = 200, 2024
_HEADS = ("Doc",) * 8 + ('Doc in Folder::"hr"', '[Doc::"d1", Doc::"d2", Doc::"d3"]')


@cache
def conditions() -> tuple[Filter, ...]:
    """Each condition of the corpus, as a permit and as a forbid."""
    return tuple(corpus_filter(condition, kind) for condition in CONDITIONS for kind in KINDS)


@cache
def policies() -> tuple[Filter, ...]:
    """Policies of one to three rules, each of one to three conditions of the corpus."""
    random = Random(SEED)
    made = (Engine.from_text(_policy(random), entities=ENTITIES) for _ in range(POLICIES))
    return tuple(each.filter(principal=PRINCIPAL, action="read", resource_type="Doc") for each in made)


def share(backend: Backend, filters: Iterable[Filter]) -> str:
    """How many of the filters the store is asked for exactly, in percent, rounded down."""
    exact = [found.to(backend).exact for found in filters]
    return f"{sum(exact) * 100 // len(exact)} %"


def _policy(random: Random) -> str:
    kinds = ["permit", *random.choices(KINDS, k=random.randrange(3))]
    rules = [
        f"{kind} r{number}: read on {random.choice(_HEADS)}\n"
        f"  {random.choice(('when', 'when', 'unless'))} {_condition(random, random.randrange(3))}\n"
        for number, kind in enumerate(kinds)
    ]
    return SCHEMA + "".join(rules)


def _condition(random: Random, joined: int) -> str:
    """So many conditions joined to one."""
    found = f"({random.choice(CONDITIONS)})"
    for _ in range(joined):
        found = f"({found} {random.choice(('and', 'or'))} ({random.choice(CONDITIONS)}))"
    return found if random.randrange(4) else f"(not {found})"
