"""The `test` statement: what is expected, tables, fixtures, and several steps with a session, calls and limits."""

from __future__ import annotations

import pytest

from policyengine.bundle import load_path, load_text
from policyengine.diagnostics.diagnostic import has_errors
from policyengine.testing import CaseResult, run_cases

POLICIES = """module m
use ai
extend Document { owner_team?: String }
tool browse(url: String) { sends_outside: false, reads_untrusted: true }
tool send(to: String) { sends_outside: true, reads_untrusted: false }
permit tools: call on Tool for User
permit read: retrieve on Document
  when document.tenant == principal.tenant
permit models: invoke on Model
forbid secret: retrieve on Document
  when document.classification > 2
  because "it is classified"
label saw_web: call on Tool
  when tool.reads_untrusted
forbid exfiltration: call on Tool
  when tool.sends_outside and "saw_web" in session.labels
  because "this session has read the web"
limit rate: invoke on Model
  at most 2 requests per 1m by principal
require ask: call on Tool::"send"
  when tool.args.to == "board"
  approval(by: Group::"board")
"""


def results(text: str, policies: str = POLICIES) -> list[CaseResult]:
    loaded = load_text(policies + text, "m.pol")
    assert loaded.snapshot is not None, [d.message for d in loaded.diagnostics]
    return list(run_cases(loaded.snapshot.policies, loaded.snapshot.schema))


def problems(text: str, policies: str = POLICIES) -> list[str]:
    [result] = results(text, policies)
    return list(result.problems)


def findings(text: str, policies: str = POLICIES) -> list[str]:
    loaded = load_text(policies + text, "m.pol")
    return [f"{d.code.id} {d.message}" for d in loaded.diagnostics if d.code.id != "POL310"]


# ---- because ----

ANN = 'principal User::"ann" { tenant: "acme" }'


def reading(attributes: str, expect: str) -> str:
    return f'test "t" {{ {ANN} retrieve on Document::"d" {{ {attributes} }} expect {expect} }}'


@pytest.mark.parametrize(
    ("attributes", "expect"),
    [
        # No permit grants it, as what the permit reads is not there.
        ("classification: 1", "deny because missing"),
        ("classification: 1", "deny because erred"),
        # The forbid reads what is not there.
        ('tenant: "acme"', "deny by secret because missing"),
        ('tenant: "acme", classification: "1"', "deny by secret because erred"),
        ('tenant: "acme", classification: 3', 'deny by secret because "it is classified" owing nothing'),
    ],
)
def test_a_denial_says_because_of_what(attributes: str, expect: str) -> None:
    assert problems(reading(attributes, expect)) == []


@pytest.mark.parametrize(
    ("attributes", "expect", "problem"),
    [
        # Denied by a rule that held: that something else could not be evaluated is not why.
        ("classification: 3", "deny because missing", "expected it to be denied because of an error"),
        ('tenant: "globex", classification: 1', "deny because missing", "expected it to be denied because of an error"),
        ('tenant: "globex", classification: 1', "deny because erred", "expected it to be denied because of an error"),
        ('tenant: "acme", classification: "1"', "deny because missing", "expected something to be missing"),
        ('tenant: "acme"', 'deny because "it is classified"', 'expected the reason "it is classified", it gives none'),
        ('tenant: "acme", classification: 1', "deny because missing", "expected deny, got allow"),
    ],
)
def test_another_cause_fails(attributes: str, expect: str, problem: str) -> None:
    [found] = problems(reading(attributes, expect))
    assert found.startswith(problem)


def test_a_missing_argument_is_missing_and_an_undeclared_one_is_not() -> None:
    def calling(args: str, word: str) -> str:
        return f'test "t" {{ {ANN} call on Tool::"browse" {{ args: {args} }} expect deny because {word} }}'

    assert problems(calling("{}", "missing")) == []
    assert problems(calling('{ url: "u", depth: 1 }', "erred")) == []
    [found] = problems(calling('{ url: "u", depth: 1 }', "missing"))
    assert found.startswith("expected something to be missing")
    # What the value says is not read as what the engine says.
    [found] = problems(calling('{ url: "u", "x` is missing": 1 }', "missing"))
    assert found.startswith("expected something to be missing")


def test_an_unknown_cause_is_told() -> None:
    assert findings(reading("", "deny because mising")) == ["POL224 unknown cause `mising`"]
    assert findings(reading("", "allow because missing")) == [
        "POL224 `allow` cannot be expected because of what is missing"
    ]


# ---- tables ----

TABLE = """
test "who reads what" {
  principal User::"ann" { tenant: mine }
  retrieve on Document::"d" { tenant: theirs, classification: level }
  case { mine: "acme", theirs: "acme", level: 1 } expect allow by read
  case { mine: "acme", theirs: "globex", level: 1 } expect deny
  case { mine: "acme", theirs: "acme", level: 9 } expect deny by secret because "it is classified"
  case { mine: "acme", theirs: "acme", level: "x" } expect deny because erred
}
"""


def test_a_table_is_a_test_for_each_line() -> None:
    found = results(TABLE)
    assert [result.passed for result in found] == [True] * 4
    assert found[0].case.name == 'who reads what mine: "acme", theirs: "acme", level: 1'
    # Each stands at its line.
    lines = [result.case.span.line_col[0] for result in found]
    assert lines == list(range(lines[0], lines[0] + 4))


def test_one_line_fails_by_itself() -> None:
    found = results(TABLE.replace("level: 9 }", "level: 2 }"))
    assert [result.passed for result in found] == [True, True, False, True]
    assert "level: 2" in found[2].diagnostic().message


@pytest.mark.parametrize(
    ("was", "becomes", "finding"),
    [
        ("level: 9 }", "}", "POL224 this case has no `level`"),
        ("level: 9 }", "level: 9, more: 1 }", "POL224 the first case has no `more`"),
        ("classification: level", "classification: 1", "POL224 nothing in this test reads the column `level`"),
        ("classification: level", "classification: levels", "POL216 constant expected"),
        ("level: 9 }", "level: mine }", "POL216 constant expected"),
        ("level: 9 }", "level: 9, level: 8 }", "POL210 `level` appears twice"),
        ("  case {", "  expect allow\n  case {", "POL224 a test with a table has only one request"),
        ("  case {", '  invoke on Model::"m"\n  case {', "POL224 a test with a table has only one request"),
    ],
)
def test_a_table_that_is_not_square_is_told(was: str, becomes: str, finding: str) -> None:
    assert finding in findings(TABLE.replace(was, becomes, 1))


# ---- fixtures ----

FIXTURES = """
fixture ann { principal User::"ann" { tenant: "acme" } tenant Tenant::"acme" }
fixture board { approved ask }
"""


def test_fixtures_state_what_several_tests_share() -> None:
    found = results(
        FIXTURES
        + 'test "a" { use ann retrieve on Document::"d" { tenant: "acme", classification: 1 } expect allow }'
        + 'test "b" { use ann, board session Session::"s" { labels: [] } '
        + 'call on Tool::"send" { args: { to: "board" } } expect allow }'
    )
    assert [result.problems for result in found] == [(), ()]


def test_what_a_fixture_states_is_not_stated_again() -> None:
    text = FIXTURES + f'test "a" {{ use ann, board {ANN} invoke on Model::"m" expect allow }}'
    assert findings(text) == ["POL224 a test has only one principal"]
    text = FIXTURES + 'test "a" { use ann, board tenant Tenant::"b" invoke on Model::"m" expect allow }'
    assert findings(text) == ["POL224 `tenant` is stated twice"]


def test_a_fixture_that_nobody_knows_or_uses_is_told() -> None:
    text = FIXTURES + 'test "a" { use an invoke on Model::"m" expect allow }'
    assert findings(text)[0] == "POL224 unknown fixture `an`"
    assert findings(FIXTURES) == [
        "POL330 no test uses the fixture `ann`",
        "POL330 no test uses the fixture `board`",
    ]
    assert "POL224 the fixture `x` may only state what tests share" in findings("fixture x { expect deny }")
    assert "POL210 fixture `ann` is declared twice" in findings(FIXTURES + "fixture ann {}")


def test_fixtures_of_modules_that_are_used_are_known(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "shared.pol").write_text(
        'module shared\nuse ai\nfixture bo { principal User::"bo" { tenant: "globex" } }\n'
        'fixture ann { principal User::"bo" { tenant: "globex" } }\n'
        'test "x" { use ann retrieve on Document::"d" { tenant: "globex", classification: 1 } expect allow }\n',
        encoding="utf-8",
    )
    asks = 'retrieve on Document::"d" { tenant: "acme", classification: 1 } expect'
    (tmp_path / "m.pol").write_text(
        POLICIES.replace("use ai", "use ai\nuse shared")
        + FIXTURES
        + f'test "a" {{ use ann, board {asks} allow }} test "b" {{ use bo {asks} deny }}',
        encoding="utf-8",
    )
    loaded = load_path(tmp_path)
    assert loaded.snapshot is not None, loaded.diagnostics
    assert [d.message for d in loaded.diagnostics if d.code.id == "POL330"] == []
    # A module's own fixture goes before another's of the same name.
    assert all(result.passed for result in run_cases(loaded.snapshot.policies, loaded.snapshot.schema))


# ---- several steps ----

STEPS = """
test "what was read stays with the session" {
  principal User::"ann" { tenant: "acme" }
  session Session::"s1"
  call on Tool::"send" { args: { to: "bo" } }
  expect allow by tools
  call on Tool::"browse" { args: { url: "u" } }
  expect allow by tools
  call on Tool::"send" { args: { to: "bo" } }
  expect deny by exfiltration because "this session has read the web"
}
"""


def test_a_session_goes_on_from_step_to_step() -> None:
    assert problems(STEPS) == []


def test_the_first_step_that_fails_is_told_and_shown() -> None:
    [result] = results(STEPS.replace("expect deny by exfiltration", "expect allow").replace(" because", " #"))
    assert result.step == 2
    assert result.diagnostic().message.startswith(
        'test "what was read stays with the session" failed, at step 3: expected allow, got deny'
    )
    assert result.diagnostic().span.text.startswith('call on Tool::"send"')
    assert result.asked is not None
    assert result.asked.context["session"]["labels"] == ["saw_web"]


def test_a_session_begins_with_the_labels_that_it_is_given() -> None:
    steps = STEPS.replace('Session::"s1"', 'Session::"s1" { labels: ["saw_web"] }')
    [problem] = problems(steps)
    assert problem.startswith("expected allow, got deny (denied by `m.exfiltration`)")


def test_a_session_of_another_is_none() -> None:
    steps = STEPS.replace(
        '  call on Tool::"send" { args: { to: "bo" } }\n  expect deny',
        '  principal User::"eve" { tenant: "acme" }\n  call on Tool::"send" { args: { to: "bo" } }\n  expect deny',
    )
    [problem] = problems(steps)
    assert "it was by nothing" in problem


LIMITS = """
test "three in a minute are too many" {
  principal User::"ann"
  invoke on Model::"m"
  expect allow
  invoke on Model::"m"
  expect allow
  after 30s
  invoke on Model::"m"
  expect deny by rate
  after 31s
  invoke on Model::"m"
  expect allow
}
"""


def test_limits_are_metered_and_time_passes() -> None:
    assert problems(LIMITS) == []
    assert len(problems(LIMITS.replace("31s", "29s"))) == 1


def test_of_one_step_nothing_is_counted() -> None:
    assert problems('test "t" { principal User::"ann" invoke on Model::"m" expect allow }') == []


def test_the_time_that_is_stated_goes_on() -> None:
    policies = """module m
use ai
permit day: invoke on Model
  when time.now < time("2026-05-01T12:00:00Z")
"""
    text = """
test "until noon" {
  principal User::"ann"
  time { now: "2026-05-01T11:59:00Z" }
  invoke on Model::"m"
  expect allow
  after 59s
  invoke on Model::"m"
  expect allow
  after 2s
  invoke on Model::"m"
  expect deny
  time { now: "2026-05-01T11:00:00Z" }
  invoke on Model::"m"
  expect allow
}
"""
    assert problems(text, policies) == []


def test_what_is_stated_between_steps_holds_from_there_on() -> None:
    text = """
test "approved at last" {
  principal User::"ann"
  session Session::"s1"
  call on Tool::"send" { args: { to: "board" } }
  expect deny by ask
  approved ask
  call on Tool::"send" { args: { to: "board" } }
  expect allow by tools
  call on Tool::"send" { args: { to: "board" } }
  expect allow by tools
}
"""
    assert problems(text) == []


@pytest.mark.parametrize(
    ("was", "becomes", "finding"),
    [
        ("  expect allow by tools\n  call", "  call", "a request without `expect`"),
        ("  expect deny by exf", "  expect deny\n  expect deny by exf", "`expect` without a request before it"),
        ("  expect deny by exfiltration because", "  #", "a request without `expect`"),
        ('  principal User::"ann" { tenant: "acme" }\n', "", "a test needs a principal"),
        ("  session", "  after 1s\n  session", "`after` belongs between two steps"),
        ('Session::"s1"', 'Session::"s1" { calls: [] }', "a shared session starts with labels"),
        ('Session::"s1"', "{ labels: [] }", "a shared session starts with labels"),
        ("  expect deny by", '  entity Group::"a"\n  expect deny by', "entities must come before the first request"),
        ("  expect deny by", '  session Session::"b"\n  expect deny by', "the steps of a test share one session"),
        (
            'session Session::"s1"',
            "context { session: 1 }",
            "in a test with several steps the session is stated on its own",
        ),
    ],
)
def test_steps_that_cannot_run_are_told(was: str, becomes: str, finding: str) -> None:
    found = findings(STEPS.replace(was, becomes, 1) if finding[:3] != "a r" else becomes.join(STEPS.rsplit(was, 1)))
    assert any(one.startswith(f"POL224 {finding}") for one in found), found


def test_findings_about_tests_are_errors() -> None:
    assert has_errors(load_text(POLICIES + STEPS.replace("  expect allow by tools\n", "")).diagnostics)
