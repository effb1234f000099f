"""Credentials: tokens of providers by their literals, values by the name they are assigned to, keys and headers.

`finder.py` goes over the text once; the tables beside it hold the facts, each with its source.
"""
