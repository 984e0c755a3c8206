"""The candidate: a notification somebody wants to send, decoded and validated once.

Unknown fields are refused (`attributes` is the free place), and every size, length and depth is bounded, so that
what comes after can trust the type. Absent and null are the same: missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from guardrails.errors import CandidateError

__all__ = [
    "Campaign",
    "Candidate",
    "Content",
    "Context",
    "Offer",
    "Recipient",
    "Sponsor",
    "candidate_facts",
]

Id = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Word = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
Instant = Annotated[datetime, Meta(tz=True)]
Lane = Literal["transactional", "monetized"]
ContentClass = Literal["transactional", "sponsored", "affiliate", "recognition", "editorial"]
Channel = Literal["push", "web_push", "email", "sms", "in_app", "chat", "voice"]

ATTRIBUTES_MAX = 64
ATTRIBUTES_DEPTH = 4
ATTRIBUTE_LENGTH = 1000

YEARS = range(1970, 2200)
"""The years an instant may lie in: far enough from the calendar's ends that adding any window stays within it."""


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A part of a candidate: frozen, and without room for unknown fields."""


class Recipient(_Part, frozen=True):
    """The person. `timezone` may be wrong or missing: policies say what happens then."""

    id: Id
    timezone: Annotated[str, Meta(max_length=64)] | None = None
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")] | None = None
    region: Annotated[str, Meta(pattern="^[A-Z]{2}-[A-Z0-9]{1,3}$")] | None = None
    age: Annotated[int, Meta(ge=0, le=150)] | None = None
    locale: Annotated[str, Meta(max_length=35)] | None = None


class Content(_Part, frozen=True, rename={"class_": "class"}):
    """What it is, never what it says: no message body passes through here. `steps` counts opening to conversion."""

    class_: ContentClass
    topic: Word | None = None
    tags: Annotated[tuple[Word, ...], Meta(max_length=50)] | None = None
    disclosure: Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")] | None = None
    steps: Annotated[int, Meta(ge=0, le=100)] | None = None


class Campaign(_Part, frozen=True):
    """The campaign it belongs to."""

    id: Id


class Sponsor(_Part, frozen=True):
    """Who pays for it."""

    id: Id


class Offer(_Part, frozen=True):
    """What can be bought or redeemed: integer minor units and an ISO 4217 code, never a float."""

    id: Id
    amount_minor: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None
    expires_at: Instant | None = None


class Context(_Part, frozen=True):
    """What in the recipient's life it is tied to, such as a booking and its time."""

    kind: Word
    id: Id | None = None
    at: Instant | None = None


class Candidate(_Part, frozen=True):
    """One notification to decide. `send_at`, where given, is the planned instant that the decision is for."""

    id: Id
    lane: Lane
    channel: Channel
    recipient: Recipient
    content: Content
    send_at: Instant | None = None
    campaign: Campaign | None = None
    sponsor: Sponsor | None = None
    offer: Offer | None = None
    context: Context | None = None
    attributes: dict[str, Any] = {}

    def __post_init__(self) -> None:
        """Bound what msgspec's constraints can't; it turns a ValueError into a ValidationError with the path."""
        if self.attributes:
            flatten_attributes(self.attributes)
        offer, context = self.offer, self.context
        _check_instant("send_at", self.send_at)
        _check_instant("offer.expires_at", None if offer is None else offer.expires_at)
        _check_instant("context.at", None if context is None else context.at)


def _check_instant(field: str, instant: datetime | None) -> None:
    if instant is not None and not YEARS.start <= instant.year < YEARS.stop:
        msg = f"`{field}` lies outside the years {YEARS.start} to {YEARS.stop - 1}"
        raise ValueError(msg)


def candidate_facts(candidate: Candidate) -> dict[str, object]:
    """Every fact the candidate itself carries, by field; the missing have no key."""
    recipient, content = candidate.recipient, candidate.content
    facts: dict[str, object] = {
        "lane": candidate.lane,
        "channel": candidate.channel,
        "recipient.id": recipient.id,
        "content.class": content.class_,
    }
    optional = (
        ("recipient.timezone", recipient.timezone),
        ("recipient.country", recipient.country),
        ("recipient.region", recipient.region),
        ("recipient.age", recipient.age),
        ("recipient.locale", recipient.locale),
        ("content.topic", content.topic),
        ("content.tags", content.tags),
        ("content.disclosure", content.disclosure),
        ("content.steps", content.steps),
    )
    for field, value in optional:
        if value is not None:
            facts[field] = value
    if (campaign := candidate.campaign) is not None:
        facts["campaign.id"] = campaign.id
    if (sponsor := candidate.sponsor) is not None:
        facts["sponsor.id"] = sponsor.id
    if (offer := candidate.offer) is not None:
        facts["offer.id"] = offer.id
        if offer.amount_minor is not None:
            facts["offer.amount_minor"] = offer.amount_minor
        if offer.currency is not None:
            facts["offer.currency"] = offer.currency
        if offer.expires_at is not None:
            facts["offer.expires_at"] = offer.expires_at
    if (context := candidate.context) is not None:
        facts["context.kind"] = context.kind
        if context.id is not None:
            facts["context.id"] = context.id
        if context.at is not None:
            facts["context.at"] = context.at
    if candidate.attributes:
        facts.update(flatten_attributes(candidate.attributes))
    return facts


def flatten_attributes(attributes: Mapping[str, Any]) -> dict[str, object]:
    """`{"plan": {"tier": 2}}` as `{"attributes.plan.tier": 2}`; lists become tuples, nulls are left out.

    Raises ValueError where the caller's attributes are too many, too deep, too long or named with a dot.
    """
    flat: dict[str, object] = {}
    _flatten("attributes", attributes, ATTRIBUTES_DEPTH, flat)
    return flat


def _flatten(prefix: str, attributes: Mapping[str, Any], depth: int, flat: dict[str, object]) -> None:
    if depth == 0:
        msg = f"`{prefix}` is nested deeper than {ATTRIBUTES_DEPTH} levels"
        raise ValueError(msg)
    for name, value in attributes.items():
        if not name or len(name) > 100 or "." in name:  # noqa: PLR2004 - the bound is documented in the message
            msg = f"`{prefix}` has the name `{name[:100]}`; names are 1 to 100 characters without a dot"
            raise ValueError(msg)
        field = f"{prefix}.{name}"
        if isinstance(value, dict):
            _flatten(field, value, depth - 1, flat)
        elif isinstance(value, list):
            if any(isinstance(member, list | dict) for member in value):
                msg = f"`{field}` is a list that holds more than plain values"
                raise ValueError(msg)
            flat[field] = tuple(value)
        elif value is not None:
            flat[field] = value
        if isinstance(value, str | list) and len(value) > ATTRIBUTE_LENGTH:
            msg = f"`{field}` is longer than {ATTRIBUTE_LENGTH}"
            raise ValueError(msg)
    if len(flat) > ATTRIBUTES_MAX:
        msg = f"`attributes` holds more than {ATTRIBUTES_MAX} values"
        raise ValueError(msg)


def effective_time(candidate: Candidate, now: datetime) -> datetime:
    """The instant the decision is for: `send_at` where it is given, else `now`.

    Raises CandidateError where `send_at` lies in the past: what has been sent can't be decided any more.
    """
    if candidate.send_at is None:
        return now
    if candidate.send_at < now:
        message = f"`send_at` {candidate.send_at.isoformat()} lies before now, {now.isoformat()}"
        raise CandidateError(message, problems=(("/send_at", message),))
    return candidate.send_at
