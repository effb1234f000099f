"""What `import policyengine` brings with it, the command line and each command: no library that only some of those who
import it need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from policyengine.cli.commands import COMMANDS

# The finders', the services' and the log's; `policyengine/lazy_import.py` stands in their place.
LATE = ("phonenumbers", "stdnum", "httpx2", "cryptography", "structlog", "rich", "watchfiles", "jsonschema", "pydantic")
# A command starts for every file that an editor saves. What verifies tokens is for the service.
OF_NO_COMMAND = ("phonenumbers", "stdnum", "httpx2", "cryptography", "joserfc", "structlog", "jsonschema")
# What only the commands need that serve, keep keys or state, or ask a service.
OF_THE_SERVICE = (
    "fastapi", "starlette", "uvicorn", "httptools", "prometheus_client", "tenacity", "watchfiles",
    "policyengine.settings", "policyengine.server", "policyengine.authzen", "policyengine.workers",
)  # fmt: skip
EVERY_COMMAND = ", ".join(sorted({f"policyengine.cli.{file}" for file, _ in COMMANDS.values()}))
POLICY = """entity User { tenant: String }
entity Doc { tenant: String }
action read on Doc for User

permit shared: read on Doc
  when resource.tenant == principal.tenant
"""


@pytest.mark.parametrize(
    ("modules", "late"),
    [
        ("policyengine", LATE),
        ("policyengine.cli", (*OF_NO_COMMAND, *OF_THE_SERVICE, "pydantic")),
        (EVERY_COMMAND, OF_NO_COMMAND),
    ],
    ids=["package", "command line", "every command"],
)
def test_libraries_that_few_need_are_imported_late(modules: str, late: tuple[str, ...]) -> None:
    script = f"import sys, {modules}; print([name for name in {late!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["--version", "check", "fmt", "test", "schema show"])
def test_a_command_imports_what_it_needs(command: str, tmp_path: Path) -> None:
    policies = tmp_path / "docs.pol"
    policies.write_text(POLICY, encoding="utf-8")
    words = [*command.split(), *([] if command == "--version" else [str(policies)])]
    late = (*OF_NO_COMMAND, *OF_THE_SERVICE, "policyengine.cli.serve", "policyengine.cli.decide")
    script = f"""if True:
        import sys
        from policyengine.cli import app
        try:
            app({words!r})
        finally:
            print([name for name in {late!r} if name in sys.modules], file=sys.stderr)"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"
