"""Credentials: every format is found whole, in whatever stands around it; what only looks like one is not.

No secret is written here: values are made from their shapes.
"""

from __future__ import annotations

import base64
import json
import random
import zlib

import pytest

from policyengine.detect.secrets import finder
from policyengine.detect.secrets.checks import github
from policyengine.detect.secrets.formats import Format, written
from policyengine.detect.secrets.named import NAMED, Named
from tests.detect.sampling import sample

find = finder.finder().find
AROUND = ("{}", 'const x = "{}"', "see {} there", "url?t={}&x=1", "'{}',", "line\n{}\nline", "é{}é")


def kinds(text: str) -> set[str]:
    return {f.kind for f in find(text)}


def covered(text: str, value: str) -> bool:
    start = text.index(value)
    return any(f.start <= start and start + len(value) <= f.end for f in find(text))


def value_of(one: Format, seed: int) -> str:
    rng = random.Random(f"{one.kind} {one.literal} {seed}")
    return sample(written(one.before).decode(), rng) + one.literal + sample(written(one.after).decode(), rng)


@pytest.mark.parametrize("one", finder.FORMATS, ids=lambda f: f"{f.kind}:{f.literal}")
def test_every_format_is_found_whole(one: Format) -> None:
    for seed, around in enumerate(AROUND):
        value = value_of(one, seed)
        text = around.format(value)
        assert covered(text, value), text


@pytest.mark.parametrize("one", NAMED, ids=lambda n: n.kind + n.pattern)
def test_every_named_value_is_found_by_the_name(one: Named) -> None:
    rng = random.Random(one.kind + one.pattern)
    for word in one.words:
        value = sample(written(one.pattern).decode(), rng)
        while not value[0].isalnum():
            value = sample(written(one.pattern).decode(), rng)
        for around in (
            '"{}ApiKey": "{}",',
            "{}_token = '{}'",
            "export {}_SECRET={}\n",
            "{}.secret: {}\n",
            "{}Key := `{}`",
        ):
            assert covered(around.format(word, value), value), around.format(word, value)


def test_at_least_150_providers_have_a_format_of_their_own() -> None:
    words = {kind.removeprefix("secret.").split("_")[0] for kind in finder.KINDS}
    assert len(words - {"generic", "password", "private", "jwt", "url", "authorization", "curl"}) >= 150


def test_every_fact_has_a_source() -> None:
    assert all(one.source.startswith("https://") for one in (*finder.FORMATS, *NAMED))


def github_token(prefix: str, good: bool) -> str:
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    body = "".join(random.Random(7).choices(alphabet, k=30))
    number, digits = zlib.crc32(body.encode()) + (not good), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = alphabet[digit] + digits
    return prefix + body + digits


@pytest.mark.parametrize("prefix", ["ghp_", "gho_", "ghu_", "ghs_", "npm_"])
def test_right_check_digits_make_sure_and_wrong_ones_do_not_hide(prefix: str) -> None:
    good, bad = github_token(prefix, True), github_token(prefix, False)
    assert github(good.encode()) == 1.0
    assert github(bad.encode()) < 0.9
    assert len({f.score for f in (*find(good), *find(bad))}) == 2


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_jwts_of_any_length_are_covered_to_their_end() -> None:
    head = encoded('{"alg":"RS256","typ":"JWT"}')
    for size in (20, 200, 2_000, 20_000):
        claims = encoded(json.dumps({"sub": random.Random(size).randbytes(size).hex()}))
        token = f"{head}.{claims}.{'s1gn' * 20}"
        text = f"cookie={token}; path=/"
        [found] = [f for f in find(text) if f.kind == "secret.jwt"]
        assert text[found.start : found.end] == token
    head = encoded(json.dumps({"alg": "RS256", "x5c": ["MIIabc0" * 300]}))
    claims = encoded('{"a":1}')
    assert covered(f"t: {head}.{claims}.{'s1gn' * 20}", head)


def key(size: int, kind: str = "RSA PRIVATE KEY", line: str = "\n") -> str:
    body = "".join(
        random.Random(size).choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", k=size)
    )
    lines = [body[i : i + 64] for i in range(0, size, 64)]
    return line.join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----"])


@pytest.mark.parametrize("size", [80, 900, 3_200, 30_000])
@pytest.mark.parametrize("kind", ["RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "PRIVATE KEY", "PGP PRIVATE KEY BLOCK"])
@pytest.mark.parametrize("line", ["\n", "\r\n", "\\n"])
def test_private_keys_of_any_length_are_covered_to_their_end(size: int, kind: str, line: str) -> None:
    text = f"before\n{key(size, kind, line)}\nafter that, prose goes on\n"
    [found] = [f for f in find(text) if f.kind == "secret.private_key"]
    assert text[found.start : found.end] == key(size, kind, line)


def test_a_key_that_is_cut_off_is_found_too() -> None:
    cut = key(2_000)[:1_500]
    [found] = find(cut)
    assert (found.start, found.end) == (0, 1_500)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("postgres://ann:t0p-s3cret!@db.example.com/x", "t0p-s3cret!"),
        ("redis://:f00b4rb4z@cache:6379/0", "f00b4rb4z"),
        ("mongodb+srv://svc:Zq9xW1@cluster0.example.net", "Zq9xW1"),
        ("Server=tcp:db;User ID=sa;Password=Xk29fLq0!;Encrypt=true", "Xk29fLq0!"),
        ("Authorization: Basic YW5uOnQwcC1zM2NyZXQ=", "YW5uOnQwcC1zM2NyZXQ="),
        ("Authorization:\tBearer 9fK2mQ7zT4xW8vB1", "9fK2mQ7zT4xW8vB1"),
        ('-H "authorization: token 9fK2mQ7zT4xW8vB1"', "9fK2mQ7zT4xW8vB1"),
        ("{'Authorization': 'Bearer 9fK2mQ7zT4xW8vB1'}", "9fK2mQ7zT4xW8vB1"),
        ("curl -u admin:Wq8-33xZ https://x", "admin:Wq8-33xZ"),
        ('"client_secret": "9fK2mQ7zT4xW8vB1c3D5"', "9fK2mQ7zT4xW8vB1c3D5"),
        ("api_key=9fK2mQ7zT4xW8vB1c3D5", "9fK2mQ7zT4xW8vB1c3D5"),
        ('the password is: "hunter2!hunter"', "hunter2!hunter"),
        ("x-api-key: 0f3a9b27c64d81e5f3a9b27c64d81e50", "0f3a9b27c64d81e5f3a9b27c64d81e50"),
        ("db_passwd = 'Tr0ub4dor&3'", "Tr0ub4dor&3"),
    ],
)
def test_what_a_name_or_a_place_makes_a_secret(text: str, value: str) -> None:
    assert covered(text, value)


@pytest.mark.parametrize(
    "text",
    [
        "password = getpass.getpass()",
        'password: "changeme"',
        "api_key = os.environ['API_KEY']",
        'token = "${TOKEN_FROM_ENV_1}"',
        "key_length = 2048_1024_512",
        'primary_key="user_id_2024_index"',
        "the keyboard: A1B2C3D4E5F6G7",
        "monkey = 'b4n4n4-b4n4n4-x9'",
        "public_key: 9fK2mQ7zT4xW8vB1c3D5",
        "Authorization: Bearer $TOKEN_1234567",
        "authorization = base64.decodebytes(",
        'return f"{self.__class__.__name__}(key={self._key9!r})"',
        "Authorization: Bearer <your token 1>",
        "ftp://user:password@host/",
        "curl -u user:pass https://x",
        "ghp_" + "x" * 36,
        "AKIA" + "X" * 16,
        "secret-sauce-recipe: tomatoes-and-basil-2024",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "token=a.b.c.d1e2f3",
        "the access key is on the desk in room 12b, second floor",
        "See tokenize.py and keyword.py3",
    ],
)
def test_what_is_no_secret(text: str) -> None:
    assert not kinds(text)
