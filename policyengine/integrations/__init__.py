"""Around the searches of others: what they find, less what the caller may not see.

`retrieval` needs no library and works around any search; `langchain` and `llamaindex` need theirs, and are imported by
their own names.
"""

from policyengine.integrations.documents import attributes
from policyengine.integrations.retrieval import Result, Retrieved, UnrecordedLabels, apermitted, permitted

__all__ = ["Result", "Retrieved", "UnrecordedLabels", "apermitted", "attributes", "permitted"]
