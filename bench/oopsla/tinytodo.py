"""tinytodo: task lists with an owner, a team of readers and a team of editors; teams are nested."""

from __future__ import annotations

import random
from typing import Any

from bench.oopsla.graph import Application, Entity, entity, ref, some

TINYTODO = ref("Application", "TinyTodo")


def entities(rng: random.Random, n: int) -> list[Entity]:
    everyone = range(n)
    graph = [entity(TINYTODO["type"], TINYTODO["id"])]
    graph += [entity("User", user, [*some(rng, "Team", everyone), TINYTODO]) for user in everyone]
    graph += [entity("Team", team, [*some(rng, "Team", range(team)), TINYTODO]) for team in everyone]
    for number in everyone:
        graph.append(
            entity(
                "TaskList",
                number,
                [TINYTODO],
                name=f"list {number}",
                owner=ref("User", rng.randrange(n)),
                readers=ref("Team", rng.randrange(n)),
                editors=ref("Team", rng.randrange(n)),
                tasks=[_task(rng) for _ in range(rng.randint(0, 50))],
            )
        )
    return graph


def _task(rng: random.Random) -> dict[str, Any]:
    number = rng.randint(1, 1_000_000)
    return {"name": f"task {number}", "id": number, "state": rng.choice(["checked", "unchecked"])}


ON_LISTS = ("GetList", "UpdateList", "DeleteList", "CreateTask", "UpdateTask", "DeleteTask", "EditShares")

APPLICATION = Application(
    "tinytodo",
    entities,
    {
        "CreateList": ("User", "Application"),
        "GetLists": ("User", "Application"),
        **dict.fromkeys(ON_LISTS, ("User", "TaskList")),
    },
)
