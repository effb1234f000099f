"""What takes long or waits has threads of its own: nothing of one kind holds up the others."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from policyengine.callers.caller import ANONYMOUS
from policyengine.compile.compile_on_demand import ONLY_MADE, Unmade
from policyengine.compile.evaluator import Evaluator
from policyengine.cooperative import at_once
from policyengine.engine import Engine
from policyengine.release import release_stream
from policyengine.release.classifiers import WORKERS, in_time
from policyengine.server.access.request_hints import AccessHints
from policyengine.server.bind import Binding
from policyengine.server.disconnects import in_turns
from policyengine.server.errors import RequestError
from policyengine.server.evaluation import evaluate_batch, way_of
from policyengine.server.pipeline import Slices
from policyengine.server.thread_pools import LOOKING, SLICING, ThreadPools
from policyengine.settings.model import Settings
from policyengine.state.stores.memory import Memory
from policyengine.warm.collector import THRESHOLDS
from tests.server.serving import EVALUATION, SEARCH_RESOURCE, serving

POLICY = """module m
use ai
extend Document { marks: List<Int>, others: List<Int> }
action weigh on Document
permit p: retrieve on Document
permit w: weigh on Document when any x in document.marks: any y in document.others: x == y + 1000000
limit l: invoke on Model at most 1000 requests per 1m by principal
permit i: invoke on Model
"""
USER = {"type": "User", "id": "u"}
ASKED: dict[str, Any] = {
    "subject": USER,
    "action": {"name": "retrieve"},
    "resource": {"type": "Document", "id": "d"},
}


@pytest.fixture
def going(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A store answers only while this is set."""
    go = threading.Event()
    go.set()
    run, charge = Memory.run, Memory.charge

    def later(self: Memory, operation: Any) -> Any:
        go.wait()
        return run(self, operation)

    def charged_later(self: Memory, asked: Any, keep: int) -> Any:
        go.wait()
        return charge(self, asked, keep)

    monkeypatch.setattr(Memory, "run", later)
    monkeypatch.setattr(Memory, "charge", charged_later)
    yield go
    go.set()


def test_a_store_that_hangs_holds_up_those_who_need_it(going: threading.Event, tmp_path: Path) -> None:
    (tmp_path / "m.pol").write_text(POLICY)
    metered = {**ASKED, "action": {"name": "invoke"}, "resource": {"type": "Model", "id": "gpt"}}
    with serving(tmp_path, state="memory://", limits={"concurrency": 16}) as client, ThreadPoolExecutor(8) as pool:

        def authorize() -> httpx.Response:
            return httpx.post(str(client.base_url.join("/v1/authorize")), json=metered, trust_env=False, timeout=60)

        going.clear()
        waiting = [pool.submit(authorize) for _ in range(7)]
        refused = next(each for each in _as_done(waiting))
        assert refused.status_code == 503
        assert "more than 6 requests at once that wait for the state" in refused.json()["detail"]
        assert refused.headers["retry-after"] == "1"
        assert client.post(EVALUATION, json=ASKED).json()["decision"] is True
        assert client.post(SEARCH_RESOURCE, json={**ASKED, "resource": {"type": "Tool"}}).status_code == 200
        assert client.post("/v1/filter", json={**ASKED, "resource": {"type": "Document"}}).status_code == 200
        assert client.get("/readyz").json()["status"] == "ready"
        going.set()
        assert sorted(each.result().status_code for each in waiting) == [200] * 6 + [503]


def _as_done(futures: list[Any]) -> Iterator[httpx.Response]:
    while True:
        for each in futures:
            if each.done():
                yield each.result()


def test_of_each_kind_there_are_so_many_and_one_that_is_given_up_counts_until_it_ends() -> None:
    async def main() -> None:
        aside, go = ThreadPools(16), threading.Event()
        waiting = [asyncio.create_task(aside.run("computing", go.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        for each in waiting:
            each.cancel()
        await asyncio.sleep(0.01)
        with pytest.raises(RequestError) as refused:
            await aside.run("computing", go.wait)
        assert refused.value.status == 503
        assert await aside.run("texts", int) == 0
        go.set()
        aside.close()

    asyncio.run(main())


def test_few_large_batches_have_a_slice_in_one_turn() -> None:
    under_way, most = set[int](), 0

    def slices(number: int) -> Slices:
        nonlocal most
        yield
        for _ in range(3):
            under_way.add(number)
            most = max(most, len(under_way))
            yield
        under_way.discard(number)
        return b"", (), number

    async def main() -> list[int]:
        aside, stays = ThreadPools(128), asyncio.Event()
        answers = await asyncio.gather(*(in_turns(aside, slices(n), stays.wait) for n in range(16)))  # type: ignore[arg-type]
        return [answer[2] for answer in answers]

    assert asyncio.run(main()) == list(range(16))
    assert most == SLICING


def test_large_batches_that_wait_leave_room_for_others() -> None:
    async def main() -> None:
        aside, go = ThreadPools(32), asyncio.Event()

        async def batch() -> None:
            async with aside.slicing():
                await go.wait()

        waiting = [asyncio.create_task(batch()) for _ in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(RequestError) as refused:
            await batch()
        assert "more than 4 large batches at once" in refused.value.message
        go.set()
        await asyncio.gather(*waiting)
        await batch()
        aside.close()

    asyncio.run(main())


def test_streams_leave_room_for_others() -> None:
    aside = ThreadPools(8)
    with aside.streaming(), aside.streaming(), pytest.raises(RequestError) as refused, aside.streaming():
        pass
    assert refused.value.status == 503
    with aside.streaming():
        pass


def _weighed(elements: int, id_: int = 1) -> dict[str, Any]:
    values = list(range(elements))
    return {
        **ASKED,
        "resource": {"type": "Document", "id": str(id_), "properties": {"marks": values, "others": values}},
    }


def test_what_looks_at_very_many_elements_is_not_done_in_the_event_loop() -> None:
    engine = Engine.from_text(POLICY)
    small, large = (json.dumps(_weighed(n)).encode() for n in (10, 256))
    assert way_of(engine, large) is None
    engine.decide(principal=USER, action="retrieve", resource={"type": "Document", "id": "d"})
    # The rules that were asked have no quantifiers.
    assert way_of(engine, large) is None
    engine.decide(principal=USER, action="weigh", resource={"type": "Document", "id": "d"})
    assert way_of(engine, small) is None
    assert way_of(engine, large) == "computing"


def _batch(engine: Engine, elements: int, count: int, max_work: int = 100_000) -> Any:
    body = json.dumps({"action": {"name": "weigh"}, "evaluations": [_weighed(elements, n) for n in range(count)]})
    binding = Binding(Settings(policies=Path("."), insecure=True).tenants.tenancy())
    return evaluate_batch(
        engine, body.encode(), ANONYMOUS, binding=binding, desk=AccessHints(None), max_batch=10_000, max_work=max_work
    )


def test_what_quantifiers_look_at_counts_as_work() -> None:
    engine = Engine.from_text(POLICY)
    engine.decide(principal=USER, action="weigh", resource={"type": "Document", "id": "d"})
    assert isinstance(_batch(engine, 256, 2), tuple)
    assert not isinstance(_batch(engine, 3, 2), tuple)
    with pytest.raises(RequestError) as refused:
        _batch(engine, 256, 100)
    assert "elements that quantifiers may look at" in refused.value.message
    # Twice as many items are at most twice the work.
    few = engine.snapshot.evaluator.quantifier_counts.most_looks(100)
    assert few < engine.snapshot.evaluator.quantifier_counts.most_looks(200) <= 4.4 * few


def test_what_was_never_asked_is_made_elsewhere() -> None:
    engine = Engine.from_text(POLICY)

    def handled() -> Any:
        with ONLY_MADE:
            return at_once(_batch(engine, 3, 2))

    with pytest.raises(Unmade) as unmade:
        handled()
    unmade.value.make()
    assert handled()[2] == 0


def test_rules_that_a_table_leads_to_are_made_elsewhere_too() -> None:
    rules = "".join(
        f'permit p{n}: retrieve on Document when document.at == "x" and document.n > {n}\n' for n in range(250)
    )
    engine = Engine.from_text(f"module m\nuse ai\nextend Document {{ at: String, n: Int }}\n{rules}")

    def decided(**attributes: Any) -> Any:
        with ONLY_MADE:
            return engine.decide(
                principal=USER, action="retrieve", resource={"type": "Document", "id": "d", **attributes}
            )

    for attributes in ({"at": "y", "n": 7}, {"at": "x", "n": 7}):
        with pytest.raises(Unmade) as unmade:
            decided(**attributes)
        unmade.value.make()
        first = decided(**attributes)
        assert decided(**attributes) == first
    assert len(first.determining) == 7
    # And what a reload makes ready needs nobody's wait.
    again = Engine.from_text(f"module m\nuse ai\nextend Document {{ at: String, n: Int }}\n{rules}")
    again.snapshot.evaluator.prepare(engine.snapshot.evaluator)
    engine = again
    assert decided(at="x", n=7).determining == first.determining


def test_many_who_ask_first_wait_for_the_same_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "m.pol").write_text(POLICY)
    go, made = threading.Event(), Evaluator._bucket_for
    keys: list[Any] = []

    def slowly(self: Evaluator, key: Any, refusal: Any) -> Any:
        keys.append(key)
        go.wait()
        return made(self, key, refusal)

    with serving(tmp_path, limits={"concurrency": 64}) as client, ThreadPoolExecutor(40) as pool:
        assert client.post(EVALUATION, json=ASKED).json()["decision"] is True
        monkeypatch.setattr(Evaluator, "_bucket_for", slowly)
        weighed = {**_weighed(3), "action": {"name": "weigh"}}

        def ask() -> httpx.Response:
            return httpx.post(str(client.base_url.join(EVALUATION)), json=weighed, trust_env=False, timeout=60)

        waiting = [pool.submit(ask) for _ in range(40)]
        while not keys:
            assert client.post(EVALUATION, json=ASKED).json()["decision"] is True
        go.set()
        assert {each.result().status_code for each in waiting} == {200}
    assert len(keys) <= 2  # made once, and found once


def test_those_who_wait_for_code_leave_room_for_others() -> None:
    async def main() -> None:
        aside, go = ThreadPools(16), threading.Event()
        unmade = Unmade("rules", go.wait)
        waiting = [asyncio.create_task(aside.make(unmade)) for _ in range(14)]
        await asyncio.sleep(0)
        with pytest.raises(RequestError) as refused:
            await aside.make(unmade)
        assert refused.value.status == 503
        waiting.pop().cancel()
        go.set()
        await asyncio.gather(*waiting)
        aside.close()

    asyncio.run(main())


def test_a_look_at_what_is_streamed_holds_up_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "m.pol").write_text(
        POLICY + 'permit o: release on Output\nrequire r: release on Output redact(["email"])\n'
    )
    looking, go = threading.Event(), threading.Event()

    def find(*args: Any, **named: Any) -> Any:
        looking.set()
        go.wait()
        return real(*args, **named)

    real = release_stream.find
    monkeypatch.setattr(release_stream, "find", find)
    events = [json.dumps({"subject": USER}), json.dumps("write to ann@mail.example " * 40), "[DONE]"]
    body = "".join(f"data: {each}\n\n" for each in events)
    with serving(tmp_path) as client, ThreadPoolExecutor(1) as pool:
        headers = {"Content-Type": "text/event-stream"}
        url = str(client.base_url.join("/v1/release"))
        streaming = pool.submit(lambda: httpx.post(url, content=body, headers=headers, trust_env=False, timeout=60))
        assert looking.wait(20)
        assert client.post(EVALUATION, json=ASKED).json()["decision"] is True
        go.set()
        assert "event: released" in streaming.result().text


class _Slow(BaseHTTPRequestHandler):
    """A classifier that answers once it may."""

    asked, go = threading.Semaphore(0), threading.Event()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.release()
        self.go.wait()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"score": 0.1}')

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def slow() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    server.daemon_threads = True
    _Slow.go.clear()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    _Slow.go.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_those_who_wait_for_classifiers_hold_up_nobody_else(slow: str, tmp_path: Path) -> None:
    scored = "permit o: release on Output when output.scores.harm < 0.5\n"
    (tmp_path / "m.pol").write_text(POLICY + scored + 'require r: invoke on Model redact(["email"])\n')
    texts = {"classifiers": {"harm": slow}, "seconds": 60}
    events = [json.dumps({"subject": USER}), json.dumps("a text"), "[DONE]"]
    stream = "".join(f"data: {each}\n\n" for each in events)
    with serving(tmp_path, texts=texts) as client, ThreadPoolExecutor(WORKERS) as pool:
        url = str(client.base_url.join("/v1/release"))

        def release() -> httpx.Response:
            return httpx.post(url, json={"subject": USER, "text": "a text"}, trust_env=False, timeout=60)

        def release_stream() -> httpx.Response:
            headers = {"Content-Type": "text/event-stream"}
            return httpx.post(url, content=stream, headers=headers, trust_env=False, timeout=60)

        waiting = [pool.submit(each) for each in (*[release] * (WORKERS - 4), *[release_stream] * 4)]
        for _ in range(WORKERS):
            assert _Slow.asked.acquire(timeout=20)
        for _ in range(3):
            admitted = client.post(
                "/v1/admit", json={"subject": USER, "model": {"id": "gpt"}, "text": "to a@b.example"}
            )
            assert admitted.json()["text"] == "to [email]"
            # As many are under way as may be: its score is absent, and what reads it errs.
            assert release().json()["released"] is False
        _Slow.go.set()
        whole = [each.result() for each in waiting[:-4]]
        assert [each.json()["released"] for each in whole] == [True] * (WORKERS - 4)
        assert all("event: released" in each.result().text for each in waiting[-4:])


def test_whoever_comes_back_from_a_classifier_waits_for_a_place() -> None:
    """Of those that do not wait, no more are at it at once than there are places."""
    at_work, most, lock = 0, 0, threading.Lock()

    def count(by: int) -> None:
        nonlocal at_work, most
        with lock:
            at_work += by
            most = max(most, at_work)

    def work() -> None:
        count(1)
        sum(range(1_000))
        count(-1)
        in_time(lambda _: go.wait(), "", 60)
        count(1)
        sum(range(1_000))
        count(-1)

    async def main() -> None:
        aside = ThreadPools(128)
        looks = [asyncio.create_task(aside.look(work)) for _ in range(WORKERS)]
        while len(waiting := [each for each in threading.enumerate() if each.name == "classifier"]) < WORKERS:
            await asyncio.sleep(0.001)
        assert waiting
        go.set()
        await asyncio.gather(*looks)
        aside.close()

    go = threading.Event()
    asyncio.run(main())
    assert 0 < most <= LOOKING


def test_what_a_long_answer_is_made_of_is_not_looked_through_while_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "m.pol").write_text(POLICY)
    before = gc.get_threshold()
    with serving(tmp_path) as client:
        assert client.get("/healthz").status_code == 200
        assert gc.get_threshold() == THRESHOLDS
    assert gc.get_threshold() == before
