"""What a policy means: from typed policies and a request to a decision. This is the specification, written to be read.

`interpret` gives the value of an expression, `combine` turns the outcomes of rules into a decision, and `decide` is the
reference PDP on top of both. `policyengine.compile` is the fast PDP; laws hold it equal to this one.
"""
