"""What `import policyengine` brings with it, and the command line: no library that only some of those who import it
need."""

from __future__ import annotations

import subprocess
import sys

import pytest

# The finders', the services' and the log's; `policyengine/lazy_import.py` stands in their place.
LATE = ("phonenumbers", "stdnum", "httpx2", "cryptography", "structlog", "rich", "watchfiles", "jsonschema", "pydantic")
# A command starts for every file that an editor saves. What verifies tokens is for the service.
OF_NO_COMMAND = ("phonenumbers", "stdnum", "httpx2", "cryptography", "joserfc", "structlog", "jsonschema")


@pytest.mark.parametrize(("module", "late"), [("policyengine", LATE), ("policyengine.cli", OF_NO_COMMAND)])
def test_libraries_that_few_need_are_imported_late(module: str, late: tuple[str, ...]) -> None:
    script = f"import sys, {module}; print([name for name in {late!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
