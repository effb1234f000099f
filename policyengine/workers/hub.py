"""The supervisor's end of the conversation with its workers.

It knows which revision answers, lets all workers switch to the next one on one signal, once all have it ready, and
gives each worker the reports of all. A worker that cannot follow delays the others for PATIENCE seconds, and catches up
when it can. The counts of workers that have ended are kept.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

from policyengine.workers import revision_files
from policyengine.workers.protocol import ANSWER, MOST_BYTES, PATIENCE, line, time_of
from policyengine.workers.totals import Families, lasting, summed

# How often everybody is asked for a report, in seconds: that much of what one counted is lost if it is killed.
EVERY = 1.0
# How often those that are behind are told so.
REMIND = 5.0


@dataclass(slots=True, eq=False)
class _Worker:
    writer: asyncio.StreamWriter
    pid: int = 0
    # What answers there; None before it has begun.
    revision: str | None = None
    prepared: str | None = None
    # What it was told to look at.
    told: str | None = None
    status: dict[str, Any] = field(default_factory=dict)
    counts: Families = field(default_factory=list)
    answered: int = 0

    def say(self, word: str, **what: Any) -> None:
        with suppress(OSError, RuntimeError):
            self.writer.write(line(word, **what))


class Hub:
    """Runs in its own thread from `start` to `stop`. `wanted` is the number of workers that there should be."""

    def __init__(self, directory: Path, wanted: Callable[[], int] = lambda: 1) -> None:
        self.path = directory / "hub"
        self._directory = directory
        self.wanted = wanted
        self._workers: list[_Worker] = []
        self._gone: Families = []
        self._talks: set[asyncio.Task[None]] = set()
        # The revision that answers, and is kept.
        self.current: str | None = None
        self._asked = 0
        # Since when not all answer, or not all from one revision.
        self._apart: datetime | None = None
        self._reported = asyncio.Event()
        self._waiting: asyncio.TimerHandle | None = None
        self._begun = Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end = asyncio.Event()
        self._thread = Thread(target=lambda: asyncio.run(self._run()), name="hub", daemon=True)

    def start(self) -> Hub:
        self._thread.start()
        self._begun.wait()
        return self

    @property
    def begun(self) -> set[int]:
        """The ids of the processes that answer."""
        return {each.pid for each in list(self._workers) if each.revision is not None}

    def stop(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_unix_server(self._talk, self.path, limit=MOST_BYTES)
        self._begun.set()
        ticking = [asyncio.create_task(self._poll()), asyncio.create_task(self._remind())]
        await self._end.wait()
        for each in ticking:
            each.cancel()
        server.close()
        for worker in self._workers:
            worker.writer.close()
        if self._talks:
            await asyncio.wait(self._talks, timeout=ANSWER)
        self._loop = None

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        worker = _Worker(writer)
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        task.add_done_callback(self._talks.discard)
        self._workers.append(worker)
        worker.say("current", revision=self.current)
        try:
            while said := await reader.readline():
                self._hear(worker, json.loads(said))
        except (OSError, ValueError):
            pass
        finally:
            self._workers.remove(worker)
            self._gone = lasting(summed([self._gone, worker.counts]))
            writer.close()
            self._reported.set()
            self._settle()

    def _hear(self, worker: _Worker, said: dict[str, Any]) -> None:
        match said["word"]:
            case "started":
                worker.pid, worker.revision = said["pid"], said["revision"]
                if self.current is None:
                    self.current = worker.revision
                worker.say("current", revision=self.current)
                self._settle()
            case "prepared":
                worker.prepared = said["revision"]
                self._settle()
            case "dropped":
                worker.prepared = None
                self._settle()
            case "swapped":
                worker.revision = said["revision"]
            case "report":
                worker.status, worker.counts = said["status"], said["counts"]
                worker.answered = said["number"]
                self._reported.set()
            case "everybody":
                task = asyncio.create_task(self._everybody(worker, said["number"]))
                task.add_done_callback(lambda _: None)

    # ---- swapping ----

    def _started(self) -> list[_Worker]:
        return [each for each in self._workers if each.revision is not None]

    def _settle(self) -> None:
        """Everybody swaps to a revision that everybody has ready; whoever has not is told to look."""
        started = self._started()
        ready = {each.prepared for each in started if each.prepared is not None} - {self.current}
        for revision in sorted(ready):
            if all(revision in (each.prepared, each.revision) for each in started):
                self._swap(revision)
                return
            for each in started:
                if revision not in (each.prepared, each.told):
                    each.told = revision
                    each.say("look", revision=revision)
        if not ready and self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        elif ready and self._waiting is None:
            self._waiting = asyncio.get_running_loop().call_later(PATIENCE, self._impatient)

    def _impatient(self) -> None:
        self._waiting = None
        prepared = [each.prepared for each in self._started() if each.prepared not in (None, self.current)]
        if prepared:
            self._swap(max(sorted(map(str, prepared)), key=prepared.count))

    def _swap(self, revision: str) -> None:
        self.current = revision
        for each in self._workers:
            if each.prepared == revision:
                each.say("swap", revision=revision)
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        with suppress(OSError):
            revision_files.forget(self._directory, {revision, *(str(each.prepared) for each in self._workers)})

    async def _remind(self) -> None:
        while True:
            await asyncio.sleep(REMIND)
            for each in self._started():
                if each.revision != self.current and each.prepared is None:
                    each.say("behind", revision=self.current)

    # ---- reports ----

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            self._judge()
            self._ask()

    def _ask(self) -> int:
        self._asked += 1
        for each in self._workers:
            each.say("report", number=self._asked)
        return self._asked

    async def _everybody(self, asker: _Worker, number: int) -> None:
        asked = self._ask()
        deadline = asyncio.get_running_loop().time() + ANSWER
        while any(each.answered < asked for each in self._started()):
            self._reported.clear()
            left = deadline - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self._reported.wait(), left)
            except TimeoutError:
                break
        now = asked
        workers = [
            {"pid": each.pid, "answers": each.answered >= now, **each.status} for each in self._started() if each.status
        ]
        since = self._judge(now)
        counts = summed([self._gone, *(each.counts for each in self._workers)])
        asker.say("everybody", number=number, workers=workers, wanted=self.wanted(), counts=counts, since=since)

    def _judge(self, asked: int | None = None) -> str | None:
        """Since when not all answer what was asked, or not all from one revision; None if all is well."""
        started, last = self._started(), self._asked if asked is None else asked
        together = len({each.revision for each in started}) <= 1
        well = together and len(started) >= self.wanted() and all(each.answered >= last for each in started)
        self._apart = None if well else self._apart or datetime.now(UTC)
        return None if self._apart is None else time_of(self._apart)
