"""Which meter it is: the same in every process, and through every change that is none of the limit's."""

from __future__ import annotations

import os
import subprocess
import sys
from multiprocessing import get_context

import pytest

from policyengine import Engine
from policyengine.state.ids import new_id
from policyengine.state.stateful_rules import metering

POLICIES = """
module m
use ai
permit all: invoke on Model
limit it: invoke on Model
  at most 3 of cost.usd per day by principal, model, tenant
"""


def identity(text: str) -> str:
    [limit] = metering(Engine.from_text(text).snapshot.policies).limits.values()
    return limit.identity


@pytest.mark.parametrize(
    "changed",
    [
        POLICIES.replace("3 of", "7 of"),
        POLICIES + "context place: { city: String }\nentity Robot\nextend Model { price: Number }\n",
        POLICIES.replace("permit all", "# a word\n\npermit all"),
        POLICIES + "test \"none\" { principal User::\"a\" invoke on Model::\"m\" expect allow }\n",
    ],
)  # fmt: skip
def test_a_meter_stays_what_it_is(changed: str) -> None:
    assert identity(changed) == identity(POLICIES)


@pytest.mark.parametrize(
    "changed",
    [
        POLICIES.replace("limit it", "limit other"),
        POLICIES.replace("per day", "per month"),
        POLICIES.replace("per day", 'per day in "Europe/Berlin"'),
        POLICIES.replace("cost.usd", "cost.tokens"),
        POLICIES.replace("principal, model,", "model, principal,"),
        POLICIES.replace(", tenant", ""),
    ],
)
def test_another_limit_has_another_meter(changed: str) -> None:
    assert identity(changed) != identity(POLICIES)


def test_a_meter_is_the_same_in_every_process() -> None:
    """Sets of types have another order in each."""
    program = f"from tests.state.test_stateful_rules import identity\nprint(identity({POLICIES!r}))"
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(3)
    }
    assert told == {identity(POLICIES) + "\n"}


def test_no_two_ids_are_the_same_after_a_fork() -> None:
    new_id()
    with get_context("fork").Pool(2) as pool:
        there = pool.map(_ids, [50, 50])
    ids = [*there[0], *there[1], *_ids(50)]
    assert len(set(ids)) == len(ids)
    assert {len(id_) for id_ in ids} == {32}


def _ids(count: int) -> list[str]:
    return [new_id() for _ in range(count)]
