"""Two offers from end to end, over HTTP: a same-day upgrade in a booking reminder, and an affiliate's transfer.

Each is registered, decided, opened from its token, taken step by step, paid and settled; then the month's revenue is
told. What the recipients have is booked here first: nothing of it is in the demo's data.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table

__all__ = ["Sender", "run"]

Json = Any

NOON = datetime(2019, 12, 2, 12, tzinfo=timezone(timedelta(hours=1)))
"""The day after the demo's week, in Berlin."""

RECIPIENT = {"id": "r-anna", "timezone": "Europe/Berlin", "country": "DE", "age": 34}

UPGRADE = {
    "id": "sea-view-tonight",
    "title": "Sea view tonight",
    "amount_minor": 1900,
    "currency": "EUR",
    "sponsor": {"id": "hotel-meridian"},
    "campaign": {"id": "same-day-upgrade"},
    "begins_at": "2019-12-02T00:00:00+01:00",
    "ends_at": "2019-12-03T00:00:00+01:00",
    "stock": 3,
    "steps": ["view", "confirm", "pay"],
    "commission_bps": 1500,
    "benefit": {"share_bps": 1000, "form": "credits", "text": "You get a tenth of what we earn, as credits"},
}
TRANSFER = {
    "id": "airport-transfer",
    "title": "A ride from the airport",
    "amount_minor": 2800,
    "currency": "EUR",
    "sponsor": {"id": "city-cabs"},
    "campaign": {"id": "airport-transfer"},
    "affiliate": {"id": "cab-network", "share_bps": 3000},
    "steps": ["view", "pay"],
    "session_seconds": 120,
    "commission_bps": 1000,
    "benefit": {"share_bps": 1000, "form": "credits", "text": "You get a tenth of our commission in credits"},
}


class Sender(Protocol):
    """A connection to the service. Raises RuntimeError where the answer is a problem."""

    def send(self, method: str, path: str, body: Json = None, *, at: str | None = None) -> Json:
        """One request, at the replay clock's `at`; the decoded answer."""


def run(service: Sender, console: Console) -> None:
    """Play both through, and tell what happened."""
    console.print("\n[bold]two offers, from registration to revenue[/bold]\n")
    _prepare(service)
    story = Table(box=None, pad_edge=False, show_header=False)
    story.add_column(no_wrap=True)
    story.add_column()
    _play(service, story.add_row, UPGRADE, _upgrade_reminder(), at=NOON)
    story.add_row("", "")
    _play(service, story.add_row, TRANSFER, _transfer_tip(), at=NOON + timedelta(hours=2))
    console.print(story)
    _tell_month(service, console)


def _prepare(service: Sender) -> None:
    """The recipient agreed to both purposes a month ago, and has 60.00 EUR."""
    before = NOON - timedelta(days=30)
    said = {"recipient": RECIPIENT["id"], "at": before.isoformat(), "method": "form"}
    service.send("POST", "/v1/consents", said | {"purpose": "sponsored_content", "state": "granted"}, at=_at(before))
    asked = said | {"purpose": "partner_offers", "state": "pending", "method": "double_opt_in"}
    pending = service.send("POST", "/v1/consents", asked, at=_at(before))
    service.send("POST", f"/v1/consents/{pending['id']}/confirmation", {}, at=_at(before + timedelta(minutes=5)))
    top_up = {"id": "gift-card", "recipient": RECIPIENT["id"], "amount_minor": 6000, "currency": "EUR"}
    service.send("POST", "/v1/wallet/top-ups", top_up, at=_at(NOON))


def _play(service: Sender, tell: Callable[..., None], offer: Json, candidate: Json, *, at: datetime) -> None:
    """One offer from registration to payment: sent `at` once, opened a minute later, a step every twenty seconds."""
    service.send("POST", "/v1/offers", offer, at=_at(at))
    price = _money(offer["amount_minor"], offer["currency"])
    tell("registered", f"{offer['title']}: {price}, for {offer['sponsor']['id']}")
    decision = service.send("POST", "/v1/decisions", candidate, at=_at(at))
    if decision["effect"] != "allow":
        raise RuntimeError(f"the demo's own candidate was denied: {decision['reasons']}")
    duties = {duty["type"]: duty["values"] for duty in decision["obligations"]}
    carried = duties["carry_offer_token"]
    tell("allowed", f"duties: {', '.join(duties)}")
    tell("", f"its token has {len(carried['token'])} bytes and ends at {carried['expires_at']}")
    sent = {"outcome": "sent", "at": _at(at)}
    service.send("POST", f"/v1/decisions/{decision['decision_id']}/outcome", sent, at=_at(at))
    minute = at + timedelta(minutes=1)
    opening = {"token": carried["token"], "recipient": RECIPIENT["id"]}
    conversion = service.send("POST", "/v1/conversions", opening, at=_at(minute))
    for number, step in enumerate(conversion["steps"], start=1):
        said = {"step": step, "number": number}
        minute += timedelta(seconds=20)
        conversion = service.send("POST", f"/v1/conversions/{conversion['id']}/steps", said, at=_at(minute))
    redeeming = {"recipient": RECIPIENT["id"], "conversion": conversion["id"]}
    redemption = service.send("POST", f"/v1/offers/{carried['token']}/redeem", redeeming, at=_at(minute))
    seconds = int((minute - at).total_seconds()) - 60
    tell(
        "converted",
        f"in {len(conversion['done'])} steps and {seconds} s; {redemption['state']} by {redemption['method']}",
    )
    again = service.send("POST", f"/v1/offers/{carried['token']}/redeem", redeeming, at=_at(minute))
    if again["id"] != redemption["id"]:
        raise RuntimeError("one token was redeemed twice")


def _tell_month(service: Sender, console: Console) -> None:
    """Who earned what of it, as the month's statements and the recipient's wallet say."""
    evening = _at(NOON + timedelta(hours=6))
    month = service.send("GET", f"/v1/settlements/{NOON:%Y-%m}", at=evening)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("statement")
    table.add_column("of")
    table.add_column(f"{NOON:%B %Y}", justify="right")
    for statement in month["statements"]:
        table.add_row(statement["kind"], statement["party"], _money(statement["total_minor"], statement["currency"]))
    for totals in month["totals"]:
        table.add_row("platform", "its share", _money(totals["platform_minor"], totals["currency"]))
    console.print()
    console.print(table)
    wallet = service.send("GET", f"/v1/recipients/{RECIPIENT['id']}/wallet", at=evening)
    has = ", ".join(_money(balance["amount_minor"], balance["unit"]) for balance in wallet["balances"])
    agree = "don't agree" if month["differences"] else "agree"
    console.print(f"{RECIPIENT['id']} has {has} left; statements and ledger {agree}", highlight=False)


def _upgrade_reminder() -> Json:
    """A booking reminder, six hours ahead, with the upgrade inside. What the offer says, it need not repeat."""
    return {
        "id": "reminder-b-9",
        "lane": "monetized",
        "channel": "push",
        "recipient": RECIPIENT,
        "content": {"class": "sponsored", "topic": "upgrade", "disclosure": "Sponsored by Hotel Meridian"},
        "offer": {"id": UPGRADE["id"]},
        "context": {"kind": "booking", "id": "b-9", "at": _at(NOON + timedelta(hours=6))},
        "spend": {"amount_minor": 25, "currency": "EUR"},
        "disclosure": {
            "on_behalf_of": "Hotel Meridian",
            "paid_by": "Hotel Meridian",
            "item_label": "Ad",
            "placement": "before_first_tap",
        },
    }


def _transfer_tip() -> Json:
    """An affiliate's offer, which converts inside the notification."""
    return {
        "id": "tip-transfer",
        "lane": "monetized",
        "channel": "in_app",
        "recipient": RECIPIENT,
        "content": {"class": "affiliate", "topic": "transfer", "disclosure": "We earn a commission if you book"},
        "offer": {"id": TRANSFER["id"]},
        "conversion": {"hosts": [], "max_seconds": 120},
    }


def _money(amount_minor: int, currency: str) -> str:
    """As text; these are all currencies with two digits."""
    sign, amount = "-" * (amount_minor < 0), abs(amount_minor)
    return f"{sign}{amount // 100}.{amount % 100:02} {currency}"


def _at(instant: datetime) -> str:
    return instant.isoformat()
