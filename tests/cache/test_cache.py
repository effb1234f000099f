"""Bytes on disk: what is read is what this user put there, or nothing; no failure is an error."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from policyengine.warm.cache import SETTING, Cache, open_cache

KEY, DATA = b"\x01" * 32, b"what was found out"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "above" / "modules"


def _opened(home: Path) -> Cache:
    cache = open_cache(home)
    assert cache is not None
    return cache


def _file(home: Path) -> Path:
    (file,) = home.iterdir()
    return file


def test_what_was_put_comes_back(home: Path) -> None:
    cache = _opened(home)
    assert cache.get(KEY) is None
    cache.put(KEY, DATA)
    assert cache.get(KEY) == _opened(home).get(KEY) == DATA
    cache.put(KEY, b"")
    assert cache.get(KEY) == b""
    assert cache.get(b"\x02" * 32) is None


def test_nobody_else_may_read_or_write(home: Path) -> None:
    before = os.umask(0)
    try:
        _opened(home).put(KEY, DATA)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (home, _file(home))] == [0o700, 0o600]


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o720, 0o1777])
def test_a_directory_that_others_can_write_to_is_not_used(home: Path, mode: int) -> None:
    cache = _opened(home)
    cache.put(KEY, DATA)
    home.chmod(mode)
    assert cache.get(KEY) is None
    cache.put(b"\x02" * 32, DATA)
    assert len(list(home.iterdir())) == 1


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_can_write_to_is_not_read(home: Path, mode: int) -> None:
    cache = _opened(home)
    cache.put(KEY, DATA)
    _file(home).chmod(mode)
    assert cache.get(KEY) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_another_user_is_not_used(home: Path) -> None:
    cache = _opened(home)
    cache.put(KEY, DATA)
    os.chown(_file(home), 12345, -1)
    assert cache.get(KEY) is None
    os.chown(_file(home), 0, -1)
    assert cache.get(KEY) == DATA
    os.chown(home, 12345, -1)
    assert cache.get(KEY) is None
    cache.put(b"\x02" * 32, DATA)
    assert len(list(home.iterdir())) == 1


def test_links_are_not_followed(home: Path, tmp_path: Path) -> None:
    cache = _opened(home)
    cache.put(KEY, DATA)
    file = _file(home)
    file.rename(tmp_path / "moved")
    file.symlink_to(tmp_path / "moved")
    assert cache.get(KEY) is None
    home.rename(tmp_path / "elsewhere")
    home.symlink_to(tmp_path / "elsewhere")
    assert _opened(home).get(KEY) is None


def test_a_pipe_in_place_of_a_file_is_not_waited_for(home: Path) -> None:
    cache = _opened(home)
    cache.put(KEY, DATA)
    file = _file(home)
    file.unlink()
    os.mkfifo(file, 0o600)
    assert cache.get(KEY) is None


def test_any_damage_is_noticed(home: Path) -> None:
    cache = _opened(home)
    cache.put(KEY, DATA)
    file = _file(home)
    good = file.read_bytes()
    bad = [good[:n] + bytes([good[n] ^ 1]) + good[n + 1 :] for n in range(len(good))]
    for data in (*bad, *(good[:n] for n in range(len(good))), good + b"\0"):
        file.write_bytes(data)
        assert cache.get(KEY) is None
    file.write_bytes(good)
    assert cache.get(KEY) == DATA


def test_a_file_under_another_name_is_not_taken_for_that(home: Path) -> None:
    cache = _opened(home)
    cache.put(KEY, DATA)
    other = b"\x02" * 32
    file = _file(home)
    file.rename(file.with_name(file.name.replace(KEY.hex(), other.hex())))
    assert cache.get(other) is None


def test_where_nothing_can_be_written_nothing_fails(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    assert open_cache(in_the_way / "modules") is None
    assert open_cache(in_the_way) is None
    cache = _opened(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    cache.put(KEY, DATA)
    cache.prune()
    assert cache.get(KEY) is None


def test_the_oldest_go_first(home: Path) -> None:
    cache = _opened(home)
    keys = [bytes([n]) * 32 for n in range(5)]
    for n, key in enumerate(keys):
        cache.put(key, bytes(1000))
        file = next(path for path in home.iterdir() if path.name.startswith(key.hex()))
        os.utime(file, (n, n))
    (home / "not ours.txt").write_bytes(bytes(100_000))
    cache.prune(most=2500)
    assert [cache.get(key) is not None for key in keys] == [False, False, False, True, True]
    assert (home / "not ours.txt").exists()


def test_the_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(SETTING, "")
    assert open_cache() is None
    monkeypatch.setenv(SETTING, str(tmp_path / "there"))
    cache = open_cache()
    assert cache is not None
    cache.put(KEY, DATA)
    assert _file(tmp_path / "there").is_file()
    monkeypatch.delenv(SETTING)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    assert open_cache() is not None
    assert list(tmp_path.glob("user/**/policyengine/modules"))
