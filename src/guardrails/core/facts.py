"""The vocabulary: every field a policy may read, its type and what it means, in one place.

A *field* is a dotted name; once its value is gathered it is a *fact*. A fact that is absent or null is missing, and
so is one of the wrong type: `typed` is the one judge of that. The schema, the errors' "did you mean", the docs and
the engines all read `VOCABULARY`; nothing else lists fields.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

import msgspec

from guardrails.core.conditions import FactType

__all__ = ["ATTRIBUTES", "NUMBER_LIMIT", "VOCABULARY", "FactValue", "Facts", "Field", "typed"]

FactValue = str | int | float | bool | datetime | tuple[str, ...]
Facts = Mapping[str, object]
"""Field name to value. A missing fact has no key; a value may be of any type where it came from `attributes`."""

NUMBER_LIMIT = 2**53
"""Numbers beyond this are not numbers to a policy: past it an int and a float no longer compare exactly."""

ATTRIBUTES = "attributes."
"""The prefix of the caller's free fields; what follows is any dotted path into the candidate's `attributes`."""


class Field(msgspec.Struct, frozen=True):
    """One entry of the vocabulary.

    `values`, where not empty, are all that the field can be; so is, where not empty, what matches `form` as a whole,
    such as `example`.
    """

    type: FactType
    meaning: str
    values: tuple[str, ...] = ()
    form: str = ""
    example: str = ""


LANES = ("transactional", "monetized")
CONTENT_CLASSES = ("transactional", "sponsored", "affiliate", "recognition", "editorial")
CHANNELS = ("push", "web_push", "email", "sms", "in_app", "chat", "voice")
BENEFIT_FORMS = ("credits", "discount")
PLACEMENTS = ("before_first_tap", "after_first_tap")

_S, _N, _T, _L = FactType.STRING, FactType.NUMBER, FactType.TIMESTAMP, FactType.STRINGS

VOCABULARY: Mapping[str, Field] = {
    "lane": Field(_S, "the production path the notification takes", LANES),
    "channel": Field(_S, "how it reaches the recipient", CHANNELS),
    "recipient.id": Field(_S, "the person: an opaque id, never an address"),
    "recipient.timezone": Field(_S, "the recipient's IANA time zone, as the sender knows it"),
    "recipient.country": Field(_S, "ISO 3166-1 alpha-2 country code", form="[A-Z]{2}", example="DE"),
    "recipient.region": Field(_S, "ISO 3166-2 subdivision code", form="[A-Z]{2}-[A-Z0-9]{1,3}", example="US-CA"),
    "recipient.age": Field(_N, "age in whole years"),
    "recipient.locale": Field(_S, "BCP 47 language tag"),
    "content.class": Field(_S, "what kind of content it is", CONTENT_CLASSES),
    "content.topic": Field(_S, "the subject, in the sender's own words"),
    "content.tags": Field(_L, "free labels, read at decision time"),
    "content.disclosure": Field(_S, "the words that say who pays, as the recipient will see them"),
    "content.steps": Field(_N, "how many steps from opening to conversion"),
    "campaign.id": Field(_S, "the campaign it belongs to"),
    "campaign.arm": Field(_S, "which arm (variant) of the campaign it is"),
    "sponsor.id": Field(_S, "who pays for it"),
    "affiliate.id": Field(_S, "the partner who earns a share where it converts"),
    "offer.id": Field(_S, "the offer it carries"),
    "offer.amount_minor": Field(_N, "the offer's price in minor units of its currency"),
    "offer.currency": Field(_S, "ISO 4217 code of the offer's price", form="[A-Z]{3}", example="EUR"),
    "offer.expires_at": Field(_T, "when the offer ends"),
    "context.kind": Field(_S, "what in the recipient's life it is tied to, such as `booking`"),
    "context.id": Field(_S, "the id of that thing"),
    "context.at": Field(_T, "when that thing takes place"),
    "benefit.share_bps": Field(_N, "the recipient's share of what it earns, in basis points: 10000 is all of it"),
    "benefit.form": Field(_S, "what the recipient gets it as", BENEFIT_FORMS),
    "benefit.text": Field(_S, "the sentence that tells the recipient of their share"),
    "spend.amount_minor": Field(_N, "what this send costs who pays for it, at most, in minor units of its currency"),
    "spend.currency": Field(_S, "ISO 4217 code of that cost", form="[A-Z]{3}", example="EUR"),
    "conversion.hosts": Field(_L, "the hosts that it leads to outside the notification, in lower case; empty: nowhere"),
    "conversion.max_seconds": Field(_N, "how many seconds converting takes at most"),
    "disclosure.on_behalf_of": Field(_S, "on whose behalf it is sent, as the recipient will see it"),
    "disclosure.paid_by": Field(_S, "who pays for it, by the name that the recipient will see"),
    "disclosure.item_label": Field(_S, "the label on the item itself, such as `Ad`"),
    "disclosure.placement": Field(_S, "where the disclosure is seen", PLACEMENTS),
}


def typed(value: object, expected: FactType) -> object | None:
    """Return `value` if it is a fact of type `expected`, else None: missing and wrongly typed are the same."""
    kind = type(value)
    if expected is FactType.STRING:
        return value if kind is str else None
    if expected is FactType.NUMBER:
        in_range = (kind is int or (kind is float and math.isfinite(value))) and -NUMBER_LIMIT <= value <= NUMBER_LIMIT  # type: ignore[operator,arg-type]
        return value if in_range else None
    if expected is FactType.BOOLEAN:
        return value if kind is bool else None
    if expected is FactType.TIMESTAMP:
        return value if isinstance(value, datetime) and value.utcoffset() is not None else None
    return value if kind is tuple and all(type(member) is str for member in value) else None  # type: ignore[attr-defined]
