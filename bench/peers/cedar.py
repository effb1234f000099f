"""cedarpy: Cedar's Rust engine. Policies parsed once; the entities of every request are a handle made beforehand, so
that converting them is not counted.
"""

from __future__ import annotations

import json
from typing import Any

import cedarpy

from bench.peers import Prepared, Workload, extras

LEGAL = {"attribute": 'principal.groups.contains("legal")', "group": 'principal in Group::"legal"'}

POLICY = """
permit (principal is User, action == Action::"retrieve", resource is Document)
when {{ resource.tenant == principal.tenant && resource.classification <= principal.clearance }};

permit (principal is User, action == Action::"retrieve", resource is Document)
when {{ resource.owner == principal.key }};

forbid (principal is User, action == Action::"retrieve", resource is Document)
when {{ resource.labels.contains("legal_hold") }}
unless {{ {legal} }};

forbid (principal is User, action == Action::"retrieve", resource is Document)
when {{ resource.tenant != principal.tenant }};
"""

IRRELEVANT = {
    "tool": (
        '(principal, action == Action::"call", resource == Tool::"tool_{i}") when {{ principal.tenant == "acme" }};'
    ),
    "tenant": '(principal, action == Action::"retrieve", resource is Document) when {{ resource.tenant == "t{i}" }};',
    "group": '(principal in Group::"g{i}", action == Action::"retrieve", resource is Document);',
}


def prepare(workload: Workload) -> Prepared:
    asked = _applications(workload) if workload["kind"] == "applications" else _documents(workload)

    def decide(request: tuple[Any, Any, Any]) -> bool:
        question, policies, entities = request
        return cedarpy.is_authorized(question, policies, entities).allowed

    return decide, asked


def _documents(workload: Workload) -> list[Any]:
    rules = [f"{effect} {IRRELEVANT[workload['shape']].format(i=i)}" for i, effect in extras(workload)]
    text = POLICY.format(legal=LEGAL[workload["variant"]]) + "\n".join(rules)
    policies = cedarpy.PolicySet.from_str(text)
    asked = []
    for principal, document in workload["requests"]:
        entities = _handle([{**principal, "key": principal["id"]}, document])
        asked.append((_question(principal, "retrieve", document), policies, entities))
    return asked


def _applications(workload: Workload) -> list[Any]:
    """Each graph of entities is one handle, as it is one entity source for the engine."""
    policies = cedarpy.PolicySet.from_str(workload["cedar"])
    handles = [_handle(graph) for graph in workload["graphs"]]
    return [(_question(p, action, r), policies, handles[graph]) for graph, p, action, r in workload["requests"]]


def _question(principal: Any, action: str, resource: Any) -> dict[str, Any]:
    return {
        "principal": {"type": principal["type"], "id": principal["id"]},
        "action": {"type": "Action", "id": action},
        "resource": {"type": resource["type"], "id": resource["id"]},
    }


def _handle(entities: list[Any]) -> cedarpy.Entities:
    return cedarpy.Entities.from_json_str(json.dumps([_entity(one) for one in entities]))


def _entity(flat: dict[str, Any]) -> dict[str, Any]:
    attributes = {name: _value(value) for name, value in flat.items() if name not in ("type", "id", "parents")}
    uid = {"type": flat["type"], "id": flat["id"]}
    return {"uid": uid, "attrs": attributes, "parents": flat.get("parents", [])}


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return [_value(one) for one in value]
    if isinstance(value, dict) and value.keys() == {"type", "id"}:
        return {"__entity": value}
    return value
