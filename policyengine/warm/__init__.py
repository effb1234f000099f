"""What one load leaves for the next, in this process or on disk: trees of texts, and what checking them found out.

It makes no difference but to time. `modules.py` is what a load asks; `stored.py` and `codec.py` turn results into bytes
that are data and never code, `cache.py` decides which bytes on disk to trust.
"""
