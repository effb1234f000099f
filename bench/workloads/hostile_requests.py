"""The dearest requests that there are: what is known to have held others up once, and what could."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

EVALUATION, EVALUATIONS = "/access/v1/evaluation", "/access/v1/evaluations"
# A path, and a body for it.
QuantifierCounts = tuple[str, bytes]
ERRING, KNOWN = 10_000, 200_000
# What is asked over connections whose clients read nothing.
UNREAD = "9,000 that nobody reads"
# Streams of texts that go on for as long as they may.
ENDLESS = "40 streams that do not end"
USER = {"type": "User", "id": "ann", "properties": {"clearance": 3, "tenant": "acme"}}
ASKED: dict[str, Any] = {
    "subject": USER,
    "action": {"name": "retrieve"},
    "resource": {"type": "Document", "id": "d", "properties": {"tenant": "acme"}},
}

_POLICY = """module hostile
use ai
extend User { clearance: Int, badge: Int }
extend Document { level: Int, marks: List<Int>, others: List<Int>, owner: String }
action audit on Document
action weigh on Document
action find on Document
entity Ledger { tenant: String }
action open on Ledger
tool mail(to: String, body: Json)
tool mail_all(to: List<String>)

permit own: retrieve on Document when document.tenant == principal.tenant
permit weigh: weigh on Document when any x in document.marks: any y in document.others: x == y + 1000000
permit find: find on Document
  when (any x in document.marks: any y in document.others: x == y or y in document.marks) or document.owner == "x"
permit open: open on Ledger when ledger.tenant == principal.tenant
permit mail: call on Tool::"mail" when "user" in sources(tool.args.to) and "user" in sources(tool.args.body)
permit mail_all: call on Tool::"mail_all"
  when (any x in tool.args.to: "web" in sources(x)) or principal.badge == 1
permit answer: release on Output
require scrub: release on Output redact(["email", "credit_card"])
"""


def write(home: Path) -> None:
    """The policies and entities of the service."""
    rules = "".join(f"permit audit_{n}: audit on Document when document.level == {n}\n" for n in range(ERRING))
    (home / "policies").mkdir()
    (home / "policies" / "hostile.pol").write_text(_POLICY + rules, encoding="utf-8")
    ledgers = [{"type": "Ledger", "id": f"l{n:06}", "tenant": "acme" if n % 20_000 == 0 else "t"} for n in range(KNOWN)]
    (home / "entities.json").write_text(json.dumps(ledgers), encoding="utf-8")


def _body(path: str, **members: Any) -> QuantifierCounts:
    return path, json.dumps({**ASKED, **members}).encode()


def _chain(length: int) -> dict[str, Any]:
    agent: dict[str, Any] = {"type": "Agent", "id": f"a{length}"}
    return {**agent, "properties": {"delegated_by": _chain(length - 1)}} if length > 1 else agent


def _document(number: int, **properties: Any) -> dict[str, Any]:
    return {"type": "Document", "id": str(number), "properties": {"tenant": "acme", **properties}}


def _provenance(count: int) -> dict[str, Any]:
    return {f"/body/k{n}": [{"source": "user", "trusted": True}] for n in range(count)}


def _mail(size: int) -> dict[str, Any]:
    args = {"to": "a@b.example", "body": {f"k{n}": n for n in range(size)}}
    return {"type": "Tool", "id": "mail", "properties": {"args": args}}


def _mail_all(size: int) -> dict[str, Any]:
    return {"type": "Tool", "id": "mail_all", "properties": {"args": {"to": [f"a{n}" for n in range(size)]}}}


def _deep(depth: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(depth):
        value = {"a": [value]}
    return {"type": "Tool", "id": "mail", "properties": {"args": {"to": "x", "body": value}}}


def _text(size: int) -> str:
    line = "write to ann.b@mail{}.example or pay with 4111 1111 1111 1111, then call +1 415 555 26{:02}. "
    return "".join(line.format(n, n % 100) for n in range(size // 90))


KINDS: dict[str, Callable[[], QuantifierCounts]] = {
    "10,000 plain evaluations": lambda: _body(
        EVALUATIONS, evaluations=[{"resource": _document(n)} for n in range(10_000)]
    ),
    "10,000 equal ones, 16 agents": lambda: _body(
        EVALUATIONS, evaluations=[{}] * 10_000, context={"agent": _chain(16)}
    ),
    "5,000, 16 agents": lambda: _body(
        EVALUATIONS, evaluations=[{"resource": _document(n)} for n in range(5_000)], context={"agent": _chain(16)}
    ),
    "9,000 in which a rule errs": lambda: _body(
        EVALUATIONS, action={"name": "weigh"}, evaluations=[{"resource": _document(n)} for n in range(9_000)]
    ),
    "20 in which 10,000 rules err": lambda: _body(
        EVALUATIONS, action={"name": "audit"}, evaluations=[{"resource": _document(n)} for n in range(20)]
    ),
    "one in which 10,000 rules err": lambda: _body(EVALUATION, action={"name": "audit"}),
    "60 with much provenance": lambda: _body(
        EVALUATIONS,
        action={"name": "call"},
        evaluations=[{"resource": {**_mail(300), "id": "mail"}, "context": {"n": n}} for n in range(60)],
        context={"provenance": _provenance(300)},
    ),
    "one with 30 kB of provenance": lambda: _body(
        EVALUATION, action={"name": "call"}, resource=_mail(300), context={"provenance": _provenance(350)}
    ),
    "one with 300 kB of provenance": lambda: _body(
        EVALUATION, action={"name": "call"}, resource=_mail(3_000), context={"provenance": _provenance(4_000)}
    ),
    "256 × 256 elements in one": lambda: _body(
        EVALUATION,
        action={"name": "weigh"},
        resource=_document(1, marks=list(range(256)), others=list(range(256))),
    ),
    "256 × 256 elements in 100": lambda: _body(
        EVALUATIONS,
        action={"name": "weigh"},
        evaluations=[
            {"resource": _document(n, marks=list(range(256)), others=list(range(256)))} for n in range(100)
        ],
    ),
    "3,000 elements that a rule errs on": lambda: _body(
        EVALUATION, action={"name": "find"}, resource=_document(1, marks=list(range(3_000)), others=[-1])
    ),
    "100,000 elements that a rule errs on": lambda: _body(
        EVALUATION, action={"name": "find"}, resource=_document(1, marks=list(range(100_000)), others=[-1])
    ),
    "3,000 sources that a rule errs on": lambda: _body(
        EVALUATION,
        action={"name": "call"},
        resource=_mail_all(3_000),
        context={"provenance": {f"/to/{n}": [{"source": "user", "trusted": True}] for n in range(3_000)}},
    ),
    "deep arguments": lambda: _body(EVALUATION, action={"name": "call"}, resource=_deep(200)),
    "an id of a megabyte": lambda: _body(EVALUATION, resource={"type": "Document", "id": "x" * 1_000_000}),
    "a megabyte of numbers": lambda: _body(EVALUATION, context={"n": list(range(140_000))}),
    "a megabyte that is not JSON": lambda: (EVALUATION, b'{"a": ' + b"[1," * 330_000),
    "a search of 200,000": lambda: _body(
        "/access/v1/search/resource", action={"name": "open"}, resource={"type": "Ledger"}
    ),
    "a filter with a megabyte": lambda: _body(
        "/v1/filter", resource={"type": "Document"}, backend={"kind": "sqlite", "table": "x" * 900_000}
    ),
    "an explanation of 10,000 rules": lambda: _body("/v1/explain", action={"name": "audit"}),
    "an authorization of 10,000 rules": lambda: _body("/v1/authorize", action={"name": "audit"}),
    "sessions": lambda: ("/v1/sessions", json.dumps({"subject": USER}).encode()),
    "a release of 300 kB with findings": lambda: (
        "/v1/release", json.dumps({"subject": USER, "text": _text(300_000)}).encode()
    ),
    "a release of a megabyte with findings": lambda: (
        "/v1/release", json.dumps({"subject": USER, "text": _text(1_000_000)}).encode()
    ),
    "60,000 arguments": lambda: _body(EVALUATION, action={"name": "call"}, resource=_mail(60_000)),
    "50,000 objects and arrays": lambda: _body(EVALUATION, context={"n": [{"a": []} for _ in range(24_900)]}),
    "90,000 objects, which are too many": lambda: _body(EVALUATION, context={"n": [{"a": []} for _ in range(90_000)]}),
    ENDLESS: lambda: ("/v1/release", json.dumps({"subject": USER}).encode()),
    UNREAD: lambda: _body(
        EVALUATIONS, action={"name": "weigh"}, evaluations=[{"resource": _document(n)} for n in range(9_000)]
    ),
}  # fmt: skip
