"""What one load leaves for the next, in this process or on disk: the trees of texts, and the results of checking them.

It changes nothing but the time that a load takes. `modules.py` is what a load asks; `stored.py` and `codec.py` turn
results into bytes that are data and never code; `cache.py` decides which bytes on disk to trust.
"""
