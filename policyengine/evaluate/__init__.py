"""What a policy means: typed policies and a request to a decision. The specification, written to be read.

`interpret` says what an expression is worth, `combine` what rules amount to, `decide` is the reference PDP on top of
both. `policyengine.compile` is the fast one, equal by law.
"""
