"""Secrets recognized by the structure around them: keys, JWTs, URLs with passwords, headers.

Each finder takes the place of one of its literals, in lower case, and reads a bounded stretch; a run that goes on is
followed once for all of them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from policyengine.detect.finding import Finding
from policyengine.detect.secrets.checks import LIKELY, SURE, entropy, jwt, placeholder
from policyengine.detect.secrets.formats import LONGEST
from policyengine.detect.shadow import WORD, Runs, shadow

NAME = "secrets"
_PEM = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\\\r\n\t \"',:.-")
_JWT = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.=")
_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+/=")


class Scene:
    """The bytes, and what is known of their runs."""

    __slots__ = ("_end_marker", "base64", "data", "jwt", "pem")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.pem = Runs(data, _PEM)
        self.jwt = Runs(data, _JWT)
        self.base64 = Runs(data, _BASE64)
        self._end_marker = (0, -1, -1)

    def end_marker(self, at: int) -> tuple[int, int]:
        """Where the next end of a key block begins, from `at` on; the length of the text if there is none."""
        asked, start, end = self._end_marker
        if not asked <= at <= start:
            match = _END.search(self.data, at)
            start, end = match.span() if match else (len(self.data), len(self.data))
            self._end_marker = (at, start, end)
        return start, end


@dataclass(frozen=True, slots=True)
class Structure:
    kinds: frozenset[str]
    literals: tuple[bytes, ...]
    find: Callable[[Scene, int, int], Iterator[Finding]]


# ---- private keys (RFC 7468, OpenPGP: RFC 9580 section 6.2, OpenSSH PROTOCOL.key) ----

_BEGIN = re.compile(rb"(?i)-----BEGIN[ A-Z0-9_-]{0,100}?PRIVATE KEY(?: BLOCK)?-----")
_END = re.compile(rb"KEY(?: BLOCK)?-----")
_SHORTEST_KEY = 64
_NO_KEY = re.compile(rb"(?i)x{8}|\.{3}|redacted|your|example|anything")


def _private_key(scene: Scene, start: int, _: int) -> Iterator[Finding]:
    head = _BEGIN.match(scene.data, start)
    if head is None:
        return
    body = head.end()
    marker, after = scene.end_marker(body)
    run = scene.pem.end(body)
    if marker <= run or marker - start <= LONGEST:
        end = after
    else:
        end = run
    size = min(marker, end) - body
    if size < _SHORTEST_KEY or _NO_KEY.search(scene.data, body, body + 64):
        return
    yield Finding("secret.private_key", start, end, SURE, NAME)


_KEY_OPENS = re.compile(r"(?i)-----BEGIN")
_LONGEST_HEAD = 160


def open_key(text: str, start: int) -> int:
    """Where the first private key begins that may still go on; the end of the text if there is none."""
    at = text.find("-----", start)
    if at < 0:
        return len(text)
    scene = Scene(shadow(text))
    for opening in _KEY_OPENS.finditer(text, at):
        if _goes_on(scene, opening.start()):
            return opening.start()
    return len(text)


def _goes_on(scene: Scene, start: int) -> bool:
    size = len(scene.data)
    head = _BEGIN.match(scene.data, start)
    if head is None:
        return size - start < _LONGEST_HEAD
    marker, after = scene.end_marker(head.end())
    run = scene.pem.end(head.end())
    if after < size and (marker <= run or marker - start <= LONGEST):
        return False
    return size - start <= LONGEST + _LONGEST_HEAD or run >= size


# ---- JWTs (RFC 7519), and JWTs in base64 once more ----

_TOKEN = re.compile(rb"eyJ[A-Za-z0-9_-]{12,300}+\.(?:eyJ[A-Za-z0-9_-]{8}|[A-Za-z0-9_-]{0,300}+\.[A-Za-z0-9_-]{8})")
_LONG_HEAD = re.compile(rb"eyJ[A-Za-z0-9_-]{%d}" % (LONGEST - 3))
_JWT_HEAD = re.compile(
    rb"\{\s*\"(?:alg|apu|apv|aud|b64|crit|cty|epk|enc|jku|jwk|iss|iv|kid|key_ops|kty|nonce|p2c|p2s|ppt|sub|svt|tag|typ|url|use|ver|version|x|x5c|x5t|x5t#S256|x5u|zip)\""
)


def _jwt(scene: Scene, start: int, _: int) -> Iterator[Finding]:
    data = scene.data
    if data[start : start + 3] == b"eyJ":
        if _TOKEN.match(data, start) and not _follows_word(data, start):
            end = scene.jwt.end(start)
            value = data[start : min(end, start + LONGEST)]
            if not placeholder(value[:64]) and not placeholder(data[start:end] if end - start < 1024 else value):
                yield Finding("secret.jwt", start, end, jwt(value), NAME)
        elif (
            _LONG_HEAD.match(data, start)
            and not _follows_word(data, start)
            and _JWT_HEAD.match(_decoded(data[start : start + 40]))
        ):
            yield Finding("secret.jwt", start, scene.jwt.end(start), 0.5, NAME)
    elif data[start : start + 4] == b"ZXlK":
        end = scene.base64.end(start)
        if end - start >= 44 and _JWT_HEAD.match(_decoded(_decoded(data[start : start + 56]))):
            yield Finding("secret.jwt_base64", start, end, LIKELY, NAME)


_BEFORE = WORD | frozenset(b".")


def _follows_word(data: bytes, start: int) -> bool:
    return start > 0 and data[start - 1] in _BEFORE


_PLAIN = re.compile(rb"[A-Za-z0-9+/_-]*")


def _decoded(part: bytes) -> bytes:
    """As much as whole groups of four characters decode to."""
    plain = _PLAIN.match(part)
    whole = plain[0] if plain else b""
    return base64.b64decode(whole[: len(whole) // 4 * 4].replace(b"-", b"+").replace(b"_", b"/"))


# ---- URLs and connection strings with passwords (RFC 3986 section 3.2.1) ----

_USERINFO = re.compile(rb"[^\s/@:\"'`<>?#]{0,64}+:([^\s/@\"'`<>?#]{3,256}+)@[\w.\-\[]")
_COMMON = re.compile(
    rb"(?i)(?:pass(?:wor[dt]|wd)?|pwd|secret|user(?:name)?|token|key|pw|foo|bar|test|x+|\*+|\.+)\Z|[$%{<\[(]"
)


def _url(scene: Scene, start: int, end: int) -> Iterator[Finding]:
    info = _USERINFO.match(scene.data, end)
    if info is not None and not _COMMON.match(info[1]) and not placeholder(info[1]):
        yield Finding("secret.url_password", *info.span(1), LIKELY, NAME)


# ---- headers (RFC 9110 section 11.6.2, RFC 6750, RFC 7617) and curl ----

_HEADER = re.compile(
    rb"(?i)authorization[\"'\]\\]{0,3}[ \t]{0,4}(?:[:=,]|=>)[ \t\r\n\\]{0,4}[\"'\\]{0,3}((?:basic|bearer|token|apikey|api-key|digest|negotiate|hmac|aws4-hmac-sha256)[ \t:]{1,4})?([A-Za-z0-9._~+/=:\-]{8,300}+)"
)
_SCHEME = re.compile(rb"(?i)(?<![\w])(basic|bearer)[ \t]{1,4}([A-Za-z0-9._~+/=\-]{16,300}+)")
_REFERENCE = re.compile(rb"[A-Za-z_]\w{0,24}(?:\.[A-Za-z_]\w{0,24}){1,3}\Z")
_USER = re.compile(rb"(?:-u|--user)(?:=|[ \t]{1,5})?[\"']?([^\s\"':$<>{}\[]{1,64}:[^\s\"'$<>{}\[]{3,128})")


def _authorization(scene: Scene, start: int, _: int) -> Iterator[Finding]:
    match = _HEADER.match(scene.data, start)
    if match is None:
        match = _SCHEME.match(scene.data, start)
    if match is None:
        return
    value = match[2]
    if placeholder(value) or not (re.search(rb"\d", value) or re.search(rb"[a-z][A-Z]", value)):
        return
    if not match[1] and (entropy(value) < 3.2 or len(value) < 12 or _REFERENCE.match(value)):
        return
    if entropy(value) < 2.5:
        return
    begin, end = match.span(2)
    if end - begin >= 300:
        end = scene.jwt.end(end)
    yield Finding("secret.authorization", begin, end, LIKELY, NAME)


def _curl_user(scene: Scene, start: int, _: int) -> Iterator[Finding]:
    if scene.data.rfind(b"curl", max(0, start - 200), start) < 0:
        return
    match = _USER.match(scene.data, start)
    if match is None:
        return
    user, _colon, password = match[1].partition(b":")
    if placeholder(password) or _COMMON.match(password) or _COMMON.match(user):
        return
    yield Finding("secret.curl_user", *match.span(1), LIKELY, NAME)


STRUCTURES = (
    Structure(frozenset({"secret.private_key"}), (b"-----begin",), _private_key),
    Structure(frozenset({"secret.jwt", "secret.jwt_base64"}), (b"eyj", b"zxlk"), _jwt),
    Structure(frozenset({"secret.url_password"}), (b"://",), _url),
    Structure(frozenset({"secret.authorization"}), (b"authorization", b"bearer ", b"basic "), _authorization),
    Structure(frozenset({"secret.curl_user"}), (b"-u ", b"--user"), _curl_user),
)
