"""Adapters for other libraries: around searches, so that only what the caller may see comes out, and around agents, so
that each call is gated.

`retrieval` needs no library and works around any search. The other modules need their libraries and are imported by
their own names.
"""

from policyengine.integrations.documents import attributes
from policyengine.integrations.retrieval import Result, Retrieved, UnrecordedLabels, apermitted, permitted

__all__ = ["Result", "Retrieved", "UnrecordedLabels", "apermitted", "attributes", "permitted"]
