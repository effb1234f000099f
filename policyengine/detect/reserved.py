"""The form of a replacement, which finders skip: `[email]`, or `[email:jbswy3dpeb3w64tm]` with a tag.

The kind must be one that a finder finds: any other word in brackets may be a value that somebody wrote that way to hide
it. A tag is 16 characters of base32 in lower case, which holds a keyed hash. Nothing inside such a form is a finding,
and its kind is no word that says what stands beside it: otherwise a replacement could make a value of its neighbour.
"""

from __future__ import annotations

import re
from collections.abc import Collection

LONGEST_KIND = 64
TAG = 16
WIDTH = LONGEST_KIND + TAG + 3

_OPEN = re.compile(rf"\[(?:[a-z][a-z0-9_.]{{0,{LONGEST_KIND - 1}}}(?::[a-z2-7]{{0,{TAG}}})?)?\Z")
_FORM = re.compile(rf"\[([a-z][a-z0-9_.]{{0,{LONGEST_KIND - 1}}})(?::[a-z2-7]{{{TAG}}})?\]")


def replacement(kind: str, tag: str = "") -> str:
    """The text that replaces a value of this kind. Raises ValueError if finders would not skip it."""
    text = f"[{kind}:{tag}]" if tag else f"[{kind}]"
    if not _FORM.fullmatch(text):
        raise ValueError("not the form of a replacement")
    return text


def opened(text: str, start: int, until: int) -> int:
    """The end, at most `until`, of the text that cannot be inside a replacement that is still unfinished."""
    opening = text.rfind("[", max(start, len(text) - WIDTH), until)
    return opening if opening >= 0 and _OPEN.match(text, opening) else until


def reserved(text: str, start: int, end: int, kinds: Collection[str]) -> bool:
    """Whether this place is inside a replacement of one of these kinds."""
    opening = text.rfind("[", max(0, end - WIDTH), start + 1)
    if opening < 0:
        return False
    form = _FORM.match(text, opening)
    return form is not None and end <= form.end() and form.group(1) in kinds


def without_words(text: str, kinds: Collection[str]) -> str:
    """The text as finders look at it: of the same length, with nothing to read in replacements of these kinds."""
    if "[" not in text:
        return text
    return _FORM.sub(lambda form: f"[{'x' * (len(form[0]) - 2)}]" if form[1] in kinds else form[0], text)
