"""A model behind Anthropic's Messages API, on this machine, that plays a script."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.integrations.agents.world import TOKENS, Ran, Script


def _events(model: str, blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    message = {"id": "msg", "type": "message", "role": "assistant", "content": [], "model": model}
    used = {"input_tokens": TOKENS - 10, "output_tokens": 10}
    found: list[dict[str, Any]] = [{"type": "message_start", "message": {**message, "usage": used}}]
    for at, block in enumerate(blocks):
        if block["type"] == "text":
            begin: dict[str, Any] = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": block["text"]}
        else:
            begin = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        found += [
            {"type": "content_block_start", "index": at, "content_block": begin},
            {"type": "content_block_delta", "index": at, "delta": delta},
            {"type": "content_block_stop", "index": at},
        ]
    ends = "tool_use" if any(block["type"] == "tool_use" for block in blocks) else "end_turn"
    found.append({"type": "message_delta", "delta": {"stop_reason": ends}, "usage": {"output_tokens": 10}})
    return [*found, {"type": "message_stop"}]


@contextmanager
def answering(script: Script, ran: Ran, prefix: str = "", inner: Script = ()) -> Iterator[str]:
    """The URL of the API. `prefix` is what a framework puts before the names of tools; `inner` is the script of an
    agent within, which is told from the outer one by having no tool named `Agent` or `Task`."""
    steps = {"outer": enumerate(script), "inner": enumerate(inner)}
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._said("application/json", b"{}")

        do_HEAD = do_GET

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
            if "messages" not in asked or "count_tokens" in self.path:
                self._said("application/json", b'{"input_tokens": 1}')
                return
            tools = [tool["name"] for tool in asked.get("tools", ())]
            with turn:
                blocks = self._blocks(asked, tools)
            events = _events(asked["model"], blocks)
            self._said(
                "text/event-stream",
                "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events).encode(),
            )

        def _blocks(self, asked: Any, tools: list[str]) -> list[dict[str, Any]]:
            if not tools:
                return [{"type": "text", "text": "a title"}]
            who = "inner" if inner and not {"Agent", "Task"} & set(tools) else "outer"
            ran.shown.append([name.removeprefix(prefix) for name in tools])
            ran.seen += json.dumps(asked["messages"])
            at, step = next(steps[who], (99, "done"))
            if isinstance(step, str):
                return [{"type": "text", "text": step}]
            return [
                {
                    "type": "tool_use",
                    "id": f"toolu_{who}{at}_{n}",
                    "name": name if name in tools else prefix + name,
                    "input": args,
                }
                for n, (name, args) in enumerate(step)
            ]

        def _said(self, kind: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
