"""Reading the case files: `*.yaml` beside this file, each one policy and many requests.

    about: one line
    policies: |            # a `.pol` module named `policy`
      ...
    entities: [...]        # the entity source, if any
    request: {...}         # what every case starts from: principal, action, resource, context
    cases:
    - {case: name, set: {principal.n: 5}, unset: [principal.s], deny: [rule], errors: [rule POL502]}

A case changes the request and says all that comes of it: `allow` or `deny` with the determining rules; `errors`,
`owes`, `approvals`, `limits` and `labels` are empty where they are not given. `approved` names rules whose approval is
there. Scalars are those of JSON, plus `.nan` and `.inf`: no dates, and `yes` is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is compared. Errors are `rule code` in name order, without a rule where the request itself is at fault."""

    decision: str
    determining: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    owes: tuple[str, ...] = ()
    approvals: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    request: dict[str, Any]
    expected: Outcome
    approved: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseFile:
    name: str
    policies: str
    entities: list[dict[str, Any]] = field(hash=False)
    cases: tuple[Case, ...] = ()


class _Loader(yaml.SafeLoader):
    """YAML with the scalars of JSON only."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"null", "n"),
    ("bool", r"true|false", "tf"),
    ("int", r"-?(0|[1-9][0-9]*)", "-0123456789"),
    ("float", r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?|[-]?\.inf|\.nan", "-0123456789."),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), list(_first))
_Loader.add_constructor(
    "tag:yaml.org,2002:float",
    lambda loader, node: float(loader.construct_scalar(node).replace(".inf", "inf").replace(".nan", "nan")),
)


def case_files() -> Iterator[CaseFile]:
    for path in sorted(FOLDER.glob("*.yaml")):
        data = yaml.load(path.read_text(encoding="utf-8"), _Loader)
        cases = tuple(_case(each, data.get("request", {})) for each in data["cases"])
        yield CaseFile(path.stem, data["policies"], data.get("entities", []), cases)


def _case(data: dict[str, Any], start: dict[str, Any]) -> Case:
    data = dict(data)
    asked: dict[str, Any] = {"context": {}, **deepcopy(start)}
    name = data.pop("case")
    for path, value in data.pop("set", {}).items():
        _place(asked, path)[path.split(".")[-1]] = value
    for path in data.pop("unset", []):
        del _place(asked, path)[path.split(".")[-1]]
    approved = tuple(_qualified(data.pop("approved", [])))
    (decision,) = {"allow", "deny"} & data.keys()
    expected = Outcome(
        decision,
        tuple(sorted(_qualified(data.pop(decision)))),
        tuple(sorted(e if " " not in e else f"policy.{e}" for e in data.pop("errors", []))),
        tuple(sorted(data.pop("owes", []))),
        tuple(_qualified(data.pop("approvals", []))),
        tuple(_qualified(data.pop("limits", []))),
        tuple(data.pop("labels", [])),
    )
    assert not data, f"{name}: what is {', '.join(data)}?"
    return Case(name, asked, expected, approved)


def _qualified(names: list[str]) -> list[str]:
    return [f"policy.{name}" for name in names]


def _place(asked: dict[str, Any], path: str) -> Any:
    here: Any = asked
    for part in path.split(".")[:-1]:
        here = here[int(part)] if isinstance(here, list) else here.setdefault(part, {})
    return here
