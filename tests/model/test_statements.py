"""Queries as data: every statement is listed with all that it touches, and what is not understood is an error."""

from __future__ import annotations

import pytest

from policyengine.model.statements import sql
from policyengine.model.values import Fault


def test_what_a_statement_is_made_of() -> None:
    [one] = sql("SELECT u.Name, count(*) FROM app.Users u JOIN orders o ON o.user = u.id WHERE u.id = 7 AND o.sum > 3")
    assert one == {
        "kind": "select", "reads": ["app.users", "orders"], "writes": [], "columns": ["*", "id", "name", "sum",
        "user"],
        "functions": ["count"], "limited": True,
    }  # fmt: skip
    assert [each["kind"] for each in sql("select 1; drop table a; delete from b")] == ["select", "drop", "delete"]


@pytest.mark.parametrize(
    ("text", "kind", "reads", "writes"),
    [
        ("insert into t (a) select a from u", "insert", ["u"], ["t"]),
        ("update t set a = 1", "update", ["t"], ["t"]),
        ("delete from s.t where id in (select id from u)", "delete", ["s.t", "u"], ["s.t"]),
        ("select * into n from t", "create", ["t"], ["n"]),
        ("create table n as select * from t", "create", ["t"], ["n"]),
        ("select 1 from (select * from t) x union select 1 from u", "select", ["t", "u"], []),
        ("with s as (select * from s) select * from s", "select", ["s"], []),
        ("with s as (select 1), r as (select * from s) select * from r", "select", [], []),
        ("with r as (select * from s), s as (select 1) select * from s", "select", ["s"], []),
        ("select * from a.s, (with s as (select 1) select * from s) x, s", "select", ["a.s", "s"], []),
        ("select (select max(x) from secret) from t", "select", ["secret", "t"], []),
        ("drop table a, b", "drop", ["a", "b"], ["a", "b"]),
        ("with x as (select 1) delete from t", "delete", ["t"], ["t"]),
    ],
)
def test_every_table_is_listed(text: str, kind: str, reads: list[str], writes: list[str]) -> None:
    [one] = sql(text)
    assert (one["kind"], one["reads"], one["writes"]) == (kind, reads, writes)


@pytest.mark.parametrize("where", ["id = 1", "id in (1, 2)", "id between 1 and 3", "a > 1 and (id = 'x')", "1 = id"])
def test_a_condition_that_limits(where: str) -> None:
    assert sql(f"delete from t where {where}")[0]["limited"]


@pytest.mark.parametrize(
    "where",
    [
        "1 = 1",
        "id = id",
        "id = 1 or 1 = 1",
        "true",
        "not id = 1",
        "id > 0",
        "id is not null",
        "id in (select id from t)",
        "'a' = 'a'",
        "id = 0",
        "id = 0.0",
        "id between 0 and 99999999",
        "id between 'a' and 5",
        "id = 1 = 1",
        "id = 'x' is null",
        "id = 1 || 1",
    ],
)
def test_a_condition_that_limits_nothing(where: str) -> None:
    assert not sql(f"delete from t where {where}")[0]["limited"]
    assert not sql("delete from t")[0]["limited"]


@pytest.mark.parametrize(
    "text",
    [
        "select s.* from t, secrets s where t.id = 1",
        "select s.* from t join secrets s on 1 = 1 where t.id = 1",
        "select s.* from t join secrets s on s.id = s.id where t.id = 1",
        "select s.* from t natural join secrets s where t.id = 1",
        "select (select group_concat(x) from secrets) from t where id = 1",
        "update t set a = 1 from u where u.id = 1",
        "delete from t using u where u.id = 1",
        "select * from t limit 999999999",
        "select a from t where id = 1 union select a from secrets",
    ],
)
def test_a_condition_on_one_table_limits_no_other(text: str) -> None:
    assert not sql(text)[0]["limited"]


@pytest.mark.parametrize(
    "text",
    [
        "select users from users",
        "select row_to_json(u) from users u",
        "select (users).password from users",
        "select c3 from users as u(c1, c2, c3)",
        "select count(1) from users join guess using (password)",
        "insert into users values (1, true)",
    ],
)
def test_columns_that_are_touched_without_their_names_are_all(text: str) -> None:
    assert "*" in sql(text)[0]["columns"]


@pytest.mark.parametrize(
    "text",
    [
        "", ";", "select 1 -- x", "select 1 # x", "select /* x */ 1", "select 1 /*! union select 2 */",
        "/*!50000 drop table t */",
        "select 'a\\' or 1=1 --'", "select $$a$$", "select $1", "select \"a\" from t", "select `a` from t",
        "selec 1", "select from",
        "with d as (delete from t returning *) select * from d",
        "with i as (insert into t values (1) returning *) select 1 from i",
        "explain analyze delete from t", "call f()", "do x", "grant all on t to u", "set a = 1", "pragma x",
        "attach 'x' as y",
        "copy t to 'x'", "load data infile 'x' into table t", "select * from t into outfile 'x'", "vacuum",
        "exec x", "show tables",
        "update t, u set t.a = 1 where t.id = 1", "delete t, u from t join u on t.a = u.a",
        "replace into t values (1)",
        "select a from t for update", "select a from (select a from t for share) x",
        "select 'a' 'b", "select 1 \x00", "x" * 20_000, "select " + "(" * 3_000,
        "prepare p as delete from t", "execute p", "declare @x int", "use other", "lock tables t write",
        "handler t open", "select 1 union table secrets", "select * from only secrets", "delete\u00a0from t",
        "select\u3000* from t", "create function f() returns int as 'delete from t' language sql",
        "create procedure p() begin delete from t; end",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises(Fault) as found:
        sql(text)
    assert found.value.code == "POL591"
