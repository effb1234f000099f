"""Explains decisions: traces of rules as data, in words and as JSON, on top of `policyengine.evaluate`."""
