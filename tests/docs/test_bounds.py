"""The page of bounds says what the code has."""

from __future__ import annotations

from inspect import signature
from pathlib import Path

import pytest

from policyengine.callers import certificate, key_set, throttle
from policyengine.callers.issuers import MOST_SECONDS
from policyengine.check.environment import MAX_WRITTEN
from policyengine.cli.serve import ENDING
from policyengine.client import Client
from policyengine.client.client import MOST_BYTES
from policyengine.evaluate.delegation import MAX_CHAIN
from policyengine.events.sinks import webhook
from policyengine.explain.trace_json import MOST_RULES
from policyengine.files import MOST_ENTRIES
from policyengine.gate import results, tool_list, trail
from policyengine.integrations import agent_hooks, langchain_agent
from policyengine.mcp import approving, decision_point, sessions, targets
from policyengine.mcp.list_pages import PAGE as PAGE_OF_TOOLS
from policyengine.mcp.message_streams import LONGEST_MESSAGE
from policyengine.mcp.upstream import MOST_PAGES
from policyengine.model.decision import MOST_LISTED
from policyengine.model.entities import MAX_ANCESTORS
from policyengine.model.operators import MAX_PATTERNS
from policyengine.model.quantifier_cost import MAX_LOOKS
from policyengine.release import content, uploads
from policyengine.release.classifiers import WORKERS
from policyengine.release.schema_validation import MOST_WORK
from policyengine.release.text_stream import MOST_FOUND
from policyengine.release.text_threads import COMPUTING
from policyengine.release.validity import MOST_PROBLEMS
from policyengine.server.access import approval_page, callback, denials, request_hints, submission
from policyengine.server.batch_budget import ERROR, KILOBYTE, LOOKS
from policyengine.server.body import MOST_VALUES
from policyengine.server.explain import MOST_ASKED
from policyengine.server.filter import MOST_EXPLAINED
from policyengine.server.pending_bodies import MOST_ARRIVING, MOST_KEPT
from policyengine.server.release_events import LONGEST_CHUNK
from policyengine.server.thread_pools import LOOKING, MAKING, PARTS, REST, SLICED, SLICING, STREAMS, THREADS
from policyengine.server.unread_answers import MOST_UNREAD
from policyengine.settings.model import Limits, Settings
from policyengine.settings.texts import Texts
from policyengine.state import approval_scope, approval_tasks, block_operations
from policyengine.state.approvals import MAX_MINE, MAX_OPEN
from policyengine.state.operations import MAX_CHARGES
from policyengine.state.sessions import ENDED, LIFE, MAX_CALLS, MAX_LABELS
from policyengine.state.windows import SECOND
from policyengine.syntax.parse import MAX_FILE, MAX_TEXT
from policyengine.workers.protocol import PATIENCE

PAGE = (Path(__file__).parents[2] / "docs" / "bounds.md").read_text(encoding="utf-8")
LIMITS, SETTINGS, TEXTS = Limits(), Settings(policies=Path("."), insecure=True), Texts()


@pytest.mark.parametrize(
    "said",
    [
        f"`limits.concurrency`, {LIMITS.concurrency} ",
        f"`limits.wait`, {LIMITS.wait} ",
        f"`limits.headers`, {LIMITS.headers}; together with the path "
        f"`limits.header_bytes`, {LIMITS.header_bytes // 1024} KiB",
        f"`limits.header_seconds`, {LIMITS.header_seconds:.0f}; `limits.body_seconds`, {LIMITS.body_seconds:.0f} ",
        f"`limits.read_seconds`, {LIMITS.read_seconds:.0f} ",
        f"objects and arrays in a body | {MOST_VALUES:,} ",
        f"`max_batch`, {SETTINGS.max_batch:,}; `max_metered_batch`, {SETTINGS.max_metered_batch:,}",
        f"`max_work`, {SETTINGS.max_work:,} units",
        f"`max_page`, {SETTINGS.max_page:,} ",
        f"to read them, together | {MOST_UNREAD >> 20} MiB",
        f"when the service ends | {ENDING} ",
        f"slice of work in the same turn of the event loop | {SLICING} ",
        f"concurrent large batches | 1/{1 / SLICED:.0f} of ",
        f"incomplete request bodies, together | {MOST_ARRIVING >> 20} MiB",
        f"or the first {MOST_KEPT >> 20} MiB of its body",
        f"page of a gateway's list | {PAGE_OF_TOOLS:,} ",
        f"a server over a pipe | {LONGEST_MESSAGE >> 20} MiB ",
        f"decided about in one turn of the event loop | {tool_list.SLICE:,}; "
        f"{-(-tool_list.SLICE // (1 + tool_list.ANEW))} ",
        f"once for all waiting requests | {MAKING:.0f} ",
        f"agents in a delegation chain | {MAX_CHAIN} ",
        f"of one entity | {MAX_ANCESTORS:,} ",
        f"pairs of elements that nested quantifiers look at | {MAX_LOOKS:,} ",
        f"in an answer | {MOST_LISTED} ",
        f"a file | {MAX_FILE:,} characters",
        f"a text in it | {MAX_TEXT:,} characters",
        f"patterns of a policy set | {MAX_PATTERNS:,} ",
        f"{MAX_WRITTEN:,} nodes",
        f"files below one directory | {MOST_ENTRIES:,} ",
        f"{LOOKS} elements that quantifiers",
        f"conditions, {MOST_RULES:,} rules",
        f"waited for {PATIENCE:.0f} seconds",
    ],
)
def test_the_page_says_what_the_code_has(said: str) -> None:
    assert said in PAGE.replace("\n", " ")


@pytest.mark.parametrize(
    "said",
    [
        f"labels of a session | {MAX_LABELS} ",
        f"counted in a session | {MAX_CALLS:,} ",
        f"after its last use | {LIFE // SECOND:,} ",
        f"stays reserved after its end | {ENDED // LIFE} ",
        f"is charged to | {MAX_CHARGES} ",
        f"approval of a tenant | {MAX_OPEN:,} ",
        f"of one requester | {MAX_MINE} ",
        f"as approvers see it | {approval_scope.LARGEST:,} characters",
        f"say how to ask for approval | {denials.MOST} ",
        f"can be submitted | {request_hints.LIFE} ",
        f"a form of the approval page | {approval_page.LARGEST // 1024} KiB",
        f"a reason that somebody gives | {approval_tasks.LONGEST:,} ",
        f"in a submission | {submission.LONGEST_CHAIN} ",
        f"a `client` in a submission | {submission.LONGEST_CLIENT:,} ",
        f"`state` | {submission.LONGEST_KEY} characters; {callback.LONGEST_STATE:,} characters",
        f"a callback | {callback.TIMEOUT:.0f} seconds, {callback.ATTEMPTS} attempts",
        f"blocks at the same time | {block_operations.MOST:,} ",
        f"`queue`, {webhook.QUEUE:,} ",
        f"a webhook | {webhook.TIMEOUT:.0f} seconds, {webhook.ATTEMPTS} attempts",
        f"seconds to wait for the keys of an issuer | {MOST_SECONDS:.0f} ",
        f"a document with keys | {key_set.MOST_BYTES // 1024} KiB, {key_set.MOST_KEYS} keys",
        f"a certificate in a header | {certificate.MOST_BYTES // 1024} KiB",
        f"to count their failures | {throttle.MOST:,} ",
        f"`texts.most`, {TEXTS.most:,} characters",
        f"`texts.seconds`, {TEXTS.seconds:.0f} ",
        f"plugged-in finders included | {WORKERS} ",
        f"separate from the event loop's own | {WORKERS + COMPUTING} ",
        f"of messages | {content.DEEPEST}; {content.MOST_SEGMENTS:,} ",
        f"findings of a stream that are reported | {MOST_FOUND:,} ",
        f"except the first | {LONGEST_CHUNK // 1024} KiB",
        f"`texts.stream_seconds`, {TEXTS.stream_seconds:.0f} ",
        f"{uploads.EXPANDED:,} bytes, {uploads.PARTS:,} parts, {uploads.PAGES:,} pages",
        f"{uploads.DRAWN:,} bytes, {uploads.OPERATORS:,} operators, forms {uploads.FORMS_DEEP} deep",
        f"one text against a JSON Schema | {MOST_WORK:,} ",
        f"a text that is not valid | {MOST_PROBLEMS} ",
        f"a session of the gate remembers | {trail.MOST:,} characters",
        f"nesting of a result | {results.DEEPEST} levels",
        f"adapter remembers | {sessions.SESSIONS:,}, for {sessions.LIFE:,.0f} seconds",
        f"tools, resources or prompts | {MOST_PAGES} ",
        f"a server behind the gateway | {targets.TIMEOUT:.0f} ",
        f"whose approvals are counted | {approving.CALLS:,} ",
        f"a form that asks for approval | {approving.LONGEST_SHOWN:,} characters",
        f"a decision point | {decision_point.SECONDS:.0f} seconds, {decision_point.MOST_BYTES >> 20} MiB",
        f"an answer | {MOST_BYTES >> 20} MiB",
    ],
)
def test_the_page_says_what_the_other_rooms_have(said: str) -> None:
    assert said in PAGE.replace("\n", " ")


def test_all_who_remember_sessions_remember_as_many() -> None:
    assert {(each.SESSIONS, each.LIFE) for each in (sessions, agent_hooks, langchain_agent)} == {(10_000, 86_400.0)}


def test_a_client_waits_for_as_long_as_the_page_says() -> None:
    settings = signature(Client.__mro__[1].__init__).parameters
    said = f"`timeout`, {settings['timeout'].default:.0f} seconds; `attempts`, {settings['attempts'].default} "
    assert said in PAGE


def test_the_parts_of_all_requests_leave_room_for_decisions() -> None:
    assert (PARTS["waiting"], PARTS["computing"], PARTS["texts"], STREAMS) == (3 / 8, 1 / 8, 1 / 8, 1 / 4)
    assert sum(PARTS.values()) + STREAMS <= 1 - REST == 7 / 8
    assert (LOOKING, THREADS["computing"], THREADS["texts"]) == (2, 2, 2)
    assert (MOST_ASKED, MOST_EXPLAINED, KILOBYTE, ERROR) == (65_536, 65_536, 1_024, 10)
