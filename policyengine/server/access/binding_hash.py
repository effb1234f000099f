"""The digest that ties a submission to the evaluation that was denied, as the profile constructs `binding_hash`.

In: the AuthZEN objects as they were sent. The members of the context that a policy could read count, and always the
agent and the session; the time never does.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import rfc8785

from policyengine.schema.schema import Schema
from policyengine.state.approval_scope import bound_members

ALWAYS = ("agent", "session")
Wire = Mapping[str, Any]


def relevant(schema: Schema) -> list[str]:
    """The names of the members of a context that count."""
    return sorted({*bound_members(schema), *ALWAYS})


def binding_hash(wire: Wire, members: list[str]) -> str | None:
    """The digest of a request; None if it has no canonical form."""
    subject = dict(wire["subject"])
    properties = subject.get("properties")
    if isinstance(properties, Mapping) and "act" in properties:
        # A submission may have it in another place.
        subject["properties"] = {name: value for name, value in properties.items() if name != "act"}
    context = wire.get("context", {})
    bound = {
        "subject": subject,
        "resource": wire["resource"],
        "action": wire["action"],
        "context": {name: context[name] for name in members if name in context},
    }
    try:
        digest = sha256(rfc8785.dumps(bound)).digest()
    except (rfc8785.CanonicalizationError, ValueError, RecursionError):
        return None
    return urlsafe_b64encode(digest).decode().rstrip("=")
