"""Random conditions, policies, policy sets and facts, from a seed: quick enough for tens of thousands of pairs.

`random.Random` and not hypothesis, for the engines' sake: a set is dear to compile and cheap to ask, so a few hundred
sets meet a hundred candidates each. Values are drawn from small pools, so that what policies test does occur.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from zoneinfo import ZoneInfo

from guardrails.core.conditions import (
    FALSE,
    TRUE,
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Contains,
    Exists,
    FactType,
    Matches,
    Not,
    OneOf,
    Ordering,
)
from guardrails.core.policy import Policy, Reason
from guardrails.core.policy_set import PolicySet

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)

TEXTS = (
    "sponsored", "affiliate", "3", "true", "null", "", " ", "a", "A", "ä", "🎉", "e\u0301", "\u0000", "a\u0000b",
    'say "hi"', "back\\slash", "new\nline", "{%d}", "%s", "x" * 3000, "x" * 2999 + "y", "\ud800",
)  # fmt: skip
NUMBERS: tuple[int | float, ...] = (
    0, 1, 2, 3, 18, -1, 0.5, 1e-07, -1e-07, 1e-300, 5e-324, 2**53, -(2**53), 2**53 - 1, 9007199254740991.0, 0.1 + 0.2,
)  # fmt: skip
NO_NUMBERS = (2**53 + 1, -(2**53) - 1, 10**400, 1e300, math.inf, -math.inf, math.nan)
INSTANTS = (
    NOON,
    NOON.astimezone(timezone(timedelta(hours=5, minutes=30))),
    datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN),  # the first 02:30 of the night the clocks go back
    datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),  # the second
    NOON + timedelta(microseconds=1),
    datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    datetime.max.replace(tzinfo=timezone(-timedelta(hours=12))),
)
BOUNDS = (*(instant.astimezone(UTC) for instant in INSTANTS[:5]), datetime.min.replace(tzinfo=UTC))
"""Instants as policies hold them: the loader writes them in UTC."""

PATTERNS = ("*", "", "a*", "*a", "?", "*\n*", "s*r*d", "x*y", "[a]", "🎉", "a?b", "*%*", ".", "\\*")
CAMPAIGNS = tuple(f"c-{number}" for number in range(12))

TEXT_FIELDS = ("content.class", "channel", "sponsor.id", "attributes.plan", "attributes.mixed", "consent.status")
NUMBER_FIELDS = ("offer.amount_minor", "recipient.age", "attributes.score", "attributes.mixed", "cap.used")
BOOLEAN_FIELDS = ("toggle.on", "attributes.mixed")
INSTANT_FIELDS = ("context.at", "attributes.when")
LIST_FIELDS = ("content.tags", "attributes.labels", "attributes.mixed")
ALL_FIELDS = tuple(
    dict.fromkeys((*TEXT_FIELDS, *NUMBER_FIELDS, *BOOLEAN_FIELDS, *INSTANT_FIELDS, *LIST_FIELDS, "campaign.id"))
)
GUARANTEED = {
    "content.class": "text", "channel": "text", "sponsor.id": "text", "campaign.id": "text",
    "offer.amount_minor": "number", "recipient.age": "number", "context.at": "instant", "content.tags": "list",
}  # fmt: skip
"""The vocabulary's own fields: of their type, or missing. All others may hold anything."""


def condition(random: Random, depth: int) -> Condition:
    """A condition nested at most `depth` deep."""
    if depth <= 0 or random.random() < 0.25:
        return test_of_a_fact(random)
    kind = random.randrange(8)
    if kind == 0:
        return random.choice((TRUE, FALSE))
    if kind <= 2:
        return Not(condition(random, depth - 1))
    parts = tuple(condition(random, depth - 1) for _ in range(random.choice((1, 2, 2, 3))))
    return AllOf(parts) if kind <= 5 else AnyOf(parts)


def test_of_a_fact(random: Random) -> Condition:
    some: dict[str, Callable[[], Condition]] = {
        "exists": lambda: Exists(random.choice(ALL_FIELDS)),
        "text": lambda: OneOf(random.choice(TEXT_FIELDS), FactType.STRING, _several(random, TEXTS)),
        "number": lambda: OneOf(random.choice(NUMBER_FIELDS), FactType.NUMBER, _several(random, NUMBERS)),
        "boolean": lambda: OneOf(random.choice(BOOLEAN_FIELDS), FactType.BOOLEAN, _several(random, (True, False))),
        "instant": lambda: OneOf(random.choice(INSTANT_FIELDS), FactType.TIMESTAMP, _several(random, BOUNDS)),
        "order": lambda: Compare(
            random.choice(NUMBER_FIELDS), FactType.NUMBER, random.choice(list(Ordering)), random.choice(NUMBERS)
        ),
        "before": lambda: Compare(
            random.choice(INSTANT_FIELDS), FactType.TIMESTAMP, random.choice(list(Ordering)), random.choice(BOUNDS)
        ),
        "contains": lambda: Contains(random.choice(LIST_FIELDS), random.choice(TEXTS)),
        "matches": lambda: Matches(random.choice(TEXT_FIELDS), random.choice(PATTERNS)),
    }
    return some[random.choice(list(some))]()


def _several(random: Random, pool: Sequence[object]) -> tuple[object, ...]:
    return tuple(random.choice(pool) for _ in range(random.choice((0, 1, 1, 1, 2, 4))))


def policy(random: Random, place: int, *, depth: int) -> Policy:
    """A policy of three random formulas, often one of the shapes that authors' policies are lowered to."""
    applies_to = condition(random, depth - 1)
    if random.random() < 0.4:
        campaigns = OneOf("campaign.id", FactType.STRING, _several(random, CAMPAIGNS))
        applies_to = AllOf((campaigns, applies_to)) if random.random() < 0.7 else campaigns
    violated = condition(random, depth)
    satisfied = Not(violated) if random.random() < 0.5 else condition(random, depth)
    return Policy(
        ordinal=place,
        id=f"p{place}",
        kind="rule",
        mode="enforce",
        applies_to=applies_to,
        violated=violated,
        satisfied=satisfied,
        reason=Reason("rule", ""),
    )


def policy_set(random: Random, *, most: int = 40, depth: int = 4) -> PolicySet:
    """A set of up to `most` policies; the larger ones are indexed."""
    policies = tuple(policy(random, place, depth=random.randint(0, depth)) for place in range(random.randint(1, most)))
    return PolicySet(policies, revision=f"seed-{random.random()}", files={})


def facts(random: Random) -> dict[str, object]:
    """Facts of a candidate: each missing, null, right or wrong, as far as its field may be wrong."""
    found: dict[str, object] = {}
    for field in ALL_FIELDS:
        if random.random() < 0.25:
            continue
        kind = GUARANTEED.get(field) or random.choice(("text", "number", "boolean", "instant", "list", "other"))
        found[field] = random.choice(CAMPAIGNS) if field == "campaign.id" else _value(random, kind)
    return found


def _value(random: Random, kind: str) -> object:
    if kind == "text":
        return random.choice(TEXTS)
    if kind == "number":
        number = random.choice(NUMBERS)
        return random.choice((number, -number, float(number)))
    if kind == "boolean":
        return random.random() < 0.5
    if kind == "instant":
        return random.choice(INSTANTS)
    if kind == "list":
        return tuple(random.choice(TEXTS) for _ in range(random.randrange(4)))
    return random.choice((None, *NO_NUMBERS, b"a", ("a", 3), ({"a": 1},), NOON.replace(tzinfo=None), 3 + 0j))
