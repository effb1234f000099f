"""A real server as an evaluator: each of its endpoints that decides, and the client, about each case."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from policyengine.authzen.endpoints import EXPLAIN
from policyengine.client import Client
from policyengine.client.exchange import CODE
from tests.cases.case_files import Case, CaseFile, Outcome
from tests.cases.outcomes import authzen, keywords, metering, outcome, refusable, told, wire_outcome
from tests.server.serving import EVALUATION, EVALUATIONS, serving

Endpoint = Callable[[httpx.Client, dict[str, Any]], Outcome | None]


@contextmanager
def http(file: CaseFile) -> Iterator[Callable[[Case], Outcome | None]]:
    """What the service refuses as no request at all is not compared. Nobody can state an approval."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "policy.pol").write_text(file.policies, encoding="utf-8")
        (folder / "entities.json").write_text(json.dumps(file.entities), encoding="utf-8")
        with (
            serving(folder, entities=folder / "entities.json") as client,
            Client(str(client.base_url)) as ours,
        ):

            def ask(case: Case) -> Outcome | None:
                if case.approved:
                    return None
                body = metering(authzen(case.request))
                first = _evaluation(client, body)
                if first is None:
                    # Only what is malformed as such, or what the service may refuse, is never asked.
                    assert not case.expected.determining or refusable(case.request), case.name
                for other in (_in_a_batch, _explanation):
                    assert other(client, body) == first, (case.name, other.__name__)
                by_client = outcome(ours.decide(**keywords(case.request), metered=True))
                assert by_client == (first or Outcome("deny", errors=(CODE,))), case.name
                return first

            yield ask


def _evaluation(client: httpx.Client, body: dict[str, Any]) -> Outcome | None:
    answer = _post(client, EVALUATION, body)
    return None if answer is None else wire_outcome(answer)


def _in_a_batch(client: httpx.Client, body: dict[str, Any]) -> Outcome | None:
    answer = _post(client, EVALUATIONS, {"evaluations": [body, body]})
    if answer is None:
        return None
    first, second = answer["evaluations"]
    assert first == second
    if "error" in first["context"]:  # of an item that is refused, while the others are answered
        assert (first["decision"], first["context"]["error"]["status"]) == (False, 400)
        return None
    return wire_outcome(first)


def _explanation(client: httpx.Client, body: dict[str, Any]) -> Outcome | None:
    answer = _post(client, EXPLAIN, body)
    return None if answer is None else told(answer["decision"])


def _post(client: httpx.Client, path: str, body: dict[str, Any]) -> Any:
    """None where it is refused as no request."""
    answer = client.post(path, content=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    if answer.status_code == 400:
        return None
    assert answer.status_code == 200, (path, answer.text)
    return answer.json()
