"""oso: Polar rules over dictionaries, which it evaluates faster than registered classes."""

from __future__ import annotations

from typing import Any

from oso import Oso

from bench.peers import Prepared, Workload, extras, require_documents

LEGAL = {"attribute": '"legal" in p.groups', "group": '{type: "Group", id: "legal"} in p.parents'}

POLICY = """
allow(p, action, d) if permit(p, action, d) and not forbid(p, action, d);
permit(p, "retrieve", d) if d.type = "Document" and d.tenant = p.tenant and d.classification <= p.clearance;
permit(p, "retrieve", d) if d.type = "Document" and d.owner = p.id;
forbid(p, "retrieve", d) if d.type = "Document" and "legal_hold" in d.labels and not {legal};
forbid(p, "retrieve", d) if d.type = "Document" and d.tenant != p.tenant;
"""

IRRELEVANT = {
    "tool": '{effect}(p, "call", t) if t.type = "Tool" and t.id = "tool_{i}" and p.tenant = "acme";',
    "tenant": '{effect}(_, "retrieve", d) if d.type = "Document" and d.tenant = "t{i}";',
    "group": '{effect}(p, "retrieve", d) if d.type = "Document" and {{type: "Group", id: "g{i}"}} in p.parents;',
}


def prepare(workload: Workload) -> Prepared:
    require_documents(workload)
    shape = IRRELEVANT[workload["shape"]]
    rules = [shape.format(effect=effect, i=i) for i, effect in extras(workload)]
    oso = Oso()
    oso.load_str(POLICY.format(legal=LEGAL[workload["variant"]]) + "\n".join(rules))

    def decide(request: tuple[Any, str, Any]) -> bool:
        return oso.is_allowed(*request)

    return decide, [(p, "retrieve", d) for p, d in workload["requests"]]
