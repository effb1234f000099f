"""Where API keys are kept: a file, SQLite, Redis or PostgreSQL, behind one protocol.

| file | job |
|---|---|
| `store.py` | the protocol, and the error of a store that cannot be used |
| `opening.py` | the address of a store to the store |
| `file.py`, `sqlite.py`, `redis.py`, `postgresql.py` | one store each |

Never: the text of a key. A store that cannot be read in full raises; it is never an empty one.
"""
