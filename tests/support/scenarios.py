"""Policies, an entity source and requests that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from policyengine import Engine
from policyengine.bundle import Snapshot
from tests.support.expressions import Draw
from tests.support.policies import Policies, policies
from tests.support.requests import Request, hostile, named, requests, sources


@dataclass(frozen=True, slots=True, repr=False)
class Scenario:
    policies: Policies
    entities: list[dict[str, Any]]
    requests: list[Request]

    def _repr_pretty_(self, printer: Any, _: bool) -> None:
        """How hypothesis shows it: the text of the policies, and each request on a line."""
        lines = [self.policies.text, *map(repr, self.entities), "", *map(repr, self.requests)]
        printer.text("\n" + "\n".join(lines) + "\n")

    def snapshot(self) -> Snapshot:
        return self.policies.load(self.entities)

    def engine(self) -> Engine:
        return Engine.from_text(self.policies.text, entities=self.entities)


@st.composite
def scenarios(
    draw: Draw,
    asked: Sequence[str] = ("well-typed", "well-typed", "hostile", "hostile"),
    json: bool = True,
    agents: bool = True,
    min_rules: int = 1,
    also: str = "",
) -> Scenario:
    """One request of each kind in `asked`, in that order."""
    made = draw(policies(min_rules=min_rules, json=json, also=also))
    kinds = {
        "well-typed": requests(made.schema, made.theme, agents),
        "named": named(made.schema, made.theme),
        "hostile": hostile(made.schema, made.theme),
    }
    return Scenario(made, draw(sources(made.schema)), [draw(kinds[kind]) for kind in asked])
