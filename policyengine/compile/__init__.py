"""Typed policies to generated Python behind an index of rules: the fast PDP, equal to `policyengine.evaluate` by law.

`evaluator` is its front door. `index` finds the rules that a request can concern, `codegen` and `entry` make functions
of them, `native` is the part in C.
"""
