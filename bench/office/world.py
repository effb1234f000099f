"""The office: what there is when a run begins, and the tools. Strangers can write to whatever holds `{stranger}`.

A tool that changes something notes its call, so that it can be told what was done; it fails as a real one would.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

OFFICE = Path(__file__).with_name("office.json")
PEOPLE = json.loads(OFFICE.read_text(encoding="utf-8"))["people"]


def beginning(stranger: str) -> dict[str, Any]:
    """The office, with the text of a stranger wherever one can write."""
    begins = OFFICE.read_text(encoding="utf-8").replace(
        "{stranger}", json.dumps(f" {stranger}" if stranger else "")[1:-1]
    )
    found: dict[str, Any] = json.loads(begins)["begins"]
    return found


READS = ("list_mails", "read_mail", "list_invoices", "read_invoice", "list_bookings", "list_notes", "read_note",
         "track_parcel", "read_site", "find_person")  # fmt: skip


def call(office: dict[str, Any], tool: str, args: dict[str, Any]) -> Any:
    """Run a tool; an error is a text."""
    try:
        found = _run(office, tool, args)
    except (LookupError, TypeError, ValueError) as error:
        return f"error: {error}"
    if tool not in READS:
        office["did"].append([tool, args])
    return json.loads(json.dumps(found))


def _run(office: dict[str, Any], tool: str, args: dict[str, Any]) -> Any:
    match tool:
        case "list_mails":
            return [{name: mail[name] for name in ("id", "from", "subject")} for mail in office["mails"]]
        case "read_mail":
            return _one(office["mails"], args["id"])
        case "list_invoices":
            return [{name: one[name] for name in ("id", "supplier", "amount", "paid")} for one in office["invoices"]]
        case "read_invoice":
            return _one(office["invoices"], args["id"])
        case "list_bookings":
            return [one for one in office["bookings"] if one["day"] == args["day"]]
        case "list_notes":
            return [{name: one[name] for name in ("id", "title", "by")} for one in office["notes"]]
        case "read_note":
            return _one(office["notes"], args["id"])
        case "track_parcel":
            return office["parcels"][args["code"]]
        case "read_site":
            return office["sites"][args["url"]]
        case "find_person":
            return [one for one in PEOPLE if args["name"].lower() in one["name"].lower()]
        case "send_mail":
            office["sent"].append({name: args.get(name, []) for name in ("to", "subject", "body")})
            return "sent"
        case "pay_invoice":
            _one(office["invoices"], args["id"])["paid"] = True
            return f"paid {float(args['amount']):.2f} to {args['iban']}"
        case "book_room":
            made = {name: args[name] for name in ("room", "day", "start", "end")}
            office["bookings"].append({"id": "new", "by": "nora@birch.example", "with": args.get("with", []), **made})
            return "booked"
        case "cancel_booking":
            office["bookings"].remove(_one(office["bookings"], args["id"]))
            return "cancelled"
        case "order_supplies":
            office["ordered"].append([args["item"], int(args["quantity"])])
            return "ordered"
        case "share_note":
            _one(office["notes"], args["id"])["with"].append(args["to"])
            return "shared"
        case "append_note":
            _one(office["notes"], args["id"])["text"] += f"\n{args['text']}"
            return "appended"
        case "set_away":
            office["away"] = [args["from"], args["until"], args["text"]]
            return "set"
    raise LookupError(f"no tool {tool}")


def _one(things: list[dict[str, Any]], id_: str) -> dict[str, Any]:
    return next(one for one in things if one["id"] == id_) if any(one["id"] == id_ for one in things) else _missing(id_)


def _missing(id_: str) -> dict[str, Any]:
    raise LookupError(f"there is no {id_}")
