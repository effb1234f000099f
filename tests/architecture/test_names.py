"""The name of a class or of a module stands for one thing, so that whoever searches for it finds what it stands for."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.support.paths import PACKAGE

# One idea at two stages: the tree of a text and what has been checked of it, `ast.Rule` and `ir.Rule`.
TREES = {"syntax/ast.py", "syntax/ast_types.py", "ir/nodes.py", "schema/schema.py"}
# One idea on the wire and inside.
WIRE = {"authzen/answers.py", "authzen/requests.py", "authzen/engine_arguments.py"}
# One idea in each framework, under the name that its users look for; and what was retrieved, with its place in a tree.
KNOWN = {"PermittedRetriever", "PolicyMiddleware", "Sources"}


def test_no_two_ideas_share_the_name_of_a_class() -> None:
    places = defaultdict(set)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            # What only its own file reads may be called as it likes.
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].add(str(path.relative_to(PACKAGE)))
    twice = {name: found for name, found in places.items() if len(found) > 1}
    staged = {name for name, found in twice.items() if found <= TREES or len(found - WIRE) <= 1}
    shared = twice.keys() - staged
    assert shared <= KNOWN, shared - KNOWN


# Modules of one name: the same idea, in the room that its other modules say. What an edge does with it has its name.
EDGES = {"authzen", "cli", "server", "settings"}
SAME_IDEA = {
    "approving": "a call waits for the approval of a person",
    "cases": "tests, before and after the check",
    "evaluator": "what decides about requests",
    "functions": "the built-in functions: their types, and their meanings",
    "hierarchy": "which entities are in which",
    "misspelt_names": "names for which a request is refused",
    "opening": "from a URL to a store",
    "operands": "the operands of an operator",
    "postgresql": "PostgreSQL", "redis": "Redis", "sqlite": "SQLite", "store": "what every store does",
    "results": "the results of tools",
    "rules": "the rules of a policy set",
    "service": "the half of an engine that a room adds",
    "sessions": "sessions",
    "walk": "every node, once",
}  # fmt: skip


def test_no_two_ideas_share_the_name_of_a_module() -> None:
    rooms = defaultdict(set)
    for path in sorted(PACKAGE.rglob("*.py")):
        if not path.stem.startswith("__"):
            rooms[path.stem].add(path.relative_to(PACKAGE).parts[0])
    twice = {name for name, found in rooms.items() if len(found - EDGES) > 1}
    assert twice == SAME_IDEA.keys(), twice ^ SAME_IDEA.keys()
