"""What is already known of modules, from earlier in this process or from earlier processes.

In: texts. Out: their trees and the results of checking them, the same as if each had been parsed and checked now. A
result from disk is used only if everything that it depends on is the same: the text, the name of its module, the
modules it can see, every text that declares something, every definition it can see, and the engine itself. One from
this process is used for the very same tree, under an equal schema and the same definitions.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock

from cachetools import LRUCache

from policyengine.check.module_results import Defines, ModuleRules
from policyengine.diagnostics.source import Source
from policyengine.model import zones
from policyengine.schema.declare import ModuleTree
from policyengine.schema.schema import Schema
from policyengine.syntax import ast
from policyengine.syntax.parse import Parsed, parse
from policyengine.warm.cache import Cache, engine_digest
from policyengine.warm.stored import Stored, module_rules, pack, unpack

log = logging.getLogger(__name__)

# The most texts, and results, that a process remembers. A reload parses and checks only what changed.
MOST = 10_000


@dataclass(frozen=True, slots=True)
class _Text:
    """What is known of one text: the result of parsing it and, if it comes from disk, what was stored there with it.
    The tree is then an outline, without rules and claims."""

    parsed: Parsed
    stored: Stored | None


@dataclass(frozen=True, slots=True)
class _Result:
    """The result of checking a module, and what it was made from."""

    module: ModuleTree
    schema: Schema
    defines: Defines
    rules: ModuleRules

    def is_for(self, module: ModuleTree, schema: Schema, defines: Defines) -> bool:
        # This comparison is cheap, because an unchanged file keeps its tree.
        if self.module.tree is not module.tree or self.module.visible != module.visible:
            return False
        known = self.defines
        same = known.keys() == defines.keys() and all(known[name][1] is defines[name][1] for name in defines)
        return same and (self.schema is schema or self.schema == schema)


# By path and by name of the module, the newest of each: old versions are not kept.
_texts: LRUCache[str, _Text] = LRUCache(maxsize=MOST)
_results: LRUCache[str, _Result] = LRUCache(maxsize=MOST)
_lock = Lock()


class Modules:
    """The texts of one load. `cache` is where to look for them, and where to keep new ones."""

    def __init__(self, cache: Cache | None) -> None:
        self._cache = cache if engine_digest() is not None else None
        self._texts: dict[Source, _Text] = {}

    def parse(self, source: Source) -> Parsed:
        """The tree, which may be an outline, and the findings. Its places may be in an equal text read earlier."""
        text = _text(source, self._cache)
        self._texts[text.parsed.module.span.source] = text
        return text.parsed

    def is_empty(self, tree: ast.Module) -> bool:
        """Whether the text of a tree from `parse` has no content."""
        has_content = tree.name is not None or tree.uses or tree.statements
        return not has_content and self._texts[tree.span.source].stored is None

    def results(self, modules: Sequence[ModuleTree]) -> ModuleResults:
        """The known results for these modules, which are all of a bundle."""
        return ModuleResults(modules, self._texts, self._cache)


class ModuleResults:
    """The `Results` of the modules of one bundle."""

    def __init__(self, modules: Sequence[ModuleTree], texts: dict[Source, _Text], cache: Cache | None) -> None:
        self._modules = modules
        self._texts = texts
        self._cache = cache
        self._sources = {module.name: module.tree.span.source for module in modules}
        self._around = _surroundings(modules) if cache is not None else None
        self._fresh: dict[str, ModuleRules] = {}

    def recall(self, module: ModuleTree, schema: Schema, defines: Defines) -> ModuleRules | None:
        with _lock:
            known = _results.get(module.name)
        if known is not None and known.is_for(module, schema, defines):
            return known.rules
        stored = self._stored(module)
        if stored is not None:
            self._remember(module, schema, defines, stored)
        return stored

    def keep(self, module: ModuleTree, schema: Schema, defines: Defines, result: ModuleRules) -> None:
        self._fresh[module.name] = result
        self._remember(module, schema, defines, result)

    def whole(self, module: ModuleTree) -> ast.Module:
        source = module.tree.span.source
        text = self._texts.get(source)
        return module.tree if text is None or text.stored is None else parse(source).module

    def write(self) -> None:
        """Keeps new results on disk. Only for bundles without errors."""
        if self._cache is None or self._around is None or not self._fresh:
            return
        names = {source: name for name, source in self._sources.items()}
        for module in self._modules:
            if module.name in self._fresh:
                source = module.tree.span.source
                parsed = self._texts[source].parsed
                data = pack(parsed, self._fresh[module.name], self._around(module), names)
                if data is not None:
                    self._cache.put(_key(source), data)
        self._cache.prune()

    def _remember(self, module: ModuleTree, schema: Schema, defines: Defines, result: ModuleRules) -> None:
        with _lock:
            _results[module.name] = _Result(module, schema, defines, result)

    def _stored(self, module: ModuleTree) -> ModuleRules | None:
        """The known result from disk."""
        text = self._texts.get(module.tree.span.source)
        if text is None or text.stored is None or self._around is None:
            return None
        if text.stored.surroundings != self._around(module):
            return None
        try:
            return module_rules(text.stored, self._sources)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, checking again is right
            log.debug("cannot use what was kept of %s: %r", module.name, error)
            return None


def _text(source: Source, cache: Cache | None) -> _Text:
    with _lock:
        known = _texts.get(source.path)
    if known is None or known.parsed.module.span.source.text != source.text:
        known = _stored_text(source, cache) or _Text(parse(source), None)
        with _lock:
            _texts[source.path] = known
    return known


def _stored_text(source: Source, cache: Cache | None) -> _Text | None:
    """The stored result for an equal text on disk."""
    data = cache.get(_key(source)) if cache is not None else None
    if data is None:
        return None
    try:
        stored = unpack(data, source)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, parsing again is right
        log.debug("cannot use what was kept of %s: %r", source.path, error)
        return None
    return _Text(stored.parsed, stored)


def forget() -> None:
    """Forgets the results of earlier loads, like a new process."""
    with _lock:
        _texts.clear()
        _results.clear()


def _key(source: Source) -> bytes:
    """Represents a text and the name that its module has if the text gives none."""
    name = Path(source.path).stem.encode("utf-8", "surrogatepass")
    return _digest(engine_digest() or b"", zones.VERSION.encode(), name, _bytes(source))


def _surroundings(modules: Sequence[ModuleTree]) -> Callable[[ModuleTree], bytes]:
    """A function that gives a digest of everything besides its text that the check of one of these modules depends
    on."""
    declaring: list[bytes] = []
    defining: dict[str, bytes] = {}
    for module in sorted(modules, key=lambda m: m.name):
        # Rules, claims, tests and fixtures of one module do not affect the others.
        kinds = {type(statement) for statement in module.tree.statements} - {ast.Rule, ast.Prove, ast.Test, ast.Fixture}
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
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()
