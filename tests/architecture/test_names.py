"""Two ideas never share the name of a class: who searches for a name finds what it stands for."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.support.paths import PACKAGE

# One idea at two stages: the tree of a text and what has been checked of it, `ast.Rule` and `ir.Rule`.
TREES = {"syntax/ast.py", "syntax/ast_types.py", "ir/nodes.py", "schema/schema.py"}
# One idea on the wire and inside.
WIRE = {"authzen/answers.py", "authzen/requests.py", "authzen/arguments.py"}
# One idea in two rooms that do not know each other, or a name that only its own room reads.
SHARED = {
    "Approvals": "the setting, and what the setting is about",
    "Asked": "of the gate, and of the state store",
    "Asking": "of the gate, and of the state store",
    "Call": "of a function, and of a tool",
    "Env": "what is known while checking, and while evaluating",
    "Event": "what people are told, and what a stream is told",
    "Field": "of a record, and of a store",
    "Found": "in a text, and in a store",
    "Group": "of conditions, and of a layout",
    "Keys": "the setting, and what the setting is about",
    "Known": "of a test, and of a server",
    "Limit": "as granted, and as metered",
    "Refusal": "of a caller, and of a state store",
    "Refused": "over HTTP, and of a state store",
    "Scope": "of a rule, and of an approval",
    "Session": "of the gate, and of the state store",
    "Source": "of a text, and of a value",
    "Ways": "of a gate, and of a stream",
    "PermittedRetriever": "one for each library",
    "Tokens": "of a form, and of a model",
    "Use": "of a module, and of an approval",
}


def test_two_ideas_never_share_the_name_of_a_class() -> None:
    places = defaultdict(set)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            # What only its own file reads may be called as it likes.
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].add(str(path.relative_to(PACKAGE)))
    twice = {name: found for name, found in places.items() if len(found) > 1}
    staged = {name for name, found in twice.items() if found <= TREES or len(found - WIRE) == 1 or found <= WIRE}
    assert sorted(twice.keys() - staged - SHARED.keys()) == []
    assert sorted(SHARED.keys() - (twice.keys() - staged)) == [], "no longer shared"
