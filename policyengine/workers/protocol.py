"""What the hub and its members say to each other: JSON objects, one a line, over a Unix socket of this user.

A member says       `started`  the revision it has begun with; it hears `current`, the one that answers
                    `prepared` a revision that is ready; it hears `swap` once all have it ready
                    `dropped`  what it had prepared is outdated
                    `swapped`  the revision that answers here from now on
                    `report`   what was asked for: its status, and its counts
                    `everybody` asks for the reports of all; it hears `everybody`
The hub says also   `look`     a revision that others have prepared; `behind`, one from which all others answer
                    `report`   asks for one
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

# The environment variable with the path of the hub's socket.
SUPERVISOR = "POLICYENGINE_SUPERVISOR"
# A line is no longer; a report of very many rules is long.
MOST_BYTES = 1 << 26
# So long, in seconds, those who have prepared a revision wait for those who have not.
PATIENCE = 30.0
# So long, in seconds, a report is waited for; of whoever does not answer, the last one counts.
ANSWER = 1.0


def time_of(moment: datetime) -> str:
    """A time, as people are told it."""
    return moment.isoformat(timespec="seconds")


def line(word: str, **what: Any) -> bytes:
    return json.dumps({"word": word, **what}, separators=(",", ":")).encode() + b"\n"
