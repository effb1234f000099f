"""What every store of API keys does, asked of each of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import redis

from policyengine.callers import keys
from policyengine.callers.caller import Scope
from policyengine.callers.keys import Key, KeyUse
from policyengine.callers.stores.file import FileStore
from policyengine.callers.stores.opening import beside, open_store
from policyengine.callers.stores.store import Keys, KeyStoreError

DECIDE: frozenset[Scope] = frozenset({"decide"})


def key(name: str = "ci") -> Key:
    return keys.create(name, DECIDE, b"h" * 32, 1000.0)[0]


def put(made: Key) -> Callable[[Keys], Key]:
    return lambda _: made


def test_a_store_that_is_not_there_is_an_error_and_not_an_empty_one(address: str) -> None:
    with pytest.raises(KeyStoreError):
        open_store(address).keys()
    with pytest.raises(KeyStoreError):
        open_store(address).mark()


def test_a_new_store_is_empty_and_making_it_again_loses_nothing(address: str) -> None:
    assert open_store(address, create=True).keys() == {}
    made = open_store(address).change(put(key()))
    assert open_store(address, create=True).keys() == {made.id: made}


def test_what_is_put_is_there_for_everybody(address: str) -> None:
    store, other = open_store(address, create=True), open_store(address)
    made = store.change(put(key()))
    assert other.keys() == {made.id: made}
    revoked = other.change(lambda known: keys.revoke(known[made.id], 2000.0))
    assert store.keys() == {made.id: revoked}


def test_the_mark_differs_after_every_change_and_only_then(address: str) -> None:
    store, other = open_store(address, create=True), open_store(address)
    marks = [other.mark()]
    made = store.change(put(key()))
    marks.append(other.mark())
    store.change(lambda known: replace(known[made.id], name="cd"))
    marks.append(other.mark())
    store.change(lambda known: replace(known[made.id], name="ci"))
    marks.append(other.mark())
    assert len(set(marks)) == 4
    store.keys()
    store.add_uses({made.id: KeyUse(1, 1.0, "")})
    assert other.mark() == marks[-1]


def test_a_change_that_fails_changes_nothing(address: str) -> None:
    store = open_store(address, create=True)
    made = store.change(put(key()))
    mark = store.mark()

    def fails(_: Keys) -> Key:
        raise ValueError("no such key")

    with pytest.raises(ValueError, match="no such key"):
        store.change(fails)
    assert (store.keys(), store.mark()) == ({made.id: made}, mark)


def test_changes_at_the_same_time_lose_none(address: str) -> None:
    open_store(address, create=True)
    made = [key(f"k{i}") for i in range(16)]
    stores = [open_store(address) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: stores[i % 4].change(put(made[i])), range(16)))
    assert open_store(address).keys() == {each.id: each for each in made}


def test_usage_adds_up_over_processes(address: str) -> None:
    store, other = open_store(address, create=True), open_store(address)
    assert store.uses() == {}
    store.add_uses({"a": KeyUse(2, 10.0, "10.0.0.1"), "b": KeyUse(1, 5.0, "")})
    other.add_uses({"a": KeyUse(3, 9.0, "10.0.0.2")})
    assert store.uses() == {"a": KeyUse(5, 10.0, "10.0.0.1"), "b": KeyUse(1, 5.0, "")}


@pytest.mark.parametrize(
    "id_", ["'; drop table policyengine_keys; --", "../../etc/passwd", "a\x01b", "ключ", '"', "%s"]
)
def test_an_id_is_never_read_as_anything_else(address: str, id_: str) -> None:
    store = open_store(address, create=True)
    made = store.change(put(replace(key(), id=id_)))
    store.add_uses({id_: KeyUse(1, 1.0, id_)})
    assert store.keys() == {id_: made}
    assert store.uses()[id_].address == id_


def test_one_key_that_cannot_be_read_breaks_the_store(address: str) -> None:
    store = open_store(address, create=True)
    made = store.change(put(key()))
    store.change(put(key("other")))
    _damage(address, made.id)
    with pytest.raises(KeyStoreError):
        open_store(address).keys()


def _damage(address: str, id_: str) -> None:
    if address.startswith("sqlite:"):
        path = address.removeprefix("sqlite:").replace("///", "", 1)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("update keys set body = '{}' where id = ?", (id_,))
    elif address.startswith("postgresql"):
        with psycopg.connect(address) as db:
            db.execute("update policyengine_keys set body = '{}' where id = %s", (id_,))
    elif address.startswith("unix:"):
        with redis.Redis.from_url(address) as db:
            db.hset("policyengine:{keys}:keys", id_, "{}")
    else:
        path = Path(address)
        path.write_text(path.read_text().replace('"scopes"', '"scope"', 1))


def test_an_address_that_is_none_is_refused() -> None:
    for address in ("", "mysql://x", "http://x"):
        with pytest.raises(KeyStoreError, match="a store of keys is"):
            open_store(address)


def test_keys_in_memory_are_refused_and_the_refusal_says_why() -> None:
    with pytest.raises(KeyStoreError, match="lost when it ends"):
        open_store("memory://")


def test_the_error_of_a_server_that_is_away_does_not_show_its_password() -> None:
    store = open_store("postgresql://user:hunter2@127.0.0.1:1/keys")
    with pytest.raises(KeyStoreError) as error:
        store.mark()
    assert "hunter2" not in str(error.value)


def test_a_connection_that_broke_is_made_again(postgresql: str) -> None:
    open_store(postgresql, create=True)
    store = open_store(postgresql)
    store.mark()
    with psycopg.connect(postgresql, autocommit=True) as db:
        db.execute("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()")
    with pytest.raises(KeyStoreError):
        store.mark()
    assert store.mark()
    store.close()


# ---- files ----


@pytest.mark.parametrize("form", ["", "sqlite:"])
def test_a_file_that_others_may_write_to_is_not_used(form: str, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    open_store(f"{form}{path}", create=True)
    path.chmod(0o666)
    with pytest.raises(KeyStoreError, match="others may write"):
        open_store(f"{form}{path}").keys()


@pytest.mark.parametrize("form", ["", "sqlite:"])
def test_a_new_file_is_for_this_user_only(form: str, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    open_store(f"{form}{path}", create=True).change(put(key()))
    assert path.stat().st_mode & 0o777 == 0o600
    assert beside(f"{form}{path}") == tmp_path / "keys.hash-key"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": 7}', '{"keys": [7]}', "[" * 100_000, "\x00"])
def test_a_file_of_something_else_is_an_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeyStoreError):
        FileStore(path).keys()


def test_a_file_with_one_id_twice_is_an_error(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "keys"), create=True)
    store.change(put(key()))
    text = (tmp_path / "keys").read_text()
    body = text[text.index("[") + 1 : text.rindex("]")]
    (tmp_path / "keys").write_text(text.replace(body, f"{body},{body}"))
    with pytest.raises(KeyStoreError, match="the same id"):
        store.keys()


def test_a_directory_in_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyStoreError, match="not a file"):
        FileStore(tmp_path).keys()
