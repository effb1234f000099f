"""From typed policies to generated Python behind an index of rules: the fast PDP. Laws hold it equal to
`policyengine.evaluate`.

Start at `evaluator`. `index` finds the rules that a request can concern, `codegen` and `entry` generate functions from
them, and `native` is the part in C.
"""
