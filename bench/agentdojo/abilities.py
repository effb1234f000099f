"""What each ability of the gate is worth: the same policies, with one of them taken away."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from bench.agentdojo.gates import policies
from bench.agentdojo.replay import Opener
from bench.agentdojo.standing import StandingData
from policyengine.gate import normal_form
from policyengine.gate.composed_text import TrustedWords
from policyengine.gate.history import History
from policyengine.gate.session import Session
from policyengine.gate.trail import Trail

BY_ITEM = re.compile(
    r"(label untrusted\w*: receive on [^\n]*(?:\n +Tool[^\n]*)*(?:\n\])?)\n  (?:when|unless)(?:[^\n]+\n)+"
)


def _nothing_known(known: StandingData) -> StandingData:
    return StandingData([], {name: [] if isinstance(value, list) else "" for name, value in known.standing.items()})


def _without(text: Callable[[str], str]) -> Callable[[bool], Opener]:
    return lambda person: policies(person, text=text)


@contextmanager
def _patched(*changes: tuple[object, str, object]) -> Iterator[None]:
    with ExitStack() as stack:
        for where, name, new in changes:
            stack.enter_context(patch.object(where, name, new))
        forget()
        yield
    forget()


def forget() -> None:
    """What a form was with the ability."""
    normal_form.one_thing.cache_clear()
    normal_form._short_names.cache_clear()


# By name: the gate without it, and what is changed in the package while it runs.
ABILITIES: dict[str, tuple[Callable[[bool], Opener], list[tuple[object, str, object]]]] = {
    "provenance": (policies, [(Trail, "provenance", lambda self, args: {})]),
    "standing data": (lambda person: policies(person, known=_nothing_known), []),
    "trust per field of a result": (_without(lambda text: text.replace(" trusted", "")), []),
    "labels per item of a result": (_without(lambda text: BY_ITEM.sub(r"\1\n", text)), []),
    "days and times in other spellings": (policies, [
        (normal_form, "long_days", lambda text: []), (normal_form, "one_day", lambda text: ""),
        (normal_form, "times", lambda text: []), (normal_form, "one_time", lambda text: ""),
    ]),
    "the user's words as a root": (policies, [(Session, "_request", lambda self: {"text": "", "named": []})]),
    "identifiers that the user named": (policies, [
        (Session, "_request", lambda self: {"text": "\n".join(self.said), "named": []}),
    ]),
    "composed text": (policies, [(TrustedWords, "compose", lambda self, text, names: False)]),
    "history": (policies, [(History, "read", lambda self: [])]),
}  # fmt: skip


@contextmanager
def without(ability: str) -> Iterator[Callable[[bool], Opener]]:
    opener, changes = ABILITIES[ability]
    with _patched(*changes):
        yield opener
