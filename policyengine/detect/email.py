"""E-mail addresses."""

from __future__ import annotations

import re
from collections.abc import Sequence

from policyengine.detect.finder import Finder
from policyengine.detect.finding import Finding

NAME = "email"
WIDTH = 400

_LOCAL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}\Z")
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}")


def finder() -> Finder:
    return Finder(NAME, frozenset({"email"}), WIDTH, _find)


def _find(text: str) -> Sequence[Finding]:
    found = []
    at = text.find("@")
    while at >= 0:
        local = _LOCAL.search(text, max(0, at - 64), at)
        domain = _DOMAIN.match(text, at + 1)
        if local and domain:
            found.append(Finding("email", local.start(), domain.end(), 0.9, NAME))
        at = text.find("@", at + 1)
    return found
