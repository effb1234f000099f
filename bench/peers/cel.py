"""cel-expr-python: Google's CEL in C++. CEL has no rules, so one expression stands for W1, and the irrelevant rules are
joined to it in blocks that its parser still takes. Expressions are compiled once; a request is a dictionary.
"""

from __future__ import annotations

from typing import Any

from cel_expr_python import cel

from bench.peers import Prepared, Workload, extras, require_documents

LEGAL = {
    "attribute": '"legal" in principal.groups',
    "group": '{"type": "Group", "id": "legal"} in principal.parents',
}

PERMIT = """\
(resource.tenant == principal.tenant && resource.classification <= principal.clearance)
|| resource.owner == principal.id"""
FORBID = '("legal_hold" in resource.labels && !({legal})) || resource.tenant != principal.tenant'

IRRELEVANT = {
    "tool": '(action == "call" && resource.id == "tool_{i}" && principal.tenant == "acme")',
    "tenant": '(action == "retrieve" && resource.tenant == "t{i}")',
    "group": '(action == "retrieve" && principal.parents.exists(g, g.id == "g{i}"))',
}

BLOCK = 100


def prepare(workload: Workload) -> Prepared:
    require_documents(workload)
    environment = cel.NewEnv(variables={"principal": cel.Type.DYN, "action": cel.Type.STRING, "resource": cel.Type.DYN})
    shape = IRRELEVANT[workload["shape"]]
    permits = [shape.format(i=i) for i, effect in extras(workload) if effect == "permit"]
    forbids = [shape.format(i=i) for i, effect in extras(workload) if effect == "forbid"]
    forbid = FORBID.format(legal=LEGAL[workload["variant"]])
    base = f'action == "retrieve" && !({forbid})'
    requests = [{"principal": p, "action": "retrieve", "resource": d} for p, d in workload["requests"]]
    if not permits and not forbids:
        compiled = environment.compile(f"{base} && ({PERMIT})")
        return lambda request: compiled.eval(data=request).value() is True, requests

    allowed = environment.compile(PERMIT)
    walls = environment.compile(base)
    more_permits = [environment.compile(" || ".join(block)) for block in _blocks(permits)]
    more_forbids = [environment.compile(" || ".join(block)) for block in _blocks(forbids)]

    def decide(request: dict[str, Any]) -> bool:
        activation = environment.Activation(request)
        if walls.eval(activation).value() is not True:
            return False
        if any(one.eval(activation).value() is True for one in more_forbids):
            return False
        if allowed.eval(activation).value() is True:
            return True
        return any(one.eval(activation).value() is True for one in more_permits)

    return decide, requests


def _blocks(rules: list[str]) -> list[list[str]]:
    return [rules[i : i + BLOCK] for i in range(0, len(rules), BLOCK)]
