"""github: users and nested teams hold permissions on repositories, and on the organizations that own them."""

from __future__ import annotations

import random

from bench.oopsla.graph import EDGE, Application, Entity, Reference, entity, ref, some

REPOSITORY = ("readers", "triagers", "writers", "maintainers", "admins")
ORGANIZATION = ("readers", "writers", "admins")


def entities(rng: random.Random, n: int) -> list[Entity]:
    everyone = range(n)
    graph: list[Entity] = []
    for organization in everyone:
        held = _held(rng, "OrgPermission", ORGANIZATION, n)
        permissions = {role: ref("OrgPermission", f"{organization} {role}") for role in ORGANIZATION}
        graph.append(entity("Organization", organization, held, **permissions))
        graph += [entity("OrgPermission", permission["id"]) for permission in permissions.values()]
    for repository in everyone:
        permissions = {role: ref("RepoPermission", f"{repository} {role}") for role in REPOSITORY}
        owner = ref("Organization", rng.randrange(n))
        graph.append(entity("Repository", repository, owner=owner, **permissions))
        graph += [entity("RepoPermission", permission["id"]) for permission in permissions.values()]
    for team in everyone:
        parents = some(rng, "Team", range(team)) + _held(rng, "RepoPermission", REPOSITORY, n)
        graph.append(entity("Team", team, parents))
    for user in everyone:
        parents = _held(rng, "RepoPermission", REPOSITORY, n) + some(rng, "Team", everyone)
        parents += some(rng, "Organization", everyone) + _held(rng, "OrgPermission", ORGANIZATION, n)
        graph.append(entity("User", user, parents))
    return graph


def _held(rng: random.Random, type_: str, roles: tuple[str, ...], n: int) -> list[Reference]:
    """A role on each of n things, or none."""
    return [ref(type_, f"{number} {rng.choice(roles)}") for number in range(n) if rng.random() < EDGE]


APPLICATION = Application(
    "github",
    entities,
    dict.fromkeys(("read", "triage", "write", "maintain", "admin"), ("User", "Repository")),
)
