"""What may come in: an admission, before and after its decision. The counterpart of a release check, in front of the
model.

The request is `invoke` on a model, with `context.input`. Everything that the policies say about `invoke` applies.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policyengine.diagnostics import codes
from policyengine.model.decision import Decision, RuleError
from policyengine.release.carry_out import carry_out
from policyengine.release.content import Content, Unscannable, text_content, too_long
from policyengine.release.inspection import Inspection
from policyengine.release.model_input import TRUSTED, Input, SourceOf, read_input
from policyengine.release.release_check import looked_at
from policyengine.release.released import Admitted, Describe
from policyengine.release.scanning import ContentFinding, account
from policyengine.release.text_needs import FOUND, KINDS, TextNeeds
from policyengine.release.treatment import CannotCarryOut, orders
from policyengine.release.uploads import PLAIN, UNKNOWN
from policyengine.state.grant import Grant

INPUT, FILES = "input", "files"
MEASURES = frozenset({"content_type", "duplicate_keys", "encoding", "files", "nesting", "size", "tokens", "trust"})


@dataclass(frozen=True, slots=True)
class Admission:
    """The input of a model, and what is known of it: the context of the request, and other data. `unread`: it contains
    a file that cannot be read, and no rule is about files. `described` gives everything that is known of it, while the
    context has what rules read."""

    content: Content
    context: Mapping[str, Any]
    inspection: Inspection
    tenant: str
    found: tuple[ContentFinding, ...] = ()
    refused: RuleError | None = None
    unread: bool = False
    described: Describe | None = None


def prepare(
    given: Any,
    context: Any,
    tenant: str,
    needs: TextNeeds,
    inspection: Inspection,
    source_of: SourceOf | None,
) -> Admission:
    """Scans the input as far as these rules need. Never raises because of its content."""
    known: dict[str, Any] = dict(context) if isinstance(context, Mapping) else {}

    def refused(code: str, message: str) -> Admission:
        return Admission(text_content(""), known, inspection, tenant, refused=RuleError("", code, message))

    if context is not None and not isinstance(context, Mapping):
        return refused(codes.MALFORMED.id, "the context must be an object")
    if INPUT in known:
        return refused(codes.MALFORMED.id, "`input` of the context is computed from the input: leave it out")
    try:
        read = read_input(given, source_of)
    except Unscannable as error:
        return refused(codes.NOT_LOOKED_AT.id, str(error))
    if read.content.size > inspection.most:
        return refused(codes.NOT_LOOKED_AT.id, too_long(inspection.most))
    attributes, findings = looked_at(read.content, needs, inspection, tenant, with_source=True)
    unread = bool(read.files) and FILES not in needs.whole.attributes and not all(file.scannable for file in read.files)
    # The content of such a file is unknown: a rule that reads findings errs, unless a rule is about such files.
    hidden = ("text", "valid", KINDS, FOUND, "scores") if unread else ("text", "valid")
    attributes = {name: value for name, value in attributes.items() if name not in hidden}
    context = {**known, INPUT: {**_measured(given, read, inspection, needs.measured), **attributes}}

    def described() -> Mapping[str, Any]:
        return {**_measured(given, read, inspection, None), **attributes}

    return Admission(read.content, context, inspection, tenant, findings, unread=unread, described=described)


def conclude(admission: Admission, grant: Grant, fulfilled: Collection[str]) -> Admitted:
    """The result: what may go into the model."""
    decision, described = grant.decision, admission.described
    if decision.decision != "allow" or decision.unmetered:
        return Admitted(False, None, decision, admission.found, grant=grant, described=described)
    if admission.unread and _treated(decision):
        message = (
            "a file cannot be read: write a rule on `scannable` of `context.input.files` that says what happens then"
        )
        errors = (RuleError("", codes.NOT_LOOKED_AT.id, message),)
        return Admitted(False, None, decision, admission.found, errors, grant=grant, described=described)
    known, keys = admission.inspection.registry(admission.tenant), admission.inspection.keys(admission.tenant)
    carried = carry_out(admission.content, decision, known, keys, fulfilled)
    if carried.errors:
        return Admitted(False, None, decision, admission.found, carried.errors, grant=grant, described=described)
    treated = account(admission.content, [list(those) for those in carried.found]) if carried.found else ()
    seen = tuple(dict.fromkeys((*admission.found, *treated)))
    return Admitted(True, carried.value, decision, seen, (), (), carried.owed, grant, described)


def _treated(decision: Decision) -> bool:
    """Whether the decision orders changes to the texts."""
    try:
        return bool(orders(decision.obligations).treatments)
    except CannotCarryOut:
        return True


def _encoding(read: Input, texts: Sequence[str]) -> str:
    """The encoding of the file, if the input is a single text file; `utf-8` for texts that Unicode can represent."""
    if len(read.files) == 1 and len(texts) <= 1 and read.files[0].type in (PLAIN, UNKNOWN):
        return read.files[0].encoding or UNKNOWN
    return "utf-8" if all(map(_is_unicode, texts)) else UNKNOWN


def _measured(given: Any, read: Input, inspection: Inspection, names: frozenset[str] | None) -> dict[str, Any]:
    """What is known without any finder, restricted to these names."""
    if names is not None:
        if names.isdisjoint(MEASURES):
            return {}
        return {name: value for name, value in _measured(given, read, inspection, None).items() if name in names}
    sizes: dict[str, int] = {}
    for segment in read.content.segments:
        sizes[segment.source] = sizes.get(segment.source, 0) + len(segment.text)
    texts = [segment.text for segment in read.content.segments]
    measured: dict[str, Any] = {
        "size": sum(map(len, texts)),
        "tokens": sum(map(inspection.tokens, texts)),
        "content_type": read.files[0].type if len(read.files) == 1 and len(texts) <= 1 else PLAIN,
        "encoding": _encoding(read, texts),
        "trust": [
            {"source": source, "trusted": source in TRUSTED, "size": size} for source, size in sorted(sizes.items())
        ],
        "files": [
            {
                "name": file.name, "type": file.type, "size": file.size, "expanded": file.expanded,
                "encoding": file.encoding, "scannable": file.scannable,
            }
            for file in read.files
        ],
    }  # fmt: skip
    return {**measured, **_nesting(given)}


def _nesting(given: Any) -> dict[str, Any]:
    """How deep the input nests, and whether a key occurs twice in JSON in it."""
    if not isinstance(given, str):
        return {"nesting": _depth(given), "duplicate_keys": False}
    twice = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        made = dict(pairs)
        twice = twice or len(made) != len(pairs)
        return made

    try:
        value = json.loads(given, object_pairs_hook=members)
    except (ValueError, RecursionError):
        return {"nesting": _brackets(given), "duplicate_keys": False}
    return {"nesting": _depth(value), "duplicate_keys": twice}


def _depth(value: Any) -> int:
    """How many collections enclose the innermost one. Does not recurse."""
    deepest, level, todo = 0, 0, [value]
    while todo:
        inner: list[Any] = []
        for one in todo:
            if isinstance(one, Mapping):
                inner.extend(one.values())
            elif isinstance(one, list | tuple):
                inner.extend(one)
            else:
                continue
            deepest = level + 1
        todo, level = inner, level + 1
    return deepest


def _brackets(text: str) -> int:
    """How deep brackets nest in a text that is not JSON."""
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth = max(0, depth - 1)
    return deepest


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
