"""Values that are assigned to a name: what follows a word in a name, and whether it may be a secret.

In: the bytes of a text, and the place after a word such as `password` or `algolia`. Out: the place of the value that is
assigned to the name, or None; and how much it looks like a secret. Reads a bounded stretch.
"""

from __future__ import annotations

import re
from itertools import pairwise

from policyengine.detect.secrets.checks import entropy, placeholder

BEFORE = 48
"""How far a name is read to the left of the word."""
GAP = 64
"""What can stand between the word and the value."""
SHORTEST = 8
LONGEST = 320

# The rest of the name, a quote or bracket that closes it, an operator, and what opens the value.
_TO_VALUE = re.compile(
    rb"[\w.\- \t]{0,40}+[\\\"'`\])\s]{0,3}+"
    rb"(?:=>|:{1,3}=?|={1,3}|\|\|=?|\?=|>|,(?=\s?[\"'`]))"
    rb"[\s\\=(\[{@]{0,4}+(?:[brfu](?=[\"']))?[\\\"'`]{0,3}+"
)
_OPEN_VALUE = re.compile(rb"[^\s\"'`;,<>\\(){}\[\]|&]{1,%d}+" % LONGEST)
_QUOTED_VALUE = {quote: re.compile(rb"[^\s\\<>%s]{1,%d}+" % (re.escape(bytes([quote])), LONGEST)) for quote in b"\"'`"}

AssignedValue = tuple[int, int, bool]


may_assign = _TO_VALUE.match
"""Whether an operator follows this word: most words that a text has are in no assignment."""


def assigned(data: bytes, after_word: int) -> AssignedValue | None:
    """Start, end, and whether it is in quotes."""
    gap = _TO_VALUE.match(data, after_word, after_word + GAP)
    if gap is None:
        return None
    start = gap.end()
    quote = data[start - 1]
    value = _QUOTED_VALUE.get(quote, _OPEN_VALUE).match(data, start)
    if value is None:
        return None
    end = value.end()
    # Without a closing quote, the value was not in quotes: the quote was an apostrophe, or the text is a sentence.
    if quote in _QUOTED_VALUE and end - start < LONGEST and data[end : end + 1] not in (bytes([quote]), b"\\"):
        return None
    return start, end, quote in _QUOTED_VALUE


def same_line(data: bytes, start: int, end: int) -> bool:
    return data.find(b"\n", start, end) < 0


# ---- what a name says ----

_HARMLESS_AFTER = re.compile(
    rb"(?i)s?[_.\- ]?(?:ids?|names?|files?(?:name)?|path|dir|folder|ur[il]s?|endpoint|len(?:gth)?|sizes?|types?|"
    rb"class|fields?|codes?|count|index|alias|board|frame|pair|press(?:ed)?|ring|selector|signatures?|stones?|store|words?|events?|"
    rb"up|down|left|right|maps?|mesh|func|errors?|version|algorithms?|alg|format|style|label|title|description|prefix|"
    rb"suffix|providers?|expir\w*|ttl|usage|limit|policy|scheme|methods?|mode|hint|help|text|regex|pattern|param\w*|"
    rb"vault|manager|server|service|host|header|status|level|role|group|hash)(?![a-z])"
)
_HARMLESS_BEFORE = re.compile(
    rb"(?i)(?:public|pub|primary|foreign|natural|sort|partition|cache|bucket|hot|idx|index|schema|sequence|csrf|xsrf|random|"
    rb"mon|tur|don|hoc|joc|whis|ranking|dict|lookup|group|registry|next(?:page)?|page|continuation|sync|cancellation|"
    rb"issuer|blind|x-ms-exchange-organization-)[_.\- ]?$"
)
_NAME = re.compile(rb"[\w.\-]{1,%d}\Z" % BEFORE)


def names_a_secret(data: bytes, start: int, end: int) -> bool:
    """Whether the word at this place means a secret in the name that contains it: `api_key` and not `keyboard`,
    `key_length` or `primary_key`."""
    after = data[end : end + 1]
    if after.islower() and data[end - 1 : end].islower() and not _PLURAL.match(data, end):
        return False
    return not (_HARMLESS_AFTER.match(data, end, end + 16) or _HARMLESS_BEFORE.search(data[max(0, start - 32) : start]))


_PLURAL = re.compile(rb"s(?![a-z])|key|token|phrase|code|ed(?![a-z])|value")

# ---- what a value says ----

_REFERENCE = re.compile(
    rb"[$%@&]\w|(?:self|this|cls)\.\w|[A-Za-z_][\w.]*[(\[]|.*://|\.{0,2}/[\w.-]+/|[A-Za-z]:\\|[\w.-]+@[\w-]+\.\w|--"
)
_FILE = re.compile(
    rb"(?i).*\.(?:pem|key|crt|cer|cert|p12|pfx|jks|json|ya?ml|txt|keytab|conf|ini|py|js|ts|go|java|xml|com|org|net|io)(?::\d+)?\Z"
)
_WORDS = re.compile(rb"[A-Za-z_.:/\-]+\Z")
_DOTTED = re.compile(rb"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+\Z")
_UUID = re.compile(rb"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_HEX = re.compile(rb"(?i)(?:0x)?[0-9a-f]+\Z")
_DIGITS = re.compile(rb"[\d.,:_\-+/]+\Z")
_CLASS = bytes(0 if 48 <= c <= 57 else 1 if 97 <= c <= 122 else 2 if 65 <= c <= 90 else 3 for c in range(256))


def class_changes(value: bytes) -> float:
    """How often neighbours are of different classes: lower case, upper case, digit. Words seldom change class; random
    characters do so every other time."""
    classes = value.translate(_CLASS)
    return sum(a != b for a, b in pairwise(classes)) / max(1, len(value) - 1)


def secret_like(value: bytes) -> bool:
    """Whether a value assigned to a name like `api_key` may be one: long, with digits, random, and no reference to
    something else."""
    if len(value) < 10 or _WORDS.match(value) or _DIGITS.match(value) or _harmless(value):
        return False
    if _HEX.match(value):
        return len(value) >= 16 and entropy(value) >= 2.8
    if _UUID.match(value):
        return True
    return entropy(value) >= (3.2 if len(value) < 16 else 3.5) and class_changes(value) >= 0.22


def password_like(value: bytes) -> bool:
    """Whether a value assigned to a name like `password` may be one. People choose passwords, so they need not be
    random."""
    if len(value) < SHORTEST or _harmless(value) or _DIGITS.match(value):
        return False
    kinds = sum(bool(re.search(one, value)) for one in (rb"[a-z]", rb"[A-Z]", rb"\d", rb"[^\w.:/\-]"))
    return kinds >= 2 and bool(re.search(rb"\d|[^\w.:/\-]", value)) and entropy(value) >= 2.3


_VERSION = re.compile(rb".*[-_v:@]\d{1,3}\.\d{1,3}(?:\.\d{1,4})?\Z")


def _made_of_words(value: bytes) -> bool:
    """Whether at least two parts are words of letters alone, which is rare in random characters."""
    parts = re.split(rb"[-_.:/]", value)
    return len(parts) > 2 and sum(len(part) > 3 and part.isalpha() for part in parts) > 1


def _harmless(value: bytes) -> bool:
    return bool(
        b".." in value
        or (value.endswith(b"=") and value.rstrip(b"=").count(b"_") and value.isupper())
        or _VERSION.match(value)
        or _made_of_words(value)
        or _REFERENCE.match(value)
        or _DOTTED.match(value)
        or _FILE.match(value)
        or placeholder(value)
    )
