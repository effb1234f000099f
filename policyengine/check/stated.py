"""What a test states about entities and the context, as the entity values that a caller would send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policyengine.check.environment import Place, TypeEnv
from policyengine.check.written_types import visible_type
from policyengine.diagnostics import codes
from policyengine.diagnostics.suggest import did_you_mean, one_of
from policyengine.model.refined import problems
from policyengine.schema.constants import constant_record
from policyengine.schema.schema import CALL, TOOL
from policyengine.syntax import ast


def root_of(given: ast.Given, place: Place, names: Mapping[str, Any]) -> dict[str, Any]:
    """The stated context roots: one under its name, or those of `context { ... }`."""
    name, value = given.name.text, given.value
    entity = (
        entity_of(value, place, names)
        if isinstance(value, ast.EntityValue)
        else constant_record(value, place.findings.diagnostics, names)
    )
    if name == "context":
        return entity
    if place.context.get(name) is None:
        known = [n for n, _ in place.context.fields]
        help_ = did_you_mean(name, [*known, "principal", "context", "entity"]) or f"known: {one_of(known)}"
        place.findings.report(codes.UNKNOWN_NAME, given.name.span, f"unknown context root `{name}`", "", help_)
    return {name: entity}


def entity_of(value: ast.EntityValue, place: Place, names: Mapping[str, Any]) -> dict[str, Any]:
    env = TypeEnv(place)
    visible_type(value.entity.type, env)
    entity: dict[str, Any] = {"type": value.entity.type.text, "id": value.entity.id.text}
    attributes = constant_record(value.attributes, place.findings.diagnostics, names)
    for entry in value.attributes.entries if value.attributes is not None else ():
        if entry.key.text in entity:
            place.findings.report(codes.RESERVED, entry.key.span, f"`{entry.key.text}` is part of the entity's name")
    if value.parents:
        for parent in value.parents:
            visible_type(parent.type, env)
        entity["parents"] = [{"type": p.type.text, "id": p.id.text} for p in value.parents]
    return {**attributes, **entity}


def check_arguments(ask: ast.Ask, place: Place, names: Mapping[str, Any]) -> None:
    """Reports arguments that the tool does not take, because such a call is never allowed."""
    resource = ask.resource.entity
    tool = place.schema.tools.get(resource.id.text) if resource.type.text == TOOL else None
    if ask.action.text != CALL or tool is None:
        return
    stated = constant_record(ask.resource.attributes, [], names)
    for problem in problems(stated.get("args", {}), tool.args, ""):
        place.findings.report(
            codes.ARGUMENTS, ask.resource.span, problem, f"as `{tool.name}` declares it", "such a call is always denied"
        )
        return
