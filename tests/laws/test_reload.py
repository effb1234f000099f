"""Under any sequence of good and bad writes, answers come from the last good snapshot.

after writes w1 ... wn, each followed by a reload: the engine answers as load(wi) does, for the last good wi.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from policyengine import Engine
from policyengine.diagnostics.diagnostic import has_errors

REQUEST = {"principal": {"type": "User", "id": "a"}, "action": "retrieve", "resource": {"type": "Document", "id": "d"}}
GOOD = "module m\nuse ai\npermit version_{0}: retrieve on Document\n"
FAILING = GOOD + 'test "never" {{ principal User::"a" retrieve on Document::"d" expect deny }}\n'
BAD = (
    "", "permit", GOOD + "permit version_{0}: retrieve on Document\n", "module m\npermit p: retrieve on Document",
    GOOD + "forbid f: retrieve on Document when principal.nope", GOOD + "\nuse nothing", "\udcff not text",
    "module ai\n", GOOD + "permit p: retrieve on Document when (((",
)  # fmt: skip


class Writes(RuleBasedStateMachine):
    """A directory that is written to, and the engine that reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.file = Path(self.folder.name) / "m.pol"
        self.version = 0
        self.good = 0
        self.damage: set[Path] = set()

    @initialize()
    def load(self) -> None:
        self.file.write_text(GOOD.format(0))
        self.engine = Engine.load(self.folder.name)
        self.revisions = {self.engine.revision}

    def _write(self, text: str) -> None:
        self.file.write_bytes(text.encode("utf-8", "surrogateescape"))

    @rule(gate=st.booleans())
    def write_good(self, gate: bool) -> None:
        self.version += 1
        self._write(GOOD.format(self.version))
        result = self.engine.reload(gate_tests=gate)
        assert result.ok == (not self.damage)
        if result.ok:
            self.good = self.version
            assert not has_errors(result.diagnostics)

    @rule(text=st.sampled_from(BAD), gate=st.booleans())
    def write_bad(self, text: str, gate: bool) -> None:
        self.version += 1
        self._write(text.format(self.version))
        before = self.engine.revision
        result = self.engine.reload(gate_tests=gate)
        assert not result.ok
        assert has_errors(result.diagnostics)
        assert self.engine.revision == result.revision == before

    @rule()
    def write_what_fails_its_tests(self) -> None:
        self.version += 1
        self._write(FAILING.format(self.version))
        before = self.engine.revision
        assert not self.engine.reload(gate_tests=True).ok
        assert self.engine.revision == before
        if self.engine.reload(gate_tests=False).ok:
            self.good = self.version

    @rule(name=st.sampled_from(("a", "b")))
    def damage_another_file(self, name: str) -> None:
        path = Path(self.folder.name) / f"{name}.pol"
        path.write_text("permit permit")
        self.damage.add(path)
        assert not self.engine.reload().ok

    @rule()
    def repair(self) -> None:
        for path in self.damage:
            path.unlink()
        self.damage.clear()

    @rule()
    def take_all_away(self) -> None:
        self.file.unlink(missing_ok=True)
        assert not self.engine.reload().ok

    @invariant()
    def the_last_good_one_answers(self) -> None:
        if hasattr(self, "engine"):
            decision = self.engine.decide(**REQUEST)
            assert decision.determining == (f"m.version_{self.good}",)
            assert decision.revision == self.engine.revision == self.engine.snapshot.revision
            assert self.engine.decide_many([REQUEST]) == [decision]

    def teardown(self) -> None:
        self.folder.cleanup()


TestReload = Writes.TestCase
TestReload.settings = settings(stateful_step_count=8)
