"""How often a caller may ask, as `limit` rules say: all processes count together, and every wait is true."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from policyengine.bundle import load_text
from policyengine.callers.caller import ANONYMOUS, Caller
from policyengine.callers.refusal import Refusal
from policyengine.events.sink import Nowhere
from policyengine.server.administration import BUILT_IN, Administration, principal_of
from policyengine.server.limit import LimitStep
from policyengine.server.pipeline import Incoming
from policyengine.server.rate_limits import RateLimits, rates
from policyengine.settings.loading import WrongSettings
from policyengine.settings.model import Limits
from policyengine.state.operations import Document, Operation, Outcome
from policyengine.state.store import StoreError
from policyengine.state.stores.memory import Memory
from tests.server.serving import serving
from tests.support.key_file import Store
from tests.support.paths import ROOT

FIXTURE = ROOT / "tests" / "data" / "authzen" / "certification"
HEAD = BUILT_IN.read_text() + "\naction ask on DecisionService for Caller\ncontext endpoint: String\n"
ALL = HEAD + "permit callers: ask on DecisionService for Caller\n"
KEY, OTHER = Caller("k1", "key", frozenset({"decide"})), Caller("k2", "key", frozenset({"decide"}), "acme")


class Away:
    """A store that cannot be asked."""

    def run(self, operation: Operation) -> Outcome:
        raise StoreError("away")

    async def run_async(self, operation: Operation) -> Outcome:
        raise StoreError("away")

    def survey(self, kind: str) -> Iterator[tuple[str, Document]]:
        raise StoreError("away")

    def close(self) -> None:
        pass


def made(text: str) -> RateLimits:
    snapshot = load_text(text).snapshot
    assert snapshot is not None
    found = rates(snapshot, Nowhere())
    assert found is not None
    found.store = Memory()
    return found


def ask(limits: RateLimits, caller: Caller, endpoint: str = "evaluation") -> Refusal | None:
    return asyncio.run(limits.refusal(caller, principal_of(caller), endpoint))


def statuses(limits: RateLimits, caller: Caller, count: int, endpoint: str = "evaluation") -> list[int]:
    found = [ask(limits, caller, endpoint) for _ in range(count)]
    return [200 if each is None else each.status for each in found]


def test_policies_that_say_nothing_of_it_limit_nobody() -> None:
    assert rates(Administration(None).snapshot, Nowhere()) is None


def test_each_caller_has_its_own_and_is_told_how_long_to_wait() -> None:
    limits = made(f"{ALL}limit each: ask on DecisionService\n  at most 3 requests per 1m by principal\n")
    assert statuses(limits, KEY, 3) == [200] * 3
    refused = ask(limits, KEY)
    assert refused is not None
    assert (refused.status, refused.message) == (429, "too many requests")
    headers = dict(refused.headers)
    assert 1 <= int(headers[b"retry-after"]) <= 61
    assert headers[b"ratelimit"].startswith(b'"administration.each";r=0;')
    assert ask(limits, OTHER) is None


def test_a_tenant_and_an_endpoint_may_have_their_own() -> None:
    limits = made(
        ALL + "limit of_tenant: ask on DecisionService for Caller\n  when principal has tenant\n"
        "  at most 2 requests per 1m by principal.tenant\n"
        'limit searches: ask on DecisionService\n  when context.endpoint like "search_*"\n'
        "  at most 1 requests per 1m by principal\n"
    )
    same = Caller("k3", "key", frozenset(), "acme")
    assert [*statuses(limits, OTHER, 1), *statuses(limits, same, 1), *statuses(limits, OTHER, 1)] == [200, 200, 429]
    assert statuses(limits, KEY, 2, "search_resource") == [200, 429]
    assert statuses(limits, KEY, 2) == [200, 200]


def test_what_the_policies_deny_is_refused_and_nothing_is_allowed_without_a_permit() -> None:
    text = f'{ALL}forbid no_tokens: ask on DecisionService for Caller\n  when principal.kind == "token"\n'
    refused = ask(made(text + '  because "only keys"\n'), Caller("t", "token", frozenset()))
    assert (refused.status, refused.message) == (403, "only keys") if refused is not None else False
    assert statuses(made(HEAD), KEY, 1) == [403]
    # A rule that cannot be evaluated lets nobody ask.
    erring = "limit erring: ask on DecisionService for Caller\n  at most principal.most requests per 1m by principal\n"
    declared = ALL.replace("tenant?: String }", "tenant?: String, most: Int }")
    assert statuses(made(declared + erring), KEY, 1) == [403]


@pytest.mark.parametrize(("ending", "status"), [("", 503), (" on failure allow", 200)])
def test_a_store_that_is_away_lets_nobody_ask_unless_the_limit_says_so(ending: str, status: int) -> None:
    limits = made(f"{ALL}limit each: ask on DecisionService\n  at most 3 requests per 1m by principal{ending}\n")
    limits.store = Away()
    assert statuses(limits, KEY, 1) == [status]
    limits.store = None
    assert statuses(limits, KEY, 1) == [503]


def test_a_limit_of_what_is_in_flight_would_never_have_room_again() -> None:
    with pytest.raises(WrongSettings, match=r"administration\.flight.*limits\.concurrency"):
        made(f"{ALL}limit flight: ask on DecisionService\n  at most 3 concurrent by principal\n")


def test_nobody_uses_up_what_others_sign_in_with(tmp_path: Path) -> None:
    text = f"{ALL}limit each: ask on DecisionService\n  at most 1 requests per 1m by principal\n"
    step = LimitStep(Limits(requests=1), Administration(None), made(text))
    signing = Incoming("sign_in", {}, {}, "r")
    assert [asyncio.run(step(ANONYMOUS, signing)) for _ in range(3)] == [None] * 3


def test_all_processes_count_together_and_a_caller_that_waits_may_ask_again(tmp_path: Path) -> None:
    policies = tmp_path / "admin.pol"
    policies.write_text(
        f"{ALL}limit each: ask on DecisionService for Caller\n  at most 6 requests per 3s by principal\n"
    )
    store = Store(tmp_path)
    one, other = ({"Authorization": f"Bearer {store.new().text}"} for _ in range(2))
    settings = {"keys": store.settings, "admin_policies": policies, "state": f"sqlite:///{tmp_path}/state.db"}
    with serving(FIXTURE, **settings) as first, serving(FIXTURE, **settings) as second:
        both = [first, second] * 50

        def refused() -> tuple[int, httpx.Response]:
            """How many were answered before one was not."""
            for number, client in enumerate(both):
                answer = client.get("/readyz", headers=one)
                if answer.status_code != 200:
                    return number, answer
            raise AssertionError("nobody was refused")

        count, answer = refused()
        # More than six only if asking took longer than the window; the two never had six each.
        assert count >= 6
        assert answer.status_code == 429
        assert answer.headers["content-type"] == "application/problem+json"
        wait = int(answer.headers["retry-after"])
        assert 1 <= wait <= 4
        for client in (first, second):
            assert client.get("/readyz", headers=other).status_code == 200
            assert client.get("/healthz").status_code == 200
        time.sleep(wait)
        assert first.get("/readyz", headers=one).status_code == 200
