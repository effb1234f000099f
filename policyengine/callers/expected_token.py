"""What a token of one issuer must be, as settings say it. Knows no library: most commands verify no token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MOST_SKEW = 300.0
# What a key must be for an algorithm: its kind and, where there are several, its curve.
ALGORITHMS: Mapping[str, tuple[str, str | None]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "Ed25519": ("OKP", "Ed25519"),
}


@dataclass(frozen=True, slots=True)
class ExpectedToken:
    """What a token of one issuer must be. Times are in seconds. Raises ValueError for what no token should be.

    `types` are values of `typ`, in lower case and without `application/`. `lifetime` is the longest that a token may
    be good for; `skew` is the largest difference between two clocks.
    """

    issuer: str
    audiences: frozenset[str]
    algorithms: frozenset[str]
    types: frozenset[str] = frozenset({"at+jwt", "jwt"})
    lifetime: float = 86_400.0
    skew: float = 60.0

    def __post_init__(self) -> None:
        if not self.issuer or not self.audiences or not self.algorithms or not self.types:
            raise ValueError("an issuer needs a name, audiences, algorithms and types")
        if not self.algorithms <= set(ALGORITHMS):
            raise ValueError(f"an algorithm is one of {', '.join(ALGORITHMS)}")
        if not 0 <= self.skew <= MOST_SKEW or self.lifetime <= 0:
            raise ValueError(f"the skew is at most {MOST_SKEW:.0f} seconds, and the lifetime more than none")
