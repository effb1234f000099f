"""regopy: Microsoft's Rego in C++. The policy is compiled to a bundle once; an input is a dictionary."""

from __future__ import annotations

from typing import Any

import regopy

from bench.peers import Prepared, Workload, require_documents
from bench.peers.rego import module


def prepare(workload: Workload) -> Prepared:
    require_documents(workload)
    compiler = regopy.Interpreter()
    compiler.add_module("documents", module(workload))
    bundle = compiler.build("data.documents.allow", ["documents/allow"])
    interpreter = regopy.Interpreter()

    def decide(request: dict[str, Any]) -> bool:
        interpreter.set_input(request)
        output = interpreter.query_bundle_entrypoint(bundle, "documents/allow")
        return output.results[0].expressions[0] is True

    return decide, [
        {"action": "retrieve", "principal": principal, "resource": document}
        for principal, document in workload["requests"]
    ]
