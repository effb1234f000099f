"""Typed policies and a request to a decision.

`interpret` is the specification; `decide` is the reference PDP on top of it; `codegen` is the fast one, equal by law.
"""
