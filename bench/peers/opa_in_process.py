"""OPA's Go engine in this process, through its C library. One prepared engine; every input crosses as JSON."""

from __future__ import annotations

from typing import Any

from opa_bindings import OpaEngine

from bench.peers import Prepared, Workload, require_documents
from bench.peers.rego import module


def prepare(workload: Workload) -> Prepared:
    require_documents(workload)
    engine = OpaEngine()
    engine.add_policy("documents.rego", module(workload))

    def decide(request: dict[str, Any]) -> bool:
        return engine.eval_document("documents.allow", request) is True

    return decide, [
        {"action": "retrieve", "principal": principal, "resource": document}
        for principal, document in workload["requests"]
    ]
