"""A LiteLLM proxy with the gate: `litellm --config config.yaml`, where that file, beside this one and `bank.py`, has
`litellm_settings: {callbacks: ["with_litellm.gate"]}`. The agents behind it need no change."""

from __future__ import annotations

from typing import Any

from bank import ANN, ENGINE

from policyengine.integrations.litellm import PolicyProxy


def principal(key: Any) -> dict[str, Any]:
    """The user whose key a request has; where keys are of nobody, all are Ann's here."""
    return {**ANN, "id": key.user_id or ANN["id"]}


gate = PolicyProxy(ENGINE, principal=principal, model={}, output={"tenant": "acme"})
