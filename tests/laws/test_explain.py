"""What a filter explains is a policy, and it decides the same about every document for the caller it is for.

And a rule that is written down from its typed form is read back as the same rule.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given

from policyengine import Engine
from policyengine.bundle import Snapshot, load_text
from policyengine.diagnostics.source import Source
from policyengine.ir.equivalence import same_rule
from policyengine.ir.write import Unwritable
from policyengine.ir.write_rule import definitions, rule_text
from policyengine.model.request import request
from policyengine.model.values import Fault
from policyengine.syntax.format import format_source
from tests.support.evaluators import reference
from tests.support.policies import Policies, policies
from tests.support.scenarios import Scenario, scenarios


def owing(snapshot: Snapshot, asked: dict[str, Any]) -> tuple[str, set[tuple[str, str]], set[str]]:
    """What a decision comes to: whether it allows, and what is owed or missing for that. What the principal and an
    agent both owe is one rule in the original and two in an explanation."""
    decision = reference(snapshot, asked)
    owed = {(o.type, repr(o.properties)) for o in decision.obligations} if decision.decision == "allow" else set()
    return decision.decision, owed, {f"{a.by} {a.within}" for a in decision.approvals}


@given(scenarios())
def test_an_explanation_decides_the_same(scenario: Scenario) -> None:
    engine = scenario.engine()
    for asked in scenario.requests:
        try:
            whole = request(**asked)
        except Fault:
            continue
        rest = {name: asked[name] for name in ("principal", "action", "context")}
        text = engine.filter(**rest, resource_type=whole.resource.uid.type).explain()
        assert format_source(Source("p.pol", text)).text == text
        again = load_text(scenario.policies.declared.text + text, entities=scenario.entities)
        assert again.snapshot is not None, (text, again.diagnostics)
        for other in scenario.requests:
            try:
                document = request(**other).resource
            except Fault:
                continue
            if document.uid.type == whole.resource.uid.type:
                one = {**asked, "resource": other["resource"]}
                assert owing(again.snapshot, one) == owing(engine.snapshot, one), text


@given(policies(min_rules=3))
def test_a_written_rule_is_read_back(made: Policies) -> None:
    snapshot = made.load()
    for rule in snapshot.policies.rules:
        found = []
        for explicit in (False, True):
            try:
                needed = "\n".join(definitions(rule).values()) if explicit else ""
                text = rule_text(rule, "r", snapshot.schema, explicit)
            except Unwritable:
                continue
            again = load_text(f"{made.declared.text}\n{needed}\n{text}").policies
            found.append(again is not None and same_rule(again.rules[0], rule))
        assert any(found), text


def test_nothing_is_lost_where_it_matters() -> None:
    engine = Engine.from_text(
        "use ai\nextend User { level: Int }\npermit p: retrieve on Document when document.owner == principal.id\n"
        "permit q: retrieve on Document for Agent\n"
        "forbid f: retrieve on Document for User when principal.level > 2 and document.classification > 1\n"
        "forbid g: retrieve on Document for User when principal.level == 9223372036854775807 + 1\n"
        "forbid h: retrieve on Document for User when principal.level < 0\n"
    )
    user = {"type": "User", "id": "ann", "level": 3}
    assert engine.filter(principal=user, action="retrieve", resource_type="Document").explain() == EXPECTED
    nobody = engine.filter(principal={"type": "User"}, action="retrieve", resource_type="Document").explain()
    assert nobody == "# NEVER: no Document may be seen; an entity is an object with a textual `type` and `id`\n"


EXPECTED = """\
# NEVER: no Document may be seen

forbid f: retrieve on Document for User
  when document.classification > 1

# policy.g: its condition has no value (a result does not fit in 64 bits), so it denies
forbid g: retrieve on Document for User

permit p: retrieve on Document
  when document.owner == "ann"
"""


def test_what_is_known_of_the_document_and_what_is_approved() -> None:
    engine = Engine.from_text(
        'use ai\npermit p: retrieve on Document when document.owner == principal.id and document.tenant == "acme"\n'
        'require r: retrieve on Document approval(by: Group::"legal", within: 15m)\n'
        'require s: retrieve on Document redact(["email"])\n'
    )
    user = {"type": "User", "id": "ann"}
    found = engine.filter(
        principal=user,
        action="retrieve",
        resource_type="Document",
        resource={"tenant": "acme"},
        approved={"policy.r"},
        fulfilled={"redact"},
    )
    assert found.explain() == (
        "# CONDITIONAL: it depends on the Document\n\npermit p: retrieve on Document\n"
        '  when document.owner == "ann"\n\n# policy.r: approved\n\n'
        'require s: retrieve on Document\n  redact(kinds: ["email"])\n'
    )
