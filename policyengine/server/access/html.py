"""The pages for those who approve, as text: everything in them is escaped, and nothing hides or reorders what it shows.

No script, no image, one style sheet whose digest the policy of the answer names. They work in any browser. `base` is
the path of the service's public URL, without which no link would lead back.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from typing import Any
from urllib.parse import quote

from policyengine.diagnostics.safe_text import visible
from policyengine.state.approval_tasks import Need, Task

PATH, TASK, SIGN_IN = "/approvals", "/approvals/task", "/approvals/sign-in"
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:52rem;padding:0 1rem;color:#1b1b1b;"
    "background:#fff}table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;"
    "padding:.4rem .8rem .4rem 0;border-bottom:1px solid #ddd}th{font-weight:600;white-space:nowrap}pre{margin:0;"
    "white-space:pre-wrap;overflow-wrap:anywhere}blockquote{margin:0;border-left:3px solid #bbb;padding-left:.8rem}"
    "button{font:inherit;padding:.5rem 1.2rem;margin-right:1rem}label{display:block;margin:.8rem 0 .2rem}"
    "input,textarea{font:inherit;width:100%;box-sizing:border-box}.note{color:#8a3b00}"
)
_DIGEST = b64encode(sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: object) -> Html:
    """A value to be read: escaped, with invisible characters written out."""
    if isinstance(value, Html):
        return value
    lines = str(value).split("\n")
    return Html("\n".join(escape(visible(line)) for line in lines))


def code(value: Any) -> Html:
    """A JSON value, whole."""
    return Html(f"<pre>{text(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True))}</pre>")


def page(title: str, *parts: Html) -> bytes:
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{text(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{text(title)}</h1>\n{body}\n</body></html>\n"
    ).encode("utf-8", "replace")


def note(message: str) -> Html:
    return Html(f'<p class="note" role="status">{text(message)}</p>') if message else Html("")


def listed(tasks: Sequence[Task], who: str, base: str) -> bytes:
    """The pending requests."""
    if not tasks:
        return page("Approvals", _signed_in(who, base), Html("<p>Nothing is waiting for approval.</p>"))
    rows = [
        Html(
            f'<tr><td><a href="{base}{TASK}?id={quote(task.id)}">{text(task.action)} on {text(task.resource)}</a></td>'
            f"<td>{_by(task)}</td><td>{text(', '.join(need.rule for need in task.needs))}</td>"
            f"<td>{_time(task.created)}</td></tr>"
        )
        for task in tasks
    ]
    head = "<tr><th>What</th><th>For whom</th><th>Rule that asks</th><th>Since</th></tr>"
    return page("Approvals", _signed_in(who, base), Html(f"<table>{head}{''.join(rows)}</table>"))


def shown(task: Task, reasons: Mapping[str, str], who: str, why_not: str, seal: str, changed: bool, base: str) -> bytes:
    """One request: what exactly will run, by whom, which rule asks, how long an approval holds."""
    resource = task.request["resource"]
    args = resource.get("args", resource.get("properties", {}).get("args") if "properties" in resource else None)
    rows = [
        ("What will run", Html(f"<strong>{text(task.action)}</strong> on <strong>{text(task.resource)}</strong>")),
        *([("With exactly these arguments", code(args))] if args is not None else []),
        ("For", text(task.requester)),
        ("By", text(", on behalf of it ".join(task.agents) or task.requester)),
        ("Tenant", text(task.tenant or "none")),
        ("Session", text(task.session or "none")),
        ("Rule that asks", _joined(_need(need, reasons.get(need.rule, "")) for need in task.needs)),
        ("Holds", text(f"{_span(task.within)} from the approval on, for {_times(task.uses)}")),
        ("Why, in the requester's own words", Html(f"<blockquote>{text(task.why)}</blockquote>") if task.why else "-"),
        ("Asked", _time(task.created)),
        ("Can be decided until", _time(task.expires_at)),
        ("Status", text(task.status + (", revoked" if task.revoked else ""))),
        ("The whole request", code(task.request)),
    ]
    table = "".join(f"<tr><th scope=row>{text(name)}</th><td>{text(value)}</td></tr>" for name, value in rows)
    parts = [_signed_in(who, base), Html(f"<table>{table}</table>")]
    if changed and not task.any_revision:
        parts.append(note("The policies have changed since: an approval would have no effect."))
    if task.status == "pending" and why_not:
        parts.append(note(f"You cannot decide this: {why_not}."))
    elif task.status == "pending":
        parts.append(
            Html(
                f'<form method="post" action="{base}{TASK}?id={quote(task.id)}"><input type="hidden" name="seal" '
                f'value="{escape(seal)}"><label for="why">Comment</label><textarea id="why" name="why" rows="2" '
                f'maxlength="2000"></textarea><p><button name="verdict" value="approve">Approve</button>'
                f'<button name="verdict" value="reject">Reject</button></p></form>'
            )
        )
    parts.append(Html(f'<p><a href="{base}{PATH}">All pending requests</a></p>'))
    return page("Approve this?" if task.status == "pending" else "Request for approval", *parts)


def sign_in(base: str, problem: str = "") -> bytes:
    form = (
        f'<form method="post" action="{base}{SIGN_IN}"><label for="credential">Token or API key</label>'
        '<input id="credential" name="credential" type="password" autocomplete="off">'
        '<label for="who">Who you are, such as User::ann, if the token does not say so</label>'
        '<input id="who" name="who" autocomplete="username"><p><button>Sign in</button></p></form>'
    )
    return page("Sign in to approve", note(problem), Html(form))


def refused(message: str, base: str) -> bytes:
    return page("Not possible", note(f"{message}."), Html(f'<p><a href="{base}{PATH}">All pending requests</a></p>'))


def _signed_in(who: str, base: str) -> Html:
    return Html(f'<p>You are {text(who)}. <a href="{base}{SIGN_IN}">Sign in as somebody else</a></p>')


def _by(task: Task) -> Html:
    agents = f" through {text(', '.join(task.agents))}" if task.agents else ""
    return Html(f"{text(task.requester)}{agents}")


def _need(need: Need, reason: str) -> Html:
    left = need.of - len(need.approvers)
    people = "one person" if need.of == 1 else f"{need.of} different people"
    had = f"; approved by {text(', '.join(need.approvers))}, {left} to go" if need.approvers and left > 0 else ""
    why = f"<br>{text(reason)}" if reason else ""
    return Html(f"{text(need.rule)}: {people} of {text(need.by)}{had}{why}")


def _joined(parts: Iterable[Html]) -> Html:
    return Html("<br>".join(parts))


def _times(uses: int) -> str:
    return "one use" if uses == 1 else f"{uses} uses"


def _span(seconds: float) -> str:
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size and not seconds % size:
            count = round(seconds / size)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{seconds:g} seconds"


def _time(seconds: float) -> Html:
    moment = datetime.fromtimestamp(seconds, UTC)
    return Html(f'<time datetime="{moment.isoformat()}">{moment:%Y-%m-%d %H:%M:%S} UTC</time>')
