"""What the written rules order before something is changed, and changes that are wrong.

The ground truth leaves out who calls and what was looked up where that changes no score; `before` has what a call
centre does first: who calls is found, and what is to be changed is looked at.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator

from bench.tau.desk import AccessHints, Call


def owner(desk: AccessHints, calls: list[Call]) -> str | None:
    """The customer whom the calls are about."""
    for tool, args in calls:
        if "user_id" in args:
            return str(args["user_id"])
        if tool.startswith("find_user") and (found := desk.read(tool, args)) in desk.db["users"]:
            return str(found)
        for kind, name in (("orders", "order_id"), ("reservations", "reservation_id")):
            if args.get(name) in desk.db.get(kind, {}):
                return str(desk.db[kind][args[name]]["user_id"])
    return None


def before(desk: AccessHints, call: Call, who: str) -> list[Call]:
    """What is looked at before this change."""
    return [*_greeting(desk, who), *(_retail(desk, call) if desk.name == "retail" else _airline(desk, call, who))]


def _greeting(desk: AccessHints, who: str) -> list[Call]:
    profile: Call = ("get_user_details", {"user_id": who})
    if desk.name == "airline":
        return [profile]
    return [("find_user_id_by_email", {"email": desk.db["users"][who]["email"]}), profile]


def _retail(desk: AccessHints, call: Call) -> list[Call]:
    order = desk.db["orders"].get(call[1].get("order_id"))
    if order is None:
        return []
    changed = set(call[1].get("item_ids", ())) if "new_item_ids" in call[1] else set()
    products = sorted({item["product_id"] for item in order["items"] if item["item_id"] in changed})
    return [
        ("get_order_details", {"order_id": order["order_id"]}),
        *(("get_product_details", {"product_id": one}) for one in products),
    ]


def _airline(desk: AccessHints, call: Call, who: str) -> list[Call]:
    found: list[Call] = []
    tool, args = call
    ids = [args["reservation_id"]] if "reservation_id" in args else []
    if tool == "send_certificate":
        ids = desk.db["users"][who]["reservations"]
    for id_ in ids:
        found.append(("get_reservation_details", {"reservation_id": id_}))
        for flight in desk.db["reservations"].get(id_, {}).get("flights", ()):
            found.append(("get_flight_status", {name: flight[name] for name in ("flight_number", "date")}))
    for flight in args.get("flights", ()):
        known = desk.db["flights"].get(flight["flight_number"])
        if known is not None:
            asked = {"origin": known["origin"], "destination": known["destination"], "date": flight["date"]}
            found.append(("search_direct_flight", asked))
    return found


def wrong(desk: AccessHints, call: Call, who: str, rng: random.Random) -> Iterator[tuple[str, Call]]:
    """The same change, of somebody else's, of other things, or for another amount; each with what is wrong with it."""
    tool, args = call
    for kind, name in (("orders", "order_id"), ("reservations", "reservation_id")):
        if name in args:
            mine = desk.db[kind].get(args[name], {})
            same = [id_ for id_, one in desk.db[kind].items()
                    if one["user_id"] != who and one.get("status") == mine.get("status")]  # fmt: skip
            yield "another customer's", (tool, {**args, name: rng.choice(same)})
    if "user_id" in args:
        yield "another customer's", (tool, {**args, "user_id": rng.choice([u for u in desk.db["users"] if u != who])})
    for name in ("payment_id", "payment_method_id"):
        if name in args:
            yield "another's way to pay", (tool, {**args, name: _foreign_method(desk, who, rng)})
    if "new_item_ids" in args:
        variants = [id_ for one in desk.db["products"].values() for id_ in one["variants"]]
        yield "another product", (tool, {**args, "new_item_ids": [rng.choice(variants) for _ in args["new_item_ids"]]})
    if "item_ids" in args:
        others = [item["item_id"] for order in desk.db["orders"].values() for item in order["items"]]
        yield (
            "items that are not in the order",
            (tool, {**args, "item_ids": [rng.choice(others) for _ in args["item_ids"]]}),
        )
    if "reason" in args:
        yield "another reason", (tool, {**args, "reason": "found it cheaper"})
    yield from _wrong_amounts(desk, call, who, rng)


def _wrong_amounts(desk: AccessHints, call: Call, who: str, rng: random.Random) -> Iterator[tuple[str, Call]]:
    tool, args = call
    if "amount" in args:
        yield "another amount", (tool, {**args, "amount": args["amount"] * 2})
        yield "another amount", (tool, {**args, "amount": args["amount"] + 10})
    if "nonfree_baggages" in args:
        yield "another amount", (tool, {**args, "nonfree_baggages": args["nonfree_baggages"] + 1})
        yield "another amount", (tool, {**args, "total_baggages": args["total_baggages"] + 12})
    if "passengers" in args:
        more = [*args["passengers"], {"first_name": "Eve", "last_name": "Doe", "dob": "1990-01-01"}]
        yield "other passengers", (tool, {**args, "passengers": more * (5 if tool == "book_reservation" else 1)})
    if "payment_methods" in args:
        paid = copy.deepcopy(args["payment_methods"])
        paid[0]["payment_id"] = _foreign_method(desk, who, rng)
        yield "another's way to pay", (tool, {**args, "payment_methods": paid})
    if tool == "update_reservation_flights":
        elsewhere = rng.choice(list(desk.db["flights"].values()))
        flights = [*args["flights"][:-1], {"flight_number": elsewhere["flight_number"], "date": "2024-05-25"}]
        yield "another trip", (tool, {**args, "flights": flights})


def _foreign_method(desk: AccessHints, who: str, rng: random.Random) -> str:
    methods = {m for u, one in desk.db["users"].items() if u != who for m in one["payment_methods"]}
    return str(rng.choice(sorted(methods - set(desk.db["users"][who]["payment_methods"]))))
