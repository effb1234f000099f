from collections.abc import Callable, Collection, Mapping
from typing import Any

VERSION: int

def plain_texts(value: Any, /) -> bool: ...
def plain_pairs(value: Any, /) -> bool: ...
def plain_document(value: Any, type_: str, names: frozenset[str] | None, /) -> bool: ...

# The kind "a" is for what is above a root: then the name is what is wanted there, and the function gives it.
Read = tuple[int, Any, str, Callable[..., Any] | None]
Path = tuple[Callable[..., Any], bytes, tuple[Read, ...]]
# What it takes to decide about agents: the entries by type of principal; the types that an agent may be of, if the
# schema says so; the types of those that such a principal may have got its task from, if it may; and decisions about
# several actors, with the function that makes them.
OtherActors = tuple[
    Mapping[str, Callable[..., Any]],
    frozenset[str] | None,
    frozenset[str] | None,
    dict[tuple[int, ...], tuple[Any, Any]],
    Callable[[tuple[Any, ...]], Any],
]

# `mention_check.MentionCheck`.
Look = tuple[
    Callable[[Any, Any, Any, Any], bool],
    dict[str, tuple[str, ...] | None],
    tuple[str, ...],
    frozenset[str],
    dict[str, set[str]],
    bool,
]
# `mention_check.Apart`: where the principal and the resource refer to others, the types that are apart, and whether
# the two are of one type.
Apart = tuple[tuple[str, ...], tuple[str, ...], frozenset[str], bool]

class Intake:
    """Takes a principal, a resource, a context or None and perhaps the action's attributes and approvals, checks them,
    and gives what a function says of their parts; if there are agents, of each of them, joined. Raises if any of it is
    unusual and `fallback` does not know either. The function, which parts of the request it takes and what is read for
    it are a path (`intake.py`). `named` is the one for entities that are no more than type and id; it takes their rows
    as well. Raises ValueError for paths that it cannot take."""

    def __init__(
        self,
        any: Path,
        named: Path | None,
        records: tuple[Mapping[str, Any] | None, Mapping[str, Any] | None],
        rows: tuple[dict[str, Any] | None, dict[str, Any] | None],
        find: tuple[Callable[[str], Any] | None, Callable[[str], Any] | None],
        nothing: dict[str, Any],
        others: OtherActors,
        names: tuple[set[str], set[str], set[str]],
        look: Look,
        apart: Apart | None,
        check: Callable[[Any, Any], bool] | None,
        fallback: Callable[..., Any] | None,
        /,
    ) -> None: ...
    def __call__(
        self,
        principal: Any,
        resource: Any,
        context: Any,
        attributes: Any = {},
        approved: Any = None,
        alone: bool = False,
        /,
    ) -> Any: ...

class AncestorsAmong:
    """`hierarchy.hierarchy(...)["ancestors_among"]`, for parents in plain lists; for others `ancestors` is called."""

    def __init__(
        self,
        records: Mapping[str, Mapping[str, Any]],
        reach: Callable[[str, str, list[Any]], frozenset[Any] | None],
        ancestors: Callable[[dict[str, Any], Mapping[str, Any]], Collection[Any]],
        most: int,
        /,
    ) -> None: ...
    def __call__(self, wanted: Mapping[str, Any], entity: dict[str, Any], known: Mapping[str, Any], /) -> Any: ...

class Decider:
    """An object whose methods may have shortcuts. Nothing of what they go by is in its `__dict__`."""

    def _go_by(
        self,
        entries: dict[str, dict[str, dict[str, Callable[..., Any]]]],
        each: dict[str, frozenset[str]],
        nothing: Mapping[str, Any],
        slowly: Callable[..., Any],
        /,
    ) -> None:
        """From now on the shortcuts of this object go by these: entries by action, resource type and principal type, of
        which none is ever taken away or replaced, the sets of one approval by its name, the attributes of an action
        that is only named, and what decides where there is no entry or it raises."""

class Shortcut:
    """`KeywordDecider.decide` and `Evaluator.decide` for the calls that nearly all are: the principal, action, resource
    and context, by position if it takes them so or as keywords, and perhaps one approval. The method takes any other
    call, and any of an object that goes by nothing."""

    __wrapped__: Callable[..., Any]

    def __init__(self, method: Callable[..., Any], positional: bool, /) -> None: ...
    def __get__(self, instance: Any, owner: Any = None, /) -> Callable[..., Any]: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
