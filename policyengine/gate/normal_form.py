"""The normal form of values: which texts count as the same, and which parts of a text name something.

Spellings with the same meaning for everybody who acts on them have one form: Unicode and case, blanks, the scheme and
host of a URL, the `./` of a path, the zeros of a number, the order of a date, the groups of an account number. A form
never merges two things that an action would distinguish. In doubt they stay different: a value is then trusted less,
never more.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import filterfalse

from policyengine.gate.dates import MONTHS, iso_days, long_days, one_day, one_time, times

_INVISIBLE = re.compile(
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]"
)
_BLANKS = re.compile(r"\s+")
# A word, or a run of the characters that make up an identifier, address, URL, path, number or date.
_TOKEN = re.compile(
    r"[^\s\"'`<>(){}\[\],;|\u00ab\u00bb\u2018-\u201f]+"
    r"(?:(?<=\d),(?=\d)[^\s\"'`<>(){}\[\],;|\u00ab\u00bb\u2018-\u201f]+)*"
)
# Without one of these characters, a text in its form has as many tokens as words.
_SEPARATES = re.compile(r"[\"'`<>(){}\[\],;|\u00ab\u00bb\u2018-\u201f]")
_DASHES = dict.fromkeys((*range(8208, 8214), 8722), "-")
_EDGES = ".:!?*_~=&#"
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?\Z")
_MONEY = re.compile(
    r"([$€£¥]|usd|eur|gbp|chf|jpy)?([-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)([$€£¥%]|usd|eur|gbp|chf|jpy)?\Z"
)
_GROUPS = re.compile(
    r"\b[a-z]{2}\d{2}(?:[ -]?[a-z0-9]{2,4}){2,8}\b|\b\d{2,4}(?:[ -]\d{2,6}){2,6}\b|\+\d{1,3}(?:[ ()-]*\d{2,4}){2,5}\b"
)
_IDENTIFYING = re.compile(r"[\d@/_]|[^.]\.+[^.]")
# Without one of these, in or between its words, a text has no day in figures, no time of day, no account number and no
# telephone number.
_HALVES = frozenset({"am", "pm", "a.m", "p.m"})
_TELLING = _HALVES | MONTHS
_MORE = re.compile(r"\d{4}[-/.]\d|\d:\d|\d ?[ap]\.?m|[a-z]\d\d[ -]?[a-z\d]|\d\d[ -]\d\d|\+\d")
_DAY = re.compile(r"\b\d{4}-\d{2}-\d{2}(?!\d)")
_APART = ";" * 10
# Longer parts of a text are not cached.
_SHORT = 64
# The characters that numbers, dates, URLs and paths contain and words do not.
_SPELLED = re.compile(r"[\d./]")
_URL = re.compile(r"(?:(https?)://)?([a-z0-9-]+(?:\.[a-z0-9-]+)+)(:\d+)?(/[^?#]*)?(.*)\Z")


def form(text: str) -> str:
    """The form of a text."""
    if text.isascii():
        # The remaining steps change nothing in a text like this.
        return " ".join(text.lower().split())
    folded = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).casefold().translate(_DASHES)
    return _BLANKS.sub(" ", folded).strip()


def value_form(value: object) -> str:
    """The form of a whole value: a number becomes its decimal, a date its ISO form, an account number its
    characters."""
    if isinstance(value, bool) or value is None:
        return str(value).casefold()
    if isinstance(value, int | float):
        return number(str(value)) or str(value)
    return text_form(form(str(value)))


def text_form(text: str) -> str:
    """The form of a text as a value, from its form as a text."""
    return one_thing(text) or text


@lru_cache(16_384)
def one_thing(text: str) -> str:
    """The form of a text that is one number, date, account number, URL or path; empty for any other."""
    if not _SPELLED.search(text):
        return ""
    if money := _MONEY.match(text.replace(" ", "")):
        # Amounts of different currencies must stay different.
        return f"{money.group(1) or ''}{number(money.group(2))}{money.group(3) or ''}"
    if len(text) >= 4 and (known := one_day(text) or one_time(text)):
        return known
    if len(text) >= 6 and _GROUPS.fullmatch(text):
        return _ungrouped(text)
    if "." in text and "@" not in text and (url := _URL.match(text)) and " " not in text:
        return _url(*url.groups(""))
    if "/" in text and " " not in text:
        return _path(text)
    return ""


def number(text: str) -> str:
    """A decimal without meaningless zeros and commas; empty for anything but a number."""
    if not _NUMBER.match(text):
        return ""
    try:
        value = Decimal(text.replace(",", ""))
    except InvalidOperation:
        return ""
    shown = f"{value.normalize():f}"
    return "0" if shown in ("-0", "0") else shown


def names(text: str, words: list[str] | None = None) -> list[str]:
    """The parts of a text, in its form, that may name something: words, numbers, dates, addresses, each in its own
    form. Every part of the text is in at least one of them; words come last. `words` are the parts between blanks."""
    tokens = _TOKEN.findall(text) if words is None or not text or _SEPARATES.search(text) else words
    # The tokens that are not words: they show whether there is more to find.
    not_words = [*filterfalse(str.isalpha, tokens)]
    if not not_words:
        return tokens
    parts: list[str] = []
    for token in not_words:
        parts += _short_names(token) if len(token) <= _SHORT else _names_of(token)
    parts += filter(str.isalpha, tokens)
    telling = not _TELLING.isdisjoint(parts)
    if telling and not MONTHS.isdisjoint(parts):
        parts += long_days(text)
    if _MORE.search(" ".join(not_words)) or (telling and not _HALVES.isdisjoint(parts)):
        parts += iso_days(text)
        parts += times(text)
        # A part that begins as a day is not an account number.
        parts += [_ungrouped(group.group()) for group in _GROUPS.finditer(_DAY.sub(_APART, text))]
    return parts


def _names_of(token: str) -> tuple[str, ...]:
    core = token.rstrip(_EDGES)
    core = core if core.startswith("./") else core.lstrip(_EDGES)
    if not core:
        return ()
    parts = [core]
    if _SPELLED.search(core):
        if (known := one_thing(core)) and known != core:
            parts.append(known)
        if (amount := _MONEY.match(core)) and (amount.group(1) or amount.group(3) not in (None, "%")):
            # The amount is added on its own as well as with its currency.
            parts.append(number(amount.group(2)))
    return tuple(parts)


_short_names = lru_cache(16_384)(_names_of)


def identifies(token: str) -> bool:
    """Whether a part of a text names one thing, and is not a word of the language: it has a digit, an `@`, a `/`, an
    inner dot or an underscore."""
    return not token.isalpha() and _IDENTIFYING.search(token) is not None


def _url(scheme: str, host: str, port: str, path: str, rest: str) -> str:
    """A URL without its implied parts: https, its port, and a trailing `/`. Plain http, another port or another host is
    a different place."""
    plain = scheme == "http"
    usual = port == (":80" if plain else ":443")
    return f"{'http://' if plain else ''}{host}{'' if usual else port}{path.rstrip('/')}{rest}"


def _ungrouped(text: str) -> str:
    return re.sub(r"[ ()+-]", "", text)


def _path(text: str) -> str:
    """A path without the parts that have no effect. A path with `..` stays as it is."""
    parts = text.split("/")
    if ".." in parts:
        return text
    kept = [part for part in parts if part not in ("", ".")]
    return ("/" if text.startswith("/") else "") + "/".join(kept)
