"""A classifier behind HTTP: a score counts, and whatever else it answers is not a score."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pytest

from policyengine.release.classifiers import HttpClassifier, scores

ANSWERS = {
    "/low": (200, b'{"score": 0.1}'),
    "/nan": (200, b'{"score": NaN}'),
    "/two": (200, b'{"score": 2}'),
    "/text": (200, b'{"score": "0.1"}'),
    "/true": (200, b'{"score": true}'),
    "/none": (200, b"{}"),
    "/page": (200, b"<html>"),
    "/down": (503, b'{"score": 0.1}'),
    "/elsewhere": (302, b""),
    "/large": (200, b'{"score": 0.1, "why": "' + b"x" * 100_000 + b'"}'),
}
STOP = Event()


class _Classifying(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/slow":
            STOP.wait(60)
        status, body = ANSWERS.get(self.path, ANSWERS["/low"])
        self.send_response(status)
        self.send_header("Location", "/low")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Classifying)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    STOP.set()
    server.shutdown()
    server.server_close()


def test_a_score_counts(url: str) -> None:
    assert scores("text", {"harm": HttpClassifier(f"{url}/low", seconds=60.0)}, 60.0) == {"harm": 0.1}


def test_whatever_else_is_answered_is_no_score(url: str) -> None:
    others = {path: HttpClassifier(url + path) for path in ANSWERS if path != "/low"}
    assert scores("text", others, 60.0) == {}


def test_a_slow_one_is_absent(url: str) -> None:
    those = {"slow": HttpClassifier(f"{url}/slow", seconds=60.0), "low": HttpClassifier(f"{url}/low", seconds=60.0)}
    # The other one has as long as a busy machine needs.
    found = next((found for seconds in (1.0, 5.0, 20.0) if (found := scores("text", those, seconds))), {})
    assert found == {"low": 0.1}
