"""Several processes that answer as one service: whoever starts them, and what they tell each other through it.

`supervisor.py` starts processes and replaces those that ended; `hub.py` is its end of their talk, `sibling.py` is that
of each of them. They swap policies on one signal, and each can speak for all.
"""
