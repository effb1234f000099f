"""What an event may say, and that telling it fails nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import structlog

from policyengine.engine import Engine
from policyengine.events.event import LONGEST, Event
from policyengine.events.sink import Everywhere
from policyengine.events.sinks.counts import Counts
from policyengine.events.sinks.lines import Lines


class Heard:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.closed = False

    def send(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        self.closed = True


class Broken:
    def send(self, event: Event) -> None:
        raise RuntimeError("no")

    def close(self) -> None:
        raise RuntimeError("no")


@pytest.mark.parametrize("kind", ["", "limit", "Limit.alert", "limit.", ".alert", "limit..alert", "limit.alert\n"])
def test_a_kind_is_dotted_words(kind: str) -> None:
    with pytest.raises(ValueError, match="dotted words"):
        Event(kind)


@pytest.mark.parametrize("value", [{"a": 1}, [1], b"x", object(), (1, 2)])
def test_a_field_is_a_name_or_a_count(value: Any) -> None:
    with pytest.raises(ValueError, match="a field of an event"):
        Event("limit.alert", {"x": value})


def test_fields_are_bounded_and_can_be_sent() -> None:
    event = Event(
        "limit.alert", {"rule": "x" * 10_000, "names": ("y" * 10_000,) * 1_000, "odd": "\ud800"}, tenant="t" * 999
    )
    names = event.fields["names"]
    assert len(str(event.fields["rule"])) == LONGEST == len(event.tenant)
    assert isinstance(names, tuple)
    assert {len(name) for name in names} == {LONGEST}
    assert len(names) == 100
    assert json.dumps(dict(event.fields), ensure_ascii=False).encode()


def test_each_event_has_an_id_of_its_own() -> None:
    assert len({Event("limit.alert").id for _ in range(100)}) == 100


def test_a_sink_that_raises_keeps_no_other_from_hearing_it() -> None:
    heard = Heard()
    everybody = Everywhere([Broken(), heard])
    everybody.send(Event("limit.alert"))
    everybody.close()
    assert [event.kind for event in heard.events] == ["limit.alert"]
    assert heard.closed


def test_counts_are_by_kind() -> None:
    counts = Counts()
    for kind in ("limit.alert", "limit.alert", "limit.blocked"):
        counts.send(Event(kind))
    assert counts.read() == {"limit.alert": 2, "limit.blocked": 1}


def test_a_line_names_kind_tenant_and_fields() -> None:
    structlog.reset_defaults()  # a service that ran before may have left its level
    with structlog.testing.capture_logs() as lines:
        Lines().send(Event("limit.alert", {"rule": "m.budget", "by": ("a", "b")}, tenant="acme"))
    [line] = lines
    assert (line["event"], line["kind"], line["tenant"]) == ("event", "limit.alert", "acme")
    assert line["data"] == {"rule": "m.budget", "by": ["a", "b"]}
    assert json.dumps(line)


def test_a_reload_is_told(tmp_path: Path) -> None:
    file, heard = tmp_path / "p.pol", Heard()
    file.write_text("module p\nuse ai\npermit all: invoke on Model\n")
    engine = Engine.load(file, cache=False, events=heard)
    file.write_text("module p\nuse ai\npermit all: invoke on Modle\n")
    failed = engine.reload()
    file.write_text("module p\nuse ai\npermit every: invoke on Model\n")
    engine.reload()
    assert [event.kind for event in heard.events] == ["policies.refused", "policies.loaded"]
    assert heard.events[0].fields["errors"] == tuple(d.code.id for d in failed.diagnostics if d.is_error)
    assert heard.events[1].fields == {"revision": engine.revision, "meters_anew": ()}


def test_an_engine_without_a_sink_tells_nobody(tmp_path: Path) -> None:
    engine = Engine.from_text("module p\nuse ai\npermit all: invoke on Model\n", events=Broken())
    engine.events.send(Event("limit.alert"))
    assert engine.reload().ok
