"""The three applications of Cedar's OOPSLA 2024 benchmarks, written anew.

Each is a policy here (`.pol`), the same policy in Cedar, and a module that makes a random graph of N entities of each
type, with the distributions of the original's generator: every possible edge is there with probability 0.05, and what
is nested is nested without cycles. The originals are in github.com/cedar-policy/cedar-examples, oopsla2024-benchmarks.
"""
