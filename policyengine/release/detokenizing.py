"""Turns tokens back into values, before and after the decision about it.

The request is `detokenize` on an `Output`, and everything that the policies say about that applies. If a token does not
open, for whatever reason, the whole request is denied, and the denial does not give the reason, so that nobody learns
whose token it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from policyengine.diagnostics import codes
from policyengine.model.decision import RuleError
from policyengine.release.carry_out import ordered
from policyengine.release.inspection import Inspection
from policyengine.release.released import Released
from policyengine.release.scanning import as_kinds
from policyengine.release.tokenizing import Keys, NoKey, NotAToken
from policyengine.release.treatment import CannotCarryOut
from policyengine.state.grant import Grant

OUTPUT = "Output"
# Attributes that are only known by reading the text; callers may not give them.
OURS = frozenset({"findings", "found", "scores", "size", "sources", "text", "valid"})
# As `tokenizing.Keys.token` writes them: an authentication tag of 16 bytes, and at least one byte of a value.
_TOKEN = re.compile(r"\[([a-z][a-z0-9_.]*):((?:[k-z]{2}){17,})\]")
# The same message for every token that does not open.
_CLOSED = "a token cannot be detokenized"


@dataclass(frozen=True, slots=True)
class TokenText:
    """A text with tokens, and what is known of it: the resource of the request, and other data."""

    text: str
    resource: Mapping[str, Any]
    keys: Keys
    refused: RuleError | None = None


def prepare(text: Any, output: Any, inspection: Inspection) -> TokenText:
    """Reads the text. Never raises because of its arguments."""
    if output is not None and not isinstance(output, Mapping):
        return TokenText("", {}, Keys(), RuleError("", codes.MALFORMED.id, "`output` must be an object"))
    described = dict(output or {})
    tenant = str(described.get("tenant", ""))
    if not isinstance(text, str) or len(text) > inspection.most:
        message = f"it is not text, or has more than {inspection.most} characters"
        return TokenText("", {}, Keys(), RuleError("", codes.NOT_LOOKED_AT.id, message))
    if said := sorted(OURS & described.keys()):
        message = f"`{said[0]}` of an output is computed from it: leave it out"
        return TokenText("", {}, Keys(), RuleError("", codes.MALFORMED.id, message))
    kinds = as_kinds(token[1] for token in _TOKEN.finditer(text))
    known = {"type": OUTPUT, "id": str(described.get("id", "output")), "findings": kinds, "size": len(text)}
    return TokenText(text, {**described, **known}, inspection.keys(tenant))


def conclude(giving: TokenText, grant: Grant, fulfilled: Collection[str]) -> Released:
    """The text with tokens replaced by their values, or nothing."""
    decision = grant.decision
    if decision.decision != "allow" or decision.unmetered:
        return Released(False, None, decision, grant=grant)
    try:
        read = ordered(decision, fulfilled)
        if read.treatments or read.truncate is not None or read.withhold is not None:
            raise CannotCarryOut("values are restored unchanged, so no obligation can be carried out on them")
        text = _TOKEN.sub(lambda found: giving.keys.value(found[1], found[2]), giving.text)
    except CannotCarryOut as error:
        return _refused(decision, codes.NOT_CARRIED_OUT.id, str(error), grant)
    except (NotAToken, NoKey):
        return _refused(decision, codes.NOT_A_TOKEN.id, _CLOSED, grant)
    return Released(True, text, decision, owed=read.others, grant=grant)


def _refused(decision: Any, code: str, message: str, grant: Grant) -> Released:
    return Released(False, None, decision, errors=(RuleError("", code, message),), grant=grant)
