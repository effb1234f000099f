"""An interceptor of AGENT-HOOKS on our policies, beside `agent-control-spec`, which is one on Rego and Cedar.

    git clone https://github.com/responsibleai/agent-control-spec
    python -m bench.hooks --data agent-control-spec/examples/bank_agent

The snapshots of that example are one run of an agent, from its start to its end. Theirs decides them with the example's
`manifest.bench.yaml`, in an environment and a process of its own; ours with `bank.pol`, which says the same. Theirs
keeps nothing of a run. Ours is a session: each run is a new one, the session is opened within the first call of it, and
what a call returned is observed. Neither side stops its garbage collector. Both take turns; of each call of the run the
median of the best round counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from bench.peers import Peer
from bench.peers.environment import python_of
from policyengine import Engine
from policyengine.detect import Pattern, Vocabulary, registry
from policyengine.integrations.agent_hooks import PolicyInterceptor
from policyengine.release.inspection import Inspection

HERE = Path(__file__).parent
PEER = Peer("agent-control-spec", "theirs", "agent-control-spec", ("--pre",))
# In the order of a run. The safe call comes before the result that it has.
POINTS = (
    "agent_startup", "input", "pre_model_call", "post_model_call", "pre_tool_call.safe", "post_tool_call",
    "pre_tool_call", "output", "agent_shutdown",
)  # fmt: skip
# Where a snapshot has what is decided about, and what the contract calls it.
TARGETS = {
    "input": ("input",), "pre_model_call": ("model_request", "messages"),
    "post_model_call": ("model_response", "message"), "pre_tool_call": ("tool_call", "args"),
    "post_tool_call": ("tool_result",), "output": ("output",),
}  # fmt: skip
RUNS = count()
Context = dict[str, Any]


def context(point: str, snapshot: Mapping[str, Any]) -> Context:
    """A snapshot in the contract's words."""
    made: Context = {**snapshot, "interception_point": point}
    target: Any = snapshot
    for name in TARGETS.get(point, ()):
        target = target[name]
    if point in ("input", "output"):
        target = {"role": "user" if point == "input" else "assistant", "content": target["text"]}
    if point == "pre_model_call":
        made["model"] = {"id": snapshot["model_request"]["model"]}
    return {**made, "target": target}


def in_new_session(contexts: list[Context]) -> list[Context]:
    session = {"id": f"run-{next(RUNS)}"}
    return [{**one, "session": session} for one in contexts]


def said(verdict: Mapping[str, Any], target: Any) -> tuple[str, Any]:
    """What a verdict comes to: the decision, and what there is to go on with."""
    transform = verdict.get("transform")
    if transform is None:
        return str(verdict["decision"]), None
    path = [part for part in transform["path"].removeprefix("$target").split(".") if part]
    if not path:
        return "transform", transform["value"]
    (name,) = path
    return "transform", {**target, name: transform["value"]}


def ours(policy: str, contexts: list[Context]) -> tuple[PolicyInterceptor, list[Any]]:
    vocabulary = Vocabulary(patterns=(Pattern("own.account", r"\bCHK-[0-9]+\b", width=24),))
    engine = Engine.from_text(policy, inspection=Inspection(finders=registry(vocabulary)))
    whose = {"type": "User", "id": "customer-123", "tenant": "bank", "roles": ["customer"]}
    gate = PolicyInterceptor(engine, principal=whose, model={}, output={"tenant": "bank"})
    return gate, [gate.intercept(one).to_wire() for one in in_new_session(contexts)]


def timed(gate: PolicyInterceptor, contexts: list[Context], runs: int) -> list[list[int]]:
    took: list[list[int]] = [[] for _ in contexts]
    for _ in range(runs):
        for at, one in enumerate(in_new_session(contexts)):
            start = time.perf_counter_ns()
            gate.intercept(one)
            took[at].append(time.perf_counter_ns() - start)
    return took


def medians(rounds: list[list[list[int]]]) -> list[float]:
    """By call: that of its best round, in microseconds."""
    return [min(statistics.median(one[at]) for one in rounds) / 1e3 for at in range(len(rounds[0]))]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.hooks", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="`examples/bank_agent` of a checkout")
    parser.add_argument("--runs", type=int, default=100, help="in a round")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    snapshots = [json.loads((given.data / "snapshots" / f"{name}.json").read_text("utf-8")) for name in POINTS]
    points = [name.removesuffix(".safe") for name in POINTS]
    contexts = [context(point, one) for point, one in zip(points, snapshots, strict=True)]
    gate, our_verdicts = ours((HERE / "bank.pol").read_text("utf-8"), contexts)
    command = [str(python_of(PEER)), str(HERE / "theirs.py"), str((given.data / "manifest.bench.yaml").resolve())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(value: Any) -> Any:
            process.stdin.write(json.dumps(value) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        their_verdicts = ask(list(zip(points, snapshots, strict=True)))
        ask(given.runs)
        timed(gate, contexts, given.runs)
        rounds: tuple[list[Any], list[Any]] = ([], [])
        for _ in range(given.rounds):
            rounds[0].append(ask(given.runs))
            rounds[1].append(timed(gate, contexts, given.runs))
        process.stdin.close()
    theirs, own = medians(rounds[0]), medians(rounds[1])
    print("| call | theirs | ours | | agent-control-spec | policyengine | times |\n|---|---|---|---|---|---|---|")
    for at, name in enumerate(POINTS):
        target = contexts[at].get("target")
        raw = snapshots[at].get("output") if name == "output" else target
        one, other = said(their_verdicts[at], raw), said(our_verdicts[at], target)
        same = one[0] == other[0] and _text(one[1]) == _text(other[1])
        agree = "the same" if same else "differs"
        times = f"{theirs[at]:.1f} µs | {own[at]:.1f} µs | {theirs[at] / own[at]:.1f} ×"
        print(f"| {name} | {one[0]} | {other[0]} | {agree} | {times} |")
    pooled = [statistics.median(t for one in all_ for calls in one for t in calls) / 1e3 for all_ in rounds]
    print(f"\nmedian of all calls: {pooled[0]:.1f} µs and {pooled[1]:.1f} µs, {pooled[0] / pooled[1]:.1f} ×")
    middle = statistics.median(theirs), statistics.median(own)
    print(f"median of those of each: {middle[0]:.1f} µs and {middle[1]:.1f} µs, {middle[0] / middle[1]:.1f} ×")


def _text(value: Any) -> Any:
    """An output, in the example's words or the contract's."""
    return value.get("text", value.get("content", value)) if isinstance(value, dict) else value


if __name__ == "__main__":
    main()
