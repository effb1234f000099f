"""What a host knows of its user when a session begins, by suite: accounts, contacts, names and ids, never what
strangers wrote. `entities` are values that may be relied on; `standing` is what rules look ids up in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Data = Mapping[str, Any]
# What the company calls its channels and members; a name that is a sentence is nobody's.
_NAME = re.compile(r"[A-Za-z0-9_]{1,30}\Z")
_OWN_PAGES = ["www.our-company.com", "www.our-company.com/", "www.company-todo-list.com/"]


@dataclass(frozen=True, slots=True)
class StandingData:
    entities: list[Any] = field(default_factory=list)
    standing: dict[str, Any] = field(default_factory=dict)


def banking(data: Data, prompt: str) -> StandingData:
    account, user = data["bank_account"], data["user_account"]
    kept = ("id", "subject", "recipient", "amount")
    orders = [{name: one[name] for name in kept} for one in account["scheduled_transactions"]]
    about = {name: user[name] for name in ("first_name", "last_name", "street", "city")}
    return StandingData([about, account["iban"]], {"orders": orders})


def workspace(data: Data, prompt: str) -> StandingData:
    mails, files = data["inbox"]["emails"].values(), data["cloud_drive"]["files"].values()
    me = data["inbox"]["account_email"]
    company = me.split("@")[1]
    met = {one for event in data["calendar"]["events"].values() for one in event["participants"]}
    seen = {mail["sender"] for mail in mails} | met
    contacts = {one for one in seen if one.endswith("@" + company)}
    for mail in mails:
        if mail["sender"] == me:
            contacts.update(mail["recipients"], mail["cc"], mail["bcc"])
    for file in files:
        if file["owner"] == me:
            contacts.update(file["shared_with"])
    drive = [{name: file[name] for name in ("id_", "filename", "owner")} for file in files]
    return StandingData(sorted(contacts), {"me": me, "contacts": sorted(contacts), "files": drive})


def travel(data: Data, prompt: str) -> StandingData:
    return StandingData([], {"me": data["user"]["email"]})


def slack(data: Data, prompt: str) -> StandingData:
    members = list(data["slack"]["users"])
    channels = [name for name in data["slack"]["channels"] if _NAME.match(name)]
    # The company's own pages that the user speaks of.
    pages = [
        text for url, text in data["web"]["web_content"].items() if url in prompt and url.startswith(tuple(_OWN_PAGES))
    ]
    return StandingData([*members, *channels, *pages], {"members": members, "channels": channels, "pages": _OWN_PAGES})


BY_SUITE: dict[str, Callable[[Data, str], StandingData]] = {
    "banking": banking, "workspace": workspace, "travel": travel, "slack": slack,
}  # fmt: skip
