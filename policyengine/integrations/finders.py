"""Finders of other libraries behind our interface: the analyzer of Presidio, and the plug-ins of detect-secrets.

They read a whole text, so a stream that needs one is buffered. If they raise, the finder has failed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from policyengine.detect.finder import Finder
from policyengine.detect.finding import Finding


def presidio(analyzer: Any, kinds: Mapping[str, str], language: str = "en", name: str = "presidio") -> Finder:
    """An `AnalyzerEngine` with whatever model it has been given. `kinds` says which of its entities are looked for,
    and what kind each is: `{"PERSON": "name", "LOCATION": "place"}`."""
    wanted = dict(kinds)

    def find(text: str) -> Sequence[Finding]:
        results = analyzer.analyze(text=text, language=language, entities=list(wanted))
        return [
            Finding(wanted[result.entity_type], result.start, result.end, min(1.0, max(0.0, float(result.score))), name)
            for result in results
            if result.entity_type in wanted and result.start < result.end
        ]

    return Finder(name, frozenset(wanted.values()), None, find)


def detect_secrets(plugins: Sequence[Any], name: str = "detect_secrets") -> Finder:
    """Plug-ins of detect-secrets, such as `AWSKeyDetector()`: kinds are `secret.` and the words of their type."""
    known = [(plugin, _kind(plugin.secret_type)) for plugin in plugins]

    def find(text: str) -> Sequence[Finding]:
        findings: dict[Finding, None] = {}
        begin = 0
        for line in text.splitlines(keepends=True):
            for plugin, kind in known:
                for secret in plugin.analyze_string(line):
                    at = line.find(secret) if secret else -1
                    while at >= 0:
                        findings[Finding(kind, begin + at, begin + at + len(secret), 0.7, name)] = None
                        at = line.find(secret, at + len(secret))
            begin += len(line)
        return list(findings)

    return Finder(name, frozenset(kind for _, kind in known), None, find)


def _kind(written: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", written.lower()).strip("_")
    return f"secret.{words or 'other'}"
