"""`POST /v1/filter`: which resources of a type a subject may see, as a query for the store that has them.

No decision is made here. The query finds everything that may be seen; unless `exact` is true it may find more, and then
each result must be evaluated.
"""

from __future__ import annotations

from typing import Any

from policyengine.authzen import read
from policyengine.authzen.engine_arguments import FilterRequest
from policyengine.authzen.errors import Malformed
from policyengine.callers.caller import Caller
from policyengine.engine import Engine
from policyengine.filters.descriptions import as_json, store_of
from policyengine.filters.filter import Filter, NotExpressible
from policyengine.server import encode
from policyengine.server.bind import Binding
from policyengine.server.errors import RequestError
from policyengine.server.metering import declared
from policyengine.server.pipeline import Answer


def answer_filter(engine: Engine, body: bytes, caller: Caller, *, binding: Binding) -> Answer:
    """Raises Malformed, RequestError, and Forbidden."""
    asked = read.filter_request(binding.silent(caller, read.json_object(body)))
    filtered = _found(engine, asked, caller, binding)
    answer: dict[str, Any] = {"kind": filtered.kind.value, "exact": None, "query": None, "rechecked": []}
    if asked.backend is not None:
        answer |= _query(asked, filtered, caller, binding)
    if asked.explain:
        if len(body) > MOST_EXPLAINED:
            raise RequestError(413, f"a filter is explained for requests of at most {MOST_EXPLAINED} bytes")
        answer["residual"] = filtered.explain() + (_OWN if caller.tenant is not None else "")
    answer["revision"] = filtered.revision
    if filtered.errors:
        answer["errors"] = [{"rule": each.rule, "code": each.code, "message": each.message} for each in filtered.errors]
    return encode.value_body(answer), (), 0


# An explanation shows what the request has, several times.
MOST_EXPLAINED = 65_536
_OWN = "# and only of the caller's own tenant\n"


def _found(engine: Engine, asked: FilterRequest, caller: Caller, binding: Binding) -> Filter:
    while True:
        snapshot = engine.snapshot
        own = binding.asked(caller, snapshot, asked, "resource")
        metered = declared(own.context, snapshot.evaluator.limits)
        try:
            filtered = engine.filter(
                principal=own.principal,
                action=own.action,
                resource_type=own.resource["type"],
                context=own.context,
                resource=own.resource,
                fulfilled=own.fulfils,
                metered=metered,
            )
        except TypeError:
            # Policies that were loaded meanwhile have no limit with that name.
            if engine.snapshot is snapshot:
                raise
            continue
        # If policies were loaded meanwhile, the request was not checked against their entities.
        if filtered.revision == snapshot.revision:
            return binding.filter(caller, filtered)


def _query(asked: FilterRequest, found: Filter, caller: Caller, binding: Binding) -> dict[str, Any]:
    try:
        backend = store_of(asked.backend)
    except ValueError as error:
        raise Malformed(f"`backend`: {error}") from None
    binding.check_query(caller, found, backend)
    try:
        query = found.to(backend, exact=asked.exact)
    except NotExpressible as refused:
        count = len(refused.diagnostics)
        raise Malformed(
            f"{backend.name} cannot express {count} of the conditions exactly; leave out `exact`, and have each result "
            "evaluated"
        ) from None
    return {"exact": query.exact, "query": as_json(query), "rechecked": query.rechecked}
