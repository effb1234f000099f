"""casbin: each rule is a line of policy with its condition, which the matcher evaluates. Its logger is off."""

from __future__ import annotations

import logging
from typing import Any

import casbin

from bench.peers import Prepared, Workload, extras, require_documents

MODEL = """
[request_definition]
r = sub, act, type, obj

[policy_definition]
p = act, type, rule, eft

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = r.act == p.act && r.type == p.type && eval(p.rule)
"""

LEGAL = {"attribute": "'legal' in r.sub.groups", "group": "in_group(r.sub, 'legal')"}

# Action, resource type and condition of an irrelevant rule.
IRRELEVANT = {
    "tool": ("call", "Tool", "r.obj.id == 'tool_{i}' && r.sub.tenant == 'acme'"),
    "tenant": ("retrieve", "Document", "r.obj.tenant == 't{i}'"),
    "group": ("retrieve", "Document", "in_group(r.sub, 'g{i}')"),
}


def prepare(workload: Workload) -> Prepared:
    require_documents(workload)
    logging.disable(logging.CRITICAL)
    model = casbin.Model()
    model.load_model_from_text(MODEL)
    enforcer = casbin.Enforcer(model)
    enforcer.add_function("in_group", _in_group)
    hold = f"'legal_hold' in r.obj.labels && !({LEGAL[workload['variant']]})"
    retrieve = ("retrieve", "Document")
    cleared = "r.obj.tenant == r.sub.tenant && r.obj.classification <= r.sub.clearance"
    rules = [
        (*retrieve, cleared, "allow"),
        (*retrieve, "r.obj.owner == r.sub.id", "allow"),
        (*retrieve, hold, "deny"),
        (*retrieve, "r.obj.tenant != r.sub.tenant", "deny"),
    ]
    action, kind, condition = IRRELEVANT[workload["shape"]]
    effects = {"permit": "allow", "forbid": "deny"}
    rules += [(action, kind, condition.format(i=i), effects[effect]) for i, effect in extras(workload)]
    enforcer.add_policies(rules)

    def decide(request: tuple[Any, ...]) -> bool:
        return enforcer.enforce(*request) is True

    return decide, [(p, "retrieve", d["type"], d) for p, d in workload["requests"]]


def _in_group(principal: Any, group: str) -> bool:
    return any(parent["id"] == group for parent in principal["parents"])
