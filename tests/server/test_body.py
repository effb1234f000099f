"""How many values a body may have is known before any is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from policyengine.server.body import MOST_VALUES, check_values
from policyengine.server.errors import RequestError
from tests.server.serving import EVALUATION, EVALUATIONS, serving

POLICY = "use ai\npermit all: retrieve on Document\n"


def asked(**more: Any) -> dict[str, Any]:
    return {
        "subject": {"type": "User", "id": "a"}, "action": {"name": "retrieve"},
        "resource": {"type": "Document", "id": "d"}, **more,
    }  # fmt: skip


def refused(body: bytes) -> bool:
    try:
        check_values(body)
    except RequestError as error:
        return error.status == 413 and str(MOST_VALUES) in error.message
    return False


@pytest.mark.parametrize("item", ["{}", "[]", '{"a":[]}', "[[[]]]"])
def test_objects_and_arrays_are_counted(item: str) -> None:
    each = item.count("{") + item.count("[")
    most = (MOST_VALUES - 1) // each
    assert not refused(f"[{','.join([item] * most)}]".encode())
    assert refused(f"[{','.join([item] * (most + each))}]".encode())


@pytest.mark.parametrize("text", ["{" * 120_000, '{"' * 90_000, "[\\" * 90_000, '\\"{' * 60_000])
def test_what_stands_in_a_string_is_not(text: str) -> None:
    assert not refused(json.dumps(asked(context={"text": text})).encode())


@pytest.mark.parametrize("tail", [b'"' + b"{" * 200_000, b'"' + b'\\"' * 200_000 + b"\\", b'"' + b"\\" * 300_001])
def test_a_string_without_end_is_looked_through_once(tail: bytes) -> None:
    """Twice the text would take four times as long, which is minutes, if it were looked through from each sign on."""
    assert refused(b"[" * (MOST_VALUES + 1) + tail)


def test_over_http(tmp_path: Path) -> None:
    (tmp_path / "p.pol").write_text(POLICY)
    with serving(tmp_path) as client:
        answer = client.post(EVALUATION, json=asked(context={"n": [{}] * MOST_VALUES}))
        assert (answer.status_code, "objects and arrays" in answer.json()["detail"]) == (413, True)
        assert client.post(EVALUATION, json=asked(context={"n": [{}] * (MOST_VALUES - 10)})).json()["decision"]
        many = {**asked(), "evaluations": [{"resource": {"type": "Document", "id": str(n)}} for n in range(10_000)]}
        assert all(each["decision"] for each in client.post(EVALUATIONS, json=many).json()["evaluations"])
        stream = {
            "content": f"data: {json.dumps({'n': [{}] * MOST_VALUES})}\n\n",
            "headers": {"content-type": "text/event-stream"},
        }
        assert client.post("/v1/release", **stream).status_code == 413
