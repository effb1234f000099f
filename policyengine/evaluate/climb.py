"""Statements that find out what is above the principal or the resource, once for all rules of a function.

In: all that the rules ask of the hierarchy above a root, if that is known beforehand. Out: statements that leave under
the name `above_principal` or `above_resource` which of these are above it, and perhaps others that are. Parents that
say nothing of theirs, which is what requests hold, are looked at in place. Everything else, a malformed hierarchy above
all, is left to the function `ancestors`, which gives what the interpreter gives or raises.
"""

from __future__ import annotations

import ast
from collections.abc import Collection

from policyengine.evaluate.emit import Emitter
from policyengine.evaluate.pytree import assign, call, filled, load
from policyengine.model.entities import MAX_ANCESTORS
from policyengine.model.values import Uid

# `ROOT` is the principal or the resource, `KNOWN` what the world knows of it. For a type of which the world has
# records, `_STATED` is about one that states the parents; `_IF_KNOWN` is about parents that have a record.
_LOOK = """
ABOVE = none
if 'parents' in ROOT{unless_stated}:
    parents = ROOT['parents']
    if parents.__class__ is list and len(parents) <= {most}:
        for parent in parents:
            type_ = parent['type']
            id_ = parent['id']
            if type_.__class__ is not str or id_.__class__ is not str or parent.__class__ is not dict:
                ABOVE = ancestors(ROOT, KNOWN)
                break
            if 'parents' in parent:
                ABOVE = ancestors(ROOT, KNOWN)
                break
{if_known}            if {wanted}:
                ABOVE = ABOVE | {found} if ABOVE else {found}
    else:
        ABOVE = ancestors(ROOT, KNOWN)
"""
_IF_KNOWN = """\
            if type_ in records and id_ in records[type_]:
                near = reach(type_, id_, parents)
                if near is None:
                    ABOVE = ancestors(ROOT, KNOWN)
                    break
                ABOVE = ABOVE | near if ABOVE else near
                continue
"""
_STATED = """
elif 'parents' in KNOWN:
    ABOVE = ancestors(ROOT, KNOWN)
"""
_ONE_TYPE = {"wanted": "type_ == TYPE and id_ in WANTED", "found": "WANTED[id_]"}
_SEVERAL = {"wanted": "type_ in WANTED and id_ in WANTED[type_]", "found": "WANTED[type_][id_]"}


def hierarchies(roots: Collection[str], emitter: Emitter) -> list[ast.stmt]:
    """Looks at what is above the principal or the resource."""
    body: list[ast.stmt] = []
    for root in sorted(roots):
        targets = emitter.targets.get(root)
        if targets is None:
            body.append(assign("above_" + root, call("ancestors", load(root), emitter.known(root))))
        else:
            body += _look(root, targets, emitter)
    return body


def _look(root: str, targets: frozenset[Uid], emitter: Emitter) -> list[ast.stmt]:
    types = sorted({uid.type for uid in targets})
    # Each in a set of its own, which is what is found most often.
    by_type = {t: {uid.id: frozenset({uid}) for uid in sorted(targets) if uid.type == t} for t in types}
    site = emitter.site
    stated = site.type_of(root) in site.recorded
    source = _LOOK.format(
        unless_stated=" and 'parents' not in KNOWN" if stated else "",
        most=MAX_ANCESTORS,
        if_known=_IF_KNOWN if site.recorded else "",
        **(_ONE_TYPE if len(types) == 1 else _SEVERAL),
    )
    parts = {
        "ROOT": load(root),
        "KNOWN": emitter.known(root),
        "ABOVE": load("above_" + root),
        "TYPE": ast.Constant(types[0] if types else ""),
        "WANTED": emitter.constant(by_type[types[0]] if len(types) == 1 else by_type),
    }
    return filled(source.rstrip() + _STATED if stated else source, parts)
