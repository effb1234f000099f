"""A warm load is a cold load: load(p, cache with what loads found out) = load(p), whatever became of the cache's files.

Revision, rules and their places, findings as they are shown, and every decision are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from policyengine import Engine
from policyengine.bundle import Loaded, load_path
from policyengine.diagnostics import render
from policyengine.ir.footprint import footprint
from policyengine.ir.nodes import Expr, PolicySet, Rule
from policyengine.ir.walk import walk
from policyengine.warm.cache import open_cache
from policyengine.warm.deferred import DeferredRule
from policyengine.warm.modules import forget
from tests.support.evaluators import fast_decide, reference
from tests.support.mutations import mutated
from tests.support.paths import ROOT
from tests.support.policies import policies
from tests.support.scenarios import Scenario, scenarios

OTHER = """module other

use ai

define unused: principal is User
define near(u: User): u.tenant == "t" and u.manager_of has "x"
"""
HELPERS = (
    "module helpers\nuse ai\nextend User { level?: Int }\ndefine high: principal has level and principal.level > 3\n"
)
USER = """module rules
use ai
use helpers
forbid low: retrieve on Document for User unless high because "too low"
permit all_of: retrieve on Document when true
permit covered: retrieve on Document for User when document.tenant == "a" and not high
forbid covering: retrieve on Document for User when document.tenant == "a"
require note_it: any on any for User
  redact(["email"])
prove never_low: never allow retrieve on Document for User when not high
test "t" { principal User::"u" { level: 5 } retrieve on Document::"d" { tenant: "b" } expect allow by all_of }
"""


@contextmanager
def _bundle(**texts: str) -> Iterator[tuple[Path, Path]]:
    """A directory with these modules, and one for what is found out about them."""
    with TemporaryDirectory() as name:
        here = Path(name) / "policies"
        here.mkdir()
        for module, text in texts.items():
            (here / f"{module}.pol").write_text(text, encoding="utf-8")
        yield here, Path(name) / "kept"


def _load(here: Path, kept: Path | None, entities: Any = None) -> Loaded:
    """As a process does that has loaded nothing before."""
    forget()
    return load_path(here, entities, cache=open_cache(kept) if kept is not None else None)


def _said(loaded: Loaded) -> Any:
    """All that can be told of a load, apart from what it decides."""
    snapshot = loaded.snapshot
    found = [render.human(one, False) for one in loaded.diagnostics]
    if snapshot is None:
        return found
    rules = snapshot.policies.rules
    said = [expr for rule in rules for expr in _expressions(rule)]
    said += [proof.condition for proof in snapshot.policies.proofs]
    places = [[str(node.span) for node in walk(expr)] for expr in said]
    heads = [[str(span) for span in (rule.span, rule.head.resource.span, rule.head.principal.span)] for rule in rules]
    asked = [footprint(rule) for rule in rules]
    return found, snapshot.revision, snapshot.policies, snapshot.schema, places, heads, asked


def _expressions(rule: Rule) -> list[Expr]:
    """Everything in a rule that is evaluated."""
    found = [rule.condition, *(value for spec in rule.obligations for _, value in spec.properties)]
    if rule.limit is not None:
        found += [rule.limit.ceiling, *rule.limit.by, *([rule.limit.of] if rule.limit.of is not None else [])]
    return found


def _same(warm: Loaded, cold: Loaded) -> None:
    for one, other in zip(_said(warm), _said(cold), strict=True):
        assert one == other
    if cold.snapshot is not None and warm.snapshot is not None:
        assert {rule: hash(rule) for rule in warm.snapshot.policies.rules} == {
            rule: hash(rule) for rule in cold.snapshot.policies.rules
        }


def _is_warm(loaded: Loaded) -> bool:
    return loaded.policies is not None and _are_warm(loaded.policies)


def _are_warm(policies: PolicySet) -> bool:
    return all(isinstance(rule, DeferredRule) for rule in policies.rules)


@given(scenarios(json=True))
def test_warm_is_cold(scenario: Scenario) -> None:
    with _bundle(m=scenario.policies.text) as (here, kept):
        cold = _load(here, None, scenario.entities)
        _same(_load(here, kept, scenario.entities), cold)
        warm = _load(here, kept, scenario.entities)
        assert _is_warm(warm)
        _same(warm, cold)
        assert cold.snapshot is not None
        assert warm.snapshot is not None
        for asked in scenario.requests:
            expected = reference(cold.snapshot, asked)
            assert fast_decide(warm.snapshot, asked) == expected
            assert reference(warm.snapshot, asked) == expected


@given(st.data(), policies(max_rules=3))
def test_damage_changes_nothing(data: st.DataObject, made: Any) -> None:
    with _bundle(m=made.text) as (here, kept):
        cold = _load(here, kept)
        for file in sorted(kept.iterdir()):
            damage = data.draw(st.sampled_from(("no", "flip", "cut", "swap", "empty")))
            event(damage)
            found = bytearray(file.read_bytes())
            at = data.draw(st.integers(0, len(found) - 1))
            match damage:
                case "flip":
                    found[at] ^= data.draw(st.integers(1, 255))
                case "cut":
                    del found[at:]
                case "swap":
                    found = bytearray(next(iter(kept.iterdir())).read_bytes())
                case "empty":
                    found.clear()
            file.write_bytes(found)
        _same(_load(here, kept), cold)


@given(st.data(), policies(max_rules=4))
def test_after_a_change_nothing_of_before_is_left(data: st.DataObject, made: Any) -> None:
    """Valid or not, what is loaded after a change is what would be loaded had there been nothing before."""
    with _bundle(m=made.text) as (here, kept):
        _load(here, kept)
        (here / "m.pol").write_text(data.draw(mutated(made.text, same_kind=True)), encoding="utf-8", errors="replace")
        _same(_load(here, kept), _load(here, None))


CHANGES = {
    "a definition": ("helpers", "> 3", "> 4"),
    "a declaration": ("helpers", "level?: Int", "level: Int"),
    "what is used": ("rules", "use helpers\n", ""),
    "another module's use": ("helpers", "use ai\n", ""),
    "a rule": ("rules", "when true", 'when document.tenant == "x"'),
    "a test": ("rules", "level: 5", "level: 1"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_module_depends_on_changes(name: str) -> None:
    module, old, new = CHANGES[name]
    with _bundle(helpers=HELPERS, rules=USER) as (here, kept):
        cold = _load(here, None)
        assert cold.snapshot is not None
        assert [one.code.id for one in cold.diagnostics] == ["POL302", "POL303"]
        _load(here, kept)
        assert _is_warm(_load(here, kept))
        file = here / f"{module}.pol"
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")
        _same(_load(here, kept), _load(here, None))
        file.write_text(text, encoding="utf-8")
        _same(_load(here, kept), cold)


def test_one_text_under_two_names() -> None:
    text = "use ai\npermit p: retrieve on Document\n"
    with _bundle(a=text, b=text) as (here, kept):
        cold = _load(here, None)
        for _ in range(3):
            _same(_load(here, kept), cold)


def test_a_reload_after_a_warm_load() -> None:
    """What is an outline so far is parsed when it has to be checked again."""
    with _bundle(helpers=HELPERS, rules=USER) as (here, kept):
        _load(here, kept)
        assert _is_warm(_load(here, kept))
        file = here / "helpers.pol"
        file.write_text(HELPERS.replace("> 3", "> 4"), encoding="utf-8")
        again = load_path(here, cache=open_cache(kept))
        assert not _is_warm(again)
        _same(again, _load(here, None))


MANY = """module many
use ai
extend Document { owner: User }
permit found: retrieve on Document::"d" for User when document.owner.tenant == principal.tenant
permit tools: call on Tool when tool.args.amount < 3
require ask: call on Tool when tool.args.amount > 3 approval(by: Group::"g", within: 15m)
permit model: invoke on Model when model.provider == "p" and "x" in session.labels
forbid leak: release on Output::"o" when "secret" in output.findings
"""


def _is_read(rule: Rule) -> bool:
    try:
        Rule.__dict__["condition"].__get__(rule)
    except AttributeError:
        return False
    return True


def test_a_rule_that_no_request_concerns_is_not_read() -> None:
    """Not for what a snapshot has to know of all of its rules, and not for the first decisions."""
    with _bundle(many=MANY) as (here, kept):
        Engine.load(here, cache=kept)
        forget()
        engine = Engine.load(here, cache=kept)
        assert _are_warm(engine.snapshot.policies)
        engine.decide(
            principal={"type": "User", "id": "u", "tenant": "t"},
            action="retrieve",
            resource={"type": "Document", "id": "d", "owner": {"type": "User", "id": "v", "tenant": "t"}},
        )
        unread = {rule.name for rule in engine.snapshot.policies.rules if not _is_read(rule)}
        assert unread == {"many.ask", "many.model", "many.tools"}


@pytest.mark.parametrize("name", ["support", "authzen_todo"])
def test_starter_policies(name: str) -> None:
    here = ROOT / "policies" / name
    with TemporaryDirectory() as kept:
        cold = _load(here, Path(kept))
        warm = _load(here, Path(kept))
        assert _is_warm(warm)
        _same(warm, cold)
