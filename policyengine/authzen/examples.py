"""Example requests and answers. The tests send every request."""

from __future__ import annotations

ONE = {
    "subject": {"type": "User", "id": "ann", "properties": {"tenant": "acme", "roles": ["support"]}},
    "action": {"name": "retrieve"},
    "resource": {
        "type": "Document",
        "id": "d1",
        "properties": {"tenant": "acme", "owner": "bob", "classification": 1, "labels": []},
    },
}
TOOL_CALL = {
    "subject": {"type": "User", "id": "ann", "properties": {"tenant": "acme", "roles": ["support"]}},
    "action": {"name": "call"},
    "resource": {"type": "Tool", "id": "issue_refund", "properties": {"args": {"amount": 40, "order": "A-1"}}},
    "context": {
        "agent": {"type": "Agent", "id": "helper", "properties": {"tenant": "acme"}},
        "supported_obligations": ["custom"],
    },
}
MANY = {
    "subject": ONE["subject"],
    "action": ONE["action"],
    "options": {"evaluations_semantic": "execute_all"},
    "evaluations": [{"resource": {"type": "Document", "id": "d1"}}, {"resource": {"type": "Document", "id": "d2"}}],
}
WHO = {"subject": {"type": "User"}, "action": ONE["action"], "resource": {"type": "Document", "id": "d1"}}
WHICH = {
    "subject": ONE["subject"],
    "action": ONE["action"],
    "resource": {"type": "Document"},
    "page": {"limit": 1},
}
FILTER = {
    "subject": ONE["subject"],
    "action": ONE["action"],
    "resource": {"type": "Document"},
    "backend": {"store": "postgresql", "columns": {"id": "id", "tenant": "tenant_id", "*": {"json": "data"}}},
}
FILTERED = {
    "kind": "conditional",
    "exact": True,
    "query": {"where": '(document."tenant_id" = %s)', "params": ["acme"]},
    "rechecked": [],
    "revision": "1f0c2b7a9d3e",
}
WHAT = {"subject": ONE["subject"], "resource": ONE["resource"]}
ALLOWED = {
    "decision": True,
    "context": {
        "reasons": [],
        "determining": ["support.own_documents"],
        "revision": "1f0c2b7a9d3e",
        "summary": "allowed by `support.own_documents`",
    },
}
