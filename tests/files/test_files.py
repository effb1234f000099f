"""What is listed and cannot be read is a broken bundle: refused when loaded, without effect when reloaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from policyengine import Engine, InvalidPolicies
from policyengine.bundle import Loaded, load_path
from policyengine.files import listed, state
from tests.files.unreachable import WAYS, no_file_descriptors, permissions_count

OPEN = "module open\nuse ai\npermit all: retrieve on Document\n"
STRICT = "module strict\nuse ai\nforbid all: retrieve on Document\n"
REQUEST = {"principal": {"type": "User", "id": "a"}, "action": "retrieve", "resource": {"type": "Document", "id": "d"}}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "open.pol").write_text(OPEN)
    with permissions_count():
        yield tmp_path
    for path in tmp_path.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


def blamed(loaded: Loaded) -> list[str]:
    return [d.span.source.path for d in loaded.diagnostics if d.code.id == "POL402"]


def names(folder: Path) -> list[str]:
    listing = listed(folder)
    assert listing.unread == ()
    return [str(path.relative_to(folder)) for path in listing.files]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_what_cannot_be_read_is_refused(folder: Path, way: Callable[[Path], Path]) -> None:
    path = way(folder)
    loaded = load_path(folder)
    assert loaded.snapshot is None
    assert blamed(loaded) == [str(path)]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_reload_that_cannot_read_something_changes_nothing(folder: Path, way: Callable[[Path], Path]) -> None:
    (folder / "strict.pol").write_text(STRICT)
    engine = Engine.load(folder, cache=False)
    (folder / "strict.pol").unlink()
    way(folder)
    assert not engine.reload().ok
    assert engine.decide(**REQUEST).determining == ("strict.all",)


@pytest.mark.parametrize("way", [way for way in WAYS if "directory" not in way.__name__], ids=lambda way: way.__name__)
def test_entities_that_cannot_be_read_are_refused(folder: Path, way: Callable[[Path], Path]) -> None:
    data = folder / ".data"
    data.mkdir()
    path = way(data)
    if path.suffix == ".POL":
        path.write_text("{")
    with pytest.raises(InvalidPolicies) as caught:
        Engine.load(folder, entities=path)
    assert str(path) in str(caught.value)


def test_a_directory_of_entities_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidPolicies, match="POL402"):
        Engine.load(folder, entities=folder)


def test_without_file_descriptors_nothing_is_taken_for_everything(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "strict.pol").write_text(STRICT)
    engine = Engine.load(folder, cache=False)
    with no_file_descriptors():
        loaded = load_path(folder)
        result = engine.reload()
    assert loaded.snapshot is None
    assert "too many open files" in str([d.message for d in loaded.diagnostics])
    assert not result.ok
    assert engine.decide(**REQUEST).determining == ("strict.all",)
    assert engine.reload().ok


def test_the_right_ending_is_named(folder: Path) -> None:
    (folder / "b.Pol").write_text(STRICT)
    [found] = load_path(folder).diagnostics
    assert found.help == "rename it to `b.pol`, or remove it"


def test_links_are_followed_and_each_directory_is_listed_once(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "strict.pol").write_text(STRICT)
    (folder / "inner" / "up").symlink_to("..")
    (folder / "current").symlink_to("inner")
    (folder / "a-link").symlink_to("inner")
    assert names(folder) == ["inner/strict.pol", "open.pol"]


def test_a_link_leads_to_policies_elsewhere(folder: Path) -> None:
    (folder / ".releases" / "7").mkdir(parents=True)
    (folder / ".releases" / "7" / "strict.pol").write_text(STRICT)
    (folder / "current").symlink_to(".releases/7")
    assert names(folder) == ["current/strict.pol", "open.pol"]
    assert Engine.load(folder).decide(**REQUEST).decision == "deny"


def test_names_that_begin_with_a_dot_are_passed_over(folder: Path) -> None:
    """A mounted ConfigMap: the files are links through `..data`."""
    (folder / "..2026").mkdir()
    (folder / "..2026" / "strict.pol").write_text(STRICT)
    (folder / "..data").symlink_to("..2026")
    (folder / "strict.pol").symlink_to("..data/strict.pol")
    (folder / ".gone").symlink_to("nowhere")
    (folder / ".gone.pol").symlink_to("nowhere")
    assert names(folder) == ["open.pol", "strict.pol"]


def test_other_files_are_nobodys_business(folder: Path) -> None:
    os.mkfifo(folder / "queue")
    (folder / "README.md").write_text("?")
    (folder / "README.md").chmod(0)
    assert names(folder) == ["open.pol"]


def rewrite_in_place(path: Path, text: str) -> None:
    with path.open("r+") as file:
        file.write(text)


def exchange(path: Path, text: str) -> None:
    """As `rsync` does: the new file beside the old one, and then in its place."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.rename(path)


def remake(path: Path, text: str) -> None:
    """A file system most often gives the inode to the next file."""
    path.unlink()
    path.write_text(text)


@pytest.mark.parametrize("write", [rewrite_in_place, exchange, remake], ids=lambda write: write.__name__)
def test_a_change_that_keeps_size_and_date_is_noticed(folder: Path, write: Callable[[Path, str], None]) -> None:
    path = folder / "open.pol"
    os.utime(path, (0, 0))
    before = state([folder])
    write(path, OPEN.replace("permit", "forbid"))
    os.utime(path, (0, 0))
    assert path.stat().st_size == len(OPEN)
    assert path.stat().st_mtime == 0
    assert state([folder]) != before


def test_a_link_that_leads_elsewhere_now_is_noticed(folder: Path) -> None:
    for name, text in (("1", OPEN), ("2", OPEN.replace("permit", "forbid"))):
        (folder / f".{name}").mkdir()
        (folder / f".{name}" / "linked.pol").write_text(text.replace("module open", "module linked"))
    (folder / "current").symlink_to(".1")
    before = state([folder])
    (folder / "next").symlink_to(".2")
    (folder / "next").rename(folder / "current")
    assert state([folder]) != before
