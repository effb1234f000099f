"""Finders: text to findings. They never decide.

In: a text, the kinds that somebody needs, and a Vocabulary of the user's own words. Out: findings, sorted, without any
value. Pure: no I/O, no clock, no model. Finders know nothing of rules and obligations.
"""

from policyengine.detect.finder import DetectorFailed, Finder, UnknownKind
from policyengine.detect.finding import Finding
from policyengine.detect.registry import Registry, find, find_many, needed, registry, unknown_kinds, width
from policyengine.detect.vocabulary import Pattern, Vocabulary

__all__ = [
    "DetectorFailed",
    "Finder",
    "Finding",
    "Pattern",
    "Registry",
    "UnknownKind",
    "Vocabulary",
    "find",
    "find_many",
    "needed",
    "registry",
    "unknown_kinds",
    "width",
]
