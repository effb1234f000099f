"""The public keys of one issuer of tokens (RFC 7517), in the memory of one process.

Pure: bytes of a document and the time in, keys out. Other code fetches the document.

Known keys stay valid for `grace` seconds after they were last confirmed. After that, the tokens of the issuer are
refused until its document can be read again. A document that is not a key set, is empty, or is too large changes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from cachetools import TTLCache
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from policyengine.callers.expected_token import ALGORITHMS
from policyengine.model.json_text import parse_json
from policyengine.model.values import Fault

MOST_BYTES = 256 << 10
MOST_KEYS = 100
_LEAST_RSA_BITS = 2048

PublicKey = RSAKey | ECKey | OKPKey
_KINDS: Mapping[str, type[PublicKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
Keys = Mapping[str, PublicKey]


def read_keys(document: bytes) -> Keys:
    """The keys of a document that can check signatures, by their `kid`. Those of other kinds and uses are left out.
    Raises ValueError for a document that has none, or is not what it should be."""
    if len(document) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES} bytes")
    try:
        listed = parse_json(document)
    except Fault as fault:
        raise ValueError(fault.message) from None
    keys = listed.get("keys") if isinstance(listed, dict) else None
    if not isinstance(keys, list) or len(keys) > MOST_KEYS:
        raise ValueError(f"not a set of at most {MOST_KEYS} keys")
    by_kid: dict[str, PublicKey] = {}
    for each in keys:
        key = _key(each)
        if key is None:
            continue
        # Which of two is meant could be chosen by whoever presents a token.
        if each["kid"] in by_kid:
            raise ValueError("two keys have the same kid")
        by_kid[each["kid"]] = key
    if not by_kid:
        raise ValueError("no key in it can check a signature")
    return MappingProxyType(by_kid)


def _key(value: Any) -> PublicKey | None:
    if not isinstance(value, dict) or not isinstance(value.get("kid"), str) or not value["kid"]:
        return None
    kind = _KINDS.get(value["kty"]) if isinstance(value.get("kty"), str) else None
    operations = value.get("key_ops", ["verify"])
    if kind is None or value.get("use", "sig") != "sig":
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    # A private key that is published is nobody's any more. A short key is told by its length before the library warns.
    if "d" in value or (kind is RSAKey and len(str(value.get("n"))) * 6 < _LEAST_RSA_BITS):
        return None
    try:
        key = kind.import_key({name: item for name, item in value.items() if name in _PUBLIC})
        # The numbers are looked at only when the key is first used.
        size = key.raw_value.key_size if isinstance(key, RSAKey) else None
        key.raw_value  # noqa: B018
    except (JoseError, ValueError, TypeError, KeyError, ArithmeticError):
        return None
    return key if size is None or size >= _LEAST_RSA_BITS else None


_PUBLIC = {"kty", "kid", "alg", "use", "n", "e", "crv", "x", "y"}


def suits(key: PublicKey, algorithm: str) -> bool:
    """Whether a key is of the kind that an algorithm takes, and of no other algorithm."""
    kind, curve = ALGORITHMS[algorithm]
    named = key.get("alg")
    if key.key_type != kind or named not in (None, algorithm, "EdDSA" if kind == "OKP" else algorithm):
        return False
    return curve is None or key.get("crv") == curve


class KeySet:
    """The keys of one issuer, and when to ask for them again. `clock` gives seconds and does not go back.

    They are to be read again after `fresh` seconds. An unknown `kid` is a reason to read them at once, but no more
    often than every `pause` seconds, however many tokens name one."""

    def __init__(
        self, clock: Callable[[], float], *, fresh: float = 300.0, grace: float = 3600.0, pause: float = 30.0
    ) -> None:
        self._usable: TTLCache[str, Keys] = TTLCache(1, grace, clock)
        self._fresh: TTLCache[str, bool] = TTLCache(1, fresh, clock)
        self._tried: TTLCache[str, bool] = TTLCache(1, pause, clock)
        self._clock = clock
        self._grace = grace
        self._ends = clock()
        self.generation = 0

    def find(self, kid: str | None) -> PublicKey | None:
        """The key of that id; without an id, the only key there is."""
        keys = self._usable.get("keys", {})
        if kid is None:
            return next(iter(keys.values())) if len(keys) == 1 else None
        return keys.get(kid)

    @property
    def usable_for(self) -> float:
        """The seconds that the keys stay valid if they are not confirmed again."""
        return self._ends - self._clock()

    def wants_reading(self, *, unknown: bool = False) -> bool:
        """Whether the document should be read now: its keys are old, or a token names one that is not known."""
        return (unknown or "keys" not in self._fresh) and "keys" not in self._tried

    def trying(self) -> None:
        """The document is being read: nobody else should for a while."""
        self._tried["keys"] = True

    def confirm(self, document: bytes) -> None:
        """Takes the keys of a document that was read. Raises ValueError, and changes nothing, if it is none."""
        keys = read_keys(document)
        before = self._usable.get("keys", {})
        # Tokens that were checked with a key that is gone, or is another now, must be checked again.
        if {kid: key.thumbprint() for kid, key in keys.items()} != {k: key.thumbprint() for k, key in before.items()}:
            self.generation += 1
        self._usable["keys"] = keys
        self._ends = self._clock() + self._grace
        self._fresh["keys"] = True
