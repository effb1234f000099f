"""Who searches for the name of a class finds what it stands for: no name stands for two things."""

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
