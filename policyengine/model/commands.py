"""`argv(text)`: the commands that a command line runs, as data that rules can test.

In: the text. Out: a record for every command in it, including those that wrappers (`env`, `xargs`, `sudo`, `find
-exec`, `sh -c`) run; the wrappers themselves are listed too. A text that is not plainly understood raises Fault.
`args`, `reads` and `writes` are absent from a command if they are only known when it runs: a rule that reads them errs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from policyengine.model.programs import (
    CODE,
    CODE_OPTIONS,
    CODE_WORDS,
    GIT,
    GIT_OPTIONS,
    HARMLESS,
    SHELL_FLAGS,
    SHELLS,
    WRAPPERS,
    Wrapper,
)
from policyengine.model.shell import DEEPEST, Simple, commands, refused

ShellWords = Sequence[str | None]
_FIND_RUNS = ("-exec", "-execdir", "-ok", "-okdir")
_FIND_WRITES = ("-fprint", "-fprint0", "-fprintf", "-fls")
# One version of a program, and programs that load others: `python3.12-dbg`, `ld-linux-x86-64.so.2`.
_VERSIONED = re.compile(r"([a-z+]+)-?[0-9][a-z0-9.+_-]*")
_LOADER = re.compile(r"ld-(linux|musl).*|ld(64)?\.so.*")


@lru_cache(512)
def argv(text: str) -> tuple[dict[str, Any], ...]:
    """The commands, in the order of the text. Raises Fault for a text that is not plainly understood."""
    parsed_commands = tuple(_of_text(text, (), 0))
    if not parsed_commands:
        raise refused("it has no command")
    return parsed_commands


def _of_text(text: str, within: tuple[str, ...], depth: int) -> list[dict[str, Any]]:
    return [one for command in commands(text, depth) for one in _command(command, within, depth)]


def _command(command: Simple, within: tuple[str, ...], depth: int) -> list[dict[str, Any]]:
    first = _record(command.words, command.assigned, within)
    for name, targets in (("reads", command.reads), ("writes", command.writes)):
        if None not in targets:
            first[name] = list(targets)
        else:
            del first[name]
    return [first, *_inner(command.words, first, (*within, first["program"]), depth)]


def _record(words: ShellWords, assigned: Sequence[str], within: tuple[str, ...]) -> dict[str, Any]:
    name = words[0] if words else ""
    if name is None:
        raise refused("the name of a command is only known when it runs")
    args = list(words[1:])
    program = name.rpartition("/")[2]
    made = {
        "name": name, "program": program, "args": args, "env": list(assigned), "reads": [], "writes": [],
        "within": list(within),
        "runs_code": _runs_code(program, args) or not all(map(HARMLESS.fullmatch, assigned)),
    }  # fmt: skip
    if None in args:
        del made["args"]
    return made


def _runs_code(name: str, args: ShellWords) -> bool:
    # If file names ignore case, this is another spelling of the program.
    program = name if name in CODE else name.lower()
    versioned = _VERSIONED.fullmatch(program)
    if program in CODE or (versioned is not None and versioned.group(1) in CODE) or _LOADER.fullmatch(program):
        return True
    if program == "git":
        options = [arg for arg in args if arg is not None and arg.startswith("-")]
        command = next((arg for arg in args if arg is None or not arg.startswith("-")), None)
        return None in args or command not in GIT or any(_is_one_of(one, GIT_OPTIONS) for one in options)
    if program in CODE_OPTIONS:
        return any(arg is None or _is_one_of(arg, CODE_OPTIONS[program]) for arg in args) or _clusters(program, args)
    if program in CODE_WORDS:
        return any(arg is None or _is_cut_short(arg, CODE_WORDS[program]) for arg in args)
    return program in SHELLS


def _is_one_of(arg: str, options: Sequence[str]) -> bool:
    """Whether an argument is one of these options. Programs accept abbreviations of long ones."""
    name = arg.partition("=")[0]
    return arg.startswith(tuple(options)) or (len(name) > 2 and any(one.startswith(name) for one in options))


def _is_cut_short(arg: str, words: Collection[str]) -> bool:
    return bool(arg) and any(word.startswith(arg) for word in words)


def _clusters(program: str, args: ShellWords) -> bool:
    """Whether short options are joined and one of them runs programs: `tar -xIF`."""
    short = [one[1:] for one in CODE_OPTIONS[program] if not one.startswith("--")]
    grouped = [arg for arg in args if arg is not None and re.match(r"-[^-]", arg)]
    first = [arg for arg in args[:1] if arg is not None and program in ("tar", "gtar", "bsdtar")]
    return any(one in arg for one in short for arg in (*grouped, *first))


def _inner(words: ShellWords, record: dict[str, Any], within: tuple[str, ...], depth: int) -> list[dict[str, Any]]:
    """The commands that a command runs itself."""
    if depth > DEEPEST or len(within) > DEEPEST:
        raise refused("it is nested too deeply")
    program, args = record["program"], list(words[1:])
    if program in WRAPPERS:
        return _wrapped(program, WRAPPERS[program], args, record, within, depth)
    if program in SHELLS:
        return _shell(args, record, within, depth)
    if program == "find":
        return _find(args, record, within, depth)
    if program == "eval":
        raise refused("what `eval` runs is put together first")
    return []


def _run(words: ShellWords, assigned: Sequence[str], within: tuple[str, ...], depth: int) -> list[dict[str, Any]]:
    record = _record(words, assigned, within)
    return [record, *_inner(words, record, (*within, record["program"]), depth + 1)]


def _wrapped(
    program: str, wrapper: Wrapper, args: list[str | None], record: dict[str, Any], within: tuple[str, ...], depth: int
) -> list[dict[str, Any]]:
    at = _behind_options(program, wrapper, args)
    assigned: list[str] = []
    # For these programs, every argument with a `=` is an assignment.
    while wrapper.assigns and at < len(args) and "=" in (args[at] or ""):
        assigned.append((args[at] or "").partition("=")[0])
        at += 1
    record["env"] += assigned
    record["runs_code"] = record["runs_code"] or not all(map(HARMLESS.fullmatch, assigned))
    if wrapper.before:
        if None in args[at : at + wrapper.before]:
            raise refused(f"the arguments of `{program}` are only known when it runs")
        at += wrapper.before
    inner: list[str | None] = list(args[at:])
    if not inner:
        return []
    if wrapper.more:
        # The added arguments are unknown, and so is what replaces the word that `-I` names.
        mark = _replaced(args[: at - wrapper.before])
        inner = [None if mark and word is not None and mark in word else word for word in inner] + [None]
    return _run(inner, assigned, within, depth)


def _replaced(options: list[str | None]) -> str:
    """The text that `xargs -I` replaces; empty if there is none."""
    placeholder = ""
    for at, option in enumerate(options):
        if option is not None and (match_of_i := re.fullmatch(r"-[0rtxo]*I(.*)", option)):
            placeholder = match_of_i.group(1) or (options[at + 1] or "" if at + 1 < len(options) else "")
    return placeholder


def _behind_options(program: str, wrapper: Wrapper, args: list[str | None]) -> int:
    at = 0
    while at < len(args):
        arg = args[at]
        if arg is None:
            raise refused(f"the arguments of `{program}` are only known when it runs")
        if arg == "--":
            return at + 1
        if not arg.startswith("-"):
            return at
        if arg == "-" or (program == "nice" and re.fullmatch(r"-\d+", arg)):
            if arg == "-" and program != "env":
                raise refused(f"`{arg}` of `{program}` is not known")
            at += 1
            continue
        at += 1 + _takes_next(program, wrapper, arg)
        if at > len(args) or None in args[:at]:
            raise refused(f"the arguments of `{program}` are only known when it runs")
    return at


def _takes_next(program: str, wrapper: Wrapper, arg: str) -> int:
    """Whether the value of an option is the next argument."""
    if arg.startswith("--"):
        name, sign, _ = arg[2:].partition("=")
        if name in wrapper.long_takes:
            return 0 if sign else 1
        if name in wrapper.long:
            return 0
    else:
        for at, char in enumerate(arg[1:], 2):
            if char in wrapper.takes:
                return 1 if at == len(arg) else 0
            if char not in wrapper.flags:
                break
        else:
            return 0
    raise refused(f"`{arg.partition('=')[0]}` of `{program}` is not known")


def _shell(args: list[str | None], record: dict[str, Any], within: tuple[str, ...], depth: int) -> list[dict[str, Any]]:
    """`sh -c TEXT`: the text is read. A script, or code from standard input, is not seen here."""
    at, text = 0, False
    while at < len(args):
        arg = args[at]
        if arg is None:
            raise refused("the arguments of a shell are only known when it runs")
        if arg in ("--", "-"):
            at += 1
            break
        if arg in ("--norc", "--noprofile", "--posix", "--login"):
            at += 1
            continue
        if not arg.startswith("-"):
            break
        letters = set(arg[1:]) - set(SHELL_FLAGS)
        if arg.startswith("--") or letters - {"c", "o"} or (arg[1:].count("o") and not arg.endswith("o")):
            raise refused(f"`{arg}` of a shell is not known")
        text = text or "c" in letters
        at += 2 if "o" in letters else 1
    if not text:
        return []
    if at >= len(args) or args[at] is None:
        raise refused("the arguments of a shell are only known when it runs")
    # Variables may name a file that a shell runs first.
    record["runs_code"] = not all(map(HARMLESS.fullmatch, record["env"]))
    return _of_text(str(args[at]), within, depth + 1)


def _find(args: list[str | None], record: dict[str, Any], within: tuple[str, ...], depth: int) -> list[dict[str, Any]]:
    run_commands: list[dict[str, Any]] = []
    at = 0
    while at < len(args):
        arg = args[at]
        at += 1
        if arg in _FIND_WRITES and at < len(args):
            target = args[at]
            if target is None:
                record.pop("writes", None)
            elif "writes" in record:
                record["writes"].append(target)
        if arg not in _FIND_RUNS:
            # An unknown argument could be `-exec` as well.
            if arg is None:
                raise refused("the arguments of `find` are only known when it runs")
            continue
        start = at
        while at < len(args) and args[at] != ";" and not (args[at] == "+" and args[at - 1] == "{}"):
            at += 1
        if at >= len(args):
            raise refused("the command that `find` runs has no end")
        # The names of the files that it finds are unknown.
        words = [None if word is None or "{}" in word else word for word in args[start:at]]
        run_commands += _run(words, (), within, depth)
        at += 1
    return run_commands
