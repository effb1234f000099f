"""The constants that generated policies and generated requests share, so that rules hold often."""

from __future__ import annotations

IDS = ("e0", "e1", "e2")
# Entities that the source knows; the third id is always a stranger to it.
KNOWN = IDS[:2]
INTS = (0, 1, 2, 5, -1, 9223372036854775807)
NUMBERS = (0, 1, 2.5, -1, 1.0, 1e300)
TEXTS = ("a", "b", "acme", "ann@acme.com", "https://evil.test/p", "/srv/data/a", "10.0.0.1", "", "é")
TIMES = (
    "2026-01-31T12:00:00Z",
    "2026-01-31T13:00:00+01:00",
    "1999-12-31T23:59:59.5Z",
    "2026-01-31T12:00:00.000000001Z",
)
DURATIONS = ("1s", "15m", "24h", "2w", "0ms")
ADDRESSES = ("10.0.0.1", "::ffff:10.0.0.1", "192.168.1.1", "2001:db8::1")
RANGES = ("10.0.0.0/8", "192.168.0.0/16", "2001:db8::/32", "0.0.0.0/0")
