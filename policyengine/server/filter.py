"""`POST /v1/filter`: which resources of a type a subject may see, as a query for the store that has them.

No decision is made here. A store that is asked with the query finds all that may be seen; where `exact` is not true it
may find more, and each find must then be put to an evaluation.
"""

from __future__ import annotations

import json
from typing import Any

from policyengine.authzen import read
from policyengine.authzen.arguments import FilterRequest
from policyengine.authzen.refused import Malformed
from policyengine.callers.caller import Caller
from policyengine.engine import Engine
from policyengine.filters.described import described, plain
from policyengine.filters.filter import NotExpressible
from policyengine.server.pipeline import Answer


def answer_filter(engine: Engine, body: bytes, _: Caller) -> Answer:
    """Raises Malformed."""
    asked = read.filter_request(read.json_object(body))
    found = engine.filter(
        principal=asked.principal,
        action=asked.action,
        resource_type=asked.resource["type"],
        context=asked.context,
        resource=asked.resource,
        fulfilled=asked.fulfils,
    )
    answer: dict[str, Any] = {"kind": found.kind.value, "exact": None, "query": None, "rechecked": []}
    if asked.backend is not None:
        answer |= _query(asked, found)
    answer["residual"] = found.explain()
    answer["revision"] = found.revision
    if found.errors:
        answer["errors"] = [{"rule": each.rule, "code": each.code, "message": each.message} for each in found.errors]
    return json.dumps(answer, separators=(",", ":"), allow_nan=False).encode("ascii"), (), 0


def _query(asked: FilterRequest, found: Any) -> dict[str, Any]:
    try:
        backend = described(asked.backend)
    except ValueError as error:
        raise Malformed(f"`backend`: {error}") from None
    try:
        query = found.to(backend, exact=asked.exact)
    except NotExpressible as refused:
        count = len(refused.diagnostics)
        raise Malformed(
            f"{backend.name} cannot be asked exactly for {count} of the conditions; leave out `exact`, and put what is "
            "found to an evaluation"
        ) from None
    return {"exact": query.exact, "query": plain(query), "rechecked": query.rechecked}
