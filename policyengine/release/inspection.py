"""How texts are scanned in this deployment: with which finders, classifiers and keys, and how much at most."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from inspect import iscoroutinefunction

from policyengine.detect.finder import Finder
from policyengine.detect.registry import Registry, registry
from policyengine.release.classifiers import Score, in_time
from policyengine.release.tokenizing import Keys

# The most characters that are inspected at a time, and held when a whole text is needed.
MOST = 4_000_000


def estimated_tokens(text: str) -> int:
    """Tokens of a text, estimated from its characters: one for every four of ASCII, one for each other. Current
    tokenizers make fewer of most texts."""
    ascii_ = len(text.encode("ascii", "ignore"))
    return -(-ascii_ // 4) + len(text) - ascii_


@dataclass(frozen=True)
class Inspection:
    """`tenants` have finders of their own, by the id of the tenant; all others have `finders`. `key` is a secret of 32,
    48 or 64 bytes, or a function from the id of a tenant to its own; hashes and tokens need one. `classifiers` give
    `scores`; they and plugged-in finders have `seconds` to answer, and a finder that takes longer has failed. A text of
    more than `most` characters is not inspected: it is denied. `tokens` counts the tokens of a text."""

    finders: Registry = field(default_factory=registry)
    tenants: Mapping[str, Registry] = field(default_factory=dict)
    classifiers: Mapping[str, Score] = field(default_factory=dict)
    seconds: float = 2.0
    key: bytes | Callable[[str], bytes] | None = field(default=None, repr=False)
    most: int = MOST
    tokens: Callable[[str], int] = estimated_tokens
    _bounded: dict[str | None, Registry] = field(init=False, default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        registries: tuple[object, ...] = (self.finders, *self.tenants.values())
        for given in registries:
            if not isinstance(given, Registry):
                kind = type(given).__name__
                raise TypeError(
                    f"`finders` must be a Registry, such as `policyengine.detect.registry(...)` makes, not {kind}"
                )
        asked: list[tuple[str, object]] = [*self.classifiers.items(), *((one.name, one.find) for one in _others(self))]
        for name, call in asked:
            if not callable(call) or iscoroutinefunction(call):
                raise TypeError(f"`{name}` runs in a thread of its own: give a plain function, not an async one")
        self._bounded[None] = _bounded(self.finders, self.seconds)
        for tenant, known in self.tenants.items():
            self._bounded[tenant] = _bounded(known, self.seconds)

    def registry(self, tenant: str) -> Registry:
        return self._bounded[tenant if tenant in self.tenants else None]

    @property
    def waits(self) -> bool:
        """Whether inspecting a text may wait for a classifier or a finder."""
        return bool(self.classifiers) or any(map(_plugged, (self.finders, *self.tenants.values())))

    def keys(self, tenant: str) -> Keys:
        return Keys(self.key(tenant) if callable(self.key) else self.key, tenant)


def _others(inspection: Inspection) -> list[Finder]:
    """The plugged-in finders."""
    every = (inspection.finders, *inspection.tenants.values())
    return [one for known in every for one in known.finders if one.look is None]


def _plugged(known: Registry) -> bool:
    return any(finder.look is None for finder in known.finders)


def _bounded(known: Registry, seconds: float) -> Registry:
    """The registry, with a time limit on plugged-in finders."""
    if not _plugged(known):
        return known
    finders = (one if one.look is not None else _in_time(one, seconds) for one in known.finders)
    return Registry(tuple(finders), known.allowed)


def _in_time(finder: Finder, seconds: float) -> Finder:
    return replace(finder, find=lambda text: in_time(finder.find, text, seconds))
