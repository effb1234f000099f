"""Obligations on the wire: the AuthZEN Obligations profile 1.0 (draft 1).

The profile's own types keep its names; every other type that policies impose is `custom`, its name in
`properties.action`. A caller may say what it can do, in `context.supported_obligations`: an allow that owes anything
else is then denied here, as the caller would have to deny it anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from policyengine.model.decision import Decision, Obligation, RuleError

CUSTOM = "custom"
_PROFILE = {"step_up": "step-up", "notification": "notification", "session_termination": "session_termination"}


def wire_type(type_: str) -> str:
    """The profile's name of an obligation type."""
    return _PROFILE.get(type_, CUSTOM)


def wire_types(types: Iterable[str]) -> list[str]:
    """The names of these obligation types, sorted, as the metadata advertises them. A type without a name in the
    profile is listed by its own name, in addition to `custom`."""
    return sorted({name for each in types for name in (wire_type(each), _PROFILE.get(each, each))})


def wire_obligation(obligation: Obligation) -> dict[str, Any]:
    type_ = wire_type(obligation.type)
    properties = dict(obligation.properties)
    if type_ == CUSTOM:
        properties["action"] = obligation.type
    return {"id": obligation.id, "type": type_, "properties": properties}


def negotiate(decision: Decision, context: Mapping[str, Any]) -> Decision:
    """The decision for a caller with this request context: an allow that owes what the caller cannot do is a deny.

    A caller names an obligation as the policies do, or as the profile does; `custom` means every type without a name in
    the profile. The obligations stay, as the caller must fulfil those it can. A caller that says nothing gets the
    decision unchanged.
    """
    if decision.decision != "allow" or not decision.obligations or "supported_obligations" not in context:
        return decision
    supported = set(context["supported_obligations"])
    owed = {each.type for each in decision.obligations}
    missing = sorted(_PROFILE.get(each, each) for each in owed if supported.isdisjoint((each, wire_type(each))))
    if not missing:
        return decision
    names = ", ".join(f"`{each}`" for each in missing)
    why = f"the caller does not support the obligations it would owe: {names}"
    error = RuleError("", "unsupported_obligation", why)
    return replace(
        decision,
        decision="deny",
        determining=(),
        reasons=(why,),
        limits=(),
        labels=(),
        errors=(error, *decision.errors),
    )
