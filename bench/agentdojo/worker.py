"""The benchmark's side: one JSON object a line in, one out. Runs where `agentdojo` is, and needs no more.

`suites` lists what there is. `open` begins a run; `call` runs one tool; `score` asks the benchmark's checks.
"""

from __future__ import annotations

import json
import pickle
import sys
from functools import lru_cache
from typing import Any

from agentdojo.functions_runtime import FunctionCall, FunctionsRuntime
from agentdojo.task_suite.load_suites import get_suites

VERSION = "v1.2.2"
SUITES = get_suites(VERSION)


@lru_cache
def environment(suite: str, text: str | None) -> Any:
    """The suite's environment, with the text in every place that a stranger can write to."""
    found = SUITES[suite]
    if text is None:
        return found.load_and_inject_default_environment({})
    places = {name: f"zq{number}zq" for number, name in enumerate(found.get_injection_vector_defaults())}
    marked = json.dumps(found.load_and_inject_default_environment(places).model_dump(mode="json"))
    for mark in places.values():
        marked = marked.replace(mark, json.dumps(text)[1:-1])
    return found.environment_type.model_validate_json(marked)


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


@lru_cache(4096)
def beginning(suite: str, task: str, text: str | None) -> bytes:
    """The environment of a task before anything is done, to be copied fast."""
    return pickle.dumps(SUITES[suite].user_tasks[task].init_environment(environment(suite, text).model_copy(deep=True)))


@lru_cache(16384)
def opened(suite: str, task: str, injection: str | None, text: str | None) -> str:
    """What a run begins with, as JSON."""
    found, before = SUITES[suite].user_tasks[task], beginning(suite, task, text)
    goal = SUITES[suite].injection_tasks[injection] if injection else None
    begun = {
        "prompt": found.PROMPT,
        "calls": _calls(found.ground_truth(pickle.loads(before))),
        "injected": _injected(goal, pickle.loads(before)),
        "environment": plain(pickle.loads(before)),
    }
    return json.dumps(begun, default=str)


class Run:
    def __init__(self, suite: str, task: str, injection: str | None, text: str | None) -> None:
        self.suite = SUITES[suite]
        self.task = self.suite.user_tasks[task]
        self.injection = self.suite.injection_tasks[injection] if injection else None
        begun = beginning(suite, task, text)
        self.before, self.environment = pickle.loads(begun), pickle.loads(begun)
        self.runtime = FunctionsRuntime(self.suite.tools)
        self.trace: list[FunctionCall] = []

    def call(self, tool: str, args: dict[str, Any]) -> dict[str, Any]:
        result, error = self.runtime.run_function(self.environment, tool, args)
        self.trace.append(FunctionCall(function=tool, args=args))
        return {"error": error} if error else {"result": plain(result)}

    def score(self) -> dict[str, Any]:
        output = [{"type": "text", "content": self.task.GROUND_TRUTH_OUTPUT}]

        def check(task: Any) -> bool:
            return bool(self.suite._check_task_result(task, output, self.before, self.environment, self.trace))

        return {"useful": check(self.task), "attacked": self.injection is not None and check(self.injection)}


def _calls(calls: Any) -> list[list[Any]]:
    return [[call.function, plain(dict(call.args))] for call in calls]


def _injected(injection: Any, before: Any) -> list[list[Any]]:
    return _calls(injection.ground_truth(before)) if injection else []


def suites() -> dict[str, Any]:
    found = {}
    for name, suite in SUITES.items():
        usual = environment(name, None)
        goals = {
            key: {"goal": task.GOAL, "calls": _injected(task, usual.model_copy(deep=True))}
            for key, task in suite.injection_tasks.items()
        }
        found[name] = {
            "tasks": list(suite.user_tasks),
            "injections": {key: goal for key, goal in goals.items() if goal["calls"]},
            "tools": [tool.name for tool in suite.tools],
        }
    return found


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    run: Run | None = None
    for line in sys.stdin:
        asked = json.loads(line)
        match asked.pop("ask"):
            case "suites":
                answer: Any = suites()
            case "open":
                run = Run(**asked)
                answer = opened(**asked)
            case "call" if run is not None:
                answer = run.call(**asked)
            case "score" if run is not None:
                answer = run.score()
            case other:
                answer = {"error": f"{other} cannot be asked now"}
        answers.write((answer if isinstance(answer, str) else json.dumps(answer, default=str)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
