"""The order of rules, of declarations and of files is irrelevant.

decide(permute(p), q) = decide(p, q), but for locations
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from policyengine.bundle import load_path
from policyengine.model.decision import Decision
from tests.support.evaluators import fast_decide, reference
from tests.support.examples import half
from tests.support.scenarios import Scenario, scenarios

orders = st.randoms(use_true_random=False)


def placeless(decision: Decision) -> Decision:
    return replace(decision, errors=tuple(replace(e, location="") for e in decision.errors))


@half
@given(scenarios(min_rules=2), orders)
def test_the_order_of_rules_is_irrelevant(scenario: Scenario, order: random.Random) -> None:
    rules = list(scenario.policies.rules)
    order.shuffle(rules)
    before = scenario.snapshot()
    after = scenario.policies.with_rules(rules).load(scenario.entities)
    for asked in scenario.requests:
        assert placeless(fast_decide(after, asked)) == placeless(reference(before, asked))


@half
@given(scenarios(min_rules=2), orders)
def test_the_order_of_declarations_is_irrelevant(scenario: Scenario, order: random.Random) -> None:
    head, *lines = [line for line in scenario.policies.declared.text.split("\n") if line]
    order.shuffle(lines)
    declared = replace(scenario.policies.declared, text="\n".join([head, *lines]) + "\n")
    before = scenario.snapshot()
    after = replace(scenario.policies, declared=declared).load(scenario.entities)
    for asked in scenario.requests:
        assert placeless(reference(after, asked)) == placeless(reference(before, asked))


@half
@given(scenarios(min_rules=2), st.permutations(["a", "b", "c", "z"]))
def test_which_file_a_module_is_in_is_irrelevant(scenario: Scenario, names: list[str]) -> None:
    made = scenario.policies
    half = len(made.rules) // 2
    shared = "\n".join(made.defines)
    texts = {
        "base": f"module base\n{made.declared.text}\n{shared}\n",
        "one": "module one\nuse base\nuse ai\n" + "\n".join(r.text for r in made.rules[:half]),
        "two": "module two\nuse ai\nuse base\n" + "\n".join(r.text for r in made.rules[half:]),
    }
    answers = []
    for order in (sorted(names), names):
        with TemporaryDirectory() as folder:
            for name, text in zip(order, texts.values(), strict=False):
                (Path(folder) / f"{name}.pol").write_text(text, encoding="utf-8")
            loaded = load_path(folder, scenario.entities)
        assert loaded.snapshot is not None, loaded.diagnostics
        answers.append([placeless(reference(loaded.snapshot, asked)) for asked in scenario.requests])
    assert answers[0] == answers[1]
    alone = scenario.snapshot()
    assert [a.decision for a in answers[0]] == [reference(alone, asked).decision for asked in scenario.requests]
