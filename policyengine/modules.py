"""What is known of modules already, from earlier in this process or from earlier processes.

In: texts. Out: their trees and the results of checking them, the same as if each had been parsed and checked now. A
result from disk counts only where all that it depends on is the same: the text, the name of its module, the modules it
can see, every text that declares something, every definition it can see, and the engine itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock

from cachetools import LRUCache

from policyengine.cache import Cache, engine_digest
from policyengine.check.memory import ModuleRules
from policyengine.check.stored import Stored, module_rules, pack, unpack
from policyengine.diagnostics.source import Source
from policyengine.schema.declare import ModuleTree
from policyengine.syntax import ast
from policyengine.syntax.parse import Parsed, parse

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Text:
    """What is known of one text: what parsing it gives and, if it comes from disk, what was kept there with it."""

    parsed: Parsed
    stored: Stored | None


class Modules:
    """The texts of one load. `cache` is where to look for them, and where to keep what is new."""

    def __init__(self, cache: Cache | None) -> None:
        self._cache = cache if engine_digest() is not None else None
        self._texts: dict[Source, _Text] = {}

    def parse(self, source: Source) -> Parsed:
        """The tree, which may be an outline, and the findings. Its places may be in an equal text read earlier."""
        text = _text(source, self._cache)
        self._texts[text.parsed.module.span.source] = text
        return text.parsed

    def recall(self, modules: Sequence[ModuleTree]) -> Callable[[ModuleTree], ModuleRules | None]:
        """A function that gives what is known from disk of one of these modules, which are all of a bundle."""
        if self._cache is None:
            return lambda _: None
        sources = {module.name: module.tree.span.source for module in modules}
        around = _surroundings(modules)

        def recall(module: ModuleTree) -> ModuleRules | None:
            stored = self._texts[module.tree.span.source].stored
            if stored is None or stored.surroundings != around(module):
                return None
            try:
                return module_rules(stored, sources)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, checking again is right
                log.debug("cannot use what was kept of %s: %r", module.name, error)
                return None

        return recall

    def keep(self, modules: Sequence[ModuleTree], results: Mapping[str, ModuleRules]) -> None:
        """Keeps on disk what was found out about some of these modules, which are all of a bundle without errors."""
        if self._cache is None or not results:
            return
        names = {module.tree.span.source: module.name for module in modules}
        around = _surroundings(modules)
        for module in modules:
            if module.name in results:
                source = module.tree.span.source
                data = pack(self._texts[source].parsed, results[module.name], around(module), names)
                if data is not None:
                    self._cache.put(_key(source), data)
        self._cache.prune()


# By path, the newest of each: a reload parses only what changed, and keeps nothing of what is no more.
_texts: LRUCache[str, _Text] = LRUCache(maxsize=10_000)
_lock = Lock()


def _text(source: Source, cache: Cache | None) -> _Text:
    with _lock:
        known = _texts.get(source.path)
    if known is None or known.parsed.module.span.source.text != source.text:
        known = _kept(source, cache) or _Text(parse(source), None)
        with _lock:
            _texts[source.path] = known
    return known


def _kept(source: Source, cache: Cache | None) -> _Text | None:
    """What was kept on disk of an equal text."""
    data = cache.get(_key(source)) if cache is not None else None
    if data is None:
        return None
    try:
        stored = unpack(data, source)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, parsing again is right
        log.debug("cannot use what was kept of %s: %r", source.path, error)
        return None
    return _Text(stored.parsed, stored)


def forget_texts() -> None:
    """Forget all texts, as a new process would know nothing of them."""
    with _lock:
        _texts.clear()


def _key(source: Source) -> bytes:
    """Stands for a text and the name that its module has where the text gives it none."""
    return _digest(engine_digest() or b"", Path(source.path).stem.encode("utf-8", "surrogatepass"), _bytes(source))


def _surroundings(modules: Sequence[ModuleTree]) -> Callable[[ModuleTree], bytes]:
    """A function that gives a digest of all that checking one of these modules depends on besides its text."""
    declaring: list[bytes] = []
    defining: dict[str, bytes] = {}
    for module in sorted(modules, key=lambda m: m.name):
        # Rules, claims and tests of one module mean nothing to the others.
        kinds = {type(statement) for statement in module.tree.statements} - {ast.Rule, ast.Prove, ast.Test}
        if kinds:
            digest = _digest(module.name.encode(), _bytes(module.tree.span.source))
            if kinds != {ast.Define}:
                declaring.append(digest)
            if ast.Define in kinds:
                defining[module.name] = digest
    declared = _digest(*declaring)

    def surroundings(module: ModuleTree) -> bytes:
        visible = sorted(module.visible)
        defined = (defining[name] for name in visible if name in defining)
        return _digest(declared, _digest(*(name.encode() for name in (module.name, *visible))), *defined)

    return surroundings


def _bytes(source: Source) -> bytes:
    return source.text.encode("utf-8", "surrogatepass")


def _digest(*parts: bytes) -> bytes:
    """A digest of the parts and of where each ends."""
    found = sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.digest()
