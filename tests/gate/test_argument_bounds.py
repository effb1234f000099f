"""What a model is told of arguments is what every allowed call keeps to."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from policyengine import Engine
from policyengine.gate.argument_bounds import with_limits

POLICIES = """
module limits
use ai
tool pay(to: String, amount: Number, kind?: String) { sends_outside: false, reads_untrusted: false }
tool free(to: String) { sends_outside: false, reads_untrusted: false }
permit pay: call on Tool::"pay" for User when tool.args.amount <= 100 and tool.args.to in ["ann", "abe", "bob"]
permit free: call on Tool::"free" for User when tool.args.to == "x" or "user" in sources(tool.args.to)
forbid small: call on Tool::"pay" when tool.args.amount < 3
forbid others: call on Tool::"pay" unless tool.args.to like "a*"
forbid careful: call on Tool::"pay" when "seen" in session.labels and tool.args.amount > 10
label seen: receive on Tool::"free"
"""
ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"to": {"type": "string"}, "amount": {"type": "number"}}}


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.from_text(POLICIES)


def test_what_holds_in_any_case_is_told(engine: Engine) -> None:
    gate = engine.session(principal=ANN, prompt="write to x")
    told = gate.limits(["pay", "free", "unheard"])
    assert told.keys() == {"pay"}
    assert sorted(map(str, told["pay"]["amount"])) == ["{'maximum': 100}", "{'minimum': 3}"]
    gate.observe(gate.call("free", {"to": "x"}), "done")
    assert {"maximum": 10} in gate.limits(["pay"])["pay"]["amount"]


@pytest.mark.parametrize("to", ["ann", "abe", "bob", "eve"])
@pytest.mark.parametrize("amount", [2, 3, 50, 100, 100.5])
def test_what_is_allowed_keeps_to_it(engine: Engine, to: str, amount: float) -> None:
    gate = engine.session(principal=ANN)
    schema = with_limits(SCHEMA, gate.limits(["pay"])["pay"])
    arguments = {"to": to, "amount": amount}
    fits = jsonschema.Draft202012Validator(schema).is_valid(arguments)
    # Here all that is asked stands for itself.
    assert gate.call("pay", arguments).allowed is fits
