"""A release check, before and after its decision. Pure, except that classifiers are called.

`prepare` scans the text as far as rules read it, and makes the request. The caller, who has the store, has it decided.
`conclude` carries out the orders. What could not be scanned is absent, so a rule that reads it errs, in the usual
direction: it denies, or it permits nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from policyengine.detect.finder import DetectorFailed, UnknownKind
from policyengine.detect.registry import Registry
from policyengine.diagnostics import codes
from policyengine.evaluate.combine import denied
from policyengine.model.decision import Decision, RuleError
from policyengine.release import classifiers
from policyengine.release.carry_out import Carried, carry_out
from policyengine.release.content import (
    Content,
    Unscannable,
    json_content,
    json_text_content,
    text_content,
    too_long,
)
from policyengine.release.inspection import Inspection
from policyengine.release.released import Released
from policyengine.release.scanning import ContentFinding, account, as_attributes, look
from policyengine.release.sources import Sources
from policyengine.release.text_needs import FOUND, KINDS, Needs, TextNeeds
from policyengine.release.validity import Expected, Violation, problems
from policyengine.state.grant import Grant

# Attributes of an output that are only known by inspecting it; callers may not give them.
OURS = frozenset({"findings", "found", "scores", "size", "text", "valid"})
OUTPUT = "Output"
DecideOutput = Callable[[Mapping[str, Any]], Decision]


@dataclass(frozen=True, slots=True)
class ReleaseCheck:
    """A text, and what is known about it: the resource of the request, and other data."""

    content: Content
    resource: Mapping[str, Any]
    inspection: Inspection
    tenant: str
    expected: Expected | None = None
    found: tuple[ContentFinding, ...] = ()
    refused: RuleError | None = None


def prepare(
    text: Any,
    output: Any,
    sources: Sources | None,
    expected: Expected | None,
    needs: TextNeeds,
    inspection: Inspection,
) -> ReleaseCheck:
    """Scans a text as far as these rules need. Never raises because of its content."""
    described = dict(known_of(output))
    tenant = str(described.get("tenant", ""))
    empty = ReleaseCheck(text_content(""), {}, inspection, tenant, expected)
    if output is not None and not isinstance(output, Mapping):
        return replace(empty, refused=_malformed("`output` must be an object"))
    if computed := sorted((OURS | {"sources"}) & described.keys()):
        return replace(empty, refused=_malformed(f"`{computed[0]}` of an output is computed from it: leave it out"))
    try:
        content = _content(text, described, expected)
    except Unscannable as error:
        return replace(empty, refused=RuleError("", codes.NOT_LOOKED_AT.id, str(error)))
    if content.size > inspection.most:
        return replace(empty, refused=RuleError("", codes.NOT_LOOKED_AT.id, too_long(inspection.most)))
    resource = {**described, "type": OUTPUT, "id": str(described.get("id", "output"))}
    if sources is not None and sources.problem:
        return replace(empty, refused=_malformed(sources.problem))
    if sources is not None:
        resource["sources"] = [{"type": "Document", **document} for document in sources]
    attributes, findings = looked_at(content, needs, inspection, tenant)
    resource.update(attributes)
    if "valid" in needs.tried.attributes and expected is not None:
        # Assumed until the orders have been carried out; `conclude` then checks what remains.
        resource["valid"] = True
    return ReleaseCheck(content, resource, inspection, tenant, expected, findings)


def looked_at(
    content: Content, needs: TextNeeds, inspection: Inspection, tenant: str, *, with_source: bool = False
) -> tuple[dict[str, Any], tuple[ContentFinding, ...]]:
    """The attributes that these rules read and that inspection gives, and the findings."""
    attributes = measured(content, needs.tried, content.size, inspection)
    findings: tuple[ContentFinding, ...] = ()
    known = inspection.registry(tenant)
    # If finders fail for a kind that only rules on trial read, the other rules must not lose their findings.
    for each_needs in (needs.tried,) if needs.tried is needs.whole else (needs.tried, needs.whole):
        if not each_needs.attributes & {KINDS, FOUND}:
            continue
        try:
            findings = account(content, look(content, kinds_of(each_needs, known), known))
            attributes.update(as_attributes(findings, with_source=with_source))
            break
        except DetectorFailed:
            # The attributes are absent: a rule that reads findings errs.
            findings = ()
    return attributes, findings


def measured(content: Content, needs: Needs, size: int, inspection: Inspection) -> dict[str, Any]:
    """The attributes of a text of this size that need no finder."""
    seen: dict[str, Any] = {}
    if "text" in needs.attributes:
        seen["text"] = _whole(content)
    if "size" in needs.attributes:
        seen["size"] = size
    if "scores" in needs.attributes:
        seen["scores"] = classifiers.scores(_whole(content), inspection.classifiers, inspection.seconds)
    return seen


def kinds_of(needs: Needs, known: Registry) -> Iterable[str]:
    """The kinds that have to be searched for. Raises UnknownKind."""
    if needs.misnamed(known.kinds):
        raise UnknownKind("what a finding is compared with")
    return known.kinds if needs.all_kinds else needs.kinds


def conclude(check: ReleaseCheck, grant: Grant, decide: DecideOutput, fulfilled: Collection[str]) -> Released:
    """The result: what may leave. `decide` is called again if the text, as it would leave, is not valid."""
    decision = grant.decision
    if decision.decision != "allow" or decision.unmetered:
        return Released(False, None, decision, check.found, grant=grant)
    carried = _carried(check, decision, fulfilled)
    invalid = _invalid(check, carried)
    if invalid and check.resource.get("valid") is True:
        decision = decide({**check.resource, "valid": False})
        if decision.decision != "allow" or decision.unmetered:
            return Released(False, None, decision, check.found, invalid=invalid, grant=grant)
        carried = _carried(check, decision, fulfilled)
    findings = tuple(dict.fromkeys((*check.found, *_account(check, carried))))
    if carried.errors:
        return Released(False, None, decision, findings, carried.errors, invalid, grant=grant)
    return Released(True, carried.value, decision, findings, (), invalid, carried.owed, grant)


def refused(error: RuleError, revision: str) -> Grant:
    """The grant for a request that is not even decided about."""
    return Grant(denied(error, revision))


def _carried(check: ReleaseCheck, decision: Decision, fulfilled: Collection[str]) -> Carried:
    known, keys = check.inspection.registry(check.tenant), check.inspection.keys(check.tenant)
    return carry_out(check.content, decision, known, keys, fulfilled)


def _account(check: ReleaseCheck, carried: Carried) -> tuple[ContentFinding, ...]:
    return account(check.content, [list(those) for those in carried.found]) if carried.found else ()


def _invalid(check: ReleaseCheck, carried: Carried) -> tuple[Violation, ...]:
    if check.expected is None or carried.errors:
        return ()
    value = carried.value
    return problems(value if isinstance(value, str) else _json(value), check.expected)


def _content(text: Any, described: Mapping[str, Any], expected: Expected | None) -> Content:
    if isinstance(text, Content):
        return text
    if not isinstance(text, str):
        return json_content(text)
    if is_json(described):
        return json_text_content(text)
    if expected is not None and expected.is_json:
        try:
            return json_text_content(text)
        except Unscannable:
            return text_content(text)
    return text_content(text)


def known_of(output: Any) -> Mapping[str, Any]:
    """The attributes of an output; empty if it is not an object, which `prepare` refuses."""
    return output if isinstance(output, Mapping) else {}


def is_json(output: Any) -> bool:
    """Whether an output is declared to be JSON."""
    said = str(known_of(output).get("content_type", "")).partition(";")[0].strip().lower()
    return said == "application/json" or said.endswith("+json")


def _whole(content: Content) -> str:
    return "\n".join(segment.text for segment in content.segments)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _malformed(message: str) -> RuleError:
    return RuleError("", codes.MALFORMED.id, message)
