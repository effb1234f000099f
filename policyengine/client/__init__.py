"""Asking a decision service from Python, as one asks an engine in process.

    with Client("http://localhost:8080", credential=key) as pdp:
        if pdp.decide(principal=ann, action="retrieve", resource=document):
            ...

| file | job |
|---|---|
| `exchange.py` | questions to bytes, bytes to answers: no I/O, once for both clients |
| `retrying.py` | when to try again, and for how long |
| `client.py` | `Client` and `AsyncClient`: the I/O, on httpx2 |
| `administering.py` | what administrators ask: reloading, and API keys |
| `asgi.py`, `fastapi.py` | in front of an application: a middleware, a dependency |

Fail-closed: `decide` and `decide_many` never raise for what a service does or does not do. What is not plainly an allow
is a denial that says why in its errors. Searches, filters, explanations and what administrators ask have no denial, and
raise `Unavailable`.
"""

from policyengine.client.client import AsyncClient, Client
from policyengine.client.exchange import Unavailable

__all__ = ["AsyncClient", "Client", "Unavailable"]
