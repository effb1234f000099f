"""Facts about programs by name: which of them run another command, and which run the code in their arguments.

No table is ever complete. It serves policies that allow programs by name: a program that is not named is not allowed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Wrapper:
    """A program that runs the command after its own options. Each character of `flags` is an option without a value,
    each of `takes` is one with a value, and the long options likewise. `before` counts the arguments before the
    command, `assigns` is whether there may be assignments, and `more` whether it adds arguments to the command's
    own."""

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

# Shells whose language is read here, and their options that do not change what a command does.
SHELLS, SHELL_FLAGS = _set("sh bash dash ash"), "efuxlh"

# Programs whose arguments, input or configuration are code, or that act elsewhere or on any program's behalf.
CODE = _set(
    """
    zsh ksh mksh fish csh tcsh rbash pwsh powershell cmd cmd.exe xonsh nu elvish python pypy ipython ptpython bpython
    pythonw perl ruby irb pry node nodejs deno bun php php-cgi phpdbg lua luajit tclsh wish expect Rscript R julia
    octave gnuplot maxima sage osascript java javac jrunscript jshell scala sbt groovy kotlin kotlinc clojure clj lein
    bb ghci ghc runghc stack cabal erl escript elixir iex mix swift swiftc go cargo rustc rustup gcc g++ c++ cc clang
    clang++ tcc zig nim crystal dart flutter dotnet msbuild nuget guile racket sbcl clisp ecl emacs emacsclient gforth
    ocaml opam swipl gprolog ts-node tsx esno m4 dc awk gawk mawk nawk sed gsed ed ex vi vim vimdiff view rvim nvim
    nano pico joe less more most pg man info vidir vipe fzf sk peco rename prename file-rename make gmake cmake ctest
    ninja meson just task rake gradle gradlew mvn mvnw ant bazel buck pants scons waf tox nox invoke fab npm npx pnpm
    pnpx yarn corepack bunx pip pipx uv uvx poetry pdm hatch rye pixi conda mamba micromamba virtualenv pyenv rbenv nvm
    fnm volta asdf mise direnv gem bundle bundler rails rspec rubocop thor composer artisan phpunit wp drush brew port
    apt apt-get apt-cache aptitude dpkg dpkg-reconfigure yum dnf rpm rpmbuild apk pacman yay zypper snap flatpak
    flatpak-spawn nix nix-shell nix-env nix-build guix docker docker-compose podman podman-compose nerdctl buildah
    skopeo ctr crictl runc lxc lxc-attach incus virsh qemu machinectl systemd-nspawn bwrap firejail proot fakeroot
    fakechroot kubectl oc helm k9s kubectx minikube kind terraform tofu terragrunt pulumi packer vault consul nomad
    ansible ansible-playbook puppet chef-client salt salt-call vagrant aws gcloud gsutil bq az doctl heroku flyctl gh
    glab hub hg svn svnadmin cvs fossil jj bzr git-lfs ssh slogin ssh-agent ssh-add ssh-keygen ssh-copy-id sshpass
    autossh scp sftp rsync rclone mosh telnet ftp lftp nc ncat netcat socat nmap mail mailx mutt sendmail gpg gpg2 tmux
    screen dtach abduco script unbuffer rlwrap at batch crontab systemctl systemd-run systemd-inhibit launchctl service
    start-stop-daemon daemonize init su sg newgrp runuser pkexec run0 sudoedit visudo vipw vigr chroot unshare nsenter
    setpriv capsh runcon setarch linux32 linux64 i386 x86_64 uname26 prlimit choom taskset chrt uclampset numactl
    cgexec cpulimit schedtool eatmydata faketime torsocks torify tsocks proxychains proxychains4 valgrind rr strace
    ltrace catchsegv gdb lldb perf hyperfine watch entr parallel sem flock run-parts run-one run-this-one ifne pee
    logsave logrotate xdotool xterm gnome-terminal open xdg-open start wine winpty dbus-run-session dbus-launch
    dbus-send gdbus busctl xvfb-run ldd ld gold lld ld.so patch pcre2grep pcregrep ugrep ug exiftool sox convert magick
    mogrify identify gs ps2pdf tex latex pdftex pdflatex xelatex lualatex groff troff nroff pandoc asciidoctor
    sphinx-build mkdocs doxygen jekyll hugo mpv vlc aria2c yt-dlp youtube-dl insmod modprobe sqlite sqlite3 duckdb psql
    pgcli mysql mycli mariadb mongo mongosh redis-cli clickhouse clickhouse-client cqlsh sqlplus sqlcmd jupyter ipynb
    pytest coverage mypy pylint flake8 pre-commit uvicorn gunicorn hypercorn celery flask django-admin streamlit eslint
    prettier jest vitest mocha ava karma playwright cypress webpack rollup vite parcel gulp grunt turbo nx lerna next
    nuxt astro ng react-scripts openssl time fc history eval source . trap alias unalias enable bind hash set shopt
    export declare typeset readonly local unset let read mapfile readarray getopts complete compgen xcrun xcodebuild
    wsl mshta rundll32 regsvr32 cscript wscript wmic forfiles msiexec schtasks certutil ipython3
    """
)

# Options with which a program runs other programs, or loads code. Long options may be abbreviated, and short ones
# joined.
_TAR = (
    "--to-command", "--checkpoint-action", "--use-compress-program", "--rsh-command", "--rmt-command", "--info-script",
    "--new-volume-script", "-I", "-F",
)  # fmt: skip
CODE_OPTIONS = MappingProxyType(
    {
        "tar": _TAR,
        "gtar": _TAR,
        "bsdtar": _TAR,
        "cpio": ("--rsh-command", "--rmt-command"),
        "zip": ("-TT", "--unzip-command"),
        "sort": ("--compress-program",),
        "split": ("--filter",),
        "install": ("--strip-program",),
        "ginstall": ("--strip-program",),
        "diff3": ("--diff-program",),
        "sdiff": ("--diff-program",),
        "rg": ("--pre", "--hostname-bin"),
        "ag": ("--pager",),
        "ack": ("--pager", "--ackrc"),
        "bat": ("--pager",),
        "batcat": ("--pager",),
        "fd": ("-x", "-X", "--exec"),
        "fdfind": ("-x", "-X", "--exec"),
        "curl": ("-K", "--config", "--engine"),
        "wget": ("--use-askpass", "-e", "--execute", "--config"),
        "tcpdump": ("-z",),
        "nm": ("--plugin",),
        "ar": ("--plugin",),
        "ranlib": ("--plugin",),
        # bash runs the command in the subscript of a variable's name: `[ -v 'a[$(id)]' ]`.
        "test": ("-v", "-R"),
        "[": ("-v", "-R"),
        "printf": ("-v",),
        "wait": ("-p",),
        "jobs": ("-x",),
    }
)

# Programs that run another one if an argument is this word: `ip netns exec NAME COMMAND`.
CODE_WORDS = MappingProxyType({"ip": frozenset({"exec", "netns", "vrf"})})

# Variables that cannot make a program run another one.
HARMLESS = re.compile(r"LANG|LC_[A-Z]+|TZ|TERM|COLUMNS|LINES|NO_COLOR|FORCE_COLOR|CI|DEBIAN_FRONTEND|NODE_ENV")

# Commands of git that run nothing else, and options with which any of them does. Commands that write files run filters.
GIT = _set(
    """
    status log diff show ls-files ls-tree rev-parse rev-list cat-file blame shortlog describe merge-base name-rev
    version
    """
)
GIT_OPTIONS = (
    "-c", "--c", "--exec", "-O", "--open", "--ext", "--textc", "--upload", "--receive", "--git-d", "--work", "--namesp",
    "-x", "--super", "--output", "--filters", "-p", "--pag", "--patch", "-i", "--int", "-e", "--edit", "--show-si",
    "-C",
)  # fmt: skip
