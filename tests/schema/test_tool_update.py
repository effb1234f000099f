"""Importing again: what people wrote stays, what is offered is brought up to date, and the difference is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine.bundle import load_path, load_text
from policyengine.diagnostics.source import Source
from policyengine.schema.tool_import import import_tools, to_source
from policyengine.schema.tool_update import update
from tests.cli.conftest import Cli


def tool(name: str, annotations: Any = None, **properties: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {n: {"type": t} for n, t in properties.items()}}
    return {"name": name, "inputSchema": schema, **({"annotations": annotations} if annotations else {})}


def imported(*tools: Any) -> str:
    return to_source(import_tools({"tools": list(tools)}), "tools")


def updated(text: str, *tools: Any) -> tuple[str, list[tuple[str, str]]]:
    found = update(Source("tools.pol", text), import_tools({"tools": list(tools)}))
    assert found.text is not None, found.diagnostics
    return found.text, [(one.kind, one.tool) for one in found.drift]


def facts(text: str, name: str) -> dict[str, Any]:
    snapshot = load_text(text, "tools.pol").snapshot
    assert snapshot is not None, [d.message for d in load_text(text).diagnostics]
    return dict(snapshot.schema.tools[name].facts)


SEARCH = tool("search", query="string")


def test_the_same_again_changes_nothing() -> None:
    text = imported(SEARCH, tool("send-mail", {"destructiveHint": True}, to="string"))
    assert updated(text, SEARCH, tool("send-mail", {"destructiveHint": True}, to="string")) == (text, [])


def test_what_people_wrote_stays() -> None:
    text = imported(SEARCH).replace("sends_outside: true", "sends_outside: false")
    text = text.replace("facts search", "# looked at on Monday\nfacts search")
    text += '\npermit search: call on Tool::"search" for User  # mine\n'
    new, drift = updated(text, tool("search", query="string", limit="integer"))
    assert drift == [("changed", "search")]
    assert "limit?: Int" in new
    assert "# looked at on Monday\nfacts search" in new
    assert new.endswith("for User  # mine\n")
    assert facts(new, "search") == {"sends_outside": False, "reads_untrusted": True}


def test_a_new_tool_comes_with_the_worst_case_unless_its_facts_are_stated() -> None:
    text = imported(SEARCH)
    new, drift = updated(text, SEARCH, tool("wipe", disk="string"))
    assert drift == [("new", "wipe")]
    assert new.startswith(text.rstrip())
    assert facts(new, "wipe") == {"sends_outside": True, "reads_untrusted": True}
    stated = text + "\nfacts wipe { sends_outside: false, reads_untrusted: false }\n"
    assert facts(updated(stated, SEARCH, tool("wipe"))[0], "wipe") == {"sends_outside": False, "reads_untrusted": False}


def test_a_tool_that_is_gone_is_told_and_stays() -> None:
    text = imported(SEARCH, tool("wipe"))
    assert updated(text, SEARCH) == (text, [("gone", "wipe")])


def test_claims_come_anew_and_corrected_facts_in_a_declaration_stay() -> None:
    text = (
        "module tools\n\nuse ai\n\ntool search(query?: String)\n  { sends_outside: false, claimed_read_only: false }\n"
    )
    new, drift = updated(text, tool("search", {"readOnlyHint": True}, query="string"))
    assert drift == [("changed", "search")]
    assert facts(new, "search") == {"sends_outside": False, "claimed_read_only": True}
    new, _ = updated(text, SEARCH)
    assert facts(new, "search") == {"sends_outside": False}


def test_what_a_tool_returns_comes_anew_unless_people_marked_it() -> None:
    now = {**SEARCH, "outputSchema": {"type": "object", "properties": {"n": {"type": "integer"}}}}
    new, drift = updated(imported(SEARCH), now)
    assert "tool search(query?: String) returns { n?: Int }" in new
    assert drift == [("changed", "search")]
    for mine in ("{ n?: Int trusted }", "String"):
        marked = new.replace("{ n?: Int }", mine)
        assert updated(marked, now)[0] == (marked if "trusted" in mine else new)
        assert updated(marked, SEARCH)[0] == marked


def test_comments_in_a_declaration_that_changed_stay_above_it() -> None:
    text = "module tools\n\nuse ai\n\ntool search(\n  query?: String,  # as typed\n)\n"
    new, _ = updated(text, tool("search", query="integer"))
    assert "# as typed\ntool search(query?: Int)" in new


def test_a_text_with_errors_is_left_alone() -> None:
    found = update(Source("tools.pol", "module tools\nuse ai\ntool ("), import_tools([SEARCH]))
    assert found.text is None
    assert found.diagnostics


NAMES = st.sampled_from(["search", "send-mail", "wipe", "use", "facts", "a\nb", "é"])
TOOLS = st.lists(
    st.builds(
        lambda name, hints, properties: tool(name, hints, **properties),
        NAMES,
        st.none() | st.dictionaries(st.sampled_from(["readOnlyHint", "destructiveHint"]), st.booleans()),
        st.dictionaries(st.sampled_from(["q", "to", "n"]), st.sampled_from(["string", "integer", "array"])),
    ),
    min_size=1,
    unique_by=lambda one: one["name"],
)


@given(TOOLS, TOOLS)
def test_an_update_declares_what_an_import_would_and_a_second_one_changes_nothing(before: Any, now: Any) -> None:
    text, _ = updated(imported(*before), *now)
    snapshot, fresh = load_text(text, "tools.pol").snapshot, load_text(imported(*now), "tools.pol").snapshot
    assert snapshot is not None
    assert fresh is not None
    for name, declared in fresh.schema.tools.items():
        assert (snapshot.schema.tools[name].args, snapshot.schema.tools[name].facts) == (declared.args, declared.facts)
    again, drift = updated(text, *now)
    assert again == text
    assert {kind for kind, _ in drift} <= {"gone"}


# ---- the statement itself ----


def test_facts_stand_in_a_module_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "tools.pol").write_text("module tools\nuse ai\ntool search(query: String)\n")
    (tmp_path / "ours.pol").write_text(
        "module ours\nuse ai\nuse tools\nfacts search { sends_outside: false, reads_untrusted: true }\n"
        'permit inside: call on Tool when not tool.sends_outside\ntest "inside" { principal User::"ann" '
        'call on Tool::"search" { args: { query: "x" }, sends_outside: true } expect allow by inside }\n'
    )
    loaded = load_path(tmp_path)
    assert loaded.snapshot is not None
    assert dict(loaded.snapshot.schema.tools["search"].facts) == {"sends_outside": False, "reads_untrusted": True}


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("facts serach { sends_outside: true }", "POL250 unknown tool `serach`"),
        ("facts search { sends_outsid: true }", "POL204 unknown attribute `sends_outsid` on entity type `Tool`"),
        ("facts search { sends_outside: 1 }", "POL212 `sends_outside` should be Bool"),
        ("facts search { reads_untrusted: true }", "POL210 `reads_untrusted` of the tool `search` is stated twice"),
        ("facts search { sends_outside: true } facts search { sends_outside: true }",
         "POL210 `sends_outside` of the tool `search` is stated twice"),
        ("facts search { sends_outside: true, sends_outside: false }", "POL210 `sends_outside` appears twice"),
        ("facts search { args: {} }", "POL204 unknown attribute `args` on entity type `Tool`"),
    ],
)  # fmt: skip
def test_what_is_wrong_about_facts_is_told(text: str, finding: str) -> None:
    found = load_text(f"module m\nuse ai\ntool search(query: String) {{ reads_untrusted: false }}\n{text}\n")
    assert [f"{d.code.id} {d.message}" for d in found.diagnostics if d.is_error] == [finding]


# ---- the command ----


@pytest.fixture
def cli() -> Cli:
    return Cli()


def test_the_command_shows_what_drifted_and_writes_it(tmp_path: Path, cli: Cli) -> None:
    answer, file = tmp_path / "tools.json", tmp_path / "tools.pol"
    answer.write_text(json.dumps({"tools": [SEARCH, tool("wipe")]}))
    assert cli("schema", "import", answer, "--out", file) == 0
    assert cli("schema", "import", answer, "--update", file, "--check") == 0
    assert cli.out == ""
    answer.write_text(json.dumps({"tools": [tool("search", query="string", limit="integer"), tool("new\x1b[31m")]}))
    before = file.read_text()
    assert cli("schema", "import", answer, "--update", file, "--check") == 1
    assert file.read_text() == before
    assert cli("schema", "import", answer, "--update", file) == 0
    assert [line for line in cli.out.splitlines() if line[0] in "+~-"] == [
        "~ search: changed", "- wipe: not offered any more, and kept", "+ new\\u{1b}[31m: new",
    ]  # fmt: skip
    assert "    - tool search(query?: String)\n    + tool search(query?: String, limit?: Int)" in cli.out
    assert cli("schema", "import", answer, "--update", file, "--check") == 1
    assert cli.out == "- wipe: not offered any more, and kept\n"


def test_what_does_not_fit_together_is_refused(tmp_path: Path, cli: Cli) -> None:
    answer = tmp_path / "tools.json"
    answer.write_text(json.dumps({"tools": [SEARCH]}))
    assert cli("schema", "import", answer, "--check") == 2
    assert cli("schema", "import", answer, "--update", "a.pol", "--out", "b.pol") == 2
    assert cli("schema", "import", answer, "--update", tmp_path / "none.pol") == 2
    broken = tmp_path / "broken.pol"
    broken.write_text("tool (")
    assert cli("schema", "import", answer, "--update", broken) == 1
    assert broken.read_text() == "tool ("
