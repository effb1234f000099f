"""A webhook is signed, sent until it is taken, and holds nobody up. The receiver is a server of its own."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from standardwebhooks import Webhook as Receiver

from policyengine.events.event import Event
from policyengine.events.sinks.webhook import WebhookSink, secret_key

SECRET = "whsec_" + b64encode(bytes(range(32))).decode()


@dataclass
class Taken:
    """What arrived. `statuses` are the answers to the first of them; each later one is 204."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    arrived: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    enough: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    hold: threading.Event = field(default_factory=threading.Event)

    def wait(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.enough.acquire(timeout=20)


@contextmanager
def receiving(*statuses: int, held: bool = False) -> Iterator[Taken]:
    taken = Taken(statuses=list(statuses))
    if not held:
        taken.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            taken.arrived.append(({name.lower(): value for name, value in self.headers.items()}, content))
            status = taken.statuses.pop(0) if taken.statuses else 204
            taken.enough.release()
            taken.hold.wait(20)
            self.send_response(status)
            if status == 302:
                self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    taken.url = f"http://127.0.0.1:{server.server_port}/hook"
    try:
        yield taken
    finally:
        taken.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()


def test_it_is_what_a_receiver_of_the_scheme_takes() -> None:
    with receiving() as taken:
        webhook = WebhookSink(taken.url, SECRET)
        event = Event("limit.alert", {"rule": "m.budget", "names": ("é",)}, tenant="acme")
        webhook.send(event)
        taken.wait()
        webhook.close()
    [(headers, content)] = taken.arrived
    told = Receiver(SECRET).verify(content, headers)
    assert told == {
        "type": "limit.alert",
        "timestamp": event.time,
        "data": {"tenant": "acme", "rule": "m.budget", "names": ["é"]},
    }
    assert headers["webhook-id"] == event.id
    assert webhook.read() == {"sent": 1, "full": 0, "refused": 0, "closed": 0}


@pytest.mark.parametrize("status", [302, 400, 429, 500, 503])
def test_it_is_sent_again_under_the_same_id_until_it_is_taken(status: int) -> None:
    with receiving(status, status) as taken:
        webhook = WebhookSink(taken.url, SECRET, pause=0.001)
        webhook.send(Event("limit.alert"))
        taken.wait(3)
        webhook.close()
    assert len({headers["webhook-id"] for headers, _ in taken.arrived}) == 1
    assert len(taken.arrived) == 3
    assert webhook.read()["sent"] == 1


def test_it_is_dropped_after_the_last_try_and_the_next_is_sent() -> None:
    with receiving(500, 500) as taken:
        webhook = WebhookSink(taken.url, SECRET, attempts=2, pause=0.001)
        webhook.send(Event("limit.alert"))
        webhook.send(Event("limit.blocked"))
        taken.wait(3)
        webhook.close()
    assert webhook.read() == {"sent": 1, "full": 0, "refused": 1, "closed": 0}


def test_a_receiver_that_is_gone_is_not_asked_again() -> None:
    with receiving(410) as taken:
        webhook = WebhookSink(taken.url, SECRET, pause=0.001)
        webhook.send(Event("limit.alert"))
        webhook.send(Event("limit.alert"))
        taken.wait(2)
        webhook.close()
    assert len(taken.arrived) == 2
    assert webhook.read()["refused"] == 1


def test_nobody_waits_for_a_receiver_that_does_not_answer() -> None:
    with receiving(held=True) as taken:
        webhook = WebhookSink(taken.url, SECRET, queue=3)
        webhook.send(Event("limit.alert"))
        taken.wait()
        # One is on its way; three wait; the rest are dropped, and counted.
        for _ in range(10):
            webhook.send(Event("limit.alert"))
        assert webhook.read()["full"] == 7
        taken.hold.set()
        webhook.close()
        assert webhook.read()["sent"] == 4
    webhook.send(Event("limit.alert"))
    assert webhook.read()["closed"] == 1


def test_a_receiver_that_is_away_drops_and_raises_nothing() -> None:
    with receiving() as taken:
        pass
    webhook = WebhookSink(taken.url, SECRET, attempts=2, pause=0.001)
    webhook.send(Event("limit.alert"))
    webhook.close()
    assert webhook.read() == {"sent": 0, "full": 0, "refused": 1, "closed": 0}


def test_only_the_named_kinds_are_sent() -> None:
    with receiving() as taken:
        webhook = WebhookSink(taken.url, SECRET, kinds=("limit", "state.block"))
        for kind in ("limits.alert", "state.blocked", "policies.loaded", "limit.alert", "state.block"):
            webhook.send(Event(kind))
        taken.wait(2)
        webhook.close()
    told = [Receiver(SECRET).verify(content, headers)["type"] for headers, content in taken.arrived]
    assert told == ["limit.alert", "state.block"]


@pytest.mark.parametrize(
    "secret", ["", "x" * 40, "whsec_", "whsec_AAAA", "whsec_!!!!", "whsec_" + b64encode(bytes(65)).decode()]
)
def test_a_secret_is_long_enough(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_") as raised:
        secret_key(secret)
    assert not secret.removeprefix("whsec_") or secret.removeprefix("whsec_") not in str(raised.value)
