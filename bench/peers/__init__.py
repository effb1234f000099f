"""Other engines, each in a virtual environment and a process of its own.

A module here is one peer, and runs in that process: `prepare(workload)` gives a function from one request, in the
form the peer likes best, to whether it is allowed, and the requests in that form. What can be prepared once (parsed
policies, handles, converted requests) is prepared there, outside of what is timed. A workload that a peer cannot
express raises Inexpressible.

The modules import nothing of the package, and of the bench only what needs the standard library alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Prepared = tuple[Callable[[Any], bool], Sequence[Any]]
Workload = Mapping[str, Any]


class Inexpressible(Exception):
    """The peer has no way to say this."""


@dataclass(frozen=True, slots=True)
class Peer:
    """`module` under bench.peers; what pip installs for it, and how."""

    name: str
    module: str
    distribution: str
    pip: tuple[str, ...] = ()


PEERS = (
    Peer("vakt", "vakt_guard", "vakt"),
    Peer("cel-expr-python", "cel", "cel-expr-python"),
    Peer("cedarpy", "cedar", "cedarpy"),
    Peer("opa-golib", "opa_in_process", "opa-golib-python-bindings", ("--ignore-requires-python",)),
    Peer("regopy", "rego_cpp", "regopy"),
    Peer("casbin", "casbin_enforcer", "casbin"),
    Peer("oso", "oso_polar", "oso"),
)


def extras(workload: Workload) -> list[tuple[int, str]]:
    """The number and effect of each irrelevant rule, as in `workloads.documents.extras`."""
    return [(1000 + i, "permit" if i % 2 else "forbid") for i in range(workload["irrelevant"])]


def require_documents(workload: Workload) -> None:
    if workload["kind"] != "documents":
        raise Inexpressible("not written for this peer")
