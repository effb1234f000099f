"""Addresses of machines: IPv4 and IPv6 (RFC 4291), and MAC (IEEE 802).

Addresses that identify nobody are left out: loopback, unspecified, multicast, broadcast, those for documentation (RFC
5737, RFC 3849), "this network" (RFC 1122, section 3.2.1.3), and the base addresses of ranges that are reserved for some
purpose (RFC 6890), such as 192.168.0.0. Private ones are found, with less confidence.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from policyengine.detect.finder import DIGITS, FAR, Finder, viewing
from policyengine.detect.finding import Finding
from policyengine.detect.locate import spans
from policyengine.detect.match_starts import last_word
from policyengine.detect.view import View

IP, MAC = "ip", "mac"
WIDTH = 96

_V4 = rb"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?:\.[0-9.]*)?"
_V6 = rb":[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]*"
# An IPv6 address has at least three groups and eight digits in them: three digits in one group, or a fourth group.
_SIGNS = (
    rb"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|[0-9A-Fa-f]{3}:[0-9A-Fa-f]{0,4}:|:[0-9A-Fa-f]{3,4}:|"
    rb":[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]*(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f][:.]+[0-9A-Fa-f])"
)
_HEX = frozenset(b"0123456789abcdefABCDEF")
_MAC = (
    rb"\b[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5,}\b|\b[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5,}\b|"
    rb"\b[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\b"
)
_VERSION = re.compile(
    rb"(?i)(?:version|ver|release|v|python|firmware|build|sections?|chapter|clause)[ :=]{0,2}[\"']?\Z"
)
_LONGEST_V6 = 45
_EXAMPLES = tuple(
    ipaddress.ip_network(net)
    for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "0.0.0.0/8")
)
_RANGES = frozenset(
    ipaddress.ip_address(name)
    for name in ("10.0.0.0", "100.64.0.0", "169.254.0.0", "172.16.0.0", "192.0.0.0", "192.168.0.0", "198.18.0.0")
)
# First numbers for which nothing is reserved, see
# https://www.iana.org/assignments/iana-ipv4-special-registry/iana-ipv4-special-registry.xhtml
_PLAIN = frozenset(b"%d" % first for first in range(1, 224)) - {
    b"10",
    b"100",
    b"127",
    b"169",
    b"172",
    b"192",
    b"198",
    b"203",
}


def ip_finder() -> Finder:
    return viewing(IP, frozenset({"ip"}), WIDTH, find_ip, last_word, reach=FAR, holds=DIGITS, signs=(_SIGNS,))


def mac_finder() -> Finder:
    return viewing(
        MAC,
        frozenset({"mac"}),
        WIDTH,
        find_mac,
        last_word,
        reach=FAR,
        holds=r"[0-9A-Fa-f]{2}[:.-][0-9A-Fa-f]{2}",
        signs=(_MAC,),
    )


def find_ip(view: View) -> Sequence[Finding]:
    data = view.shadow
    findings = []
    if data.count(b".") > 2:
        for start, end in spans(_V4, data):
            stop = end - (data[end - 1 : end] == b".")
            if not _apart(data, start, stop) or data.count(b".", start, stop) != 3:
                continue
            if not _VERSION.search(data, max(0, start - 12), start) and not _like_a_version(data, start, stop):
                findings += _address(data, start, stop)
    if data.count(b":") > 1:
        for start, end in spans(_V6, data):
            low = start
            while start and low - start < 5 and data[start - 1] in _HEX:
                start -= 1
            while end - start > 2 and data[end - 1] in b".:" and data[end - 2 : end] != b"::":
                end -= 1
            value = data[start:end]
            if end - start <= _LONGEST_V6 and _apart(data, start, end) and _serious(value):
                findings += _address(data, start, end)
    return findings


def _apart(data: bytes, start: int, end: int) -> bool:
    before, after = data[start - 1 : start], data[end : end + 1]
    return not (before.isalnum() or after.isalnum() or before in (b"_", b".", b"-", b":") or after == b"_")


def _serious(value: bytes) -> bool:
    groups = [g for g in re.split(rb"[:.]", value) if g]
    return len(groups) >= 3 and sum(map(len, groups)) >= 8 and re.search(rb"\d", value) is not None


_CONTEXT = re.compile(rb"(?i)\bip|addr|host|dns|server|ping|client|from|http|//|\bat\b|@")


def _like_a_version(data: bytes, start: int, end: int) -> bool:
    """Small numbers with dots are sections and versions, unless something indicates an address."""
    if max(map(int, data[start:end].split(b"."))) >= 32:
        return False
    return _CONTEXT.search(data, max(0, start - 24), start) is None


def _address(data: bytes, start: int, end: int) -> list[Finding]:
    if plainly_global(data[start:end]):
        return [Finding("ip", start, end, 0.9, IP)]
    try:
        address = ipaddress.ip_address(data[start:end].decode())
    except ValueError:
        return []
    if (
        address.is_loopback
        or address.is_unspecified
        or address.is_multicast
        or (address.is_reserved and address.version == 4)
    ):
        return []
    if address in _RANGES or any(address in net for net in _EXAMPLES if net.version == address.version):
        return []
    return [Finding("ip", start, end, 0.9 if address.is_global else 0.5, IP)]


def plainly_global(value: bytes) -> bool:
    """Whether this is an IPv4 address whose first number has no reserved range. Then no networks need to be searched,
    which would take several times as long."""
    numbers = value.split(b".")
    return (
        len(numbers) == 4
        and numbers[0] in _PLAIN
        and all(number.isdigit() and len(number) <= 3 and int(number) < 256 for number in numbers)
        and not any(number[:1] == b"0" and number != b"0" for number in numbers)
    )


def find_mac(view: View) -> Sequence[Finding]:
    data = view.shadow
    if data.count(b":") < 5 and data.count(b"-") < 5 and data.count(b".") < 2:
        return []
    return [
        Finding("mac", start, end, 0.9 if end - start == 17 else 0.6, MAC)
        for start, end in spans(_MAC, data)
        if _mac(data, start, end)
    ]


def _mac(data: bytes, start: int, end: int) -> bool:
    value = data[start:end]
    digits = value.translate(None, b":-.")
    return (
        len(digits) == 12
        and len(set(digits)) > 2
        and re.search(rb"\d", digits) is not None
        and not _joined(data, start, end)
    )


def _joined(data: bytes, start: int, end: int) -> bool:
    return data[start - 1 : start] in (b":", b"-", b".") or (
        data[end : end + 1] in (b":", b"-") and data[end + 1 : end + 2].isalnum()
    )
