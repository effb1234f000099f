"""What documents record about charges: a meter records its limit, and a lease records its charges.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policyengine.state import meters, relative_ceilings
from policyengine.state.operations import Adjust, Charge, Document, MeterUse
from policyengine.state.windows import Sliding, Window, kind_of

Documents = Mapping[str, Document | None]


def description_of(charge: Charge | Adjust) -> dict[str, Any]:
    """A meter's description in its document, so that nobody needs a policy to read it."""
    described = {"rule": charge.rule, "by": list(charge.by), "ceiling": charge.ceiling}
    if isinstance(charge.window, Sliding):
        described["width"] = charge.window.width
    if isinstance(charge, Charge) and charge.share is not None:
        described["share"] = list(charge.share)
    return described


def held_charge(charge: Charge, where: int) -> dict[str, Any]:
    """A charge as a lease keeps it, with the place where it was counted."""
    kind = kind_of(charge.window)
    held = {"meter": charge.meter, "rule": charge.rule, "kind": kind, "at": where, "ceiling": charge.ceiling}
    if isinstance(charge.window, Sliding):
        held["width"] = charge.window.width
    if charge.share is not None:
        held["share"] = list(charge.share)
    return {**held, "reserved": charge.amount, "counted": charge.amount, "spent": 0}


def held_document(documents: Documents, held: Mapping[str, Any]) -> Document | None:
    """The document of a meter that a lease is charged to."""
    document = documents[held["meter"]]
    return relative_ceilings.shared(document, tuple(held["share"])) if "share" in held else document


def held_use(held: Mapping[str, Any], document: Document | None, window: Window, at: int) -> MeterUse:
    ceiling = meters.ceiling_at(document, window, held["ceiling"], at)
    used, empty = meters.used(document, window, at), meters.empty_at(document, window, at)
    return MeterUse(held["rule"], held["meter"], used, ceiling, empty)
