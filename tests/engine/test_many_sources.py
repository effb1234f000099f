"""What a request says of where arguments came from is read once, and each argument is asked about once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policyengine import Engine
from policyengine.model import argument_sources
from tests.support.steps import steps

USER = {"type": "User", "id": "u"}


def _asking(mentions: int, entries: int, times: int = 1) -> Callable[[], Any]:
    """A decision for which so many arguments are asked about, each so many times, with so many entries beside them."""
    names = [f"k{n}" for n in range(mentions)]
    asked = " and ".join(f'"user" in sources(tool.args.{name})' for name in names * times)
    args = ", ".join(f"{name}: String" for name in names)
    text = f"use ai\ntool t({args}, more: Json)\npermit p: call on Tool when {asked}\n"
    engine = Engine.from_text(text)
    more = {f"m{n}": n for n in range(entries)}
    stated: dict[str, Any] = {name: ["user"] for name in names} | {f"/more/{name}": ["user"] for name in more}
    tool = {"type": "Tool", "id": "t", "args": {**dict.fromkeys(names, "x"), "more": more}}

    def ask() -> Any:
        return engine.decide(principal=USER, action="call", resource=tool, context={"provenance": stated})

    for _ in range(3):
        assert ask().allowed
    return ask


@pytest.mark.parametrize(("more", "less"), [((40, 5), (20, 5)), ((5, 400), (5, 200)), ((40, 400), (20, 200))])
def test_twice_as_much_is_twice_the_work(more: tuple[int, int], less: tuple[int, int]) -> None:
    assert steps(_asking(*more)) < 2.2 * steps(_asking(*less))


def _listed(items: int, entries: int) -> Callable[[], Any]:
    """A decision for which the sources of so many elements are asked about, beside so many entries about others."""
    text = """use ai
tool t(items: List<{ to: String }>, more: Json)
permit p: call on Tool when all x in tool.args.items: "user" in sources(x.to)
"""
    engine = Engine.from_text(text)
    more = {f"m{n}": n for n in range(entries)}
    stated: dict[str, Any] = {"": ["user"]} | {f"/more/{name}": ["web"] for name in more}
    tool = {"type": "Tool", "id": "t", "args": {"items": [{"to": "x"}] * items, "more": more}}

    def ask() -> Any:
        return engine.decide(principal=USER, action="call", resource=tool, context={"provenance": stated})

    for _ in range(3):
        assert ask().allowed
    return ask


def test_a_mention_is_as_much_work_whatever_is_stated_of_others() -> None:
    def of_each(entries: int) -> float:
        return (steps(_listed(90, entries)) - steps(_listed(30, entries))) / 60

    assert of_each(5) == of_each(400) <= 16


def test_what_was_asked_is_not_found_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []
    find = argument_sources.SourceIndex.sources

    def counted(self: Any, path: Any) -> Any:
        found.append(path)
        return find(self, path)

    monkeypatch.setattr(argument_sources.SourceIndex, "sources", counted)
    ask = _asking(20, 20, times=3)
    found.clear()
    ask()
    assert sorted(found) == sorted((f"k{n}",) for n in range(20))
