"""What `import policyengine` brings with it: no library that only some of those who import it need."""

from __future__ import annotations

import subprocess
import sys

# The finders', the services' and the log's; `policyengine/lazy_import.py` stands in their place.
LATE = ("phonenumbers", "stdnum", "httpx2", "cryptography", "structlog", "rich", "watchfiles", "jsonschema", "pydantic")


def test_libraries_that_few_need_are_imported_late() -> None:
    script = f"import sys, policyengine; print([name for name in {LATE!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
