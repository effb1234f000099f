"""`POST /v1/explain`: the decision of an evaluation and the explanation of the engine, for whoever may see it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from policyengine import Engine
from policyengine.authzen import read
from policyengine.callers.caller import ANONYMOUS
from policyengine.explain import trace
from policyengine.server import explain
from policyengine.server.bind import Binding
from policyengine.settings.model import Settings, Tenants
from tests.server.serving import EVALUATION, serving
from tests.server.test_authentication import bearer
from tests.support.key_file import Store

EXPLAIN = "/v1/explain"
POLICIES = """module m
use ai

extend Document { linked?: Document, secret: String }
obligation audit(note: String)
tool send()
tool pay()

permit own: retrieve on Document
  when document.tenant == principal.tenant
permit linked: retrieve on Document
  when document has linked and document.linked.secret == "x"
forbid held: retrieve on Document
  when document.owner == "held"
permit models: invoke on Model for User
permit tools: call on Tool::"send", Tool::"pay" for User
permit agents: call on Tool::"send" for Agent
require noted: invoke on Model
  when context has cost
  audit(note: "spent")
require agreed: call on Tool::"pay"
  approval(by: Group::"bosses")
limit rate: call on Tool::"send"
  at most 2 requests per 1h by principal
"""
ENTITIES = [
    {"type": "User", "id": "ann", "tenant": "acme"},
    {"type": "User", "id": "gus", "tenant": "globex"},
    {"type": "Document", "id": "a1", "tenant": "acme", "owner": "ann"},
    {"type": "Document", "id": "a2", "tenant": "acme", "owner": "ann", "linked": {"type": "Document", "id": "g1"}},
    {"type": "Document", "id": "a3", "tenant": "acme"},
    {"type": "Document", "id": "g1", "tenant": "globex", "owner": "gus", "secret": "rosebud"},
]
ANN: dict[str, Any] = {"type": "User", "id": "ann"}
BOT: dict[str, Any] = {"type": "Agent", "id": "bot", "properties": {"tenant": "acme"}}


def about(type_: str, id_: str, action: str, **context: Any) -> dict[str, Any]:
    properties = {"args": {}} if type_ == "Tool" else {}
    resource = {"type": type_, "id": id_, "properties": properties}
    return {"subject": ANN, "action": {"name": action}, "resource": resource, "context": context}


CASES: dict[str, dict[str, Any]] = {
    "allowed": about("Document", "a1", "retrieve"),
    "denied": about("Document", "g1", "retrieve"),
    "denied by an error": about("Document", "a3", "retrieve"),
    "owed": about("Model", "m", "invoke", cost={"usd": 1}, supported_obligations=["audit"]),
    "owed, and not supported": about("Model", "m", "invoke", cost={"usd": 1}, supported_obligations=[]),
    "approval needed": about("Tool", "pay", "call"),
    "metered by nobody": about("Tool", "send", "call"),
    "metered by the caller": about("Tool", "send", "call", metered_limits=True),
    "an agent that may": about("Tool", "send", "call", agent=BOT, metered_limits=True),
    "an agent that may not": about("Tool", "pay", "call", agent=BOT),
    "an unknown action": about("Document", "a1", "shred"),
    "an unknown type": about("NoResults", "x", "retrieve"),
    "misspelt": {**about("Document", "a1", "retrieve"), "contxt": {}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explain")
    (folder / "policy.pol").write_text(POLICIES, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def engine(folder: Path) -> Engine:
    return Engine.load(folder, entities=ENTITIES)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def callers(folder: Path, store: Store) -> Iterator[dict[str, httpx.Client]]:
    """The service as three callers have it: of no tenant, of acme, and without the scope."""
    keys = {"any": store.new(), "acme": store.new(tenant="acme"), "decides": store.new("decide")}
    (folder / "entities.json").write_text(explain.json.dumps(ENTITIES), encoding="utf-8")
    tenants = Tenants(shared=["Group", "Model", "Tool", "Session"])
    with serving(folder, entities=folder / "entities.json", keys=store.settings, tenants=tenants) as client:
        made = {
            name: httpx.Client(base_url=client.base_url, headers=bearer(key), trust_env=False, timeout=20)
            for name, key in keys.items()
        }
        yield made
        for each in made.values():
            each.close()


def explained(client: httpx.Client, asked: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(EXPLAIN, json=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def same(found: dict[str, Any], evaluated: dict[str, Any]) -> None:
    """An explanation has the decision of the evaluation, member by member."""
    decision, context = found["decision"], evaluated["context"]
    assert (decision["decision"] == "allow") is evaluated["decision"]
    for name in ("summary", "determining", "reasons", "revision"):
        assert decision[name] == context[name], name
    for name in ("errors", "approvals", "limits", "labels", "obligations"):
        assert len(decision[name]) == len(context.get(name, ())), name
    assert [each["code"] for each in decision["errors"]] == [each["code"] for each in context.get("errors", ())]


@pytest.mark.parametrize("name", CASES)
def test_the_decision_is_that_of_the_evaluation(callers: dict[str, httpx.Client], name: str) -> None:
    found = explained(callers["any"], CASES[name])
    same(found, callers["any"].post(EVALUATION, json=CASES[name]).json())
    assert found["why"]


@pytest.mark.parametrize(
    "name", ["allowed", "denied", "denied by an error", "an agent that may not", "an unknown type"]
)
def test_it_is_what_the_engine_explains(callers: dict[str, httpx.Client], engine: Engine, name: str) -> None:
    expected = engine.explain(**read.evaluation(CASES[name])).as_json()
    found = explained(callers["any"], CASES[name])
    for each in (expected, found):
        del each["decision"]["revision"]
        for actor in each["actors"]:
            del actor["decision"]["revision"]
    assert found == expected


def test_there_is_something_of_each_kind_among_the_cases(callers: dict[str, httpx.Client]) -> None:
    found = {name: explained(callers["any"], each) for name, each in CASES.items()}
    assert {each["decision"]["decision"] for each in found.values()} == {"allow", "deny"}
    assert found["denied by an error"]["decision"]["errors"][0]["rule"] == "m.held"
    assert found["metered by nobody"]["decision"]["reasons"] == ["metering_required"]
    assert "not metered" in found["metered by nobody"]["why"]
    assert found["owed, and not supported"]["decision"]["errors"][0]["code"] == "unsupported_obligation"
    assert [each["role"] for each in found["an agent that may not"]["actors"]] == ["principal", "agent"]


def test_who_has_not_the_scope_gets_none(callers: dict[str, httpx.Client]) -> None:
    answer = callers["decides"].post(EXPLAIN, json=CASES["allowed"])
    assert (answer.status_code, answer.json()["detail"]) == (403, "the scope `explain` is required")
    assert httpx.post(f"{callers['any'].base_url}{EXPLAIN}", json=CASES["allowed"], trust_env=False).status_code == 401


@pytest.mark.parametrize(
    "asked",
    [
        CASES["denied"],
        {**CASES["allowed"], "subject": {"type": "User", "id": "gus"}},
        about("Document", "a1", "retrieve", agent={**BOT, "properties": {"tenant": "globex"}}),
        about("Document", "none", "retrieve"),
    ],
    ids=["the resource", "the subject", "an agent", "what nobody knows"],
)
def test_nothing_is_explained_about_another_tenant(callers: dict[str, httpx.Client], asked: dict[str, Any]) -> None:
    answers = [callers["acme"].post(path, json=asked) for path in (EVALUATION, EXPLAIN)]
    assert [each.status_code for each in answers] == [403, 403]
    assert answers[0].json()["detail"] == answers[1].json()["detail"]


def test_what_is_read_of_another_tenant_is_not_shown(callers: dict[str, httpx.Client]) -> None:
    own, reaching = CASES["allowed"], about("Document", "a2", "retrieve")
    assert explained(callers["acme"], own)["actors"]
    assert "rosebud" in str(explained(callers["any"], reaching))
    found = explained(callers["acme"], reaching)
    same(found, callers["acme"].post(EVALUATION, json=reaching).json())
    assert (found["actors"], found["withheld"]) == ([], True)
    assert "rosebud" not in str(found)
    assert "g1" not in str(found)


@pytest.mark.parametrize("evaluation", ["decide", "authorize"])
def test_nothing_is_charged_and_no_approval_is_used(folder: Path, evaluation: str) -> None:
    with serving(folder, entities=folder / "entities.json", evaluation=evaluation) as client:
        for _ in range(5):
            explained(client, CASES["metered by the caller"])
        assert client.get("/v1/usage").json() == {"usage": []}
        plain = CASES["metered by nobody"]
        allowed = explained(client, plain)["decision"]["decision"] == "allow"
        assert allowed is client.post(EVALUATION, json=plain).json()["decision"] is (evaluation == "authorize")
        presented = {**CASES["approval needed"], "context": {"approval": {"id": "a"}}}
        assert client.post(EXPLAIN, json=presented).status_code == 400


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"{", b'{"subject": 1}', b'{"approved": ["m.agreed"]}'])
def test_what_is_no_request_is_refused_as_by_the_evaluation(callers: dict[str, httpx.Client], content: bytes) -> None:
    json = {"Content-Type": "application/json"}
    answers = [callers["any"].post(path, content=content, headers=json) for path in (EVALUATION, EXPLAIN)]
    assert [each.status_code for each in answers] == [400, 400]
    assert answers[0].json()["detail"] == answers[1].json()["detail"]


def test_it_is_bounded(callers: dict[str, httpx.Client], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = about("Document", "a1", "retrieve", note="x" * explain.MOST_ASKED)
    assert callers["any"].post(EVALUATION, json=asked).status_code == 200
    assert callers["any"].post(EXPLAIN, json=asked).status_code == 413
    whole = explained(callers["any"], CASES["allowed"])["actors"][0]["rules"]
    own = next(each for each in whole if each["name"] == "m.own")
    # There is room for the condition of the rule that decided, and for no other.
    monkeypatch.setattr(explain, "MOST_SHOWN", len(explain.json.dumps(own["condition"])))
    short = explained(callers["any"], CASES["allowed"])["actors"][0]["rules"]
    assert [each["name"] for each in short] == [each["name"] for each in whole]
    assert [each["name"] for each in short if "condition" in each] == ["m.own"]
    assert {each["name"] for each in short if each.get("shortened")} == {
        each["name"] for each in whole if "condition" in each
    } - {"m.own"}


def test_of_very_many_rules_some_are_shown() -> None:
    rules = "".join(f"permit p{n}: retrieve on Document when document.id == principal.id\n" for n in range(1_500))
    engine = Engine.from_text("module m\nuse ai\npermit all: retrieve on Document\n" + rules)
    found = engine.explain(
        principal={"type": "User", "id": "u"}, action="retrieve", resource={"type": "Document", "id": "d"}
    )
    (actor,) = found.as_json(20_000)["actors"]
    assert (len(actor["rules"]), actor["rules_total"]) == (1_000, 1_501)
    assert "m.all" in {each["name"] for each in actor["rules"]}
    # Where the room ran out in the middle of a condition, too.
    assert sum("condition" in each for each in actor["rules"]) < 100


@pytest.mark.parametrize("parted", [0, 1, 2, 4, 9])
def test_what_is_written_in_parts_is_what_is_written_at_once(parted: int) -> None:
    value = {"a": [], "b": {}, "é": [{"c": [1, 2.5, None, True, '\n"é'], "d": {"e": [[], [{}]]}}, "x"]}
    assert explain._text(value, parted) == json.dumps(value, separators=(",", ":"))


def test_what_was_explained_is_let_go_of_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 50
    gone: list[Any] = []

    class Counted(trace.RuleTrace):
        def __del__(self) -> None:
            gone.append(sys._getframe(1).f_code)

    monkeypatch.setattr(trace, "RuleTrace", Counted)
    rules = "".join(f"permit p{n}: retrieve on Document when document.level > {n}\n" for n in range(count))
    engine = Engine.from_text(f"module m\nuse ai\nextend Document {{ level: Int }}\n{rules}")
    binding = Binding(Settings(policies=Path("."), insecure=True).tenants.tenancy())
    document = {"type": "Document", "id": "d", "properties": {"level": 0}}
    asked = {"subject": {"type": "User", "id": "u"}, "action": {"name": "retrieve"}, "resource": document}
    explain.answer_explain(engine, json.dumps(asked).encode(), ANONYMOUS, binding=binding, charged=False)
    # Each in a step of its own.
    assert gone == [explain.answer_explain.__code__] * count
