"""Which finders run, and how findings are merged."""

from __future__ import annotations

import pytest

from policyengine.detect import DetectorFailed, Finder, Finding, UnknownKind, Vocabulary, find, needed, registry, width

ALL = registry()


def plug(name: str, find: object, width: int | None = 8, kinds: frozenset[str] = frozenset({"own.word"})) -> Finder:
    return Finder(name, kinds, width, find)  # type: ignore[arg-type]


def test_findings_show_no_value() -> None:
    [found] = find("write to ann@example.com today", {"email"}, ALL)
    assert (found.kind, found.start, found.end) == ("email", 9, 24)
    assert "ann" not in repr(found)


def test_a_group_covers_its_kinds_and_no_other() -> None:
    known = registry(plugged=[plug("own", lambda text: [Finding("own.word", 0, 1, 1.0, "own")])])
    assert [f.kind for f in find("a", {"own"}, known)] == ["own.word"]
    with pytest.raises(UnknownKind):
        find("a", {"ow"}, known)


def test_only_needed_finders_run() -> None:
    def never(text: str) -> list[Finding]:
        raise AssertionError

    known = registry(plugged=[plug("never", never)])
    assert find("ann@example.com", {"email"}, known)
    assert [f.name for f in needed({"own"}, known)] == ["never"]


def test_what_a_finder_raises_is_named_and_not_shown() -> None:
    def broken(text: str) -> list[Finding]:
        raise ValueError(text)

    with pytest.raises(DetectorFailed) as caught:
        find("hunter2", {"own"}, registry(plugged=[plug("broken", broken)]))
    assert caught.value.detector == "broken"
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [None],
        [Finding("own.word", 0, 9, 1.0, "x")],
        [Finding("own.word", 1, 1, 1.0, "x")],
        [Finding("other", 0, 1, 1.0, "x")],
        [Finding("own.word", 0, 1, float("nan"), "x")],
    ],
)
def test_what_is_no_finding_is_a_failure(answer: object) -> None:
    with pytest.raises(DetectorFailed):
        find("abc", {"own"}, registry(plugged=[plug("odd", lambda text: answer)]))


def test_allowed_values_and_replacements_are_no_findings() -> None:
    assert not find("ann@example.com", {"email"}, registry(Vocabulary(allowed=frozenset({"ann@example.com"}))))
    everything = plug("all", lambda text: [Finding("own.word", 1, len(text) - 1, 1.0, "all")])
    assert not find("[email:jbswy3dpeb3w64tm]", {"own"}, registry(plugged=[everything]))
    assert find("[of.no.kind]", {"own"}, registry(plugged=[everything]))
    assert find("[AKIA secret]", {"own"}, registry(plugged=[everything]))


def test_without_a_width_the_whole_text_is_needed() -> None:
    known = registry(plugged=[plug("whole", lambda text: [], width=None)])
    assert width({"own"}, known) is None
    assert width({"email"}, known) is not None
