"""Who searches for the name of a class finds what it stands for: few names stand for two things, and no more."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.support.paths import PACKAGE

# One idea at two stages: the tree of a text and what has been checked of it, `ast.Rule` and `ir.Rule`.
TREES = {"syntax/ast.py", "syntax/ast_types.py", "ir/nodes.py", "schema/schema.py"}
# One idea on the wire and inside.
WIRE = {"authzen/answers.py", "authzen/requests.py", "authzen/arguments.py"}
# So many other names are shared: by rooms that do not know each other, most of them. It only ever gets smaller.
MOST = 31


def test_few_ideas_share_the_name_of_a_class() -> None:
    places = defaultdict(set)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            # What only its own file reads may be called as it likes.
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].add(str(path.relative_to(PACKAGE)))
    twice = {name: found for name, found in places.items() if len(found) > 1}
    staged = {name for name, found in twice.items() if found <= TREES or len(found - WIRE) <= 1}
    shared = sorted(twice.keys() - staged)
    assert len(shared) <= MOST, shared
