"""Tools that are gated however they arrive: added to a list while an agent runs, or assigned to an agent.

Iterating over the list yields the tools that could be called at that time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, SupportsIndex, TypeVar

MARK = "policyengine_gated"
# What an agent was protected with.
BY = "policyengine_by"
_OTHERWISE = "protect: this is protected already, with another session or other terms; make a new one for these"
T = TypeVar("T")


def check_session(agent: Any, session: Any) -> None:
    """Raises ValueError where another session gates it already."""
    if (known := getattr(agent, BY, None)) is not None and known[0] is not session:
        raise ValueError(_OTHERWISE)


def is_protected(agent: Any, *by: Any) -> bool:
    """Whether it is protected with this already: a second gate would decide, and charge, each call again. Raises
    ValueError where it is protected with something else, such as the session of somebody else."""
    known = getattr(agent, BY, None)
    if known is None or known == by:
        return known is not None
    raise ValueError(_OTHERWISE)


class GatedTools(list[Any]):
    """`gate` makes a gated tool from one that is not gated yet, once for each tool; if it raises, so does reading the
    list. `shown` keeps the tools that may be seen."""

    def __init__(
        self,
        tools: Iterable[Any],
        gate: Callable[[Any], Any],
        shown: Callable[[list[Any]], list[Any]] = lambda tools: tools,
    ) -> None:
        super().__init__(tools)
        self._gate = gate
        self._shown = shown
        # By identity of the tool that came in, which is kept so that no other has it.
        self._made: dict[int, tuple[Any, Any]] = {}

    @classmethod
    def assigned(
        cls,
        tools: Iterable[Any] | None,
        gate: Callable[[Any], Any],
        shown: Callable[[list[Any]], list[Any]] = lambda tools: tools,
    ) -> GatedTools:
        """Those of an agent from now on; the same list where `gate` has made it. Raises what `gate` raises."""
        if isinstance(tools, cls) and tools._gate == gate:
            return tools
        return cls([tool if hasattr(tool, MARK) else gate(tool) for tool in tools or ()], gate, shown)

    def append(self, tool: Any) -> None:
        super().append(self._gated(tool))

    def extend(self, tools: Iterable[Any]) -> None:
        super().extend([self._gated(tool) for tool in tools])

    def insert(self, at: SupportsIndex, tool: Any) -> None:
        super().insert(at, self._gated(tool))

    def __iadd__(self, tools: Iterable[Any]) -> GatedTools:  # type: ignore[misc]
        self.extend(tools)
        return self

    def __setitem__(self, at: Any, tool: Any) -> None:
        super().__setitem__(at, [self._gated(each) for each in tool] if isinstance(at, slice) else self._gated(tool))

    def __iter__(self) -> Iterator[Any]:
        yield from self._shown([self._gated(tool) for tool in super().__iter__()])

    def __getitem__(self, at: SupportsIndex | slice) -> Any:
        tool = super().__getitem__(at)
        return [self._gated(each) for each in tool] if isinstance(at, slice) else self._gated(tool)

    def _gated(self, tool: Any) -> Any:
        if hasattr(tool, MARK):
            return tool
        if id(tool) not in self._made:
            self._made[id(tool)] = tool, self._gate(tool)
        return self._made[id(tool)][1]


def held(agent: T, rules: Mapping[str, Callable[[Any], Any]], **more: Any) -> T:
    """The agent itself, of a class of its own by which these attributes are what `rules` make of what they are, now and
    whenever one is assigned, in copies that the class makes of it too. `more` are attributes of that class. Raises what
    a rule raises, and then nothing is assigned."""
    kind: Any = type(agent)

    def assign(self: Any, name: str, value: Any) -> None:
        kind.__setattr__(self, name, rules[name](value) if name in rules else value)

    known = {"__setattr__": assign, "__module__": kind.__module__, "__qualname__": kind.__qualname__}
    # They are not fields where a class makes fields of its attributes.
    annotations = dict.fromkeys(more, ClassVar[Any])
    agent.__class__ = type(kind)(kind.__name__, (kind,), {**known, **more, "__annotations__": annotations})
    for name in rules:
        setattr(agent, name, getattr(agent, name))
    return agent
