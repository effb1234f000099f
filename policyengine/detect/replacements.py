"""Texts that policies put in place of a value, and that a finder would find again.

Nothing that was removed may be found in what remains, so such a text is refused when the policies are loaded.
"""

from __future__ import annotations

from policyengine.detect.finder import DetectorFailed
from policyengine.detect.registry import ORDINARY, find, registry
from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.ir.nodes import Const, PolicySet

REPLACE = "replace"


def found_again(policies: PolicySet) -> list[Diagnostic]:
    """An error for each constant `with:` in which a built-in finder finds something."""
    if REPLACE not in policies.obligations and not policies.tried:
        return []
    diagnostics: list[Diagnostic] = []
    for rule in (*policies.rules, *policies.tried):
        if rule.kind != "require":
            continue
        for obligation in rule.obligations:
            for name, value in obligation.properties:
                if obligation.type == REPLACE and name == "with" and isinstance(value, Const):
                    diagnostics += (
                        Diagnostic(
                            codes.FOUND_AGAIN, value.span, f"a finder finds `{kind}` in what is to stand for a value",
                            "", "a text that is none, such as `n/a`",
                        )
                        for kind in kinds_in(value.value)
                    )  # fmt: skip
    return diagnostics


def kinds_in(text: object) -> list[str]:
    """The kinds that finders find in a text, without those that almost any text has. A finder that is not installed
    finds nothing."""
    known = registry()
    kinds_found: set[str] = set()
    for finder in known.finders if isinstance(text, str) else ():
        try:
            kinds_found.update(one.kind for one in find(str(text), finder.kinds, known))
        except DetectorFailed:
            continue
    return sorted(kinds_found - ORDINARY)
