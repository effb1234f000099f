"""The same request as each server wants it, and the decisions in what each answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.workloads.documents import Entity, Request


def authzen(request: Request) -> dict[str, Any]:
    principal, document = request
    return {"subject": _split(principal), "action": {"name": "retrieve"}, "resource": _split(document)}


def authzen_batch(requests: Sequence[Request]) -> dict[str, Any]:
    return {"evaluations": [authzen(request) for request in requests]}


def read_authzen(answer: Any) -> list[bool]:
    return [one["decision"] for one in answer.get("evaluations", [answer])]


def opa(request: Request) -> dict[str, Any]:
    principal, document = request
    return {"input": {"action": "retrieve", "principal": _flat(principal), "resource": document}}


def opa_batch(requests: Sequence[Request]) -> dict[str, Any]:
    return {"input": {"requests": [opa(request)["input"] for request in requests]}}


def read_opa(answer: Any) -> list[bool]:
    result = answer["result"]
    return result if isinstance(result, list) else [result]


def cerbos(request: Request) -> dict[str, Any]:
    principal, document = request
    who = {"id": principal["id"], "roles": ["user"], "attr": _split(principal)["properties"]}
    what = {"kind": "document", "id": document["id"], "attr": _split(document)["properties"]}
    return {"principal": who, "resources": [{"resource": what, "actions": ["retrieve"]}]}


def read_cerbos(answer: Any) -> list[bool]:
    return [one["actions"]["retrieve"] == "EFFECT_ALLOW" for one in answer["results"]]


def _split(entity: Entity) -> dict[str, Any]:
    """Identity and properties apart."""
    properties = {name: value for name, value in entity.items() if name not in ("type", "id", "parents")}
    return {"type": entity["type"], "id": entity["id"], "properties": properties}


def _flat(entity: Entity) -> dict[str, Any]:
    """Without what this variant of the policy does not read."""
    return {name: value for name, value in entity.items() if name != "parents"}
