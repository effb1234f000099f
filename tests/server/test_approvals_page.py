"""The page for those who approve: over HTTP with tokens and keys, and in a browser without JavaScript."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import sync_playwright

from policyengine.engine import Engine
from policyengine.server.access import html as page
from policyengine.server.cookie import COOKIE, Card
from policyengine.state.approval_tasks import Task
from tests.server.serving import serving
from tests.server.test_access import FINANCE, PEOPLE, POLICIES
from tests.server.test_authentication import bearer, issuer, jwks, token, until
from tests.support.key_file import Store
from tests.support.steps import steps

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
EVIL = "<script>alert(1)</script>\"'&\u202e\u200b"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "shop.pol").write_text(POLICIES, encoding="utf-8")
    (tmp_path / "entities.json").write_text(json.dumps(PEOPLE), encoding="utf-8")
    return tmp_path


@pytest.fixture
def engine(folder: Path) -> Engine:
    return Engine.load(folder / "policies", entities=folder / "entities.json", state=f"sqlite:///{folder}/state.db")


@pytest.fixture
def settings(folder: Path) -> dict[str, Any]:
    return {"entities": folder / "entities.json", "state": f"sqlite:///{folder}/state.db"}


@pytest.fixture
def open_page(folder: Path, settings: dict[str, Any]) -> Iterator[httpx.Client]:
    """A service without authentication: whoever signs in says who they are."""
    with serving(folder / "policies", **settings) as client:
        yield client


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def closed_page(folder: Path, settings: dict[str, Any], store: Store) -> Iterator[httpx.Client]:
    """A service with keys, and with tokens that say who somebody is and in which groups."""
    trusted = issuer(
        jwks(folder), claims={"principal_type": "User", "groups": "groups", "tenant": "org", "agent_type": "Agent"}
    )
    with serving(
        folder / "policies", keys=store.settings, issuers=[trusted], limits={"failures": 1_000}, **settings
    ) as client:
        yield client


def waiting(engine: Engine, why: str = "", tenant: str = "", order: str = "A-1", who: str = "ann") -> Task:
    grant = engine.authorize(
        principal={"type": "User", "id": who},
        action="call",
        resource={"type": "Tool", "id": "issue_refund", "args": {"amount": 400, "order": order}},
        tenant=tenant,
    )
    assert grant.access_request is not None
    return engine.approvals.request(grant.access_request, why=why)


def signed_in(client: httpx.Client, who: str = "", credential: str = "") -> None:
    client.cookies.clear()
    client.cookies.set(COOKIE, Card(credential, who).text())


def seal(page: str) -> str:
    found = re.search(r'name="seal" value="([^"]+)"', page)
    assert found is not None, page
    return html.unescape(found[1])


def decide(client: httpx.Client, task: Task, verdict: str = "approve", **more: Any) -> httpx.Response:
    path = f"/approvals/task?id={task.id}"
    form = {"seal": seal(client.get(path).text), "verdict": verdict, "why": "fine", **more.pop("form", {})}
    return client.post(path, data=form, **more)


def test_what_waits_is_listed_shown_and_approved(open_page: httpx.Client, engine: Engine) -> None:
    task = waiting(engine, "the customer is right")
    assert open_page.get("/approvals").headers["location"] == "/approvals/sign-in"
    answer = open_page.post("/approvals/sign-in", data={"credential": "", "who": "User::cleo"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/approvals")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    listed = open_page.get("/approvals").text
    assert task.id in listed
    shown = open_page.get(f"/approvals/task?id={task.id}").text
    for text in (
        "400",
        "A-1",
        "User::&quot;ann&quot;",
        "shop.person",
        "15 minutes",
        "the customer is right",
        "one use",
    ):
        assert text in shown
    assert "a refund of more than 100 takes a person" in shown
    assert decide(open_page, task).status_code == 303
    found = engine.approvals.show(task.id)
    assert (found.status, found.needs[0].approvers, found.log[0]["why"]) == ("approved", ('User::"cleo"',), "fine")
    assert task.id not in open_page.get("/approvals").text
    assert "<form" not in open_page.get(f"/approvals/task?id={task.id}").text


def test_twice_as_many_that_wait_are_twice_the_work() -> None:
    """A tenant has at most 1,000 of them."""
    cleo, work = {"type": "User", "id": "cleo"}, {}
    for count in (100, 200):
        engine = Engine.from_text(POLICIES, entities=PEOPLE)
        for number in range(count):
            waiting(engine, who=f"u{number}")

        def listed(engine: Engine = engine) -> bytes:
            return page.listed(engine.approvals.list(None, approver=cleo, context={}), "cleo", "")

        assert listed().count(b"<tr>") == count + 1
        work[count] = steps(listed)
    assert work[200] <= 2.2 * work[100]


def test_one_can_say_no(open_page: httpx.Client, engine: Engine) -> None:
    task = waiting(engine)
    signed_in(open_page, "User::cleo")
    assert decide(open_page, task, "reject").status_code == 303
    assert engine.approvals.show(task.id).status == "denied"


def test_everything_is_escaped_and_nothing_runs(open_page: httpx.Client, engine: Engine) -> None:
    task = waiting(engine, EVIL, order=EVIL)
    signed_in(open_page, "User::cleo")
    answer = open_page.get(f"/approvals/task?id={task.id}")
    assert "<script" not in answer.text
    assert "\u202e" not in answer.text
    assert "\\u202e" in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "form-action 'self'" in policy
    assert "script-src" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert "<script" not in open_page.get("/approvals").text
    hostile = "User::" + EVIL
    signed_in(open_page, hostile)
    assert "<script" not in open_page.get("/approvals").text


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ({"seal": ""}, {}),
        ({"seal": "x" * 44}, {}),
        ({}, {"sec-fetch-site": "cross-site"}),
        ({}, {"sec-fetch-site": "same-site"}),
    ],
)
def test_a_form_of_another_page_decides_nothing(
    open_page: httpx.Client, engine: Engine, form: dict[str, str], headers: dict[str, str]
) -> None:
    task = waiting(engine)
    signed_in(open_page, "User::cleo")
    assert decide(open_page, task, form=form, headers=headers).status_code == 403
    other = waiting(engine)
    stolen = seal(open_page.get(f"/approvals/task?id={other.id}").text)
    answer = open_page.post(f"/approvals/task?id={task.id}", data={"seal": stolen, "verdict": "approve"})
    assert answer.status_code == 403
    assert engine.approvals.show(task.id).status == "pending"


def test_whoever_may_not_decide_sees_nothing_and_the_requester_no_buttons(
    open_page: httpx.Client, engine: Engine
) -> None:
    task = waiting(engine)
    signed_in(open_page, "User::bob")
    assert task.id not in open_page.get("/approvals").text
    assert open_page.get(f"/approvals/task?id={task.id}").status_code == 409
    signed_in(open_page, "User::ann")
    shown = open_page.get(f"/approvals/task?id={task.id}").text
    assert "<form" not in shown
    assert "nobody may approve their own request" in shown
    assert open_page.get("/approvals/task?id=nonsense").status_code == 409
    assert open_page.post("/approvals/task?id=" + task.id, content=b"x" * 20_000).status_code == 413


def test_a_token_says_who_approves(closed_page: httpx.Client, engine: Engine) -> None:
    task = waiting(engine, tenant="acme")
    claims = {"sub": "zoe", "groups": ["finance"], "org": "acme", "scope": "approve"}
    assert closed_page.get("/approvals").headers["location"] == "/approvals/sign-in"
    assert closed_page.get("/approvals/sign-in").status_code == 200
    # Whom a card names is nothing to a token that names somebody.
    signed_in(closed_page, "User::cleo", token(**claims))
    assert "User::&quot;zoe&quot;" in closed_page.get("/approvals").text
    for other in ({"groups": []}, {"org": "globex"}, {"act": {"sub": "bot"}}):
        signed_in(closed_page, "", token(**{**claims, **other}))
        assert task.id not in closed_page.get("/approvals").text, other
        assert closed_page.get(f"/approvals/task?id={task.id}").status_code == 409
    signed_in(closed_page, "", token(**{**claims, "scope": "decide"}))
    assert closed_page.get("/approvals").status_code == 403
    signed_in(closed_page, "", token(**claims))
    assert decide(closed_page, task).status_code == 303
    assert engine.approvals.show(task.id).needs[0].approvers == ('User::"zoe"',)


def test_a_key_of_a_service_names_who_approves(closed_page: httpx.Client, engine: Engine, store: Store) -> None:
    task = waiting(engine)
    keys = {scope: store.new(scope) for scope in ("decide", "approve")}
    until(lambda: all(closed_page.get("/x", headers=bearer(key)).status_code == 404 for key in keys.values()))
    signed_in(closed_page, "User::cleo", keys["decide"].text)
    assert closed_page.get("/approvals").status_code == 403
    signed_in(closed_page, "User::cleo", "nonsense")
    assert closed_page.get("/approvals").headers["location"] == "/approvals/sign-in"
    signed_in(closed_page, "", keys["approve"].text)
    assert closed_page.get("/approvals").headers["location"] == "/approvals/sign-in"
    signed_in(closed_page, "User::cleo", keys["approve"].text)
    assert decide(closed_page, task).status_code == 303
    closed_page.cookies.clear()
    # The cookie signs in to this page, and to nothing else.
    signed_in(closed_page, "", keys["decide"].text)
    assert closed_page.get("/readyz").status_code == 401
    assert closed_page.get("/readyz", headers=bearer(keys["decide"])).status_code == 200


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium")
@pytest.mark.parametrize("scripts", [False, True])
def test_in_a_browser(open_page: httpx.Client, engine: Engine, scripts: bool) -> None:
    assert CHROMIUM is not None, "apt-get install chromium"
    task = waiting(engine, EVIL, order=EVIL)
    base = str(open_page.base_url).rstrip("/")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(java_script_enabled=scripts).new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("dialog", lambda dialog: said.append("dialog"))
        page.goto(f"{base}/approvals")
        assert page.url == f"{base}/approvals/sign-in"
        page.fill("input[name=who]", 'User::"cleo"')
        page.click("button")
        page.click(f"a[href*='{task.id}']")
        shown = page.inner_text("body")
        assert "<script>alert(1)</script>" in shown
        assert '"amount": 400' in shown
        page.fill("textarea", "fine by me")
        page.click("button[value=approve]")
        assert "approved" in page.inner_text("table")
        assert page.query_selector("form") is None
        browser.close()
    assert said == []
    found = engine.approvals.show(task.id)
    assert (found.status, found.log[0]["why"]) == ("approved", "fine by me")
    assert FINANCE[0]["id"] in found.needs[0].by
