"""Every command with words that make it write something, run in a project that has all of it.

`python -m tests.cli.every_command DIRECTORY` is a process that is told a command, and answers with what became of it
under each fault, in a copy of the project. All run in it, as it has the libraries already.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, chdir
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from policyengine.callers.keys import create as new_key
from policyengine.cli.main import app
from policyengine.detect.content.canary import BYTES, mint
from policyengine.engine import Engine
from policyengine.settings.canaries import Planted, add
from policyengine.settings.keys import create
from policyengine.settings.model import KeySettings
from tests.files.unreachable import permissions_count

USER = '{"type": "User", "id": "ann", "roles": ["support"], "tenant": "acme"}'
POLICIES = """module shop
use ai
permit refund: call on Tool::"issue_refund"
permit models: invoke on Model
permit answers: release on Output
permit back: detokenize on Output
permit documents: retrieve on Document when document.tenant == principal.tenant
require person: call on Tool::"issue_refund"
  when tool.args.amount > 100
  approval(by: Group::"finance", within: 15m)
limit rate: invoke on Model
  at most 100 requests per 1h by principal
tool issue_refund(amount: Number)
test "a refund" {
  principal User::"ann"
  call on Tool::"issue_refund" { args: { amount: 40 } }
  expect allow by refund
}
"""
TOOLS = '{"tools": [{"name": "t", "description": "d", "inputSchema": {"type": "object"}}]}'
# A server that has one tool, over standard streams.
SERVER = """import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked.get("method") == "initialize":
        said = {"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "s", "version": "1"}}
    elif asked.get("method") == "tools/list":
        said = TOOLS
    else:
        said = None
    answer = {"result": said} if said else {"error": {"code": -32601, "message": "no such method"}}
    if "id" in asked:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer}), flush=True)
""".replace("TOOLS", TOOLS)
INITIALIZE = (
    '{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", '
    '"capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}}\n'
)

_STATE, _KEYS, _CANARIES = "--state sqlite:///state/s.db", "--store keys/k.json", "--file canaries/c.json"
_WHO = 'principal=User::"ann"'
_MCP = "-- python3 -S server/s.py"
_ASKING = f"{_STATE} -e entities/e.json"
# The words after the name of each command; what is in braces is known when the project has been made.
COMMANDS: dict[str, str] = {
    "check": "p -e entities/e.json --cost",
    "fmt": "p bad",
    "test": "p --junit out/j.xml",
    "decide": "p -r requests/refund.json -e entities/e.json",
    "authorize": f"p -r requests/model.json {_ASKING}",
    "explain": "p -r requests/refund.json -e entities/e.json",
    "filter": "p -p requests/user.json -a retrieve -t Document -e entities/e.json",
    "release": "p -r requests/release.json texts/t.txt -e entities/e.json",
    "admit": "p -r requests/model.json texts/t.txt -e entities/e.json --json",
    "detokenize": "p -r requests/detokenize.json texts/t.txt --key-file secret/k",
    "scan": "texts/t.txt texts/u.txt",
    "serve": "p -e entities/e.json --insecure --print-config --config settings/s.toml",
    "init": "out/new",
    "schema import": "tools/t.json",
    "schema show": "p",
    "keys create": f"one --scope decide {_KEYS}",
    "keys list": _KEYS,
    "keys rotate": f"{{key}} {_KEYS}",
    "keys revoke": f"{{key}} {_KEYS}",
    "keys check": _KEYS,
    "canary mint": f"--tenant acme {_CANARIES}",
    "canary list": _CANARIES,
    "canary forget": f"{{canary}} {_CANARIES}",
    "state settle": f"p {{reservation}} {_ASKING}",
    "state renew": f"p {{reservation}} {_ASKING}",
    "state cancel": f"p {{reservation}} {_ASKING}",
    "state usage": _STATE,
    "state reset": f"shop.rate {_WHO} {_STATE}",
    "state credit": f"shop.rate {_WHO} --amount 1 {_STATE}",
    "state raise": f"shop.rate {_WHO} --amount 1 --for 1h {_STATE}",
    "state changes": _STATE,
    "state session": f"{{session}} --tenant acme {_STATE}",
    "state unlabel": f"{{session}} seen --tenant acme {_STATE}",
    "state block": f"model m {_STATE}",
    "state unblock": f"model blocked {_STATE}",
    "state void": _STATE,
    "state list": _STATE,
    "approvals list": _STATE,
    "approvals show": f"{{task}} {_STATE}",
    "approvals approve": f"{{task}} --as User::cleo -p p {_ASKING}",
    "approvals reject": f"{{task}} --as User::cleo -p p {_ASKING}",
    "mcp gateway": f"--policies p --principal requests/user.json {_STATE} {_MCP}",
    "mcp pin": f"--pins out/pins.json {_MCP}",
    "mcp diff": f"--pins pins/p.json {_MCP}",
}

_ENTITY = {"principal": {"type": "User", "id": "ann", "roles": ["support"], "tenant": "acme"}}
_REQUESTS: dict[str, dict[str, Any]] = {
    "refund": {"action": "call", "resource": {"type": "Tool", "id": "issue_refund", "args": {"amount": 40}}},
    "model": {"action": "invoke", "resource": {"type": "Model", "id": "m"}},
    "release": {"action": "release", "resource": {"type": "Output", "id": "o"}},
    "detokenize": {"action": "detokenize", "resource": {"type": "Output", "id": "o", "tenant": "acme"}},
}
_PLACES = (
    "p", "bad", "out", "entities", "requests", "texts", "secret", "settings", "tools", "keys", "canaries", "pins",
    "state", "server",
)  # fmt: skip
# What a command reads from standard input.
INPUT = {"keys check": "{key text}", "mcp gateway": INITIALIZE}


def make(home: Path) -> dict[str, str]:
    """Make the project. Returns what its words in braces stand for."""
    for place in _PLACES:
        (home / place).mkdir(parents=True)
    for name, text in (
        ("p/p.pol", POLICIES), ("bad/b.pol", "permit  a: b on any"), ("texts/t.txt", "to bob@acme.com\n"),
        ("texts/u.txt", "to eve@acme.com\n"), ("secret/k", "A" * 43 + "=\n"), ("settings/s.toml", "[limits]\n"),
        ("tools/t.json", TOOLS), ("server/s.py", SERVER), ("requests/user.json", USER),
        ("pins/p.json", '{"version": 1, "tools": {}}'),
        ("entities/e.json", '[{"type": "User", "id": "cleo", "parents": [{"type": "Group", "id": "finance"}]}]'),
    ):  # fmt: skip
        (home / name).write_text(text)
    for name, request in _REQUESTS.items():
        (home / "requests" / f"{name}.json").write_text(json.dumps({**_ENTITY, **request}))
    (home / "secret/k").chmod(0o600)
    key_store, hash_key = create(KeySettings(store=str(home / "keys/k.json")))
    key, text = new_key("one", frozenset(["decide"]), hash_key, time.time())
    key_store.change(lambda _: key)
    canary = Planted(mint(bytes(range(BYTES))), "tenant", "acme", 1)
    add(home / "canaries/c.json", canary)
    engine = Engine.load(home / "p", entities=home / "entities/e.json", state=f"sqlite:///{home}/state/s.db")
    session = engine.sessions.open(_ENTITY["principal"])
    engine.sessions.record_result(session, _ENTITY["principal"], tool="issue_refund", labels=["seen"])
    reserved = engine.authorize(**_ENTITY, **_REQUESTS["model"])
    costly = {"type": "Tool", "id": "issue_refund", "args": {"amount": 400}}
    refused = engine.authorize(**_ENTITY, action="call", resource=costly).access_request
    assert refused is not None
    task = engine.approvals.request(refused, why="so")
    engine.blocks.block("model", "blocked")
    engine.meters.credit("shop.rate", 'principal=User::"ann"', amount=1)
    engine.close()
    return {
        "key": key.id, "key text": text.text, "canary": canary.id, "session": session, "task": task.id,
        "reservation": str(reserved.id),
    }  # fmt: skip


# ---- one run, with a fault ----

# What becomes of which stream: closed, full, or a pipe whose reader has gone.
STREAMS: dict[str, dict[int, str]] = {
    "nothing": {},
    "closed input and output": {0: "closed", 1: "closed"},
    "full output, closed error": {1: "full", 2: "closed"},
    "a reader that has gone": {1: "unread"},
}
# A command that goes on for so many seconds is ended. One that does is wrong, and a busy machine is not.
MOST = 300


@dataclass(frozen=True, slots=True)
class Fault:
    """`path` is to have these permissions."""

    name: str
    streams: dict[int, str] = field(default_factory=dict)
    path: str = ""
    mode: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    fault: str
    status: int
    out: str
    err: str


def faults_of(words: list[str], home: Path) -> Iterator[Fault]:
    """Of streams, and of every path that the words name."""
    for name, streams in STREAMS.items():
        yield Fault(name, streams)
    # What a server that is started reads is its own.
    own = words[: words.index("--")] if "--" in words else words
    for path in dict.fromkeys(word.removeprefix("sqlite:///") for word in own):
        if (home / path).is_dir():
            yield Fault(f"{path} without r", path=path, mode=0o311)
            yield Fault(f"{path} without x", path=path, mode=0o644)
        elif (home / path).exists():
            yield Fault(f"{path} without r", path=path, mode=0o200)


class Project:
    """A project in a directory, and copies of it for one run each."""

    def __init__(self, directory: Path) -> None:
        self._made, self._copy = directory / "made", directory / "copy"
        self._out, self._err = directory / "out", directory / "err"
        self._known = make(self._made)

    def outcomes(self, command: str) -> Iterator[Outcome]:
        given = INPUT.get(command, "").replace("{key text}", self._known["key text"])
        for fault in faults_of(self._words(command), self._made):
            words = self._words(command)
            if fault.path and command == "serve":
                # To show settings it reads nothing but them.
                words.remove("--print-config")
            shutil.copytree(self._made, self._copy)
            yield self._outcome(words, given, fault)
            if fault.path:
                (self._copy / fault.path).chmod(0o755)
            shutil.rmtree(self._copy)

    def _words(self, command: str) -> list[str]:
        return [*command.split(), *(each.format_map(self._known) for each in COMMANDS[command].split())]

    def _outcome(self, words: list[str], given: str, fault: Fault) -> Outcome:
        signal.alarm(MOST)
        own = [(number, os.dup(number)) for number in range(3)]
        python = sys.stdin, sys.stdout, sys.stderr
        self._set_streams(given, fault.streams)
        problem = ""
        try:
            with ExitStack() as permissions, chdir(self._copy):
                if fault.path:
                    os.chmod(fault.path, fault.mode)
                    permissions.enter_context(permissions_count())
                app(words)
        except SystemExit as ended:
            status = ended.code if type(ended.code) is int else 0
        except BaseException:  # noqa: BLE001
            status, problem = 1, traceback.format_exc()
        finally:
            # The next command may be asked for much later.
            signal.alarm(0)
            sys.stdin, sys.stdout, sys.stderr = python
            for number, kept in own:
                os.dup2(kept, number)
                os.close(kept)
        return Outcome(fault.name, status, self._out.read_text(), self._err.read_text() + problem)

    def _set_streams(self, given: str, streams: dict[int, str]) -> None:
        """The standard streams as a shell would leave them to the process, and Python find them."""
        reading, writing = os.pipe()
        os.write(writing, given.encode())
        os.close(writing)
        files = [os.open(one, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for one in (self._out, self._err)]
        for number, opened in enumerate((reading, *files)):
            to = opened
            match streams.get(number):
                case "full":
                    to = os.open("/dev/full", os.O_WRONLY)
                case "unread":
                    unread, to = os.pipe()
                    os.close(unread)
            os.dup2(to, number)
            for done in {opened, to}:
                os.close(done)
        for number, how in streams.items():
            if how == "closed":
                os.close(number)
        sys.stdin, sys.stdout, sys.stderr = (
            None if streams.get(number) == "closed" else io.TextIOWrapper(io.FileIO(number, mode, closefd=False))
            for number, mode in enumerate(("r", "w", "w"))
        )


def serve(directory: Path) -> None:
    """Read commands, a line each, and answer each with a line of JSON."""
    project = Project(directory)
    for line in sys.stdin:
        sys.stdout.write(json.dumps([asdict(one) for one in project.outcomes(line.strip())]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
