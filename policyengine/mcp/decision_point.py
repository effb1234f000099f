"""Any AuthZEN decision point over HTTP, asked what a message may do.

An answer counts only if it is complete: a status of 200, a JSON object, and a decision of true or false for each
question. Everything else raises NoDecision, including answers that take too long, are too long, or redirect.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2

from policyengine.authzen import endpoints
from policyengine.model.json_text import parse_json
from policyengine.model.values import Fault

SECONDS, MOST_BYTES = 5.0, 8 << 20
METADATA = "/.well-known/authzen-configuration"
LONGEST_REASON = 300
# A decision point that has not the other API says so.
_MISSING = (404, 405, 501)


class NoDecision(Exception):
    """The decision point is unavailable."""


@dataclass(frozen=True, slots=True)
class PointAnswer:
    """One decision. `reason` is what the decision point says for whoever asked; empty where it says nothing."""

    allowed: bool
    reason: str = ""


class DecisionPoint:
    """A decision point by its base URL. Its metadata, if it has any, say where its APIs are."""

    def __init__(self, url: str, credential: str | None = None, transport: Any = None) -> None:
        self._url = url.rstrip("/")
        headers = {"content-type": "application/json", "accept": "application/json"}
        if credential is not None:
            headers["authorization"] = f"Bearer {credential}"
        self._http = httpx2.AsyncClient(
            # A proxy that the environment names, or a redirect, would be given the credential and could say yes.
            headers=headers,
            trust_env=False,
            follow_redirects=False,
            timeout=SECONDS,
            transport=transport,
        )
        self._endpoints: tuple[str, str | None] | None = None

    async def one(self, body: Mapping[str, Any]) -> PointAnswer:
        """Raises NoDecision."""
        one, _ = await self._found()
        status, answer = await self._posted(one, body)
        return _said(status, answer)

    async def many(self, body: Mapping[str, Any]) -> list[PointAnswer]:
        """A decision about each of the `evaluations`, in their order. Raises NoDecision."""
        one, many = await self._found()
        if many is not None:
            status, answer = await self._posted(many, body)
            if status not in _MISSING:
                answers = answer.get("evaluations") if status == 200 else None
                if not isinstance(answers, list) or len(answers) != len(body["evaluations"]):
                    raise NoDecision("the decision point gave another number of decisions than it was asked for")
                return [_said(200, each) for each in answers]
        shared = {name: value for name, value in body.items() if name != "evaluations"}
        return [_said(*await self._posted(one, {**shared, **each})) for each in body["evaluations"]]

    async def _found(self) -> tuple[str, str | None]:
        """Where the two APIs are."""
        if self._endpoints is None:
            status, said = await self._asked("GET", self._url + METADATA, None)
            if status == 200 and said.get("policy_decision_point", "").rstrip("/") == self._url:
                one, many = said.get("access_evaluation_endpoint"), said.get("access_evaluations_endpoint")
            elif status < 500:
                one, many = self._url + endpoints.EVALUATION, self._url + endpoints.EVALUATIONS
            else:
                raise NoDecision(f"the decision point answered {status}")
            for each in (one, many):
                if each is not None and not self._is_here(each):
                    raise NoDecision("the decision point says that it is asked at another host")
            if one is None:
                raise NoDecision("the decision point does not say where it is asked")
            self._endpoints = one, many
        return self._endpoints

    def _is_here(self, endpoint: Any) -> bool:
        return isinstance(endpoint, str) and urlsplit(endpoint)[:2] == urlsplit(self._url)[:2]

    async def _posted(self, url: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        try:
            content = json.dumps(body, allow_nan=False).encode()
        except (ValueError, TypeError, RecursionError):
            raise NoDecision("the request cannot be written") from None
        return await self._asked("POST", url, content)

    async def _asked(self, method: str, url: str, content: bytes | None) -> tuple[int, dict[str, Any]]:
        answer = bytearray()
        try:
            async with asyncio.timeout(SECONDS), self._http.stream(method, url, content=content) as response:
                async for part in response.aiter_bytes():
                    answer += part
                    if len(answer) > MOST_BYTES:
                        raise NoDecision("the answer of the decision point is too long")
            value = parse_json(bytes(answer)) if response.status_code == 200 else {}
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, RuntimeError, TimeoutError) as error:
            raise NoDecision(type(error).__name__) from None
        except Fault:
            raise NoDecision("the answer of the decision point is not JSON") from None
        return response.status_code, value if isinstance(value, dict) else {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()


def _said(status: int, answer: Any) -> PointAnswer:
    allowed = answer.get("decision") if status == 200 and isinstance(answer, dict) else None
    if not isinstance(allowed, bool):
        raise NoDecision("the answer of the decision point has no decision")
    return PointAnswer(allowed, _reason(answer.get("context")))


def _reason(context: Any) -> str:
    """What is meant for whoever asked, where the decision point says it as the examples of AuthZEN do, or
    as ours does."""
    said = context.get("reason_user") if isinstance(context, dict) else None
    if isinstance(said, dict):
        said = said.get("en", next(iter(said.values()), None))
    if said is None and isinstance(context, dict) and isinstance(context.get("reasons"), list):
        said = next(iter(context["reasons"]), None)
    return said[:LONGEST_REASON] if isinstance(said, str) else ""
