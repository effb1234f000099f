"""Several processes that answer as one service: the supervisor, and what the workers tell each other through it.

`supervisor.py` starts processes and replaces those that have ended. `hub.py` is its end of their conversation, and
`sibling.py` is the end of each worker. The workers switch policies on one signal, and each can report for all.
"""
