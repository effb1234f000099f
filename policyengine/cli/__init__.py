"""The command `policyengine`. Each command is a file; what they share is `console`, `loading` and `request`.

Results go to standard output, everything else to standard error. Exit status: 0 fine; 1 policies with errors, or a
failed check; 2 wrong usage or input that cannot be read; `decide` adds 3 for a deny and 4 for an allow that owes
something.
"""

from policyengine.cli.main import app

__all__ = ["app"]
