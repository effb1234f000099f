"""What is above the principal or the resource, found out once for all rules of a function.

In: all that the rules ask of the hierarchy above a root, if that is known beforehand. Out: statements that leave under
the name `above_principal` or `above_resource` which of these are above it, and perhaps others that are.
"""

from __future__ import annotations

import ast
from collections.abc import Collection

from policyengine.evaluate.emit import Emitter
from policyengine.evaluate.pytree import assign, call, load


def hierarchies(roots: Collection[str], emitter: Emitter) -> list[ast.stmt]:
    """Looks at what is above the principal or the resource."""
    body: list[ast.stmt] = []
    for root in sorted(roots):
        targets = emitter.targets.get(root)
        if targets is None:
            above: ast.expr = call("ancestors", load(root), emitter.known(root))
        else:
            above = emitter.above_of(root, targets)
        body.append(assign("above_" + root, above))
    return body
