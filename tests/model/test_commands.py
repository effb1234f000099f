"""Command lines as data: whatever runs is listed, and what is not understood is an error."""

from __future__ import annotations

from typing import Any

import pytest

from policyengine import Engine
from policyengine.model.commands import argv
from policyengine.model.values import Fault


def names(text: str) -> list[str]:
    return [one["name"] for one in argv(text)]


# Ways to run `rm` behind something harmless.
HIDDEN = [
    "ls; rm x", "ls\nrm x", "ls && rm x", "ls || rm x", "ls | rm x", "ls |& rm x", "ls & rm x", "ls &\nrm x",
    "! rm x",
    "(rm x)", "(ls; (rm x))", "{ rm x; }", "ls; { ls; rm x; }", "ls $(rm x)", "ls \"$(rm x)\"", "ls a$(ls $(rm x))b",
    "ls `rm x`", "ls \"`rm x`\"", "ls <(rm x)", "ls > >(rm x)", "ls > $(rm x)", "A=$(rm x) ls", "A=$(rm x)",
    "cat <<E\n$(rm x)\nE", "cat <<E\n`rm x`\nE", "cat <<-E\n\tx\n\tE\nrm x", "cat <<'E'\nx\nE\nrm x",
    "cat <<< $(rm x)",
    "cat <<A <<B\n$(rm x)\nA\nB\n", "r''m x", "r\"\"m x", "r\\m x", "\\rm x", "'rm' x", "rm\tx", "r\\\nm x",
    "ls \\\n&& rm x",
    "ls # note\nrm x", "ls #'\nrm x", "echo 'a' # '; ls\nrm x", ">f rm x", "2>&1 rm x", "A=1 rm x", "A=1 B+=2 rm x",
    "env rm x", "env -i rm x", "env -u A -- rm x", "env A=1 B=2 rm x", "env - rm x", "env ';==' rm x", "env a.b=1 rm x",
    "sudo rm x",
    "sudo -u root -E rm x",
    "sudo -n -- rm x", "sudo A=1 rm x", "timeout 5 rm x", "timeout -s KILL -k 5 10s rm x",
    "timeout --signal=KILL 5 rm x",
    "nice rm x", "nice -n 5 rm x", "nice -5 rm x", "nohup rm x", "setsid -w rm x", "stdbuf -oL rm x",
    "stdbuf -o L rm x",
    "command rm x", "command -p rm x", "builtin rm x", "exec rm x", "exec -a ls rm x", "busybox rm x",
    "ionice -c 3 rm x",
    "xargs rm", "xargs -0 -n 1 rm", "xargs -n1 -P4 rm", "xargs -I {} rm {}", "ls | xargs -d '\\n' -- rm",
    "find . -exec rm {} \\;", "find . -exec ls {} + -exec rm {} ';'", "find . -name x -execdir rm {} +",
    "find . -ok rm {} \\;",
    "sh -c 'rm x'", "bash -c 'ls; rm x'", "bash -lc 'rm x'", "bash -e -c 'rm x'", "bash -o pipefail -c 'rm x'",
    "bash --norc -c 'rm x'", "/bin/sh -c 'ls | rm x'", "sh -c \"sh -c 'rm x'\"", "sh -c 'ls $(rm x)' a b",
    "sudo env A=1 timeout 5 nice sh -c 'rm x'", "xargs sh -c 'rm x'", "find . -exec sh -c 'rm x' \\;",
]  # fmt: skip


@pytest.mark.parametrize("text", HIDDEN)
def test_every_command_that_runs_is_listed(text: str) -> None:
    assert "rm" in names(text)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "# rm x", "$X x", "${X} x", "$(echo rm) x", "`echo rm` x", "{rm,x}", "r* x", "/bin/r? x",
        "r[m] x", "~/rm",
        "$'rm' x", "$'\\x72\\x6d' x", "$\"rm\" x", "ls $'a'", "ls ${X:-$(rm x)}", "ls ${#X}", "ls ${!X}",
        "ls $((1))", "ls $[1]",
        "((rm))", "[[ a ]]", "if ls; then rm x; fi", "for x in a; do rm x; done", "while ls; do rm x; done",
        "until a; do b; done",
        "case a in a) rm x;; esac", "select x in a; do b; done", "function ls { rm x; }", "ls() { rm x; }",
        "coproc rm x",
        "time rm x", "a=(rm x)", "a+=(x)", "ls @(a|b)", "ls +(x)", "shopt -s extglob; ls !(x)", "eval rm x",
        "eval 'rm x'",
        "ls &&", "&& ls", "ls |", "| ls", "ls ;; rm", "ls & ; rm", "ls || && rm", "(ls", "ls)", "{ ls", "{ ls }",
        "()", "$()",
        "ls 'a", "ls \"a", "ls `a", "ls $(a", "ls \\", "cat <<E\nx", "cat <<\"$E\"\n$E", "cat <<E$X\nE",
        "$(cat <<E\n)\nE", "cat <<E\nE\\\n\nrm x\nE",
        "ls &> f rm x", "rm$\\\nX x", "ls $\\\n{X}", "A\\\n=1 rm x", "i\\\nf", "ls 2\\\n>f", "ls \"$\\\nX\"",
        "ls >", "ls > > a", "ls <>", "ls `rm \\`x\\``", "ls \"`echo \"rm\"`\"", "ls\u00a0rm", "ls\u200brm",
        "ls\rrm", "ls\x00",
        "ls\u2028rm x", "env -S 'rm x'", "env --split-string='rm x'", "env --unknown rm x", "env $X",
        "sudo -s rm x", "sudo -i",
        "sudo --unknown rm", "timeout $X rm x", "timeout --unk 5 rm", "nice --adjust=5 rm x", "xargs --replace rm {}",
        "xargs -I rm rm", "xargs -i rm {}", "xargs -IX X", "find . -exec rm {}", "find . -exec rm {} ;", "find $X",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises(Fault) as found:
        argv(text)
    assert found.value.code == "POL590"


@pytest.mark.parametrize(
    "text",
    [
        "python -c x", "python3.12 x.py", "/usr/bin/python3 x", "perl -e x", "node -e x", "awk '{system(x)}'",
        "sed e", "npx x",
        "npm i", "pip install x", "uvx x", "make", "docker run x", "ssh h rm", "vim -c x", "psql -c x", "source x",
        ". x", "sh x.sh",
        "bash", "zsh -c x", "git -c a=b log", "git --exec-path=x log", "git push", "git fetch --upload-pack=x",
        "git $X",
        "git log --output=x", "git clone x", "tar -xf a --to-command=x", "tar --checkpoint-action=exec=x",
        "tar xIf a b", "rg --pre x",
        "tar $X", "sort --compress-program=x", "env LD_PRELOAD=x ls", "LD_PRELOAD=x ls", "PATH=x", "alias ls=rm",
        "watch ls", "at now",
        "export PATH=x",
        "[ -v 'a[$(rm x)]' ]", "test ! -v 'a[$(rm x)]'", "printf -v 'a[$(rm x)]' 1", "wait -n -p 'a[$(rm x)]'",
        "jobs -x rm y", "fc -s", "history -s x",
        "BASH_ENV=x bash -c ls", "LD_PRELOAD=x sh -c ls", ": {PATH}</dev/null; ls", "ls {PATH}<f",
        "sort --co=x f", "tar --us=x -xf a", "tar --checkpoint-=exec=x -xf a", "tar --rs=x -xf h:a",
        "tar --inf x -xf a",
        "gtar --to-command=x -xf a", "cpio --rsh x -i", "zip -qTT x a b", "wget --exe x u", "curl --conf x",
        "curl --engine x u", "split --fil='rm x' f", "install --strip-p=x -s a b", "sdiff --diff-program=x a b",
        "tcpdump -nz x -w f", "batcat --pag x f", "fdfind -Hx rm", "nm --plugin=x f", "ip netns exec n rm x",
        "git cat-file --filt HEAD:x", "git diff --ex", "dc -e '!rm x'", "m4 f", "ldd ./x", "rename 's/a/b/e' f",
        "patch",
        "pcre2grep '(?C\"/bin/rm|x\")' f", "/lib64/ld-linux-x86-64.so.2 ./x", "setarch x86_64 rm x", "torsocks rm x",
        "python3.11-dbg x", "gcc-12 x", "luajit-2.1 x", "PYTHON3 -c x", "fzf --preview 'rm x'",
    ],
)  # fmt: skip
def test_what_runs_code_says_so(text: str) -> None:
    assert any(one["runs_code"] for one in argv(text))


@pytest.mark.parametrize(
    "text",
    [
        "ls -l",
        "git status",
        "git diff a.py",
        "cat 'a b'",
        "sh -c 'ls'",
        "TZ=UTC date",
        "tar -xzf a.tgz",
        "sort --check f",
        "tar --create -f a b",
        "LANG=C sh -c ls",
        "base64 f",
        "ip addr",
        "zip -qT a b",
        "cat <<'E'\n\\\nE",
    ],
)
def test_what_runs_no_code_says_so(text: str) -> None:
    assert not any(one["runs_code"] for one in argv(text))


@pytest.mark.parametrize(
    "text", ["ls *", "ls ~", "ls $X", 'ls "$X"', "ls {a,b}", "ls {1..3}", "ls a?", "ls [a]", "ls $(a)", "xargs ls"]
)
def test_arguments_that_are_not_known_are_absent(text: str) -> None:
    assert any("args" not in one for one in argv(text) if one["name"] == "ls")


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("cat <<< $X", False), ("cat <<< a$X", False), ("cat <<< ~", False), ("cat <<E\n$X\nE", False),
        ("cat <<-E\n\t${X}\n\tE", False), ("{ cat; } <<E\n$X\nE", False), ("(cat) <<E | ls\n$X\nE", False),
        ("cat <<A <<B\na\nA\n$X\nB", False), ("cat <<< a", True), ("cat <<E\na\nE", True),
        ("cat <<'E'\n$X\nE", True), ("cat <<E\n\\$X\nE", True),
    ],
)  # fmt: skip
def test_what_is_read_is_absent_where_it_is_not_known(text: str, known: bool) -> None:
    """Secrets are in variables, and `cat` says them."""
    assert all("reads" in one for one in argv(text)) is known


def test_what_a_command_is_made_of() -> None:
    [one] = argv("A=1 /bin/grep -r 'a b' \"c\"'d'\\ e {} < in 2> err >> out 2>&1")
    assert one == {
        "name": "/bin/grep", "program": "grep", "args": ["-r", "a b", "cd e", "{}"], "env": ["A"], "reads": ["in"],
        "writes": ["err", "out"], "within": [], "runs_code": True,
    }  # fmt: skip
    inner = argv("sudo timeout 5 rm x")[-1]
    assert (inner["name"], inner["args"], inner["within"]) == ("rm", ["x"], ["sudo", "timeout"])
    assert "writes" not in argv("ls > $X")[0]
    assert argv("{ ls; } > f")[-1]["writes"] == ["f"]
    assert argv("find . -fprint f")[0]["writes"] == ["f"]


def test_long_and_deep_texts_are_errors() -> None:
    for text in ("ls " * 10_000, "(" * 40 + "ls" + ")" * 40, "$(" * 40, "env " * 100 + "ls"):
        with pytest.raises(Fault):
            argv(text)


POLICIES = """
use ai
tool run(command: String) { sends_outside: false, reads_untrusted: false }
permit known: call on Tool::"run"
  when all c in argv(tool.args.command): c.name in ["ls", "cat", "git"] and not c.runs_code and size(c.writes) == 0
forbid secret: call on Tool::"run"
  when any c in argv(tool.args.command): any a in c.args: contains(a, "secret")
"""
ANN: dict[str, Any] = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}


def test_rules_read_commands_and_fail_closed() -> None:
    engine = Engine.from_text(POLICIES)

    def allowed(command: Any) -> bool:
        tool = {"type": "Tool", "id": "run", "args": {"command": command}}
        decision = engine.decide(principal=ANN, action="call", resource=tool, context={})
        assert engine.explain(principal=ANN, action="call", resource=tool, context={}).decision == decision
        return decision.decision == "allow"

    assert allowed("ls -l | cat")
    for command in ("ls; rm x", "cat secret", "cat > x", "ls $X", "cat $(ls)", "git push", "if", "", 7, None):
        assert not allowed(command)
    assert engine.session(principal=ANN).tools(["run"]) == ["run"]
