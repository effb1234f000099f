"""Every form in which a canary may be written, as the skeleton of the resulting text.

A skeleton has only letters and digits, in lower case. So one form stands for the token in any case, with anything
between its characters; for hexadecimal with and without spaces; for base64 of both alphabets, on one line or several.
"""

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Callable, Iterator

_BETWEEN = re.compile(r"[^0-9A-Za-z]+")
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SPOKEN = dict(
    zip(
        _LETTERS,
        "alfa bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mike november oscar papa "  # noqa: SIM905
        "quebec romeo sierra tango uniform victor whiskey xray yankee zulu".split(),
        strict=True,
    )
)
_DIGITS = dict(zip("234567", ("two", "three", "four", "five", "six", "seven"), strict=True))
# How the number of a character is written. The characters between the numbers are not part of a skeleton.
_NUMBERS = (
    "{:02x}", "x{:02x}", "0x{:02x}", "u{:04x}", "x{:04x}", "u{:08x}", "{:06x}", "{:08x}", "{}", "{:03}", "{:08b}",
    "{:07b}", "{:b}", "0b{:b}", "0b{:08b}", "{:03o}", "{:o}", "0o{:o}", "0{:o}", "chr{}", "x{:02x}x00", "x00x{:02x}",
    "{:02x}00", "00{:02x}",
)  # fmt: skip


def written_as(token: str) -> frozenset[bytes]:
    """The skeletons of all forms of the token; for forms with one encoding, reversed as well."""
    once, twice = ({_kept(form) for form in forms(token)} for forms in (_forms, _coded_twice))
    return frozenset(each.encode() for each in (*once, *(form[::-1] for form in once), *twice))


def _forms(token: str) -> Iterator[str]:
    for written in (token, token.upper(), token[::-1], token[::-1].upper(), codecs.encode(token, "rot13")):
        plain = written.encode()
        yield written
        yield "".join(chr(33 + (ord(c) - 33 + 47) % 94) for c in written)
        yield "".join(_DIGITS.get(c, c) for c in written)
        for number in _NUMBERS:
            yield "".join(number.format(c) for c in plain)
        yield from _in_base64(plain)
        yield from _in_base32(plain)
    raw = base64.b32decode(token.upper() + "====")
    yield from _in_base64(raw)
    yield raw.hex()
    for bytes_ in (token.encode(), token.upper().encode(), raw):
        for encode in (base64.b85encode, base64.a85encode):
            yield from _in_base85(bytes_, encode)
        for digits in (_BASE58, _BASE36, _BASE62):
            yield _in_base(int.from_bytes(bytes_, "big"), digits)
    for by in range(1, 26):
        yield token.translate(str.maketrans(_LETTERS, _LETTERS[by:] + _LETTERS[:by]))
    yield token.translate(str.maketrans(_LETTERS, _LETTERS[::-1]))
    spoken = "".join({**_SPOKEN, **_DIGITS}[c] for c in token)
    yield from (spoken, spoken.replace("alfa", "alpha").replace("juliett", "juliet"))


def _coded_twice(token: str) -> Iterator[str]:
    for plain in (token.encode(), token.upper().encode()):
        for nested in _nested(plain):
            yield from _in_base64(nested)
            yield nested.hex()


def _nested(plain: bytes) -> Iterator[bytes]:
    """The encodings of an encoded token."""
    text = plain.decode()
    yield from (text.encode(one) for one in ("utf-16-be", "utf-16-le", "utf-32-be", "utf-32-le"))
    yield from (one.encode() for one in _in_base64(plain))
    yield from (base64.b32encode(plain).rstrip(b"="), plain.hex().encode(), plain.hex().upper().encode())
    for written in ("%{:02X}", "\\u{:04x}", "&#{};", "\\x{:02x}", "{:02x} "):
        yield "".join(written.format(c) for c in plain).encode()
    yield " ".join(text).encode()


def _in_base64(plain: bytes) -> Iterator[str]:
    """At each offset, without the characters that also depend on the neighbours."""
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + plain).decode().rstrip("=")
        yield coded[(0, 2, 3)[offset] : -1]


def _in_base32(plain: bytes) -> Iterator[str]:
    """The same, for both alphabets."""
    for encode in (base64.b32encode, base64.b32hexencode):
        for offset in range(5):
            coded = encode(b"\0" * offset + plain).decode().rstrip("=")
            yield coded[(offset * 8 + 4) // 5 : -1]


def _in_base85(plain: bytes, encode: Callable[[bytes], bytes]) -> Iterator[str]:
    """At each offset, for whole groups of four only."""
    for offset in range(4):
        padded = b"\1" * offset + plain
        whole = padded[: len(padded) // 4 * 4]
        yield encode(whole).decode()[5 if offset else 0 :]


def _in_base(number: int, digits: str) -> str:
    digits_made = ""
    while number:
        number, digit = divmod(number, len(digits))
        digits_made = digits[digit] + digits_made
    return digits_made


def _kept(text: str) -> str:
    return _BETWEEN.sub("", text).lower()
