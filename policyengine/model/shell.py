"""A command line as a shell would read it, or an error: the words, assignments and redirections of every command in it.

In: a text for `sh` or `bash`. Out: its simple commands, including those in pipelines, lists, groups, subshells,
substitutions, process substitutions and here-documents, in the order of the text. A word whose value is only known when
the shell runs (a variable, a pattern, the output of a command) is None. Everything else that is not plainly understood
raises Fault: control structures, functions, arithmetic, `$'...'`, and characters that look like blanks.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from policyengine.diagnostics import codes
from policyengine.model.values import Fault

LONGEST, DEEPEST = 16_384, 16
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_REDIRECTION = re.compile(
    r"(?:\d+|\{(?P<variable>[A-Za-z_]\w*)\})?(?P<sign><<<|<<-?|<>|<&|>>|>\||>&|<|>)|(?P<both>&>>|&>)", re.ASCII
)
_BLANK = " \t"
_ENDS = " \t\n;|&<>()"
_SPECIAL = "@*#?-$!0123456789"
# Words that, where a command may begin, begin something other than a simple command.
_RESERVED = frozenset({
    "if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "in", "select",
    "function", "coproc", "[[", "]]", "}", "time",
})  # fmt: skip
# A word that would be read differently once the line breaks in it are removed.
_READ_OTHERWISE = re.compile(r"[A-Za-z_]\w*\+?=|\d+\Z|[{}\[\]!]", re.ASCII)


@dataclass(slots=True)
class Simple:
    """A simple command. `words` are its name and arguments; assignments are kept by name. `both` is whether it contains
    `&>`. Its input is unknown if a here-document or here-string contains a variable."""

    words: list[str | None] = field(default_factory=list)
    assigned: list[str] = field(default_factory=list)
    reads: list[str | None] = field(default_factory=list)
    writes: list[str | None] = field(default_factory=list)
    both: bool = False


def commands(text: str, depth: int = 0) -> list[Simple]:
    """Every simple command of a command line. Raises Fault for a text that is not plainly understood."""
    if len(text) > LONGEST or depth > DEEPEST:
        raise refused("it is too long or nested too deeply")
    for char in set(text):
        if char not in "\t\n " and unicodedata.category(char)[0] in "CZ":
            raise refused("it has a character that is invisible or no plain blank")
    reader = _Reader(text, depth)
    reader.list_until("")
    return reader.found


def refused(why: str) -> Fault:
    return Fault(codes.COMMAND_NOT_UNDERSTOOD.id, f"the command is not understood: {why}")


class _Reader:
    """Reads one text from left to right."""

    def __init__(self, text: str, depth: int) -> None:
        self.text, self.depth, self.at = text, depth, 0
        self.found: list[Simple] = []
        # Here-documents that begin after the line: their ends, whether they are literal, whether tabs are removed, and
        # the command of each.
        self.pending: list[tuple[str, bool, bool, Simple]] = []

    def list_until(self, close: str) -> None:
        """Commands up to `close`: a bracket, or the end of the text."""
        expects = bool(close)
        while True:
            self._blanks(lines=True)
            if self.at >= len(self.text):
                if close or expects or self.pending:
                    raise refused("it ends too early")
                return
            if (close == ")" and self._takes(")")) or (close == "}" and self._word_is("}")):
                if expects:
                    raise refused("a command is missing")
                return
            self._pipeline()
            self._blanks()
            expects = False
            for sign in ("&&", "||", ";", "&", "\n"):
                if self._takes(sign):
                    expects = sign in ("&&", "||")
                    if sign == "\n":
                        self._bodies()
                    elif self._peek(";"):
                        raise refused("an operator stands where a command should")
                    break
            else:
                if self.at < len(self.text) and not (close == ")" and self._peek(")")):
                    raise refused("a command ends in an unexpected place")
            if expects:
                self._blanks(lines=True)

    def _pipeline(self) -> None:
        while self._word_is("!"):
            self._blanks()
        self._command()
        self._blanks()
        while self._peek("|") and not self._peek("||"):
            _ = self._takes("|&") or self._takes("|")
            self._blanks(lines=True)
            self._command()
            self._blanks()

    def _command(self) -> None:
        if self._peek("(("):
            raise refused("it has arithmetic")
        if self._peek("(") or self._word_is("{"):
            close = ")" if self._takes("(") else "}"
            self._nested(close)
            group = Simple()
            self._blanks()
            while self._redirection(group):
                self._blanks()
            if group.reads or group.writes:
                # The redirections of a group belong to a command without a name.
                self.found.append(group)
            return
        command = Simple()
        self.found.append(command)
        while self.at < len(self.text):
            self._blanks()
            if self._redirection(command):
                continue
            if self.at >= len(self.text) or self.text[self.at] in "\n;|&)":
                break
            if self._peek("("):
                raise refused("it defines a function or an array")
            start = self.at
            if not command.words and (name := _ASSIGNED.match(self.text, self.at)):
                self.at = name.end()
                if self._peek("("):
                    raise refused("it defines a function or an array")
                self._word(empty=True)
                command.assigned.append(name.group().rstrip("+="))
                continue
            if command.both:
                # A shell that does not know `&>` reads two commands.
                raise refused("words stand behind `&>`")
            word = self._word()
            written = self.text[start : self.at]
            joined = written.replace("\\\n", "")
            if joined != written and (joined in _RESERVED or _READ_OTHERWISE.match(joined)):
                raise refused("a line goes on within a word")
            if not command.words and written in _RESERVED:
                raise refused("it has a control structure")
            command.words.append(word)
        if not (command.words or command.assigned or command.reads or command.writes):
            raise refused("a command is missing")

    def _nested(self, close: str) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise refused("it is too long or nested too deeply")
        before = len(self.pending)
        self.list_until(close)
        if len(self.pending) > before:
            raise refused("a here-document goes on behind the command that reads it")
        self.depth -= 1

    # ---- redirections ----

    def _redirection(self, command: Simple) -> bool:
        redirection = _REDIRECTION.match(self.text, self.at)
        if redirection is None or (redirection["sign"] in ("<", ">") and self.text.startswith("(", redirection.end())):
            return False
        sign = redirection["sign"] or redirection["both"]
        command.both = command.both or redirection["both"] is not None
        if redirection["variable"]:
            # The number of the file becomes the variable's value, which applies to what follows as well.
            command.assigned.append(redirection["variable"])
        self.at = redirection.end()
        self._blanks()
        if sign in ("<<", "<<-"):
            self._here(sign == "<<-", command)
            return True
        start = self.at
        target = self._word()
        if sign in ("<&", ">&") and re.fullmatch(r"\d+-?|-", self.text[start : self.at]):
            return True
        if sign == "<<<":
            if target is None:
                command.reads.append(None)
            return True
        if sign in ("<", "<&", "<>"):
            command.reads.append(target)
        if sign not in ("<", "<&"):
            command.writes.append(target)
        return True

    def _here(self, tabs: bool, command: Simple) -> None:
        delimiter = re.compile(r"'([^'\n]*)'|\"([^\"\\$`\n]*)\"|(\\?)([A-Za-z0-9_.-]+)(?=[\s;|&<>)]|$)").match(
            self.text, self.at
        )
        if delimiter is None:
            raise refused("the end of a here-document is written in an unusual way")
        self.at = delimiter.end()
        if self.at < len(self.text) and self.text[self.at] not in _ENDS:
            raise refused("the end of a here-document is written in an unusual way")
        end = next(part for part in (delimiter.group(1), delimiter.group(2), delimiter.group(4)) if part is not None)
        self.pending.append((end, delimiter.group(4) is None or bool(delimiter.group(3)), tabs, command))

    def _bodies(self) -> None:
        """The here-documents of the line that has just ended. Commands in them run."""
        for end, plain, tabs, command in self.pending:
            lines: list[str] = []
            while True:
                if self.at >= len(self.text):
                    raise refused("a here-document has no end")
                stop = self.text.find("\n", self.at)
                stop = len(self.text) if stop < 0 else stop
                line = self.text[self.at : stop]
                self.at = min(stop + 1, len(self.text))
                if (line.lstrip("\t") if tabs else line) == end:
                    break
                if not plain and (len(line) - len(line.rstrip("\\"))) % 2:
                    # Some shells join it with the next line, and may end the document with the two together.
                    raise refused("a line of a here-document ends in a backslash")
                lines.append(line)
            if not plain:
                body = _Reader("\n".join(lines), self.depth + 1)
                if body.quoted("") is None:
                    command.reads.append(None)
                    if all(command is not one for one in self.found):
                        # The redirections of a group, which has no name.
                        self.found.append(command)
                self.found += body.found
        self.pending.clear()

    # ---- words ----

    def _word(self, empty: bool = False) -> str | None:
        """One word, after expansion; None if its value is unknown."""
        start, pieces, known = self.at, [], True
        braces = ""
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in "<>" and self.text.startswith("(", self.at + 1):
                self.at += 2
                self._nested(")")
                known = False
                continue
            if char in _ENDS:
                break
            if char == "'":
                stop = self.text.find("'", self.at + 1)
                if stop < 0:
                    raise refused("a quote is not closed")
                pieces.append(self.text[self.at + 1 : stop])
                self.at = stop + 1
            elif char == '"':
                self.at += 1
                inner = self.quoted('"')
                known = known and inner is not None
                pieces.append(inner or "")
            elif char == "\\":
                following = self.text[self.at + 1 : self.at + 2]
                if not following:
                    raise refused("it ends too early")
                pieces.append("" if following == "\n" else following)
                self.at += 2
            elif char in "$`":
                known = self._expansion(quoted=False, pieces=pieces) and known
            else:
                if (
                    char in "*?["
                    or (char == "~" and self.at == start)
                    or (char == "~" and self.text[self.at - 1] in ":=")
                ):
                    known = False
                if char in "{},." and (char != "." or self.text.startswith("..", self.at)):
                    braces += char
                pieces.append(char)
                self.at += 1
        if self.at == start and not empty:
            raise refused("a word is missing")
        # `{a,b}` and `{1..3}` are several words.
        if re.search(r"\{.*[,.].*\}", braces):
            known = False
        if self.text[start : self.at] == "[":
            return "["
        return "".join(pieces) if known else None

    def quoted(self, close: str) -> str | None:
        """The contents of double quotes, or, if `close` is "", of a here-document; None if they are unknown."""
        pieces: list[str] = []
        known = True
        while self.at < len(self.text):
            char = self.text[self.at]
            if close and char == close:
                self.at += 1
                return "".join(pieces) if known else None
            if char == "\\":
                following = self.text[self.at + 1 : self.at + 2]
                special = following and following in "$`\\\n" + close
                pieces.append(("" if following == "\n" else following) if special else char)
                self.at += 2 if special else 1
            elif char in "$`":
                known = self._expansion(quoted=True, pieces=pieces) and known
            else:
                pieces.append(char)
                self.at += 1
        if close:
            raise refused("a quote is not closed")
        return "".join(pieces) if known else None

    def _expansion(self, quoted: bool, pieces: list[str]) -> bool:
        """`$...` or a backtick. Returns whether the character stands for itself. Commands in it are read."""
        if self._takes("`"):
            self._backticks(quoted)
            return False
        if self._peek("$((") or self._peek("$["):
            raise refused("it has arithmetic")
        if self._takes("$("):
            self._nested(")")
            return False
        if not quoted and (self._peek("$'") or self._peek('$"')):
            raise refused("it has a quotation of a kind that is not known")
        self.at += 1
        if self._peek("\\\n"):
            raise refused("a line goes on behind a `$`")
        if self._takes("{"):
            name = _NAME.match(self.text, self.at)
            if name is None or not self.text.startswith("}", name.end()):
                raise refused("it has an expansion of a kind that is not known")
            self.at = name.end() + 1
            return False
        if (name := _NAME.match(self.text, self.at)) is not None:
            self.at = name.end()
            return False
        if self.text[self.at : self.at + 1] and self.text[self.at] in _SPECIAL:
            self.at += 1
            return False
        pieces.append("$")
        return True

    def _backticks(self, quoted: bool) -> None:
        inner: list[str] = []
        while not self._takes("`"):
            char = self.text[self.at : self.at + 1]
            if not char:
                raise refused("a quote is not closed")
            if char == "\\":
                # The effect of a backslash in backticks depends on the quotes around them.
                raise refused("it has a backslash in backticks")
            if quoted and char == '"':
                raise refused("it has quotes in backticks in quotes")
            inner.append(char)
            self.at += 1
        self.found += commands("".join(inner), self.depth + 1)

    # ---- characters ----

    def _blanks(self, lines: bool = False) -> None:
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in _BLANK or (lines and char == "\n" and not self.pending):
                self.at += 1
            elif lines and char == "\n":
                self.at += 1
                self._bodies()
            elif self.text.startswith("\\\n", self.at):
                self.at += 2
            elif char == "#" and (self.at == 0 or self.text[self.at - 1] in _ENDS):
                stop = self.text.find("\n", self.at)
                self.at = len(self.text) if stop < 0 else stop
            else:
                return

    def _peek(self, sign: str) -> bool:
        return self.text.startswith(sign, self.at)

    def _takes(self, sign: str) -> bool:
        if not self._peek(sign):
            return False
        self.at += len(sign)
        return True

    def _word_is(self, word: str) -> bool:
        """Takes a reserved word, which counts as one only on its own."""
        end = self.at + len(word)
        if not self._peek(word) or (end < len(self.text) and self.text[end] not in _ENDS):
            return False
        self.at = end
        return True
