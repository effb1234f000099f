"""W1 and its irrelevant rules in Rego, for whoever runs Rego.

Conditions are equalities where they can be, so that OPA's rule index can use them.
"""

from __future__ import annotations

from bench.peers import Workload, extras

LEGAL = {
    "attribute": '"legal" in input.principal.groups',
    "group": '{"type": "Group", "id": "legal"} in input.principal.parents',
}

MODULE = """
package documents

import rego.v1

default allow := false

allow if {{
	permit
	not deny
}}

permit if {{
	input.action == "retrieve"
	input.resource.type == "Document"
	input.resource.tenant == input.principal.tenant
	input.resource.classification <= input.principal.clearance
}}

permit if {{
	input.action == "retrieve"
	input.resource.type == "Document"
	input.resource.owner == input.principal.id
}}

deny if {{
	input.action == "retrieve"
	input.resource.type == "Document"
	"legal_hold" in input.resource.labels
	not legal
}}

legal if {legal}

deny if {{
	input.action == "retrieve"
	input.resource.type == "Document"
	input.resource.tenant != input.principal.tenant
}}
"""

IRRELEVANT = {
    "tool": (
        '{head} if {{\n\tinput.action == "call"\n\tinput.resource.type == "Tool"\n'
        '\tinput.resource.id == "tool_{i}"\n\tinput.principal.tenant == "acme"\n}}\n'
    ),
    "tenant": '{head} if {{\n\tinput.action == "retrieve"\n\tinput.resource.tenant == "t{i}"\n}}\n',
    "group": (
        '{head} if {{\n\tinput.action == "retrieve"\n'
        '\tsome group in input.principal.parents\n\tgroup.id == "g{i}"\n}}\n'
    ),
}


def module(workload: Workload) -> str:
    heads = {"permit": "permit", "forbid": "deny"}
    shape = IRRELEVANT[workload["shape"]]
    rules = [shape.format(head=heads[effect], i=i) for i, effect in extras(workload)]
    return "\n".join([MODULE.format(legal=LEGAL[workload["variant"]]), *rules])
