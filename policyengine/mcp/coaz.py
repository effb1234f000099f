"""The COAZ binding for MCP: what a message is to an AuthZEN decision point.

Pure: a mapping, the parameters of a message and the claims of its token in; the body of a request out, or a
MappingError. A mapping is the method's own (`defaults`), or one that a server declares in the input schema of a tool
(`x-authzen-mapping`). It is a template whose texts with a `$` in front are expressions; nothing else is evaluated.

Source: `openid/authzen`, profiles/authzen-coaz-mcp-binding-1_0.md and authzen-coaz-framework-1_0.md, commit e287920.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policyengine.mcp.cel_expressions import ABSENT, MappingError, evaluated

DECLARED = "x-authzen-mapping"
AGENT = "$token.?client_id"
MOST_VALUES, DEEPEST, MOST_DECISIONS = 1_000, 16, 100
_PARTS = frozenset({"subject", "action", "resource", "context"})
_MEMBERS = {"subject": {"type", "id", "properties"}, "resource": {"type", "id", "properties"}}
_MEMBERS["action"] = {"name", "properties"}
_REQUIRED = {"subject": ("type", "id"), "action": ("name",), "resource": ("type", "id")}


@dataclass(frozen=True, slots=True)
class Token:
    """The claims of the token of a message, which are verified. `subject` names the claim with whom it is for, `server`
    is what this server is called; None where only the token says so."""

    claims: Mapping[str, Any]
    subject: str = "sub"
    server: str | None = None

    def identity(self) -> str:
        """Raises MappingError."""
        claim = self.claims.get(self.subject)
        if not isinstance(claim, str) or not claim:
            raise MappingError("the token does not say whom it is for")
        return claim

    def audience(self) -> str:
        """What identifies this server, as one text. Raises MappingError."""
        named = self.claims.get("aud")
        if self.server is not None:
            return self.server
        if isinstance(named, list) and len(named) == 1:
            named = named[0]
        if not isinstance(named, str) or not named:
            raise MappingError("the token does not say which server it is for")
        return named


@dataclass(frozen=True, slots=True)
class Built:
    """The body of a request, of the API that `many` names. `overridden` is whether its subject is one that no claim of
    the token says."""

    body: Mapping[str, Any]
    many: bool = False
    overridden: bool = False


def default(action: str, resource: Mapping[str, Any], context: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The shape that all default mappings share."""
    asked = {"action": {"name": action}, "resource": dict(resource), "context": {"agent": AGENT, **(context or {})}}
    return {"evaluation": asked}


def built(mapping: Any, params: Mapping[str, Any], token: Token) -> Built:
    """The request that a mapping makes of a message. Raises MappingError."""
    envelope, template = _envelope(mapping)
    _check_size(template)
    many = envelope == "evaluations"
    entries = template.get("evaluations") if many else []
    if not isinstance(entries, list) or (many and not 0 < len(entries) <= MOST_DECISIONS):
        raise MappingError(f"`evaluations` must be a list of 1 to {MOST_DECISIONS} evaluations")
    body = _parts({name: value for name, value in template.items() if name != "evaluations"}, params, token)
    subject, overridden = _subject(template.get("subject", {}), body.get("subject", {}), token)
    body["subject"] = subject
    if not many:
        _check(body)
        return Built(body, False, overridden)
    asked = []
    for entry in entries:
        if not isinstance(entry, dict) or "subject" in entry:
            raise MappingError("an entry of `evaluations` must be an object without a `subject` of its own")
        asked.append(_parts(entry, params, token))
        _check({**body, **asked[-1]})
    return Built({**body, "evaluations": asked}, True, overridden)


def _envelope(mapping: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(mapping, dict) or len(mapping) != 1:
        raise MappingError("a mapping must be an object with one member")
    ((envelope, template),) = mapping.items()
    if envelope not in ("evaluation", "evaluations") or not isinstance(template, dict):
        raise MappingError("a mapping must be an `evaluation` or `evaluations`, with an object")
    return envelope, template


def _parts(template: Mapping[str, Any], params: Mapping[str, Any], token: Token) -> dict[str, Any]:
    if not template.keys() <= _PARTS:
        raise MappingError("a request must have a subject, an action, a resource and a context, and nothing else")
    parts: dict[str, Any] = {}
    for name, value in template.items():
        said = _value(value, params, token, name == "subject")
        if said is ABSENT and name in ("subject", "context"):
            continue
        if not isinstance(said, dict):
            raise MappingError(f"`{name}` is not an object")
        if name in _MEMBERS and not said.keys() <= _MEMBERS[name]:
            raise MappingError(f"attributes of `{name}` must stand in its `properties`")
        if not isinstance(said.get("properties", {}), dict):
            raise MappingError(f"the `properties` of `{name}` are not an object")
        parts[name] = said
    return parts


def _value(template: Any, params: Mapping[str, Any], token: Token, of_subject: bool = False) -> Any:
    if isinstance(template, dict):
        said = {name: _value(each, params, token, of_subject) for name, each in template.items()}
        return {name: each for name, each in said.items() if each is not ABSENT}
    if isinstance(template, list):
        return [each for each in (_value(one, params, token) for one in template) if each is not ABSENT]
    if not isinstance(template, str) or not template.startswith("$"):
        return template
    if template.startswith("$$"):
        return template[1:]
    # Another claim may say whom a token is for: then it is meant wherever a subject is said to be `sub`.
    if of_subject and template[1:].strip() == "token.sub":
        return token.identity()
    return evaluated(template[1:], params, token.claims)


def _subject(template: Any, said: Mapping[str, Any], token: Token) -> tuple[dict[str, Any], bool]:
    """The subject of every decision, and whether it is another than whom the token is for. What is to be the token's,
    and is not, is a mapping error."""
    identity = token.identity()
    if isinstance(template, dict) and "id" in template and "id" not in said:
        raise MappingError("`subject.id` is absent")
    subject = {"type": "identity", "id": identity, **said}
    if subject["id"] == identity and isinstance(subject["id"], str):
        return subject, False
    if not isinstance(template, dict) or _names(template.get("id"), token.subject):
        raise MappingError("`subject.id` is not whom the token is for")
    return subject, True


def _names(template: Any, claim: str) -> bool:
    """Whether an expression reads the claim that says whom a token is for."""
    if not isinstance(template, str) or not template.startswith("$") or template.startswith("$$"):
        return False
    return any(re.search(rf"\btoken\b[^|&]*{re.escape(name)}", template) is not None for name in {claim, "sub"})


def _check(request: Mapping[str, Any]) -> None:
    for name, members in _REQUIRED.items():
        if name not in request:
            raise MappingError(f"there is no `{name}`")
        for member in members:
            value = request[name].get(member)
            if not isinstance(value, str) or not value:
                raise MappingError(f"`{name}.{member}` is not text")


def _check_size(template: Any) -> None:
    seen, left = 0, [(template, 0)]
    while left:
        value, depth = left.pop()
        seen += 1
        if seen > MOST_VALUES or depth > DEEPEST:
            raise MappingError("a mapping is too large")
        if isinstance(value, dict | list):
            left += [(each, depth + 1) for each in (value.values() if isinstance(value, dict) else value)]
