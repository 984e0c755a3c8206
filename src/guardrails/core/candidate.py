"""The candidate: a notification somebody wants to send, decoded and validated once.

Unknown fields are refused (`attributes` is the free place), and every size, length and depth is bounded, so that
what comes after can trust the type. Absent and null are the same: missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from guardrails.core.hosts import canonical_host
from guardrails.errors import CandidateError

__all__ = [
    "Affiliate",
    "Benefit",
    "BoundsError",
    "Campaign",
    "Candidate",
    "Content",
    "Context",
    "Conversion",
    "Disclosure",
    "Offer",
    "Recipient",
    "Spend",
    "Sponsor",
    "candidate_facts",
]

PRINTABLE = r"^[^\x00-\x1f\x7f]*(?!\n)$"  # Python's `$` alone would let a last line break through

Id = Annotated[str, Meta(min_length=1, max_length=200, pattern=PRINTABLE)]
Word = Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE)]
Locale = Annotated[str, Meta(max_length=35, pattern=PRINTABLE)]
Language = Annotated[str, Meta(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*(?!\n)$")]  # BCP 47's form
Timezone = Annotated[str, Meta(max_length=64)]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}(?!\n)$")]
Region = Annotated[str, Meta(pattern=r"^[A-Z]{2}-[A-Z0-9]{1,3}(?!\n)$")]
CountryOrRegion = Annotated[str, Meta(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?(?!\n)$")]  # of a union, one pattern is lost
Instant = Annotated[datetime, Meta(tz=True)]
AmountMinor = Annotated[int, Meta(ge=0, le=2**53)]
CURRENCY_FORM, CURRENCY_FORMAT = r"^[A-Z]{3}(?!\n)$", "iso-4217"
Currency = Annotated[str, Meta(pattern=CURRENCY_FORM)]
# Of what is booked. A candidate may name any code: that it is none which a policy lists is for policies to say.
KnownCurrency = Annotated[str, Meta(pattern=CURRENCY_FORM, extra_json_schema={"format": CURRENCY_FORMAT})]
Told = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]  # words for the recipient to read
Lane = Literal["transactional", "monetized"]
ContentClass = Literal["transactional", "sponsored", "affiliate", "recognition", "editorial"]
Channel = Literal["push", "web_push", "email", "sms", "in_app", "chat", "voice"]
BenefitForm = Literal["credits", "discount"]
Placement = Literal["before_first_tap", "after_first_tap"]
HostName = Annotated[str, Meta(min_length=1, max_length=500, pattern=PRINTABLE)]  # `core.hosts` judges it

ATTRIBUTES_MAX = 64
ATTRIBUTES_DEPTH = 4
ATTRIBUTE_LENGTH = 1000
ATTRIBUTE_NAME_LENGTH = 100
ATTRIBUTE_BITS = 64

YEARS = range(1970, 2200)
"""The years an instant may lie in: far enough from the calendar's ends that adding any window stays within it."""


class BoundsError(ValueError):
    """A bound that a type can't state is broken at `field`, a dotted path within the value that is checked.

    Raised by a struct's `__post_init__`, it is the cause of msgspec's ValidationError, and `decoding` tells its place.
    `also` are further fields and messages, where more than one is broken.
    """

    def __init__(self, field: str, message: str, *also: tuple[str, str]) -> None:
        super().__init__(f"`{field}` {message}")
        self.field = field
        self.message = message
        self.also = also


class _Part(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A part of a candidate: frozen, and without room for unknown fields."""


class Recipient(_Part, frozen=True):
    """The person. `timezone` may be wrong or missing: policies say what happens then."""

    id: Id
    timezone: Timezone | None = None
    country: Country | None = None
    region: Region | None = None
    age: Annotated[int, Meta(ge=0, le=150)] | None = None
    locale: Locale | None = None


class Content(_Part, frozen=True, rename={"class_": "class"}):
    """What it is, never what it says: no message body passes through here. `steps` counts opening to conversion."""

    class_: ContentClass
    topic: Word | None = None
    tags: Annotated[tuple[Word, ...], Meta(max_length=50)] | None = None
    disclosure: Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")] | None = None
    steps: Annotated[int, Meta(ge=0, le=100)] | None = None


class Campaign(_Part, frozen=True):
    """The campaign it belongs to, and which of its arms (variants) this is."""

    id: Id
    arm: Word | None = None


class Sponsor(_Part, frozen=True):
    """Who pays for it."""

    id: Id


class Affiliate(_Part, frozen=True):
    """The partner who earns a share where it converts."""

    id: Id


class Offer(_Part, frozen=True):
    """What can be bought or redeemed: integer minor units and an ISO 4217 code, never a float."""

    id: Id
    amount_minor: AmountMinor | None = None
    currency: Currency | None = None
    expires_at: Instant | None = None


class Benefit(_Part, frozen=True):
    """What the recipient gets of what it earns, in basis points; as what; and the sentence that tells them."""

    share_bps: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    form: BenefitForm | None = None
    text: Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")] | None = None


class Spend(_Part, frozen=True):
    """What this one send costs whoever pays for it, at most."""

    amount_minor: AmountMinor
    currency: Currency


class Conversion(_Part, frozen=True):
    """How it converts: the hosts that lead out of the notification (none: it never does), and how long it takes.

    The hosts are canonical (`core.hosts`), however they came.
    """

    hosts: Annotated[tuple[HostName, ...], Meta(max_length=20)] | None = None
    max_seconds: Annotated[int, Meta(ge=1, le=86_400)] | None = None

    def __post_init__(self) -> None:
        """Make the hosts canonical. Raises BoundsError where one is none."""
        if self.hosts:
            hosts = tuple(_host(place, text) for place, text in enumerate(self.hosts))
            msgspec.structs.force_setattr(self, "hosts", hosts)


def _host(place: int, text: str) -> str:
    try:
        return canonical_host(text)
    except ValueError as error:
        raise BoundsError(f"hosts.{place}", str(error)) from None


class Disclosure(_Part, frozen=True):
    """What is disclosed besides the words of `content.disclosure`, and where the recipient sees it."""

    on_behalf_of: Told | None = None
    paid_by: Told | None = None
    item_label: Told | None = None
    placement: Placement | None = None


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
    affiliate: Affiliate | None = None
    offer: Offer | None = None
    context: Context | None = None
    benefit: Benefit | None = None
    spend: Spend | None = None
    conversion: Conversion | None = None
    disclosure: Disclosure | None = None
    attributes: dict[str, Any] = {}

    def __post_init__(self) -> None:
        """Bound what msgspec's constraints can't. Raises BoundsError."""
        if self.attributes:
            flatten_attributes(self.attributes)
        offer, context = self.offer, self.context
        _check_instant("send_at", self.send_at)
        _check_instant("offer.expires_at", None if offer is None else offer.expires_at)
        _check_instant("context.at", None if context is None else context.at)


def _check_instant(field: str, instant: datetime | None) -> None:
    if instant is None:
        return
    if instant.utcoffset() is None:
        raise BoundsError(field, "has no time zone")
    if instant.year not in YEARS:
        raise BoundsError(field, f"lies outside the years {YEARS.start} to {YEARS.stop - 1}")


def candidate_facts(candidate: Candidate) -> dict[str, object]:
    """Every fact the candidate itself carries, by field; the missing have no key."""
    facts: dict[str, object] = {"lane": candidate.lane, "channel": candidate.channel}
    for part_name, fields in _PARTS:
        part = getattr(candidate, part_name)
        if part is None:
            continue
        for field, attribute in fields:
            value = getattr(part, attribute)
            if value is not None:
                facts[field] = value
    if candidate.attributes:
        facts.update(flatten_attributes(candidate.attributes))
    return facts


_PARTS = tuple(
    (name, tuple((f"{name}.{field.encode_name}", field.name) for field in msgspec.structs.fields(part)))
    for name, part in (
        ("recipient", Recipient),
        ("content", Content),
        ("campaign", Campaign),
        ("sponsor", Sponsor),
        ("affiliate", Affiliate),
        ("offer", Offer),
        ("context", Context),
        ("benefit", Benefit),
        ("spend", Spend),
        ("conversion", Conversion),
        ("disclosure", Disclosure),
    )
)
"""Of each part, the field under which policies know it and the attribute that holds it."""


def flatten_attributes(attributes: Mapping[str, Any]) -> dict[str, object]:
    """`{"plan": {"tier": 2}}` as `{"attributes.plan.tier": 2}`; lists become tuples, nulls are left out.

    Raises BoundsError where the caller's attributes are too many, too deep, too long, named with a dot, or something
    that JSON can't hold.
    """
    flat: dict[str, object] = {}
    _flatten("attributes", attributes, ATTRIBUTES_DEPTH, flat)
    return {field: value for field, value in flat.items() if value is not None}


def _flatten(prefix: str, attributes: Mapping[str, Any], depth: int, flat: dict[str, object]) -> None:
    """Add each name to `flat`: those of mappings and nulls, too, with None, for they count as well."""
    if depth == 0:
        raise BoundsError(prefix, f"is nested deeper than {ATTRIBUTES_DEPTH} levels")
    if len(flat) + len(attributes) > ATTRIBUTES_MAX:
        raise BoundsError("attributes", f"holds more than {ATTRIBUTES_MAX} names")
    for name, value in attributes.items():
        if not 0 < len(name) <= ATTRIBUTE_NAME_LENGTH or "." in name:
            named = f"has the name `{name[:ATTRIBUTE_NAME_LENGTH]}`"
            raise BoundsError(prefix, f"{named}; names are 1 to {ATTRIBUTE_NAME_LENGTH} characters without a dot")
        field = f"{prefix}.{name}"
        if isinstance(value, dict):
            flat[field] = None
            _flatten(field, value, depth - 1, flat)
        elif isinstance(value, list | tuple):
            flat[field] = _members(field, value)
        else:
            flat[field] = None if value is None else _bounded(field, value)
    if len(flat) > ATTRIBUTES_MAX:
        raise BoundsError("attributes", f"holds more than {ATTRIBUTES_MAX} names")


def _members(field: str, values: Sequence[object]) -> tuple[object, ...]:
    if len(values) > ATTRIBUTE_LENGTH:
        raise BoundsError(field, f"is longer than {ATTRIBUTE_LENGTH}")
    return tuple([_bounded(field, value) for value in values])


def _bounded(field: str, value: object) -> object:
    """A text, number or boolean as the audit entry will give it back: nothing else, and none that JSON can't hold."""
    if isinstance(value, str):
        if len(value) > ATTRIBUTE_LENGTH:
            raise BoundsError(field, f"is longer than {ATTRIBUTE_LENGTH}")
    elif isinstance(value, int):
        if value.bit_length() > ATTRIBUTE_BITS:
            raise BoundsError(field, f"holds a number of more than {ATTRIBUTE_BITS} bits")
    elif not (isinstance(value, float) and math.isfinite(value)):
        raise BoundsError(field, "holds something else than texts, numbers and booleans")
    return value


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
