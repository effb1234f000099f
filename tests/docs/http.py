"""Send the request of an `http` block and compare the answer with the `json` block that follows it.

A block is `METHOD /path`, header lines, a blank line and the body. The status is 200 unless the info
string says `status=N`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import httpx

from tests.docs.blocks import Block
from tests.docs.matching import differences


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def parse(text: str) -> Request:
    """The request that a block writes down; raises ValueError where it is not one."""
    head, _, body = text.partition("\n\n")
    first, *rest = head.strip("\n").splitlines()
    method, path, *_ = first.split()
    headers = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    return Request(method, path, headers, body.strip().encode())


def run(block: Block, answer: Block | None, address: str) -> None:
    """Send the block's request to the server at `address`; `answer` shows part of the body expected."""
    request = parse(block.text)
    response = httpx.request(
        request.method,
        address + request.path,
        headers={name: value for name, value in request.headers.items() if name.lower() != "host"},
        content=request.body,
        trust_env=False,
    )
    assert response.status_code == int(block.options.get("status", 200)), response.text
    if answer is not None:
        assert not differences(json.loads(answer.text), response.json()), response.text
