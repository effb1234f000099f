"""The results of one load that the next one reuses, in this process or on disk: the trees of texts, and their checks.

They change nothing but the time that a load takes. `modules.py` is the entry for a load; `stored.py` and `codec.py`
turn results into bytes that are data and never code; `cache.py` decides which bytes on disk to trust.
"""
