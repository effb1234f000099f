"""What is known of programs by their names: which of them run another command, and which run what their arguments say.

A table is never complete. It is for what a policy allows by name: what it does not name, it does not allow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Wrapper:
    """A program that runs the command behind its own options. Each character of `flags` is an option alone, each of
    `takes` one with a value, and so are the long ones. `before` counts the arguments in front of the command, with
    `assigns` there may be assignments, and with `more` others are added to the command's own arguments."""

    flags: str = ""
    takes: str = ""
    long: frozenset[str] = frozenset()
    long_takes: frozenset[str] = frozenset()
    before: int = 0
    assigns: bool = False
    more: bool = False


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


WRAPPERS = MappingProxyType(
    {
        "env": Wrapper("i0v", "uC", _set("ignore-environment null debug"), _set("unset chdir"), assigns=True),
        "sudo": Wrapper("AbEHnPS", "CDghpRrTtuU", _set("preserve-env non-interactive set-home stdin"),
                        _set("user group host chdir chroot prompt"), assigns=True),
        "doas": Wrapper("n", "uC"),
        "timeout": Wrapper("v", "ks", _set("foreground preserve-status verbose"), _set("kill-after signal"), before=1),
        "nice": Wrapper("", "n", frozenset(), _set("adjustment")),
        "ionice": Wrapper("t", "cn", _set("ignore"), _set("class classdata")),
        "nohup": Wrapper(),
        "setsid": Wrapper("cfw", "", _set("ctty fork wait")),
        "stdbuf": Wrapper("", "ioe", frozenset(), _set("input output error")),
        "chronic": Wrapper("ve"),
        "command": Wrapper("p"),
        "builtin": Wrapper(),
        "exec": Wrapper("cl", "a"),
        "xargs": Wrapper("0rtxo", "adEILnPs", _set("null no-run-if-empty verbose exit open-tty"),
                         _set("arg-file delimiter max-lines max-args max-procs max-chars"), more=True),
        "busybox": Wrapper(),
        "toybox": Wrapper(),
        "caffeinate": Wrapper("dimsu", "tw"),
    }
)  # fmt: skip

# Shells whose language is read here, and their options that change nothing of what a command is.
SHELLS, SHELL_FLAGS = _set("sh bash dash ash"), "efuxlh"

# Programs whose arguments, input or configuration are code, or that act elsewhere or on any program's behalf.
CODE = _set(
    """
    zsh ksh mksh fish csh tcsh rbash pwsh powershell cmd cmd.exe python python2 python3 pypy pypy3 ipython perl
    ruby irb node nodejs deno bun php lua luajit tclsh wish Rscript R julia osascript java jshell scala groovy
    kotlin ghci runghc erl elixir iex swift go cargo rustc gcc g++ cc clang make gmake cmake ninja just rake
    gradle mvn ant bazel tox nox awk gawk mawk nawk sed ed ex vi vim nvim view emacs nano less more man npm npx
    pnpm pnpx yarn corepack pip pip3 pipx uv uvx poetry pdm hatch conda mamba gem bundle bundler composer brew apt
    apt-get dpkg yum dnf rpm apk pacman zypper snap flatpak nix nix-shell nix-env docker podman nerdctl buildah
    kubectl helm terraform ansible ansible-playbook vagrant ssh scp sftp rsync mosh telnet nc ncat netcat socat
    tmux screen script expect at batch crontab systemctl systemd-run launchctl service init su runuser pkexec
    chroot unshare nsenter firejail setpriv strace ltrace gdb lldb perf watch parallel flock eval source . trap
    alias unalias enable bind hash set shopt export declare typeset readonly local unset let read mapfile
    readarray getopts complete compgen sqlite3 psql mysql mariadb mongosh redis-cli jupyter pytest pre-commit
    openssl taskset chrt numactl xvfb-run dbus-run-session time fc history
    """
)

# Options with which a program runs other programs, by their beginnings.
CODE_OPTIONS = MappingProxyType(
    {
        "tar": ("--to-c", "--checkpoint-a", "--use-c", "--rsh-c", "--info-s", "--new-v", "-I", "-F"),
        "zip": ("-TT", "--unzip-c"),
        "sort": ("--compress-p",),
        "rg": ("--pre", "--hostname-bin"),
        "ag": ("--pager",),
        "ack": ("--pager",),
        "fd": ("-x", "-X", "--exec"),
        "curl": ("-K", "--config"),
        "wget": ("--use-askpass", "-e", "--execute", "--config"),
        # bash runs what stands in the subscript of a variable's name: `[ -v 'a[$(id)]' ]`.
        "test": ("-v", "-R"),
        "[": ("-v", "-R"),
        "printf": ("-v",),
        "wait": ("-p",),
        "jobs": ("-x",),
        "date": (),
    }
)

# Variables that change no program into another.
HARMLESS = re.compile(r"LANG|LC_[A-Z]+|TZ|TERM|COLUMNS|LINES|NO_COLOR|FORCE_COLOR|CI|DEBIAN_FRONTEND|NODE_ENV")

# Commands of git that run nothing else, and options with which any of them does. What writes files runs filters.
GIT = _set(
    """
    status log diff show ls-files ls-tree rev-parse rev-list cat-file blame shortlog describe merge-base name-rev
    version
    """
)
GIT_OPTIONS = (
    "-c", "--c", "--exec", "-O", "--open", "--ext", "--textc", "--upload", "--receive", "--git-d", "--work", "--namesp",
    "-x", "--super", "--output", "-p", "--pag", "--patch", "-i", "--int", "-e", "--edit", "--show-si", "-C",
)  # fmt: skip
