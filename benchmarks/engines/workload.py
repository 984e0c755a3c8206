"""What every engine is asked: 12 general policies, as many specific ones as wanted, and seeded facts to decide.

The general policies are those that a team would start with, one for each concern. The specific ones come in pairs:
one for a campaign (its markets, its cap or its audience) and one for a sponsor. Every other campaign and every other
sponsor has none, so a candidate meets the 12 and, beyond them, none, one or two more, however many there are.

There are two kinds of facts: *complete* ones, in which every fact is there that a policy may compare (what an engine
with two truth values can answer), and *gappy* ones, with facts missing or of the wrong type.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from guardrails.core.conditions import (
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Contains,
    Exists,
    FactType,
    Not,
    OneOf,
    Ordering,
)
from guardrails.core.facts import ATTRIBUTES
from guardrails.core.policy import Policy, Reason
from guardrails.core.policy_set import PolicySet

__all__ = ["GENERAL", "SIZES", "SPECIFIC_EACH", "complete_facts", "gappy_facts", "policy_set"]

SIZES = (12, 112, 1_012)
GENERAL = 12
SPECIFIC_EACH = 2
"""How many specific policies a campaign and a sponsor bring."""

SPONSOR_STEP = 7
"""Spreads the sponsors over the campaigns, so that having a policy and one's sponsor having one are independent."""

SEED = 20261122
CHANNELS = ("push", "web_push", "email", "sms", "in_app")
CONTENT_CLASSES = ("sponsored", "affiliate", "recognition", "editorial", "transactional")
COUNTRIES = ("DE", "AT", "CH", "FR", "NL", "US", "GB", "BR", "IN", "JP")
EMBARGOED = ("RU", "BY", "KP", "IR", "SY")
TAGS = ("travel", "upgrade", "promotional", "loyalty", "seasonal", "alcohol", "gambling")
MARKETS = 8
"""In how many of the countries a campaign runs."""

ALWAYS_THERE = frozenset({"lane", "channel", "recipient.id", "content.class"})
"""Without these there is no candidate."""

GAP_RATE = 0.08
"""The share of the other facts that a gappy set of facts lacks."""


def policy_set(size: int) -> PolicySet:
    """The 12 general policies and `size - 12` specific ones. Raises ValueError where these don't come in pairs."""
    campaigns, rest = divmod(size - GENERAL, SPECIFIC_EACH)
    if rest or campaigns < 0:
        raise ValueError(f"`{size}` is not {GENERAL} and a multiple of {SPECIFIC_EACH}")
    policies = [*_general()]
    for number in range(campaigns):
        policies += _specific(number)
    numbered = (_policy(place, *parts) for place, parts in enumerate(policies))
    return PolicySet(numbered, revision=f"benchmark-{size}", files={})


_Parts = tuple[str, Condition, Condition, Condition]
"""Id, applies_to, violated, satisfied."""


def _policy(place: int, policy_id: str, applies_to: Condition, violated: Condition, satisfied: Condition) -> Policy:
    return Policy(
        ordinal=place,
        id=policy_id,
        kind="rule",
        mode="enforce",
        applies_to=applies_to,
        violated=violated,
        satisfied=satisfied,
        reason=Reason("benchmark", "benchmark"),
    )


def _is(field: str, *values: str) -> OneOf:
    return OneOf(field, FactType.STRING, values)


def _number(field: str, ordering: Ordering, bound: int) -> Compare:
    return Compare(field, FactType.NUMBER, ordering, bound)


def _rule(policy_id: str, applies_to: Condition, deny_when: Condition) -> _Parts:
    return policy_id, applies_to, deny_when, Not(deny_when)


def _limit(policy_id: str, applies_to: Condition, limit: int, *, concern: str = "cap") -> _Parts:
    used = f"{concern}.{policy_id}.used"
    return policy_id, applies_to, _number(used, Ordering.GTE, limit), _number(used, Ordering.LT, limit)


def _general() -> Iterator[_Parts]:
    """Lowered as the kinds of `policyfile.kinds` lower them."""
    monetized_lane = _is("lane", "monetized")
    paid = _is("content.class", "sponsored", "affiliate")
    transactional = _is("content.class", "transactional")
    steps_above, steps_below = (
        _number("content.steps", ordering, bound) for ordering, bound in ((Ordering.GT, 3), (Ordering.LT, 1))
    )
    yield (
        "sponsored-needs-opt-in",
        paid,
        _is("consent.sponsored-needs-opt-in.state", "missing", "withdrawn", "denied", "expired"),
        _is("consent.sponsored-needs-opt-in.state", "granted"),
    )
    yield (
        "convert-in-three-steps",
        monetized_lane,
        AnyOf((steps_below, steps_above)),
        AllOf((_number("content.steps", Ordering.GTE, 1), _number("content.steps", Ordering.LTE, 3))),
    )
    yield _limit("one-sponsored-a-day", AllOf((_is("content.class", "sponsored"), _is("channel", "push", "email"))), 1)
    yield _rule(
        "no-hard-sell",
        AllOf(()),
        AnyOf((_number("attributes.pressure", Ordering.GT, 7), _is("attributes.tone", "alarm", "scarcity"))),
    )
    yield _limit("an-hour-between", monetized_lane, 1, concern="gap")
    toggle = "toggle.sponsored-is-on.state"
    yield "sponsored-is-on", paid, _is(toggle, "off"), _is(toggle, "on")
    quiet = "quiet.no-night-calls.active"
    yield (
        "no-night-calls",
        _is("channel", "push", "web_push", "sms"),
        OneOf(quiet, FactType.BOOLEAN, (True,)),
        OneOf(quiet, FactType.BOOLEAN, (False,)),
    )
    disclosed = Exists("content.disclosure")
    yield "paid-content-says-so", paid, Not(disclosed), disclosed
    yield _rule(
        "lanes-stay-apart",
        AllOf(()),
        AnyOf(
            (
                AllOf((_is("lane", "transactional"), Not(transactional))),
                AllOf((monetized_lane, transactional)),
            )
        ),
    )
    yield _rule("no-paid-content-for-minors", paid, _number("recipient.age", Ordering.LT, 18))
    yield _rule(
        "small-offers-only",
        monetized_lane,
        AnyOf(
            (
                AllOf((_is("offer.currency", "EUR"), _number("offer.amount_minor", Ordering.GT, 5_000))),
                AllOf((Not(_is("offer.currency", "EUR")), _number("offer.amount_minor", Ordering.GT, 4_000))),
            )
        ),
    )
    yield _rule(
        "nothing-touchy",
        monetized_lane,
        AnyOf(
            (
                Contains("content.tags", "gambling"),
                AllOf((Contains("content.tags", "alcohol"), _number("recipient.age", Ordering.LT, 21))),
                _is("recipient.country", *EMBARGOED),
            )
        ),
    )


def _specific(number: int) -> Iterator[_Parts]:
    campaign = _is("campaign.id", f"campaign-{number}")
    if number % 3 == 0:
        markets = tuple(COUNTRIES[(number + step) % len(COUNTRIES)] for step in range(MARKETS))
        yield _rule(f"campaign-{number}-markets", campaign, Not(_is("recipient.country", *markets)))
    elif number % 3 == 1:
        yield _limit(f"campaign-{number}-cap", AllOf((campaign, _is("channel", "push", "email"))), 1 + number % 4)
    else:
        yield _rule(
            f"campaign-{number}-audience",
            AllOf((campaign, _is("content.class", "sponsored"))),
            _number("recipient.age", Ordering.LT, 18 + number % 10),
        )
    yield _rule(
        f"sponsor-{number}-price",
        _is("sponsor.id", f"sponsor-{number}"),
        _number("offer.amount_minor", Ordering.GT, 2_000 + 100 * (number % 40)),
    )


def complete_facts(size: int, count: int, *, batch: int = 0) -> list[dict[str, object]]:
    """`count` candidates' facts for the policies of `size`; only the disclosure, which is asked after, may lack.

    Each batch holds other candidates.
    """
    chance = random.Random(SEED + batch)
    campaigns = max(1, 2 * (size - GENERAL) // SPECIFIC_EACH)
    return [_complete(chance, campaigns) for _ in range(count)]


def gappy_facts(size: int, count: int, *, batch: int = 0) -> list[dict[str, object]]:
    """As `complete_facts`, with facts missing and attributes of the wrong type, as far as a candidate lets them be."""
    chance = random.Random(-SEED - batch)
    return [
        {
            field: _mistyped(chance, value) if field.startswith(ATTRIBUTES) and chance.random() < 0.3 else value
            for field, value in facts.items()
            if field in ALWAYS_THERE or chance.random() >= GAP_RATE
        }
        for facts in complete_facts(size, count, batch=batch)
    ]


def _complete(chance: random.Random, campaigns: int) -> dict[str, object]:
    number = chance.randrange(campaigns)
    sponsor = (SPONSOR_STEP * number + 1) % campaigns
    content_class = chance.choices(CONTENT_CLASSES, weights=(50, 20, 10, 10, 10))[0]
    lane = "transactional" if content_class == "transactional" else "monetized"
    facts: dict[str, object] = {
        "lane": lane if chance.random() < 0.97 else "transactional",
        "channel": chance.choice(CHANNELS),
        "recipient.id": f"recipient-{chance.randrange(100_000)}",
        "recipient.timezone": "Europe/Berlin",
        "recipient.country": chance.choice(COUNTRIES if chance.random() < 0.98 else EMBARGOED),
        "recipient.age": chance.randint(14, 80),
        "recipient.locale": "de-DE",
        "content.class": content_class,
        "content.topic": "upgrade",
        "content.tags": tuple(chance.sample(TAGS, k=chance.randint(0, 3))),
        "content.steps": chance.choices((0, 1, 2, 3, 4, 7), weights=(1, 30, 30, 30, 5, 4))[0],
        "campaign.id": f"campaign-{number}",
        "sponsor.id": f"sponsor-{sponsor}",
        "offer.id": f"offer-{number}",
        "offer.amount_minor": chance.randrange(100, chance.choice((2_500, 2_500, 6_000))),
        "offer.currency": chance.choice(("EUR", "EUR", "USD")),
        "context.kind": "booking",
        "consent.sponsored-needs-opt-in.state": chance.choices(
            ("granted", "missing", "withdrawn", "denied", "expired"), weights=(80, 8, 5, 4, 3)
        )[0],
        "cap.one-sponsored-a-day.used": chance.choices((0, 1, 2), weights=(80, 15, 5))[0],
        "attributes.pressure": chance.randint(0, 8),
        "attributes.tone": chance.choices(("warm", "plain", "scarcity"), weights=(50, 45, 5))[0],
        "gap.an-hour-between.used": chance.choices((0, 1), weights=(90, 10))[0],
        "toggle.sponsored-is-on.state": chance.choices(("on", "off"), weights=(90, 10))[0],
        "quiet.no-night-calls.active": chance.random() < 0.15,
        f"cap.campaign-{number}-cap.used": chance.choices((0, 1, 2, 3), weights=(70, 15, 10, 5))[0],
    }
    if chance.random() < 0.9:
        facts["content.disclosure"] = f"Sponsored by sponsor {sponsor}"
    return facts


def _mistyped(chance: random.Random, value: object) -> object:
    """A value that careless engines take for `value`, or choke on."""
    if isinstance(value, int):
        return chance.choice((str(value), bool(value), float("nan"), float("inf"), 2**60, (value,)))
    return chance.choice((0, True, 3.5, (value,), "", f"{value} "))
