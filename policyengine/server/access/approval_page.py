"""The page for approvers: the waiting tasks, exactly what would run, and two buttons.

A browser signs in with a token or an API key, which it keeps in a cookie that no script and no other site can use; or
it comes through a proxy that signs it in. The person whom the credential identifies is the approver. With a credential
that identifies no person, such as that of a service, the browser names the approver. A decision is accepted only from
the page's own form.
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from policyengine.callers.caller import Caller
from policyengine.engine import Engine
from policyengine.server import grants
from policyengine.server.access import html
from policyengine.server.cookie import COOKIE, Card, card
from policyengine.server.engine_slot import EngineSlot
from policyengine.server.errors import RequestError
from policyengine.server.thread_pools import ThreadPools
from policyengine.state.approval_calls import ApprovalError
from policyengine.state.approval_tasks import Task
from policyengine.state.store import StoreError

LARGEST = 16 * 1024  # bytes of a form
GONE = "there is no such request for approval"


@dataclass(frozen=True, slots=True)
class Approver:
    """The person who decides, and the circumstances."""

    entity: Mapping[str, Any]
    context: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.entity['type']}::{json.dumps(self.entity['id'], ensure_ascii=False)}"


@dataclass(frozen=True, slots=True)
class ApprovalPage:
    """`key` seals the forms of this service; `base` is the path of its public URL."""

    slot: EngineSlot
    key: bytes
    base: str
    threads: ThreadPools

    def add_routes(self, app: Starlette) -> None:
        app.add_route(html.PATH, self._guarded(self._list), methods=["GET"], name="approvals")
        app.add_route(html.TASK, self._guarded(self._task), methods=["GET", "POST"], name="approvals_task")
        app.add_route(html.SIGN_IN, self._sign_in, methods=["GET", "POST"], name="sign_in")

    def _guarded(self, work: Callable[[Engine, Request, Caller, Approver, Mapping[str, str]], Response]) -> Any:
        async def endpoint(request: Request) -> Response:
            caller: Caller = request.scope["caller"]
            approver = approver_of(caller, card(request.scope["headers"]))
            if approver is None:
                return RedirectResponse(self.base + html.SIGN_IN, 303)
            form = await _form(request) if request.method == "POST" else {}
            try:
                return await self.threads.run("waiting", work, self.slot.ready(), request, caller, approver, form)
            except ApprovalError as error:
                return _html(html.refused(error.reason, self.base), 409)
            except StoreError:
                return _html(html.refused("the state store is unavailable", self.base), 503)

        return endpoint

    def _list(
        self, engine: Engine, request: Request, caller: Caller, approver: Approver, form: Mapping[str, str]
    ) -> Response:
        mine = engine.approvals.list(caller.tenant, approver=approver.entity, context=approver.context)
        return _html(html.listed(mine, approver.name, self.base))

    def _task(
        self, engine: Engine, request: Request, caller: Caller, approver: Approver, form: Mapping[str, str]
    ) -> Response:
        id_ = request.query_params.get("id", "")
        task = engine.approvals.show(id_)
        if caller.tenant is not None and task.tenant != caller.tenant:
            raise ApprovalError(GONE)
        why_not = engine.approvals.may_decide(id_, approver.entity, approver.context)
        if why_not and task.status == "pending" and not _concerns(task, approver):
            # Whoever may not decide learns nothing of it.
            raise ApprovalError(GONE)
        seal = self._seal(caller, approver, id_)
        if request.method == "POST":
            if not hmac.compare_digest(form.get("seal", "").encode(), seal.encode()) or _from_elsewhere(request):
                return _html(html.refused("the form does not come from this page", self.base), 403)
            decide = {"approve": engine.approvals.approve, "reject": engine.approvals.reject}.get(
                form.get("verdict", "")
            )
            if decide is None:
                return _html(html.refused("the form says neither yes nor no", self.base), 400)
            decide(id_, approver.entity, why=form.get("why", ""), caller=grants.owner(caller), context=approver.context)
            return RedirectResponse(f"{self.base}{html.TASK}?id={id_}", 303)
        rules = {rule.name: rule.reason or "" for rule in engine.snapshot.policies.rules}
        changed = engine.revision != task.revision
        return _html(html.shown(task, rules, approver.name, why_not, seal, changed, self.base))

    async def _sign_in(self, request: Request) -> Response:
        if request.method == "GET":
            return _html(html.sign_in(self.base))
        form = await _form(request)
        if _from_elsewhere(request):
            return _html(html.sign_in(self.base, "The form does not come from this page."), 403)
        signed_in = Card(form.get("credential", "").strip(), form.get("who", "").strip())
        answer = RedirectResponse(self.base + html.PATH, 303)
        answer.set_cookie(
            COOKIE,
            signed_in.text(),
            path=self.base + html.PATH,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    def _seal(self, caller: Caller, approver: Approver, id_: str) -> str:
        sealed = json.dumps([grants.owner(caller), approver.name, id_]).encode()
        return urlsafe_b64encode(hmac.digest(self.key, b"approve:" + sealed, "sha256")).decode()


def approver_of(caller: Caller, found: Card | None) -> Approver | None:
    """The person behind a caller: the one that its token identifies, or the one that a caller for many people names."""
    tenant = {"tenant": {"type": "Tenant", "id": caller.tenant}} if caller.tenant is not None else {}
    if caller.principal is not None:
        agents = caller.agents or ()
        chain = {"agent": {"type": agents[0][0], "id": agents[0][1]}} if agents else {}
        return Approver(caller.principal, {**tenant, **chain})
    entity = _named(found.who) if found is not None else None
    return None if entity is None else Approver(entity, tenant)


def _named(who: str) -> dict[str, str] | None:
    """`User::ann` or `User::"ann"`."""
    type_, separator, id_ = who.partition("::")
    id_ = id_.strip('"')
    return {"type": type_, "id": id_} if separator and type_ and id_ else None


def _concerns(task: Task, approver: Approver) -> bool:
    """Whether somebody who may not decide is the requester, and so may see it."""
    return approver.name == task.requester or any(approver.name in need.approvers for need in task.needs)


def _from_elsewhere(request: Request) -> bool:
    """Whether the browser says that another site sent the form."""
    return request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")


async def _form(request: Request) -> dict[str, str]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise RequestError(413, f"the form is larger than {LARGEST} bytes")
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=8, encoding="utf-8")
    except (UnicodeDecodeError, ValueError):
        raise RequestError(400, "the form cannot be read") from None
    return {name: values[-1] for name, values in fields.items()}


def _html(content: bytes, status: int = 200) -> Response:
    return Response(content, status, {"content-security-policy": html.POLICY}, "text/html; charset=utf-8")
