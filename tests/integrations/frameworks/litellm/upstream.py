"""A model behind OpenAI's chat completions, on this machine, that plays a script."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.integrations.agents.world import TOKENS, Ran, Script

USED = {"prompt_tokens": TOKENS - 10, "completion_tokens": 10, "total_tokens": TOKENS}


def message(at: int, step: Any) -> dict[str, Any]:
    if isinstance(step, str):
        return {"role": "assistant", "content": step}
    calls = [
        {"id": f"c{at}-{n}", "type": "function", "function": {"name": name, "arguments": json.dumps(args)}}
        for n, (name, args) in enumerate(step)
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def chunks(said: dict[str, Any], finish: str) -> list[dict[str, Any]]:
    """The deltas of an answer: its text word by word, its calls in two pieces each."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": f"{word} "} for word in (said["content"] or "").split(" ") if word]
    for at, call in enumerate(said.get("tool_calls", ())):
        function = call["function"]
        deltas.append({"tool_calls": [{**call, "index": at, "function": {**function, "arguments": ""}}]})
        deltas.append({"tool_calls": [{"index": at, "function": {"arguments": function["arguments"]}}]})
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    return [*choices, {"index": 0, "delta": {}, "finish_reason": finish}]


@contextmanager
def answering(script: Script, ran: Ran) -> Iterator[str]:
    """The URL of the API."""
    steps = enumerate(script)
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
            with turn:
                ran.shown.append([tool["function"]["name"] for tool in asked.get("tools", ())])
                ran.seen += json.dumps(asked["messages"])
                at, step = next(steps)
            said = message(at, step)
            finish = "stop" if isinstance(step, str) else "tool_calls"
            whole = {"id": "x", "object": "chat.completion", "created": 1, "model": asked["model"]}
            if not asked.get("stream"):
                choice = {"index": 0, "message": said, "finish_reason": finish}
                self._said("application/json", json.dumps({**whole, "choices": [choice], "usage": USED}).encode())
                return
            parts = [{**whole, "object": "chat.completion.chunk", "choices": [one]} for one in chunks(said, finish)]
            parts.append({**whole, "object": "chat.completion.chunk", "choices": [], "usage": USED})
            lines = [f"data: {json.dumps(one)}\n\n" for one in parts]
            self._said("text/event-stream", "".join([*lines, "data: [DONE]\n\n"]).encode())

        def _said(self, kind: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
