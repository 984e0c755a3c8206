"""The demo's input: real impressions as candidates, and what they don't carry, derived by fixed rules.

Real, from the data: when, to whom, which campaign, which item, which arm, at which position. Derived here, because
the data has none of it: consent, the `sponsored` toggle, time zone, age, the item's price and its steps to convert.
Each is a function of the recipient's or the item's id alone (a BLAKE2b hash, so the same on every machine):

- 80 % of recipients granted `sponsored_content` a month before, 5 % denied it, 15 % were never asked; of those who
  granted, 10 % withdraw in the course of the week
- 8 % have the toggle `sponsored` off
- 90 % are known to live in Asia/Tokyo, 4 % have no time zone on record, 3 % a wrong one, 3 % live in Europe/Berlin
- 4 % are under age, 3 % of unknown age, all others adult
- an item costs between 480 and 4,440 yen and takes 1 to 4 steps to convert
"""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

__all__ = ["Impression", "candidate", "consent_changes", "impressions", "preferences"]

DATA = Path(__file__).parent / "data" / "open_bandit_impressions.csv.gz"
FIRST_DAY = datetime(2019, 11, 24, tzinfo=UTC)
GRANTED_AT = FIRST_DAY - timedelta(days=30)
PURPOSE = "sponsored_content"


@dataclass(frozen=True, slots=True)
class Impression:
    """One row of the data."""

    number: int
    at: datetime
    arm: str
    campaign: str
    item: str
    position: int
    recipient: str


def impressions(limit: int | None = None) -> Iterator[Impression]:
    """The rows in time order, at most `limit`."""
    with gzip.open(DATA, "rt", encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            if limit is not None and number >= limit:
                return
            yield Impression(
                number,
                datetime.fromisoformat(row["timestamp"]),
                row["arm"],
                row["campaign"],
                f"{row['campaign']}-{row['item_id']}",
                int(row["position"]),
                row["recipient"],
            )


def candidate(impression: Impression) -> dict[str, Any]:
    """The impression as a candidate notification, planned for its own instant."""
    return {
        "id": f"impression-{impression.number}",
        "lane": "monetized",
        "channel": "push",
        "send_at": impression.at.isoformat(),
        "recipient": _recipient(impression.recipient),
        "content": {
            "class": "sponsored",
            "topic": "fashion",
            "tags": ["promotional"],
            "disclosure": "Sponsored by ZOZOTOWN",
            "steps": 1 + _share("steps", impression.item) * 4 // 100,
        },
        "campaign": {"id": impression.campaign},
        "sponsor": {"id": "zozo"},
        "offer": {
            "id": impression.item,
            "amount_minor": 480 + 40 * _share("price", impression.item),
            "currency": "JPY",
        },
        "attributes": {"arm": impression.arm, "position": impression.position},
    }


def consent_changes(recipients: list[str]) -> list[dict[str, Any]]:
    """Every consent event of the recipients, in time order."""
    changes = [change for recipient in recipients for change in _consents_of(recipient)]
    return sorted(changes, key=lambda change: (change["at"], change["recipient"]))


def preferences(recipients: list[str]) -> dict[str, dict[str, bool]]:
    """The toggles of those recipients who set any."""
    return {recipient: {"sponsored": False} for recipient in recipients if _share("toggle", recipient) < 8}  # noqa: PLR2004


def _consents_of(recipient: str) -> Iterator[dict[str, Any]]:
    share = _share("consent", recipient)
    if share >= 85:  # noqa: PLR2004 - the shares stand in the module's docstring
        return
    state = "granted" if share < 80 else "denied"  # noqa: PLR2004
    yield _consent(recipient, state, GRANTED_AT)
    if state == "granted" and _share("withdrawal", recipient) < 10:  # noqa: PLR2004
        yield _consent(recipient, "withdrawn", FIRST_DAY + timedelta(hours=_share("when", recipient) * 1.6))


def _consent(recipient: str, state: str, at: datetime) -> dict[str, Any]:
    return {"recipient": recipient, "purpose": PURPOSE, "state": state, "at": at.isoformat(), "method": "form"}


def _recipient(recipient: str) -> dict[str, Any]:
    known: dict[str, Any] = {"id": recipient, "country": "JP", "locale": "ja-JP"}
    zone = _share("zone", recipient)
    if zone < 90:  # noqa: PLR2004
        known["timezone"] = "Asia/Tokyo"
    elif zone >= 97:  # noqa: PLR2004
        known |= {"timezone": "Europe/Berlin", "country": "DE"}
    elif zone >= 94:  # noqa: PLR2004
        known["timezone"] = "Asia/Edo"
    age = _share("age", recipient)
    if age < 97:  # noqa: PLR2004
        known["age"] = 14 + age if age < 4 else 18 + age // 2  # noqa: PLR2004
    return known


def _share(what: str, of: str) -> int:
    """A number from 0 to 99, always the same for the same words."""
    return int.from_bytes(hashlib.blake2b(f"{what}:{of}".encode(), digest_size=4).digest()) % 100
