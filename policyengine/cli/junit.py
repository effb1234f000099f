"""Test results as JUnit XML, the form that CI systems read."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from policyengine.diagnostics import render
from policyengine.diagnostics.safe_text import visible
from policyengine.testing import CaseResult


def junit(results: Sequence[CaseResult], whys: Sequence[str]) -> str:
    """One suite per module. Characters that XML cannot hold are escaped."""
    root = Element("testsuites", _counts(results))
    for module in dict.fromkeys(result.case.module for result in results):
        mine = [(r, w) for r, w in zip(results, whys, strict=True) if r.case.module == module]
        suite = SubElement(root, "testsuite", {"name": module, **_counts([r for r, _ in mine])})
        for result, why in mine:
            case = SubElement(suite, "testcase", _case(result))
            if not result.passed:
                failure = SubElement(case, "failure", {"message": visible("; ".join(result.problems))})
                shown = render.human(result.diagnostic()) + (f"\n= why: {why}" if why else "")
                failure.text = "\n".join(visible(line) for line in shown.split("\n"))
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=False).join(
        ('<?xml version="1.0" encoding="UTF-8"?>\n', "\n")
    )


def _counts(results: Sequence[CaseResult]) -> dict[str, str]:
    return {"tests": str(len(results)), "failures": str(sum(not r.passed for r in results)), "errors": "0"}


def _case(result: CaseResult) -> dict[str, str]:
    span = result.case.span
    return {
        "name": visible(result.case.name),
        "classname": result.case.module,
        "file": visible(span.source.path),
        "line": str(span.line_col[0]),
    }
