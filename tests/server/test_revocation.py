"""A key that is revoked is refused by every worker of a real service, while it is in use, and never accepted again."""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from pathlib import Path

import pytest

from bench.servers.workers import children, worker_of
from tests.server.serving import EVALUATION
from tests.server.test_certification import FIXTURE, PERMITTED
from tests.support.key_file import Store
from tests.support.server import running

EACH = 3
PATIENCE = 60.0


class Asking(threading.Thread):
    """One connection, asked again and again until it is stopped."""

    def __init__(self, connection: http.client.HTTPConnection, text: str) -> None:
        super().__init__()
        self.connection = connection
        self.headers = {"Content-Type": "application/json", "Authorization": f"Bearer {text}"}
        self.statuses: list[int] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.is_set():
            self.connection.request("POST", EVALUATION, json.dumps(PERMITTED).encode(), self.headers)
            answer = self.connection.getresponse()
            answer.read()
            self.statuses.append(answer.status)
            time.sleep(0.005)


@pytest.mark.skipif(sys.platform != "linux", reason="which worker answers is only told on Linux")
def test_every_worker_refuses_a_revoked_key_while_it_is_in_use_and_for_good(tmp_path: Path) -> None:
    store = Store(tmp_path)
    leaked, other = store.new("decide"), store.new("decide")
    options = ("--workers", "2", "--no-reload", "--keys", str(store.settings.store))
    with running(FIXTURE, *options, insecure=False) as service:
        port = int(service.url.rpartition(":")[2])
        of: dict[int, list[http.client.HTTPConnection]] = {}
        deadline = time.monotonic() + PATIENCE
        while len(of) < 2 or min(map(len, of.values())) < EACH:
            assert time.monotonic() < deadline, of
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            worker = worker_of(connection, children(service.process.pid))
            assert worker is not None
            of.setdefault(worker, []).append(connection)
        asking = [[Asking(each, leaked.text) for each in found[:2]] for found in of.values()]
        good = [Asking(found[2], other.text) for found in of.values()]
        everybody = [*(each for found in asking for each in found), *good]
        for each in everybody:
            each.start()
        while not all(each.statuses for each in everybody):
            time.sleep(0.01)
        store.revoke(leaked)
        deadline = time.monotonic() + PATIENCE
        # All of them are heard of some more after the last has been refused.
        while not all(401 in each.statuses[:-20] or 429 in each.statuses[:-20] for found in asking for each in found):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for each in everybody:
            each.stopped.set()
        for each in everybody:
            each.join()
        for found in asking:
            for each in found:
                first = next(at for at, status in enumerate(each.statuses) if status != 200)
                assert first > 0
                # Once refused, it is not accepted again; refusals beyond five a minute are told to wait.
                assert {*each.statuses[first:]} <= {401, 429}
        for each in good:
            assert {*each.statuses} == {200}
