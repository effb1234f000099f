"""What became of a text is in the trace of whoever asked, and no value is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from policyengine import Engine, NotReleased

RULES = """
module m
use ai
permit p: release on Output for User when output.tenant == "acme"
permit q: invoke on Model for User
require r: release on Output redact(["email"])
forbid t: release on Output when output.size > 3 on match log
"""
ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
TEXT = "Write to planted@acme.com."


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.from_text(RULES)


def events(call: Callable[[], object]) -> list[tuple[str, dict[str, object]]]:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    with provider.get_tracer("t").start_as_current_span("s"):
        call()
    [span] = kept.get_finished_spans()
    assert "planted" not in span.to_json()
    return [(event.name, dict(event.attributes or {})) for event in span.events]


def test_a_release_is_an_event(engine: Engine) -> None:
    [(name, said)] = events(lambda: engine.release(TEXT, principal=ANN, output={"tenant": "acme"}))
    assert name == "policyengine.release"
    assert (said["policyengine.released"], said["policyengine.findings"]) == (True, "email=1")
    assert (said["policyengine.rules"], said["policyengine.tried"]) == (("m.p",), ("m.t",))
    [(name, said)] = events(lambda: engine.admit(TEXT, principal=ANN, model={"id": "m", "provider": "p", "tier": "t"}))
    assert (name, said["policyengine.decision"]) == ("policyengine.invoke", "allow")


def test_so_is_a_stream(engine: Engine) -> None:
    def stream(tenant: str) -> None:
        chunks = [TEXT[at : at + 5] for at in range(0, len(TEXT), 5)]
        "".join(engine.release_stream(chunks, principal=ANN, output={"tenant": tenant}))

    [(_, said)] = events(lambda: stream("acme"))
    assert (said["policyengine.released"], said["policyengine.findings"]) == (True, "email=1")

    def denied() -> None:
        with pytest.raises(NotReleased):
            stream("other")

    [(_, said)] = events(denied)
    assert (said["policyengine.released"], said["policyengine.decision"]) == (False, "deny")
