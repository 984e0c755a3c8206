"""Candidates of every class for the shipped policies, and the consents that some of their recipients gave.

Seeded, so that all stores are asked the same. Time passes with the candidates: allows and denies are both common, and
stay so however long it goes on.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from guardrails.bootstrap import Application
from guardrails.consent import ConsentRequest
from guardrails.core.candidate import Campaign, Candidate, Content, Context, Offer, Recipient, Sponsor
from guardrails.core.purposes import DOUBLE_OPT_IN

__all__ = ["POLICIES", "START", "Batch", "Traffic", "record_consents"]

POLICIES = Path(__file__).parents[2] / "policies"
START = datetime(2026, 11, 23, 6, tzinfo=UTC)
A_DAY = 6
DAY = timedelta(days=1)

CLASSES = ("transactional", "sponsored", "affiliate", "recognition", "editorial")
WEIGHTS = (4, 6, 3, 3, 4)
CHANNELS = ("push", "email", "in_app")
ZONES = ("Europe/Berlin", "Europe/London", "America/New_York", "Asia/Tokyo", None)
DISCLOSURES = {"sponsored": "Sponsored by Acme Air", "affiliate": "We earn a commission"}
PURPOSES = ("sponsored_content", "partner_offers")
CONSENTS_AT_ONCE = 500


class Batch(NamedTuple):
    """Candidates to decide together, and the instant to decide them at."""

    candidates: list[Candidate]
    now: datetime


class Traffic:
    """An endless stream of candidates for so many recipients, from `start` on; their ids begin with `name`.

    Each recipient gets about `a_day` of them.
    """

    def __init__(
        self,
        recipients: int,
        *,
        name: str,
        start: datetime = START,
        channels: tuple[str, ...] = CHANNELS,
        a_day: int = A_DAY,
    ) -> None:
        self._recipients = recipients
        self._name = name
        self._channels = channels
        self._chance = random.Random(name)
        self._number = 0
        self._step = DAY / (a_day * recipients)
        self.now = start

    def batches(self, count: int, size: int) -> list[Batch]:
        """The next `count` batches of `size` candidates."""
        return [self._batch(size) for _ in range(count)]

    def _batch(self, size: int) -> Batch:
        candidates = [self._candidate() for _ in range(size)]
        self.now += self._step * size
        return Batch(candidates, self.now)

    def _candidate(self) -> Candidate:
        chance = self._chance
        content_class = chance.choices(CLASSES, WEIGHTS)[0]
        self._number += 1
        candidate: dict[str, Any] = {
            "id": f"{self._name}-{self._number}",
            "lane": "transactional" if content_class == "transactional" else "monetized",
            "channel": chance.choice(self._channels),
            "recipient": _recipient(chance.randrange(self._recipients)),
        }
        if content_class in DISCLOSURES:
            return Candidate(
                **candidate,
                content=Content(
                    class_=content_class,
                    topic="travel",
                    disclosure=DISCLOSURES[content_class] if chance.random() < 0.95 else "An advertisement",
                    steps=chance.choice((1, 2, 2, 3, 3, 4)),
                ),
                campaign=Campaign(id=f"campaign-{chance.randrange(20)}"),
                sponsor=Sponsor(id=f"sponsor-{chance.randrange(8)}"),
                offer=Offer(
                    id=f"offer-{chance.randrange(50)}", amount_minor=chance.choice((500, 1500, 2500)), currency="EUR"
                ),
            )
        content = Content(class_=content_class, topic="travel")
        if content_class != "recognition":
            return Candidate(**candidate, content=content)
        return Candidate(
            **candidate,
            content=content,
            context=Context(kind=chance.choice(("early_response", "helpful_feedback")), at=self.now),
            attributes={"minutes_to_answer": chance.randrange(20), "helpful_votes": chance.randrange(2, 8)},
        )


def record_consents(application: Application, recipients: int) -> None:
    """Four recipients in five agreed to everything, and confirmed it, the day before it all begins."""
    requests = (
        ConsentRequest(
            recipient=_recipient(number).id,
            purpose=purpose,
            state="granted",
            method=DOUBLE_OPT_IN,
            at=START - DAY,
            evidence={"confirmed_at": (START - DAY).isoformat()},
        )
        for number in range(recipients)
        if number % 5 != 4
        for purpose in PURPOSES
    )
    while some := list(islice(requests, CONSENTS_AT_ONCE)):
        application.consents.record_many(some, now=START)


def _recipient(number: int) -> Recipient:
    return Recipient(
        id=f"r-{number}",
        country="DE",
        timezone=ZONES[number // 5 % len(ZONES)],
        age=15 if number % 20 == 0 else 18 + number % 60,
    )
