"""The yardstick: how long a decision takes, beside hand-written Python and beside other engines.

`python -m bench` runs it; README.md says what each workload is and how to read the figures. Nothing here is part of
the package, and no test asserts a time.
"""
