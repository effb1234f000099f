"""Around any search: the best k chunks that the caller may see, and what their decisions owe.

The search is asked for more and more, until k of what it finds are permitted. The store should search with the filter
as its own query, so that little of what it finds is in vain; but whatever it finds is looked at again, one by one, and
only that decides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any, Generic, TypeVar

import structlog

from policyengine.filters.filter import Filter, Kind, Query
from policyengine.integrations.documents import DocumentOf, attributes
from policyengine.model.decision import Obligation, RuleError
from policyengine.release.sources import Marked, Sources

log = structlog.get_logger(__name__)

C = TypeVar("C")

# How many chunks a search is asked for at most, if the caller does not say.
LIMIT = 1000
# How many times as many it is asked for when too few of the last ones were permitted.
GROWTH = 4


# Where a chunk that a library hands on says what its decision owes.
MARK = "policyengine"


class UnrecordedLabels(Exception):
    """What was retrieved sets labels in the session, and nothing records them."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        super().__init__(f"the session has to carry {', '.join(labels)}: give `record_labels`, or call `search`")
        self.labels = labels


@dataclass(frozen=True, slots=True)
class Result(Generic[C]):
    """One permitted chunk, and what its decision says beyond that.

    labels: what the session carries from now on.
    obligations: what has to be done to the chunk before it is used, of the types that the filter was promised.
    document: the document that was decided about, as `output.sources` holds it.
    """

    chunk: C
    labels: tuple[str, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Retrieved(Generic[C]):
    """What a search found that the caller may see.

    results: the permitted chunks, in the order of the search, at most k, each with what its decision says.
    complete: whether there are k of them or no more to be found. If not, the limit was reached first: the search was
        asked for that many, and may know more.
    fetched: how many chunks the search returned, all rounds together.
    unreadable: how many of the last round's chunks no document could be read from. They are not among `results`.
    errors: what was wrong with the question itself, such as an unknown action. Nothing was searched for then.
    """

    results: list[Result[C]]
    complete: bool
    fetched: int
    unreadable: int
    errors: tuple[RuleError, ...] = ()

    @property
    def chunks(self) -> list[C]:
        """The permitted chunks alone."""
        return [result.chunk for result in self.results]

    @property
    def labels(self) -> tuple[str, ...]:
        """What the session carries now that these chunks were retrieved."""
        return tuple(sorted({label for result in self.results for label in result.labels}))

    @property
    def sources(self) -> Sources:
        """What goes into `release(sources=...)` with a text that draws on these chunks."""
        return Sources(self)


def permitted(
    search: Callable[[int], Iterable[C]],
    found: Filter | Query,
    k: int,
    *,
    document_of: DocumentOf | None = None,
    limit: int = LIMIT,
    record_labels: Callable[[tuple[str, ...]], object] | None = None,
) -> Retrieved[C]:
    """The best k chunks that may be seen: fewer if there are no more, never another to fill up.

    search: returns its best n chunks, best first. It is called with k first and with more later, and is taken to have
        no more when it returns fewer than n. With a Query it should search under `query.native`. It is not called at
        all if nothing may be seen.
    found: what `Engine.filter` made for this caller, or the Query that its `to` made. All rounds are decided by its
        snapshot. What a permission owes (`fulfilled`) was said there.
    document_of: reads the document from a chunk (`attributes` makes such functions); without it a chunk is a mapping
        that is the document. What it raises is raised; where it returns None the chunk is left out.
    limit: the search is never asked for more than this many chunks.
    record_labels: is told the labels that the session carries from now on, if there are any, before anything is
        returned. What it raises is raised. Without it they are in the answer, for whoever keeps the session.

    Raises ValueError if k is not positive or the limit is less than k.

    >>> from policyengine import Engine
    >>> engine = Engine.from_text('''
    ... module notes
    ... use ai
    ... permit own: retrieve on Document when document.tenant == principal.tenant
    ... ''')
    >>> ann = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
    >>> found = engine.filter(principal=ann, action="retrieve", resource_type="Document")
    >>> nearest = [{"id": "d1", "tenant": "globex"}, {"id": "d2", "tenant": "acme"}, {"id": "d3"}]
    >>> permitted(lambda n: nearest[:n], found, k=1)
    Retrieved(results=[Result(chunk={'id': 'd2', 'tenant': 'acme'}, labels=(), obligations=())], complete=True, \
fetched=4, unreadable=0, errors=())
    """
    rounds = _Rounds[C](found, k, document_of, limit)
    while rounds.wanted:
        rounds.take(search(rounds.wanted))
    if record_labels is not None and rounds.result.labels:
        record_labels(rounds.result.labels)
    return rounds.result


async def apermitted(
    search: Callable[[int], Awaitable[Iterable[C]]],
    found: Filter | Query,
    k: int,
    *,
    document_of: DocumentOf | None = None,
    limit: int = LIMIT,
    record_labels: Callable[[tuple[str, ...]], object] | None = None,
) -> Retrieved[C]:
    """As `permitted`, around a search that is awaited; so is what `record_labels` returns, if it can be."""
    rounds = _Rounds[C](found, k, document_of, limit)
    while rounds.wanted:
        rounds.take(await search(rounds.wanted))
    if record_labels is not None and rounds.result.labels:
        recorded = record_labels(rounds.result.labels)
        if isawaitable(recorded):
            await recorded
    return rounds.result


def recorded(got: Retrieved[C], recorder: object) -> Retrieved[C]:
    """What was retrieved, for those who get nothing but the chunks: raises if the session has to carry labels that
    nothing records."""
    if recorder is None and got.labels:
        raise UnrecordedLabels(got.labels)
    return got


def marked(metadata: Mapping[str, Any], result: Result[Any]) -> dict[str, Any]:
    """The metadata of a chunk with what its decision says at MARK, or nothing there if it says nothing. What the source
    put there stays only if it is what a retriever of permitted chunks says itself."""
    remark = metadata.get(MARK)
    inner = remark if isinstance(remark, Remark) else Remark(labels=[], obligations=[])
    obligations = [{"id": o.id, "type": o.type, "properties": dict(o.properties)} for o in result.obligations]
    labels = sorted({*inner["labels"], *result.labels})
    owed = [*inner["obligations"], *(each for each in obligations if each not in inner["obligations"])]
    rest = {name: value for name, value in metadata.items() if name != MARK}
    made = Marked({**rest, MARK: Remark(labels=labels, obligations=owed)} if labels or owed else rest)
    before = metadata if isinstance(metadata, Marked) else None
    made.document = result.document
    made.labels = tuple(sorted({*(before.labels if before is not None else ()), *result.labels}))
    made.obligations = (*(before.obligations if before is not None else ()), *result.obligations)
    return made


class Remark(dict[str, Any]):
    """What `marked` put into the metadata of a chunk: `labels`, and `obligations` as plain data."""


def logged(got: Retrieved[C], limit: int) -> Retrieved[C]:
    """What was retrieved, for those who get nothing but the chunks: the rest is a warning in the log."""
    if got.errors:
        log.warning("retrieval_not_possible", errors=[error.message for error in got.errors])
    if not got.complete:
        log.warning("retrieval_incomplete", found=len(got.chunks), limit=limit)
    if got.unreadable:
        log.warning("retrieval_unreadable", chunks=got.unreadable)
    return got


class _Rounds(Generic[C]):
    """What the two have in common: how many to search for next (0 when done), and what has become of it."""

    def __init__(self, found: Filter | Query, k: int, document_of: DocumentOf | None, limit: int) -> None:
        if k < 1 or limit < k:
            raise ValueError("k must be positive, and the limit no less than k")
        filter_ = found.filter if isinstance(found, Query) else found
        self._matches = filter_.matches
        self._decide = filter_.decide
        self._k = k
        self._document_of = attributes() if document_of is None else document_of
        self._limit = limit
        self.wanted = 0 if filter_.kind is Kind.NEVER else k
        self.result: Retrieved[C] = Retrieved([], True, 0, 0, filter_.errors)

    def take(self, chunks: Iterable[C]) -> None:
        returned = list(chunks)
        documents = [self._document(chunk) for chunk in returned]
        pairs = [(c, d) for c, d in zip(returned, documents, strict=True) if d is not None and self._matches(d)]
        done = len(pairs) >= self._k or len(returned) < self.wanted
        fetched = self.result.fetched + len(returned)
        decided = [(chunk, document, self._decide(document)) for chunk, document in pairs[: self._k]]
        # The two never disagree; if they did, what is not allowed would not come out.
        results = [Result(c, d.labels, d.obligations, of) for c, of, d in decided if d.decision == "allow"]
        self.result = Retrieved(results, done, fetched, documents.count(None))
        self.wanted = 0 if done or self.wanted >= self._limit else min(self.wanted * GROWTH, self._limit)

    def _document(self, chunk: C) -> dict[str, Any] | None:
        document = self._document_of(chunk)
        return None if document is None else dict(document)
