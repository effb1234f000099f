"""gdrive: documents in folders, owned by users, shared with users and groups by views.

A user's view is what the user may see; a group's view is in the views of its members. (In the original, what is
shared points at views by a name that no view has, so that sharing grants nothing; here it does.)
"""

from __future__ import annotations

import random

from bench.oopsla.graph import EDGE, Application, Entity, entity, ref, some


def entities(rng: random.Random, n: int) -> list[Entity]:
    everyone = range(n)
    members: dict[int, list[int]] = {group: [] for group in everyone}
    graph: list[Entity] = []
    for user in everyone:
        groups = some(rng, "Group", everyone)
        for group in groups:
            members[int(group["id"])].append(user)
        graph.append(
            entity(
                "User",
                user,
                groups,
                view=ref("View", f"user {user}"),
                owned_documents=some(rng, "Document", everyone),
                owned_folders=some(rng, "Folder", everyone),
            )
        )
        graph.append(entity("View", f"user {user}"))
    for group in everyone:
        graph.append(entity("Group", group))
        graph.append(entity("View", f"group {group}", [ref("View", f"user {user}") for user in members[group]]))
    for document in everyone:
        parents = some(rng, "Folder", everyone) + _shared(rng, n)
        graph.append(entity("Document", document, parents, is_public=rng.random() < 0.5))
    for folder in everyone:
        graph.append(entity("Folder", folder, some(rng, "Folder", range(folder)) + _shared(rng, n)))
    return graph


def _shared(rng: random.Random, n: int) -> list[dict[str, str]]:
    users = [ref("View", f"user {user}") for user in range(n)]
    groups = [ref("View", f"group {group}") for group in range(n)]
    return [view for view in users + groups if rng.random() < EDGE]


APPLICATION = Application(
    "gdrive",
    entities,
    {
        "read": ("User", "Document"),
        "write": ("User", "Document"),
        "share": ("User", "Document"),
        "change_owner": ("User", "Document"),
        "create_document": ("User", "Folder"),
    },
)
