"""How texts are looked at in this deployment: with which finders, classifiers and keys, and how much at most."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from policyengine.detect.registry import Registry, registry
from policyengine.release.classifiers import Score
from policyengine.release.keys import Keys

# How many characters are looked at at a time, and held where a whole text is needed.
MOST = 4_000_000


def estimated_tokens(text: str) -> int:
    """Tokens of a text, estimated from its characters: one for every four of ASCII, one for each other. Tokenizers of
    today make fewer of most texts."""
    ascii_ = len(text.encode("ascii", "ignore"))
    return -(-ascii_ // 4) + len(text) - ascii_


@dataclass(frozen=True)
class Inspection:
    """`tenants` have finders of their own, by the id of the tenant; all others have `finders`. `key` is a secret of 32,
    48 or 64 bytes, or a function from the id of a tenant to its own; hashes and tokens need one. `classifiers` are
    asked for `scores`, and waited for `seconds`. A text of more than `most` characters is not looked at: it is
    denied. `tokens` counts the tokens of a text."""

    finders: Registry = field(default_factory=registry)
    tenants: Mapping[str, Registry] = field(default_factory=dict)
    classifiers: Mapping[str, Score] = field(default_factory=dict)
    seconds: float = 2.0
    key: bytes | Callable[[str], bytes] | None = field(default=None, repr=False)
    most: int = MOST
    tokens: Callable[[str], int] = estimated_tokens

    def registry(self, tenant: str) -> Registry:
        return self.tenants.get(tenant, self.finders)

    def keys(self, tenant: str) -> Keys:
        return Keys(self.key(tenant) if callable(self.key) else self.key, tenant)
