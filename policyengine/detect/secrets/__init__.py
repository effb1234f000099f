"""Credentials: tokens of providers by their literals, values by the name that they are assigned to, keys and headers.

`finder.py` reads the text once; the tables next to it hold the facts, each with its source.
"""
