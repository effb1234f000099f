"""Time zones come from one place, whose version is part of the revision."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime
from pathlib import Path

import pytest

from policyengine.bundle import load_text
from policyengine.model import zones

TEXT = "module m\nuse ai\npermit p: invoke on Model\n"


def revision() -> str:
    snapshot = load_text(TEXT).snapshot
    assert snapshot is not None
    return snapshot.revision


def test_other_zones_are_another_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    before = revision()
    assert revision() == before
    monkeypatch.setattr(zones, "VERSION", "1970a")
    assert revision() != before


def test_what_the_machine_has_of_them_makes_no_difference(tmp_path: Path) -> None:
    before = zoneinfo.TZPATH
    (tmp_path / "Mars").mkdir()
    (tmp_path / "Mars" / "Olympus").write_bytes(b"TZif")
    zoneinfo.reset_tzpath([str(tmp_path)])
    try:
        zones.zone.cache_clear()
        assert "Mars/Olympus" not in zones.names()
        summer = datetime(2026, 7, 1, 12, tzinfo=UTC).astimezone(zones.zone("Europe/Berlin"))
    finally:
        zoneinfo.reset_tzpath(before)
    assert summer.hour == 14


@pytest.mark.parametrize("name", ["../zones", "/etc/passwd", "Europe", "europe/berlin", "", "zones", "Europe/../UTC"])
def test_a_name_that_is_no_zone_reads_no_file(name: str) -> None:
    with pytest.raises(KeyError):
        zones.zone(name)


def test_every_zone_that_there_is_can_be_read() -> None:
    assert len(zones.names()) > 400
    assert all(zones.zone(name).key == name for name in zones.names())
