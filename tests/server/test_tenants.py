"""A caller of one tenant neither asks for nor learns about another, at any endpoint and in any part of a request."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from policyengine.settings.model import Tenants
from tests.server.serving import EVALUATION, EVALUATIONS, SEARCH_ACTION, SEARCH_RESOURCE, SEARCH_SUBJECT, serving
from tests.server.test_authentication import RSA, bearer, issuer, jwks, token
from tests.support.key_file import Store

# Everything is permitted: only the binding keeps tenants apart.
POLICIES = """module all

use ai

action look on any

permit everything: retrieve, look on any
"""
ENTITIES = [
    {"type": "User", "id": "ann", "tenant": "acme"},
    {"type": "User", "id": "gus", "tenant": "globex"},
    {"type": "User", "id": "odd"},
    *({"type": "Document", "id": f"a{i}", "tenant": "acme"} for i in range(7)),
    *({"type": "Document", "id": f"g{i}", "tenant": "globex"} for i in range(7)),
    {"type": "Document", "id": "lost"},
]
TENANTS = Tenants(shared=["Group", "Model", "Tool", "Session"])
ANN = {"type": "User", "id": "ann"}
GUS = {"type": "User", "id": "gus"}
RETRIEVE = {"name": "retrieve"}


def doc(id_: str = "a1", **properties: Any) -> dict[str, Any]:
    return {"type": "Document", "id": id_, "properties": properties}


def ask(subject: Any = ANN, resource: Any = None, **more: Any) -> dict[str, Any]:
    return {"subject": subject, "action": RETRIEVE, "resource": resource or doc(), **more}


def agent(id_: str) -> dict[str, Any]:
    return {"type": "Agent", "id": id_, "properties": {"tenant": "acme"}}


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policies")
    (path / "all.pol").write_text(POLICIES)
    (path / "entities.json").write_text(json.dumps(ENTITIES))
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def services(
    policies: Path, store: Store, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, httpx.Client]]:
    """The service as a caller of acme, of globex, and of no tenant has it."""
    keys = {name: store.new(tenant=name or None) for name in ("acme", "globex", "")}
    trusted = issuer(
        jwks(tmp_path_factory.mktemp("jwks")),
        claims={
            "tenant": "org", "principal_type": "User", "groups": "groups",
            "attributes": {"email": "email", "roles": "roles"},
            "agent_type": "Agent",
        },
    )  # fmt: skip
    settings: dict[str, Any] = {"keys": store.settings, "issuers": [trusted], "tenants": TENANTS}
    with serving(policies, entities=policies / "entities.json", limits={"failures": 10_000}, **settings) as client:
        made = {
            name: httpx.Client(base_url=client.base_url, headers=bearer(key), trust_env=False)
            for name, key in keys.items()
        }
        made["bare"] = client
        yield made
        for each in made.values():
            each.close()


@pytest.fixture
def acme(services: dict[str, httpx.Client]) -> httpx.Client:
    return services["acme"]


OTHERS = {
    "the subject": ask(GUS),
    "a subject that says so": ask({"type": "User", "id": "ann", "properties": {"tenant": "acme"}}, doc("g1")),
    "the resource": ask(resource=doc("g1")),
    "a resource that lies": ask(resource=doc("g1", tenant="acme")),
    "a resource that nobody knows": ask(resource=doc("none")),
    "a resource that nobody knows and that lies": ask(resource=doc("none", tenant="acme")),
    "a resource of nobody": ask(resource=doc("lost")),
    "a resource of nobody that lies": ask(resource=doc("lost", tenant="acme")),
    "a subject of nobody": ask({"type": "User", "id": "odd"}),
    "the tenant": ask(context={"tenant": {"type": "Tenant", "id": "globex"}}),
    "the tenant as text": ask(context={"tenant": "acme"}),
    "another thing as the tenant": ask(context={"tenant": {"type": "Group", "id": "acme"}}),
    "an agent": ask(context={"agent": {"type": "Agent", "id": "x", "properties": {"tenant": "globex"}}}),
    "an agent behind an agent": ask(
        context={
            "agent": {
                "type": "Agent", "id": "x", "properties": {
                    "tenant": "acme", "delegated_by": {"type": "Agent", "id": "y", "tenant": "globex"}
                }
            }
        }
    ),
    "a parent": ask({**ANN, "parents": [{"type": "Tenant", "id": "globex"}]}),
    "a reference": ask(resource=doc("a1", owner=GUS)),
    "a reference in a list": ask(resource=doc("a1", readers=[ANN, GUS])),
    "a tenant somewhere": ask(resource=doc("a1", deep={"er": [{"type": "Tenant", "id": "globex"}]})),
    "an action": {**ask(), "action": {"name": "retrieve", "properties": {"for": GUS}}},
    "a tenant as the resource": ask(resource={"type": "Tenant", "id": "globex"}),
    "what says nothing": ask(resource={"type": "Output", "id": "o1"}),
    "an unknown type": ask(resource={"type": "NoResults", "id": "n"}),
    "too deep": ask(context={"x": json.loads("[" * 70 + "]" * 70)}),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_a_request_about_another_tenant_is_refused_wherever_it_says_so(acme: httpx.Client, name: str) -> None:
    for path in (EVALUATION, EVALUATIONS):
        answer = acme.post(path, json=OTHERS[name])
        assert answer.status_code == 403, answer.text
        assert "globex" not in answer.text


@pytest.mark.parametrize(
    "asked",
    [
        ask(), ask(resource=doc("a2", tenant="globex")), ask(context={"tenant": {"type": "Tenant", "id": "acme"}}),
        ask(resource={"type": "Model", "id": "m"}), ask(resource={"type": "Tenant", "id": "acme"}),
        ask(resource={"type": "Output", "id": "o", "properties": {"tenant": "acme"}}),
        ask(resource={"type": "Tool", "id": "t", "properties": {"args": {"type": "x", "id": "globex"}}}),
        ask({**ANN, "parents": [{"type": "Group", "id": "g"}]}), ask(resource=doc("a1", owner=ANN)),
        ask(context={"agent": {"type": "Agent", "id": "x", "properties": {"tenant": "acme"}}}),
    ],
    ids=str,
)  # fmt: skip
def test_a_request_about_its_own_is_answered(acme: httpx.Client, asked: dict[str, Any]) -> None:
    answer = acme.post(EVALUATION, json=asked)
    assert answer.status_code == 200, answer.text


def test_what_exists_elsewhere_and_what_does_not_exist_are_refused_alike(acme: httpx.Client) -> None:
    for said in ({}, {"tenant": "acme"}, {"tenant": "globex"}):
        elsewhere, nowhere = (acme.post(EVALUATION, json=ask(resource=doc(id_, **said))) for id_ in ("g1", "none"))
        assert (elsewhere.status_code, nowhere.status_code) == (403, 403)
        assert elsewhere.json()["detail"] == nowhere.json()["detail"]


def test_a_caller_of_no_tenant_asks_about_any(services: dict[str, httpx.Client]) -> None:
    for asked in (ask(GUS), ask(resource=doc("g1")), ask(resource=doc("none"))):
        assert services[""].post(EVALUATION, json=asked).json()["decision"] is True


def test_an_item_of_a_batch_about_another_tenant_is_refused_and_the_others_are_answered(acme: httpx.Client) -> None:
    batch = {
        **ask(),
        "evaluations": [{}, {"resource": doc("g1")}, {"subject": GUS}, {"resource": doc("a2")}, {"subject": 1}],
    }
    found = acme.post(EVALUATIONS, json=batch).json()["evaluations"]
    assert [each["decision"] for each in found] == [True, False, False, True, False]
    assert [each["context"].get("error", {}).get("status") for each in found] == [None, 403, 403, None, 400]


def test_the_default_of_a_batch_is_looked_at_as_well(acme: httpx.Client) -> None:
    batch = {**ask(GUS), "evaluations": [{}, {"subject": ANN}]}
    assert [each["decision"] for each in acme.post(EVALUATIONS, json=batch).json()["evaluations"]] == [False, True]


def search(client: httpx.Client, path: str, asked: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The results of all pages, and the tokens."""
    results: list[str] = []
    tokens: list[str] = []
    page: dict[str, Any] = {"limit": 3}
    while True:
        answer = client.post(path, json={**asked, "page": page})
        assert answer.status_code == 200, answer.text
        found = answer.json()
        results += [each["id"] for each in found["results"]]
        if not found["page"]["next_token"]:
            return results, tokens
        tokens.append(found["page"]["next_token"])
        page = {"token": tokens[-1]}


def test_a_search_finds_its_own_in_whole_pages(services: dict[str, httpx.Client]) -> None:
    which = {"subject": ANN, "action": RETRIEVE, "resource": {"type": "Document"}}
    found, tokens = search(services["acme"], SEARCH_RESOURCE, which)
    assert found == [f"a{i}" for i in range(7)]
    assert len(tokens) == 2
    who = {"subject": {"type": "User"}, "action": RETRIEVE, "resource": doc("a1")}
    assert search(services["acme"], SEARCH_SUBJECT, who)[0] == ["ann"]
    everything, _ = search(services[""], SEARCH_RESOURCE, which)
    assert len(everything) == 15
    assert search(services["globex"], SEARCH_RESOURCE, {**which, "subject": GUS})[0] == [f"g{i}" for i in range(7)]


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (SEARCH_RESOURCE, {"subject": GUS, "action": RETRIEVE, "resource": {"type": "Document"}}),
        (SEARCH_RESOURCE, {"subject": ANN, "action": RETRIEVE,
                           "resource": {"type": "Document", "properties": {"tenant": "globex"}}}),
        (SEARCH_RESOURCE, {"subject": ANN, "action": RETRIEVE, "resource": {"type": "Document"},
                           "context": {"tenant": {"type": "Tenant", "id": "globex"}}}),
        (SEARCH_SUBJECT, {"subject": {"type": "User"}, "action": RETRIEVE, "resource": doc("g1")}),
        (SEARCH_SUBJECT, {"subject": {"type": "User", "properties": {"tenant": "globex"}}, "action": RETRIEVE,
                          "resource": doc("a1")}),
        (SEARCH_ACTION, {"subject": GUS, "resource": doc("a1")}),
        (SEARCH_ACTION, {"subject": ANN, "resource": doc("g1")}),
        ("/v1/filter", {"subject": GUS, "action": RETRIEVE, "resource": {"type": "Document"}}),
        ("/v1/filter", {"subject": ANN, "action": RETRIEVE,
                        "resource": {"type": "Document", "properties": {"tenant": "globex"}}}),
        ("/v1/filter", {"subject": ANN, "action": RETRIEVE, "resource": {"type": "Document"},
                        "context": {"agent": {"type": "Agent", "id": "x", "properties": {"tenant": "globex"}}}}),
    ],
)  # fmt: skip
def test_a_search_and_a_filter_about_another_tenant_are_refused(acme: httpx.Client, path: str, asked: Any) -> None:
    answer = acme.post(path, json=asked)
    assert answer.status_code == 403, answer.text
    assert "globex" not in answer.text


def test_a_token_of_a_page_is_of_use_to_its_caller_only(services: dict[str, httpx.Client], store: Store) -> None:
    which = {"subject": {"type": "User", "id": "x"}, "action": RETRIEVE, "resource": {"type": "Model"}}
    asked = {"subject": ANN, "action": RETRIEVE, "resource": {"type": "Document"}, "page": {"limit": 3}}
    next_token = services["acme"].post(SEARCH_RESOURCE, json=asked).json()["page"]["next_token"]
    following = {**asked, "page": {"token": next_token}}
    assert services["acme"].post(SEARCH_RESOURCE, json=following).status_code == 200
    for name in ("", "globex"):
        assert services[name].post(SEARCH_RESOURCE, json={**following, "subject": ANN}).status_code in (400, 403), which
    assert services[""].post(SEARCH_RESOURCE, json=following).status_code == 400


def test_a_filter_finds_its_own_and_nothing_else(services: dict[str, httpx.Client]) -> None:
    asked = {
        "subject": ANN, "action": RETRIEVE, "resource": {"type": "Document"},
        "backend": {"store": "sqlite", "columns": {"tenant": "tenant", "id": "id"}}, "explain": True,
    }  # fmt: skip
    answer = services["acme"].post("/v1/filter", json=asked).json()
    assert answer["kind"] == "conditional"
    assert answer["exact"] is True
    assert "acme" in json.dumps(answer["query"]["params"])
    assert "own tenant" in answer["residual"]
    assert "acme" not in services[""].post("/v1/filter", json=asked).text
    asked["backend"] = {"store": "sqlite", "columns": {"id": "id"}}
    # Where the tenant is not kept, the store would find everybody's.
    assert services["acme"].post("/v1/filter", json=asked).status_code == 403


def test_what_is_about_everybody_is_not_for_a_tenant(services: dict[str, httpx.Client]) -> None:
    assert services["acme"].get("/metrics").status_code == 403
    assert services[""].get("/metrics").status_code == 200


def test_policies_that_do_not_say_whose_things_are_answer_no_bound_caller(tmp_path: Path, store: Store) -> None:
    (tmp_path / "p.pol").write_text(
        "module p\nentity Thing { name: String }\naction look on Thing\npermit all: look on Thing\n"
    )
    bound, free = store.new(tenant="acme"), store.new()
    asked = {
        "subject": {"type": "Thing", "id": "t"},
        "action": {"name": "look"},
        "resource": {"type": "Thing", "id": "t"},
    }
    with serving(tmp_path, keys=store.settings, log_level="error") as client:
        assert client.post(EVALUATION, json=asked, headers=bearer(bound)).status_code == 503
        assert client.post(EVALUATION, json=asked, headers=bearer(free)).status_code == 200


def test_a_tenant_before_a_separator(policies: Path, store: Store) -> None:
    bound = store.new(tenant="acme")
    with serving(policies, keys=store.settings, tenants=Tenants(separator="/", shared=["Model"])) as client:

        def status(subject: str, resource: str) -> int:
            asked = ask({"type": "User", "id": subject}, doc(resource))
            return client.post(EVALUATION, json=asked, headers=bearer(bound)).status_code

        assert status("acme/ann", "acme/d") == 200
        for subject, resource in (
            ("acme/ann", "globex/d"),
            ("ann", "acme/d"),
            ("acme", "acme/d"),
            ("acmeX/a", "acme/d"),
        ):
            assert status(subject, resource) == 403
        asked = {"subject": {"type": "User", "id": "acme/ann"}, "action": RETRIEVE, "resource": {"type": "Document"},
                 "backend": {"store": "sqlite", "columns": {"id": "id"}}}  # fmt: skip
        # SQLite's patterns are others.
        assert client.post("/v1/filter", json=asked, headers=bearer(bound)).status_code == 403
        asked["backend"] = {"store": "postgresql", "columns": {"id": "id"}}
        answer = client.post("/v1/filter", json=asked, headers=bearer(bound)).json()
        assert answer["kind"] == "conditional"
        assert "acme/" in json.dumps(answer["query"])


# ---- what a token says ----


def told(client: httpx.Client, asked: dict[str, Any], path: str = EVALUATION, **claims: Any) -> httpx.Response:
    text = token(RSA, **{"org": "acme", "sub": "ann", "scope": "decide search filter", **claims})
    return client.post(path, json=asked, headers=bearer(text))


def test_a_silent_request_is_filled_in(services: dict[str, httpx.Client]) -> None:
    client = services["bare"]
    silent = {"action": RETRIEVE, "resource": doc()}
    assert told(client, silent).json()["decision"] is True
    assert told(client, {"evaluations": [{}, {"resource": doc("g1")}], **silent}, EVALUATIONS).status_code == 200
    assert told(client, {"action": RETRIEVE, "resource": {"type": "Document"}}, SEARCH_RESOURCE).status_code == 200
    assert told(client, {"resource": doc()}, SEARCH_ACTION).status_code == 200
    assert told(client, {"action": RETRIEVE, "resource": {"type": "Document"}}, "/v1/filter").status_code == 200


@pytest.mark.parametrize(
    ("asked", "claims", "status"),
    [
        (ask(), {}, 200),
        (ask(GUS), {}, 403),
        (ask({"type": "Service", "id": "ann", "properties": {"tenant": "acme"}}), {}, 403),
        (ask({**ANN, "properties": {"email": "ann@acme"}}), {"email": "ann@acme"}, 200),
        (ask({**ANN, "properties": {"email": "root@acme"}}), {"email": "ann@acme"}, 403),
        (ask({**ANN, "properties": {"email": "ann@acme"}}), {}, 403),
        (ask({**ANN, "properties": {"roles": ["admin"]}}), {"roles": ["user"]}, 403),
        (ask({**ANN, "properties": {"roles": [True]}}), {"roles": [1]}, 403),
        (ask({**ANN, "properties": {"other": 1}}), {}, 200),
        (ask({**ANN, "parents": [{"type": "Group", "id": "a"}]}), {"groups": ["a", "b"]}, 200),
        (ask({**ANN, "parents": [{"type": "Group", "id": "root"}]}), {"groups": ["a"]}, 403),
        (ask({**ANN, "parents": [{"type": "Group", "id": "a"}]}), {}, 403),
        (ask(), {"groups": "a"}, 401),
        (ask(), {"groups": [7]}, 401),
        (ask(), {"org": None}, 401),
        (ask(), {"org": ""}, 401),
        (ask(), {"org": ["acme"]}, 401),
        (ask(), {"org": "globex"}, 403),
        (ask(), {"act": {"sub": "bot"}}, 200),
        (ask(), {"act": "bot"}, 401),
        (ask(), {"act": {}}, 401),
        (ask(context={"agent": agent("bot")}), {"act": {"sub": "bot"}}, 200),
        (ask(context={"agent": agent("other")}), {"act": {"sub": "bot"}}, 403),
        (ask(context={"agent": agent("bot")}), {}, 403),
        (ask(context={"agent": "bot"}), {"act": {"sub": "bot"}}, 403),
    ],
    ids=range(25),
)  # fmt: skip
def test_a_request_that_says_otherwise_than_the_token_is_refused(
    services: dict[str, httpx.Client], asked: dict[str, Any], claims: dict[str, Any], status: int
) -> None:
    claims = {name: value for name, value in claims.items() if value is not None} | (
        {"org": 0} if claims.get("org", "") is None else {}
    )
    answer = told(services["bare"], asked, **claims)
    assert answer.status_code == status, answer.text


def test_a_token_for_one_subject_cannot_ask_for_others(services: dict[str, httpx.Client]) -> None:
    who = {"subject": {"type": "User"}, "action": RETRIEVE, "resource": doc()}
    assert told(services["bare"], who, SEARCH_SUBJECT).status_code == 403


def test_tokens_of_two_tenants_are_never_taken_for_each_other(services: dict[str, httpx.Client]) -> None:
    for _ in range(3):
        assert told(services["bare"], ask()).status_code == 200
        assert told(services["bare"], ask(GUS, doc("g1")), org="globex", sub="gus").status_code == 200
        assert told(services["bare"], ask(resource=doc("g1"))).status_code == 403


# ---- both at once ----

# Minutes with HYPOTHESIS_PROFILE=nightly, a moment otherwise.
ROUNDS = {"nightly": 4_000, "fuzz": 4_000}.get(os.environ.get("HYPOTHESIS_PROFILE", ""), 12)


@pytest.mark.hypothesis
def test_two_tenants_hammer_each_other_and_nothing_crosses(services: dict[str, httpx.Client]) -> None:
    wrong: list[str] = []

    def hammer(tenant: str, who: str, mine: str, theirs: str, seed: int) -> None:
        chosen = random.Random(seed)
        with httpx.Client(
            base_url=services[tenant].base_url, headers=services[tenant].headers, trust_env=False, timeout=60
        ) as client:
            for number in range(ROUNDS):
                subject = {"type": "User", "id": who}
                own, other = doc(f"{mine}{chosen.randrange(7)}"), doc(f"{theirs}{chosen.randrange(7)}")
                listed = {"subject": subject, "action": RETRIEVE, "resource": {"type": "Document"}}
                batch = {
                    "subject": subject,
                    "action": RETRIEVE,
                    "evaluations": [{"resource": own}, {"resource": other}],
                }
                asks = [
                    (EVALUATION, ask(subject, own), 200), (EVALUATION, ask(subject, other), 403),
                    (EVALUATION, ask({"type": "User", "id": "gus" if who == "ann" else "ann"}, own), 403),
                    (EVALUATIONS, batch, 200), (SEARCH_RESOURCE, listed, 200),
                ]  # fmt: skip
                chosen.shuffle(asks)
                for path, body, status in asks:
                    answer = client.post(path, json=body, headers={"X-Request-ID": f"{tenant}-{seed}-{number}"})
                    if answer.status_code != status or answer.headers["x-request-id"] != f"{tenant}-{seed}-{number}":
                        wrong.append(f"{tenant} {path} {answer.status_code}")
                    elif path == EVALUATION and status == 200 and answer.json()["decision"] is not True:
                        wrong.append(f"{tenant}: its own is denied")
                    elif path == EVALUATIONS and [e["decision"] for e in answer.json()["evaluations"]] != [True, False]:
                        wrong.append(f"{tenant} batch {answer.text}")
                    elif path == SEARCH_RESOURCE:
                        found = {each["id"] for each in answer.json()["results"]}
                        if found != {f"{mine}{i}" for i in range(7)}:
                            wrong.append(f"{tenant} found {sorted(found)}")

    given = [("acme", "ann", "a", "g"), ("globex", "gus", "g", "a")]
    threads = [threading.Thread(target=hammer, args=(*each, seed)) for seed in range(2) for each in given]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
