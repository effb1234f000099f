"""`decide`, as hosts call it: with keywords, in process, again and again.

Every call goes to an evaluator. If a request is like earlier ones, it goes to their entry function directly.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from policyengine.compile.approvals_and_meters import meters
from policyengine.compile.evaluator import Evaluator, named, with_meters
from policyengine.compile.native import Decider, with_shortcut
from policyengine.compile.runtime import NOTHING
from policyengine.model.decision import Decision

# The default of `approved` and `metered`: the caller has verified nothing.
_NOTHING: tuple[()] = ()


class KeywordDecider(Decider):
    """Decides by the evaluator that it was given last, even if the host has kept a reference to its method."""

    _evaluator: Evaluator
    _entries: Mapping[str, Mapping[Any, Mapping[Any, Callable[..., Decision]]]]

    def _decides_by(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._entries = evaluator.direct_entries
        evaluator.shortcuts(self)

    @with_shortcut(positional=False)
    def decide(
        self,
        *,
        principal: Mapping[str, Any],
        action: str | Mapping[str, Any],
        resource: Mapping[str, Any],
        context: Mapping[str, Any] | None = None,
        approved: Collection[str] | None = (),
        metered: Collection[str] | bool | None = (),
    ) -> Decision:
        """The decision about one request.

        Entities are flat: `{"type": ..., "id": ..., ...attributes}`, with `parents` for what they are in. An action is
        a name, or `{"name": ..., ...attributes}`. `approved` names `require` rules whose approval the caller has
        verified for exactly this request, `metered` the limits that the caller meters (True for all of them). An allow
        that depends on any others is not `allowed`. A malformed request is denied; this method never raises because of
        a request's content. Raises TypeError for an `approved` or `metered` that is not a collection of names of such
        rules.
        """
        if approved is not _NOTHING or metered is not _NOTHING:
            # Names and entries have to come from one snapshot.
            evaluator = self._evaluator
            given = evaluator.approved(approved)
            if metered is not _NOTHING:
                limits = meters(metered, evaluator.limits)
                return with_meters(evaluator.decide(principal, action, resource, context, given), limits)
            try:
                name = action if type(action) is str else named(action)
                entry = evaluator.direct_entries[name][resource["type"]][principal["type"]]
                attributes = NOTHING if name is action else action
                return entry(principal, resource, context, attributes, given or None)
            except Exception:  # noqa: BLE001 - whatever it is, the slow path decides
                return evaluator.slowly(principal, action, resource, context, given)
        try:
            # The same as `Evaluator.decide`, inlined. A request that is new or unusual raises.
            name = action if type(action) is str else named(action)
            entry = self._entries[name][resource["type"]][principal["type"]]
            if name is action:
                return entry(principal, resource, context)
            return entry(principal, resource, context, action)
        except Exception:  # noqa: BLE001 - whatever it is, the slow path decides
            return self._evaluator.slowly(principal, action, resource, context)
