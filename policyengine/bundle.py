"""From files to an immutable snapshot.

In: a path or text, and its entities. Out: a Loaded, whose snapshot exists only if there were no errors. The only code
that reads policy files.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from policyengine.blocks.denylist import NOBODY, Denylist
from policyengine.check.check import check
from policyengine.compile.evaluator import Evaluator
from policyengine.detect.replacements import found_again
from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Code, Diagnostic, has_errors
from policyengine.diagnostics.json_places import breaks, place
from policyengine.diagnostics.render import concise, summary
from policyengine.diagnostics.source import Source
from policyengine.diagnostics.suggest import did_you_mean, one_of
from policyengine.files import FilesRead, Text, Unread, read, read_file, why_unread
from policyengine.filters.document_type import KnownDocuments
from policyengine.ir.nodes import PolicySet
from policyengine.model import zones
from policyengine.model.decision import Decision
from policyengine.model.entities import World, world
from policyengine.model.frozen import copied
from policyengine.model.json_text import parse_json
from policyengine.model.values import Fault
from policyengine.partial.residual import Partial
from policyengine.schema.declare import BUILTIN, ModuleTree, declare
from policyengine.schema.entity_source import misfits
from policyengine.schema.schema import Schema
from policyengine.syntax.parse import Parsed
from policyengine.warm.cache import Cache
from policyengine.warm.modules import Modules

# Flat entities, or a JSON file with a list of them.
Entities = Sequence[Mapping[str, Any]] | str | Path | None
# The same, after reading.
EntitiesRead = Sequence[Mapping[str, Any]] | Text | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a decision depends on besides the request. Never changes."""

    policies: PolicySet
    schema: Schema
    world: World
    revision: str
    evaluator: Evaluator
    partial: Partial
    blocks: Denylist = NOBODY
    documents: KnownDocuments = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "documents", KnownDocuments(self.schema, self.evaluator))

    @property
    def obligations(self) -> tuple[str, ...]:
        """The types of obligation that these policies can impose."""
        return self.policies.obligations

    def denial(self, principal: Any, action: Any, resource: Any, context: Any) -> Decision | None:
        """The denial of a request that is blocked; None for any other."""
        if self.blocks.is_empty:
            return None
        return self.blocks.denial(principal, action, resource, context, self.world, self.schema, self.revision)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The result of reading texts. `sources` are all texts that were read, `state` is the state of their files, and
    `files_read` are the files as they were."""

    snapshot: Snapshot | None
    diagnostics: tuple[Diagnostic, ...]
    sources: tuple[Source, ...] = ()
    state: object = None
    files_read: FilesRead | None = None

    @property
    def policies(self) -> PolicySet | None:
        return self.snapshot.policies if self.snapshot is not None else None


class InvalidPolicies(Exception):
    """Policies with errors. `diagnostics` holds them all; the text shows the first few."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        errors = [d for d in self.diagnostics if d.is_error]
        shown = "".join(f"\n  {concise(d)}" for d in errors[:5])
        super().__init__(f"the policies have {summary(errors)}{shown}")


def load_text(text: str, path: str = "policy.pol", entities: Entities = None) -> Loaded:
    """One module from text. `path` is for display, and names the module where the text does not."""
    if not isinstance(entities, str | Path):
        return _load([Source(path, text)], entities, (), None)
    try:
        return _load([Source(path, text)], Text(str(entities), read_file(Path(entities))), (), None)
    except OSError as error:
        unread = why_unread(Path(entities), error)
        return _load([Source(path, text)], None, [_unreadable(unread)], None)


def load_path(path: str | Path, entities: Entities = None, settled: bool = False, cache: Cache | None = None) -> Loaded:
    """All `.pol` files below a directory, or one file. Names that start with a dot are ignored. With `settled` the
    files are read once they no longer change: for use while someone may be writing. `cache` holds what earlier
    processes worked out about these texts; it only saves time."""
    if "" in (path, entities):
        # As a path, it would be the current directory.
        return Loaded(None, (_about("", codes.UNREADABLE, "cannot read it: the path is empty"),))
    named = Path(entities) if isinstance(entities, str | Path) else None
    return load_read(read(Path(path), named, settled), path, entities, cache)


def load_read(files_read: FilesRead, path: str | Path, entities: Entities, cache: Cache | None = None) -> Loaded:
    """A snapshot from files that were read before, below this path."""
    diagnostics = [_unreadable(one) for one in files_read.unread]
    sources = _decoded(files_read.texts, diagnostics)
    if not sources and not diagnostics:
        diagnostics.append(_about(str(path), codes.NO_POLICIES, "no `.pol` file found"))
    known: EntitiesRead = files_read.entities if isinstance(entities, str | Path) else entities
    return replace(_load(sources, known, diagnostics, cache), state=files_read.state, files_read=files_read)


def _decoded(texts: Sequence[Text], diagnostics: list[Diagnostic]) -> list[Source]:
    sources: list[Source] = []
    for text in texts:
        try:
            sources.append(Source(text.path, text.data.removeprefix(BOM_UTF8).decode()))
        except UnicodeDecodeError:
            diagnostics.append(_about(text.path, codes.NOT_UTF8, "the file is not UTF-8 text"))
    return sources


def _load(sources: list[Source], entities: EntitiesRead, earlier: Sequence[Diagnostic], cache: Cache | None) -> Loaded:
    return _build(sources, entities, earlier, Modules(cache))


def _build(
    sources: list[Source], entities: EntitiesRead, earlier: Sequence[Diagnostic], known_modules: Modules
) -> Loaded:
    diagnostics = list(earlier)
    parsed = [known_modules.parse(source) for source in sources]
    for one in parsed:
        diagnostics += one.diagnostics
    if has_errors(diagnostics):
        # Names in the text after a syntax error would be reported as unknown.
        return Loaded(None, tuple(diagnostics), tuple(sources))
    modules = _modules(parsed, diagnostics, known_modules)
    declared = declare(modules)
    findings = [*diagnostics, *declared.diagnostics]
    results = known_modules.results(modules)
    checked = check(modules, declared.schema, findings, results)
    if checked.policies is not None:
        results.write()
    problems = list(checked.diagnostics)
    records, digest = _entities(entities, problems)
    if checked.policies is not None:
        problems += found_again(checked.policies)
        problems += _misfits(records, declared.schema, entities)
    if checked.policies is None or has_errors(problems):
        return Loaded(None, tuple(problems), tuple(sources))
    facts = [(uid, dict(items)) for uid, items in checked.policies.facts]
    try:
        known = world(records, facts)
    except Fault as fault:
        problems.append(
            _about(entities.path if isinstance(entities, Text) else "entities", codes.BAD_ENTITIES, fault.message)
        )
        return Loaded(None, tuple(problems), tuple(sources))
    revision = _revision(sources, digest)
    evaluator = Evaluator(checked.policies, declared.schema, known, revision)
    partial = Partial(checked.policies, declared.schema, known)
    snapshot = Snapshot(checked.policies, declared.schema, known, revision, evaluator, partial)
    return Loaded(snapshot, tuple(problems), tuple(sources))


def _modules(parsed: Sequence[Parsed], diagnostics: list[Diagnostic], known_modules: Modules) -> list[ModuleTree]:
    """The modules with what each can see; the built-in one first."""
    # If no module has `use ai`, the names of the built-in module are free.
    used = any(use.name.text == BUILTIN for one in parsed for use in one.module.uses)
    trees = {BUILTIN: known_modules.parse(_builtin()).module} if used else {}
    for one in parsed:
        tree = one.module
        source = tree.span.source
        if known_modules.is_empty(tree):
            # An empty file is most often being written; without this error its rules would be silently missing.
            message = "the file is empty"
            diagnostics.append(
                Diagnostic(codes.EMPTY, source.span(0, 0), message, "", "remove it, or start it with `module NAME`")
            )
            continue
        name = tree.name.text if tree.name is not None else Path(source.path).stem
        span = tree.name.span if tree.name is not None else source.span(0, 0)
        if tree.name is None and not name.isidentifier():
            message = f"`{name}` cannot name a module"
            diagnostics.append(Diagnostic(codes.MODULE_NAME, span, message, "", "start the file with `module NAME`"))
        elif name == BUILTIN:
            diagnostics.append(Diagnostic(codes.RESERVED, span, f"`{BUILTIN}` is the built-in module"))
        elif name in trees:
            message = f"module `{name}` is also in {trees[name].span.source.path}"
            help_ = "one module per file; start each with its own `module NAME`"
            diagnostics.append(Diagnostic(codes.DUPLICATE_MODULE, span, message, "", help_))
        else:
            trees[name] = tree
    uses = {name: [use.name for use in tree.uses] for name, tree in trees.items()}
    for names in uses.values():
        for use in names:
            if use.text not in trees:
                diagnostics.append(_unknown_module(use, trees))
    return [ModuleTree(name, _visible(name, uses), tree) for name, tree in trees.items()]


def _unknown_module(use: Any, trees: Mapping[str, Any]) -> Diagnostic:
    help_ = did_you_mean(use.text, trees) or f"known: {one_of(trees)}"
    return Diagnostic(codes.UNKNOWN_MODULE, use.span, f"unknown module `{use.text}`", "", help_)


def _visible(name: str, uses: Mapping[str, Sequence[Any]]) -> frozenset[str]:
    """The module itself, what it uses, and what those use."""
    seen: set[str] = set()
    todo = [name]
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo.extend(use.text for use in uses.get(one, ()))
    return frozenset(seen & uses.keys())


@cache
def _builtin() -> Source:
    path = Path(__file__).parent / "schema" / "ai.pol"
    return Source("ai.pol", path.read_text(encoding="utf-8"))


def _entities(entities: EntitiesRead, diagnostics: list[Diagnostic]) -> tuple[Sequence[Mapping[str, Any]], bytes]:
    """The entities, and a digest of them for the revision."""
    if entities is None:
        return (), b""
    if not isinstance(entities, Text):
        # The host may change its own list later; the snapshot must not change with it.
        given = copied(list(entities))
        return given, sha256(repr(given).encode("utf-8", "surrogatepass")).digest()
    try:
        entity_list = parse_json(entities.data)
    except Fault as fault:
        diagnostics.append(_broken_json(entities, fault))
        return (), b""
    if not isinstance(entity_list, list):
        diagnostics.append(_about(entities.path, codes.BAD_ENTITIES, "expected a list of entities"))
        return (), b""
    return entity_list, sha256(entities.data).digest()


def _broken_json(entities: Text, fault: Fault) -> Diagnostic:
    text = entities.data.decode(errors="replace")
    at = breaks(text)
    if at is None:
        return _about(entities.path, codes.BAD_ENTITIES, fault.message)
    # The location already gives the line.
    message = fault.message.partition(" at line ")[0]
    return Diagnostic(codes.BAD_ENTITIES, Source(entities.path, text).span(at, min(at + 1, len(text))), message)


# The most errors about entities that are shown; many errors mostly have one cause.
MOST_MISFITS = 20


def _misfits(records: Sequence[Mapping[str, Any]], schema: Schema, entities: EntitiesRead) -> list[Diagnostic]:
    """What does not fit the schema in the entities, each error at its place in the file."""
    misfitting = list(islice(misfits(records, schema), MOST_MISFITS + 1))
    path = entities.path if isinstance(entities, Text) else "entities"
    text = entities.data.removeprefix(BOM_UTF8).decode() if misfitting and isinstance(entities, Text) else ""
    source = Source(path, text)
    shown = []
    for one in misfitting[:MOST_MISFITS]:
        start, end = place(text, one.path, one.named) if text else (0, 0)
        where = "" if text else f" (entity {one.path[0]})"
        shown.append(Diagnostic(codes.BAD_ENTITIES, source.span(start, end), one.message + where, "", one.help))
    if len(misfitting) > MOST_MISFITS:
        message = f"there is more than these {MOST_MISFITS} findings about the entities"
        shown.append(Diagnostic(codes.BAD_ENTITIES, source.span(len(text), len(text)), message))
    return shown


def _revision(sources: Sequence[Source], entities: bytes) -> str:
    """A digest of everything that was read, and of the time zones of this system: equal content, equal revision."""
    digest = sha256(entities + zones.VERSION.encode())
    for source in sorted(sources, key=lambda s: s.path):
        for part in (Path(source.path).name, source.text):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def _unreadable(one: Unread) -> Diagnostic:
    return _about(one.path, codes.UNREADABLE, f"cannot read it: {one.why}", one.help)


def _about(path: str, code: Code, message: str, help_: str = "") -> Diagnostic:
    """A finding about a file as a whole."""
    return Diagnostic(code, Source(path, "").span(0, 0), message, "", help_)
