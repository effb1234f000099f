"""Addresses of cryptographic currencies, by their check sums.

Sources: https://en.bitcoin.it/wiki/Base58Check_encoding, https://github.com/bitcoin/bips/blob/master/bip-0173.mediawiki
and bip-0350 (bech32), https://eips.ethereum.org/EIPS/eip-55 (mixed case), https://developers.tron.network/docs/account,
https://xrpl.org/docs/references/protocol/data-types/base58-encodings, https://docs.getmonero.org/public-address/
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256

from policyengine.detect.finder import NEAR, Finder, viewing
from policyengine.detect.finding import Finding
from policyengine.detect.locate import spans
from policyengine.detect.match_starts import last_word
from policyengine.detect.view import View

NAME = "crypto_address"
WIDTH = 128
KINDS = frozenset(
    f"crypto_address.{coin}" for coin in ("bitcoin", "litecoin", "ethereum", "tron", "dogecoin", "ripple", "monero")
)

_PLACES = rb"[0-9A-Za-z]{25,}"
_BASE58 = re.compile(rb"[13LMDATr4-9][1-9A-HJ-NP-Za-km-z]{24,34}")
_MONERO = re.compile(rb"[48][1-9A-HJ-NP-Za-km-z]{94}")
_BECH32 = re.compile(rb"(?i)(?:bc|ltc)1[02-9ac-hj-np-z]{8,87}")
_ETHEREUM = re.compile(rb"0x[0-9a-fA-F]{40}")
_LONGEST = 95
# The characters that an address can begin with: one test rules out most runs of base64.
_FIRST = frozenset(b"0123456789ABDLMTblr")

_BITCOIN_ALPHABET = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_RIPPLE_ALPHABET = b"rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
_VALUES = {c: i for i, c in enumerate(_BITCOIN_ALPHABET)}
_RIPPLE_VALUES = {c: i for i, c in enumerate(_RIPPLE_ALPHABET)}
_VERSIONS = {
    0x00: "bitcoin",
    0x05: "bitcoin",
    0x30: "litecoin",
    0x32: "litecoin",
    0x41: "tron",
    0x1E: "dogecoin",
    0x16: "dogecoin",
}
_CHARSET = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def finder() -> Finder:
    return viewing(NAME, KINDS, WIDTH, find, last_word, reach=NEAR, holds="[0-9A-Za-z]{25}")


def find(view: View) -> Sequence[Finding]:
    data = view.shadow
    findings = []
    for start, end in spans(_PLACES, data):
        if data[start] not in _FIRST:
            continue
        if end - start <= _LONGEST and not (data[start - 1 : start] == b"_" or data[end : end + 1] == b"_"):
            coin, score = _coin(data[start:end])
            if coin:
                findings.append(Finding(f"crypto_address.{coin}", start, end, score, NAME))
    return findings


def _coin(value: bytes) -> tuple[str, float]:
    if _BECH32.fullmatch(value) and _bech32(value):
        return ("litecoin" if value[:3].lower() == b"ltc" else "bitcoin"), 0.98
    if _ETHEREUM.fullmatch(value):
        return ("ethereum" if len(set(value)) > 8 else ""), 0.8
    if _MONERO.fullmatch(value):
        return ("monero" if len(set(value)) > 20 else ""), 0.7
    return (_base58(value) if _BASE58.fullmatch(value) else ""), 0.98


def _base58(value: bytes) -> str:
    """The coin whose version byte and double SHA-256 check sum match; empty if none does."""
    ripple = value[:1] == b"r"
    number = 0
    values = _RIPPLE_VALUES if ripple else _VALUES
    for digit in value:
        known = values.get(digit)
        if known is None:
            return ""
        number = number * 58 + known
    if number >> 200:
        return ""
    raw = number.to_bytes(25, "big")
    if sha256(sha256(raw[:21]).digest()).digest()[:4] != raw[21:]:
        return ""
    return ("ripple" if raw[0] == 0 else "") if ripple else _VERSIONS.get(raw[0], "")


def _bech32(value: bytes) -> bool:
    if value not in (value.lower(), value.upper()):
        return False
    prefix, _, rest = value.lower().partition(b"1")
    numbers = [c >> 5 for c in prefix] + [0] + [c & 31 for c in prefix] + [_CHARSET.find(c) for c in rest]
    check = 1
    for number in numbers:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ number
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> bit & 1 else 0
    return check in (1, 0x2BC830A3)
