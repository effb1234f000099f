"""Settings from file, environment and flags: the nearest wins, what is unknown is refused, and no secret is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from policyengine.settings.as_toml import HIDDEN, shown
from policyengine.settings.loading import WrongSettings, load, load_keys

SECRET = "s" * 40


def toml(path: Path, text: str) -> Path:
    file = path / "config.toml"
    file.write_text(text)
    return file


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    config = toml(tmp_path, 'policies = "file"\nmax_batch = 1\nmax_page = 1\n[limits]\nrequests = 1\nfailures = 9\n')
    environment = {"POLICYENGINE_MAX_BATCH": "2", "POLICYENGINE_MAX_PAGE": "2", "POLICYENGINE_LIMITS__REQUESTS": "2"}
    found = load({"max_page": 3}, config=config, environment=environment)
    assert (found.policies, found.max_batch, found.max_page) == (Path("file"), 2, 3)
    assert (found.limits.requests, found.limits.failures) == (2, 9)


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    config = toml(tmp_path, 'policies = "file"')
    assert load(environment={"POLICYENGINE_CONFIG": str(config)}).policies == Path("file")


def test_lists_in_the_environment(tmp_path: Path) -> None:
    environment = {
        "POLICYENGINE_POLICIES": "p",
        "POLICYENGINE_CORS_ORIGINS": "https://a.example, https://b.example",
        "POLICYENGINE_ISSUERS": '[{"issuer": "https://id.example", "audiences": ["x"]}]',
        "POLICYENGINE_TENANTS__SHARED": '["Model"]',
    }
    found = load(environment=environment)
    assert found.cors_origins == ["https://a.example", "https://b.example"]
    assert found.issuers[0].audiences == ["x"]
    assert found.tenants.shared == ["Model"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("max_paeg = 3", "unknown setting `max_paeg`; did you mean `max_page`?"),
        ("[keys]\nstroe = 'x'", "unknown setting `keys.stroe`; did you mean `store`?"),
        ("[[issuers]]\nissuer = 'https://x'\naudience = ['y']", "unknown setting `issuers[0].audience`; did you mean"),
        ("[tenants]\nshare = []", "unknown setting `tenants.share`; did you mean `shared`?"),
        ("max_page = 'many'", "`max_page`: "),
        ("max_page = 0", "`max_page`: "),
        ("cors_origins = ['*']", "`cors_origins[0]`: expected an origin"),
        ("cors_origins = ['https://a.example/']", "`cors_origins[0]`: expected an origin"),
        ("[[issuers]]\nissuer = 'https://x'\naudiences = []", "`issuers[0].audiences`: "),
        ("[[issuers]]\nissuer = 'https://x'\naudiences = ['y']\nalgorithms = ['HS256']", "an algorithm is one of"),
        ("[[issuers]]\nissuer = 'https://x'\naudiences = ['y']\nalgorithms = ['none']", "an algorithm is one of"),
        ("[[issuers]]\nissuer = 'http://x'\naudiences = ['y']", "expected an https URL"),
        ("[[issuers]]\nissuer = 'https://x'\naudiences = ['y']\njwks = 'http://10.0.0.1/k'", "expected an https URL"),
        (
            "[[issuers]]\nissuer = 'https://x'\naudiences = ['y']\n[issuers.claims]\ngroups = 'g'",
            "need the type of the principal",
        ),
        ("[[issuers]]\nissuer = 'https://x'\naudiences = ['y']\n" * 2, "two issuers have the same name"),
        ("[[certificates]]\nidentity = 'dns:a'\nscopes = ['root']", "`certificates[0].scopes[0]`: "),
        ("[tenants]\nattribute = 'a'\nseparator = '/'", "exactly one of them"),
        ("[keys]\nhash_key = 'short'", "`keys.hash_key`: "),
        ("insecure = true\n[keys]\nstore = 'x'", "exclude each other"),
        ("trusted_proxies = ['everybody']", "`trusted_proxies[0]"),
        ("policies = ", "not TOML"),
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(WrongSettings) as error:
        load({"policies": "p"}, config=toml(tmp_path, text), environment={})
    assert problem in str(error.value)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("POLICYENGINE_MAX_PAEG", "unknown environment variable `POLICYENGINE_MAX_PAEG`; did you mean"),
        ("POLICYENGINE_KEYS_STORE", "did you mean `POLICYENGINE_KEYS__STORE`?"),
        ("POLICYENGINE_INSECURE_", "did you mean `POLICYENGINE_INSECURE`?"),
        ("POLICYENGINE_", "unknown environment variable"),
    ],
)
def test_a_variable_that_is_not_known_is_refused(name: str, problem: str) -> None:
    with pytest.raises(WrongSettings) as error:
        load({"policies": "p"}, environment={name: "value-of-it"})
    assert problem in str(error.value)
    assert "value-of-it" not in str(error.value)


def test_every_problem_is_told_and_no_value_is_shown(tmp_path: Path) -> None:
    with pytest.raises(WrongSettings) as error:
        load({"policies": "p", "max_page": "hunter2", "page_key": "hunter2"}, environment={})
    assert len(error.value.problems) == 2
    assert "hunter2" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WrongSettings, match="no such file"):
        load({"policies": "p"}, config=tmp_path / "none.toml", environment={})


def test_secrets_come_from_files(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    found = load(
        {"policies": "p"},
        environment={"POLICYENGINE_PAGE_KEY_FILE": str(file), "POLICYENGINE_KEYS__HASH_KEY_FILE": str(file)},
    )
    assert found.page_key.get_secret_value() == SECRET
    assert found.keys.hash_key is not None
    assert found.keys.hash_key.get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("text", "more", "problem"),
    [("short", {}, "fewer than"), (None, {}, "cannot be read"), (SECRET, {"page_key": SECRET}, "exclude each other")],
)
def test_a_file_of_a_secret_that_is_wrong(tmp_path: Path, text: str | None, more: dict[str, Any], problem: str) -> None:
    file = tmp_path / "secret"
    if text is not None:
        file.write_text(text)
    with pytest.raises(WrongSettings, match=problem):
        load({"policies": "p", "page_key_file": file, **more}, environment={})


def test_what_is_shown_is_read_again_and_hides_every_secret(tmp_path: Path) -> None:
    text = f"""
policies = "p"
page_key = "{SECRET}"
cors_origins = ["https://a.example"]
[keys]
store = "postgresql://pdp:{SECRET}@db.example/keys?sslpassword={SECRET}"
hash_key = "{SECRET}"
[[issuers]]
issuer = "https://id.example"
audiences = ["a \\" b"]
[issuers.claims]
tenant = "org"
principal_type = "User"
[issuers.claims.attributes]
"e mail" = "email"
"""
    found = load(config=toml(tmp_path, text), environment={})
    printed = shown(found)
    assert SECRET not in printed
    assert printed.count(HIDDEN) == 4
    (tmp_path / "again").mkdir()
    again = load(config=toml(tmp_path / "again", printed.replace(HIDDEN, SECRET)), environment={})
    assert again.issuers == found.issuers
    assert again.model_dump(exclude={"keys", "page_key"}) == found.model_dump(exclude={"keys", "page_key"})


def test_the_settings_of_keys_alone_need_no_policies() -> None:
    assert load_keys("x", environment={"POLICYENGINE_KEYS__STORE": "y"}).store == "x"
    assert load_keys(environment={"POLICYENGINE_KEYS__STORE": "y"}).store == "y"
    assert load_keys(environment={}).store is None
