"""What is longer than any finder is wide is cut out of a stream to its end, however the stream is cut."""

from __future__ import annotations

import base64
import random

import pytest

from tests.release.test_release import ANN, OUTPUT, engine

SCRUB = 'require scrub: release on Output redact(["secret"])'


def key(size: int) -> str:
    body = base64.b64encode(random.Random(size).randbytes(size)).decode()
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *lines, "-----END RSA PRIVATE KEY-----"])


def token(size: int) -> str:
    part = base64.urlsafe_b64encode(random.Random(size).randbytes(size)).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.eyJh{part}.{part[:43]}"


@pytest.mark.parametrize("step", [37, 500, 3_000])
@pytest.mark.parametrize("long", [key(9_000), token(12_000)], ids=["key", "token"])
def test_a_run_is_cut_out_to_its_end(long: str, step: int) -> None:
    text = f"before it\n{long}\nafter it, more " + "words " * 400
    check = engine(SCRUB)
    whole = check.release(text, principal=ANN, output=OUTPUT).text
    chunks = [text[at : at + step] for at in range(0, len(text), step)]
    streamed = "".join(check.release_stream(chunks, principal=ANN, output=OUTPUT))
    assert streamed == whole
    assert long[200:260] not in streamed
    assert streamed.startswith("before it\n[secret.")
    assert streamed.endswith("words ")
