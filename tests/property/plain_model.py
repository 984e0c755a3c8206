"""What must come out of decisions and outcomes, by a plain and slow model: a list of sends, counted one by one.

Written from the documentation alone. It knows nothing of windows that are asked for, of slots, tallies, leases in a
store, or of how stores forget: a send counts in a cap or it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from guardrails.core.candidate import Candidate

POLICIES = """\
apiVersion: guardrails/v1
policies:
  - id: own-hour
    kind: frequency_cap
    applies_to: {lane: monetized, channel: [push, email]}
    counts: {lane: monetized}
    limit: 2
    window: {rolling: 1h}
    per: [recipient]
  - id: own-day
    kind: frequency_cap
    applies_to: {lane: monetized}
    limit: 4
    window: {calendar: day, timezone: recipient, fallback: strictest}
    per: [recipient]
  - id: after-a-push
    kind: frequency_cap
    applies_to: {lane: monetized, channel: push}
    limit: 1
    window: {countdown: 2h}
    per: [recipient, channel]
    count_on: sent
  - id: mails-apart
    kind: min_gap
    applies_to: {lane: monetized, channel: email}
    gap: 10m
    per: [recipient]
  - id: delivered-in-app
    kind: frequency_cap
    applies_to: {lane: monetized, channel: in_app}
    limit: 1
    window: {rolling: 3h}
    per: [recipient]
    count_on: delivered
  - id: each-tag
    kind: frequency_cap
    applies_to: {lane: monetized, channel: in_app}
    limit: 1
    window: {rolling: 30m}
    per: [recipient, tag]
  - id: everybody
    kind: frequency_cap
    applies_to: {lane: monetized, channel: [sms, in_app]}
    counts: {lane: [monetized, transactional]}
    limit: 4
    window: {rolling: 3h}
    per: []
  - id: campaign-day
    kind: frequency_cap
    applies_to: {lane: monetized}
    limit: 4
    window: {calendar: day, timezone: Europe/Berlin}
    per: [campaign]
  - id: texts-sent-in-a-week
    kind: frequency_cap
    applies_to: {lane: monetized, channel: sms}
    limit: 2
    window: {calendar: week, week_starts: sun, timezone: UTC}
    per: [channel]
    count_on: sent
  - id: campaign-money
    kind: spend_budget
    applies_to: {lane: monetized, channel: [push, email]}
    counts: {lane: monetized}
    money: {amount_minor: 1000, currency: EUR}
    window: {calendar: day, timezone: Europe/Berlin}
    per: [campaign]
  - id: own-money
    kind: spend_budget
    applies_to: {lane: monetized, channel: sms}
    money: {amount_minor: 500, currency: EUR}
    window: {calendar: day, timezone: recipient, fallback: strictest}
    per: [recipient, channel]
    count_on: sent
"""

ZONES = {"r-1": [ZoneInfo("Asia/Kathmandu")], "r-2": [ZoneInfo("America/Chicago"), ZoneInfo("America/Denver")]}
"""Where each recipient may be."""

Counts = Callable[[datetime, datetime], bool]
"""Whether a send that counted at the first instant still counts (or already does) at the second."""


def within(span: timedelta) -> Counts:
    return lambda counted, at: abs(at - counted) < span


def until(span: timedelta) -> Counts:
    return lambda counted, at: counted + span > at


def same_day(zone: ZoneInfo) -> Counts:
    return lambda counted, at: counted.astimezone(zone).date() == at.astimezone(zone).date()


def same_week_from_sunday(counted: datetime, at: datetime) -> bool:
    sunday = date(2026, 1, 4).toordinal()
    utc = ZoneInfo("UTC")
    weeks = [(instant.astimezone(utc).date().toordinal() - sunday) // 7 for instant in (counted, at)]
    return weeks[0] == weeks[1]


def is_monetized(candidate: Candidate) -> bool:
    return candidate.lane == "monetized"


def on(*channels: str) -> Callable[[Candidate], bool]:
    return lambda candidate: is_monetized(candidate) and candidate.channel in channels


def one(_candidate: Candidate) -> int:
    return 1


def cost(candidate: Candidate) -> int:
    return candidate.spend.amount_minor


def own(candidate: Candidate) -> list[tuple[str, ...]]:
    return [(candidate.recipient.id,)]


@dataclass(frozen=True)
class Cap:
    """One of `POLICIES`, in the model's own words; `windows` are all those that it might be, and the fullest counts."""

    id: str
    limit: int
    applies: Callable[[Candidate], bool]
    keys: Callable[[Candidate], Sequence[tuple[str, ...]]]
    windows: Callable[[Candidate], Sequence[Counts]]
    counts: Callable[[Candidate], bool] | None = None
    count_on: str = "reserved"
    code: str = "cap.exceeded"
    amount: Callable[[Candidate], int] = one

    def takes(self, candidate: Candidate) -> Sequence[tuple[str, ...]]:
        return self.keys(candidate) if (self.counts or self.applies)(candidate) else ()


HOUR = timedelta(hours=1)
_CAPS = (
    Cap("own-hour", 2, on("push", "email"), own, lambda _: [within(HOUR)], counts=is_monetized),
    Cap("own-day", 4, is_monetized, own, lambda each: [same_day(zone) for zone in ZONES[each.recipient.id]]),
    Cap(
        "after-a-push",
        1,
        on("push"),
        lambda each: [(each.recipient.id, each.channel)],
        lambda _: [until(2 * HOUR)],
        count_on="sent",
    ),
    Cap("mails-apart", 1, on("email"), own, lambda _: [within(HOUR / 6)], code="gap.too_soon"),
    Cap("delivered-in-app", 1, on("in_app"), own, lambda _: [within(3 * HOUR)], count_on="delivered"),
    Cap(
        "each-tag",
        1,
        on("in_app"),
        lambda each: [(each.recipient.id, tag) for tag in each.content.tags],
        lambda _: [within(HOUR / 2)],
    ),
    Cap("everybody", 4, on("sms", "in_app"), lambda _: [()], lambda _: [within(3 * HOUR)], counts=lambda _: True),
    Cap(
        "campaign-day",
        4,
        is_monetized,
        lambda each: [(each.campaign.id,)],
        lambda _: [same_day(ZoneInfo("Europe/Berlin"))],
    ),
    Cap(
        "texts-sent-in-a-week",
        2,
        on("sms"),
        lambda each: [(each.channel,)],
        lambda _: [same_week_from_sunday],
        count_on="sent",
    ),
    Cap(
        "campaign-money",
        1000,
        on("push", "email"),
        lambda each: [(each.campaign.id,)],
        lambda _: [same_day(ZoneInfo("Europe/Berlin"))],
        counts=is_monetized,
        code="budget.spent",
        amount=cost,
    ),
    Cap(
        "own-money",
        500,
        on("sms"),
        lambda each: [(each.recipient.id, each.channel)],
        lambda each: [same_day(zone) for zone in ZONES[each.recipient.id]],
        count_on="sent",
        code="budget.spent",
        amount=cost,
    ),
)

CAPS = {cap.id: cap for cap in _CAPS}

# What an outcome makes of each state; whatever is not here contradicts what is recorded.
OPEN = {outcome: outcome for outcome in ("sent", "delivered", "failed", "cancelled", "bounced", "complained")}
MOVES: dict[str, dict[str, str]] = {
    "none": {},
    "reserved": OPEN,
    "expired": OPEN,
    "sent": {outcome: outcome for outcome in OPEN if outcome != "cancelled"},
    "delivered": {"sent": "delivered", "delivered": "delivered", "complained": "complained", "bounced": "bounced"},
    "complained": dict.fromkeys(("sent", "delivered", "complained"), "complained"),
    "bounced": dict.fromkeys(("sent", "delivered", "bounced"), "bounced"),
    "failed": dict.fromkeys(("sent", "failed"), "failed"),
    "cancelled": {"cancelled": "cancelled"},
}
SAYS_SENT = {"sent", "delivered", "complained"}
SAYS_DELIVERED = {"delivered", "complained"}


@dataclass
class Send:
    """One decision, and what became of it."""

    decision_id: str
    candidate: Candidate
    body: bytes
    at: datetime
    changed_at: datetime
    state: str = "none"
    lease_until: datetime | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    is_forgotten: bool = False

    def state_at(self, now: datetime) -> str:
        return "expired" if self.state == "reserved" and self.lease_until <= now else self.state

    def counted_at(self, cap: Cap, now: datetime) -> datetime | None:
        if self.state_at(now) not in {"reserved", "sent", "delivered", "complained"}:
            return None
        return {"reserved": self.at, "sent": self.sent_at, "delivered": self.delivered_at}[cap.count_on]


@dataclass
class PlainModel:
    """All sends there ever were."""

    lease: timedelta
    keep: timedelta
    sends: list[Send] = field(default_factory=list)
    entries: int = 0
    """How many entries the audit log must hold."""

    def used_under(self, cap: Cap, key: tuple[str, ...], counts: Counts, at: datetime, now: datetime) -> int:
        taken = [(send.counted_at(cap, now), send) for send in self.sends if key in cap.takes(send.candidate)]
        return sum(cap.amount(send.candidate) for instant, send in taken if instant is not None and counts(instant, at))

    def used(self, cap: Cap, candidate: Candidate, at: datetime, now: datetime) -> int:
        numbers = [
            self.used_under(cap, key, counts, at, now)
            for key in cap.keys(candidate)
            for counts in cap.windows(candidate)
        ]
        return max(numbers, default=0)

    def usage(self, candidate: Candidate, at: datetime, now: datetime) -> dict[str, int]:
        """How much is used of each cap that applies."""
        return {cap.id: self.used(cap, candidate, at, now) for cap in CAPS.values() if cap.applies(candidate)}

    def blocking(self, candidate: Candidate, at: datetime, now: datetime) -> list[tuple[str, str]]:
        """Policy and code of each cap that stands in the way."""
        used = self.usage(candidate, at, now)
        return [
            (id_, CAPS[id_].code)
            for id_, number in used.items()
            if number + CAPS[id_].amount(candidate) > CAPS[id_].limit
        ]

    def known(self, candidate_id: str) -> Send | None:
        """The decision that answers for the candidate."""
        sends = (send for send in self.sends if send.candidate.id == candidate_id and not send.is_forgotten)
        return next(sends, None)

    def find(self, decision_id: str) -> Send | None:
        return next((send for send in self.sends if send.decision_id == decision_id and not send.is_forgotten), None)

    def decided(self, send: Send, *, is_allowed: bool) -> None:
        self.entries += 1
        self.sends.append(send)
        if is_allowed:
            send.state, send.lease_until = "reserved", send.at + self.lease

    def report(self, send: Send, outcome: str, at: datetime | None, now: datetime) -> str | None:
        """The state it is in then; None where the outcome contradicts what is recorded."""
        reached = MOVES[send.state_at(now)].get(outcome)
        if reached is None:
            return None
        before = (send.state, send.sent_at, send.delivered_at)
        send.state = reached
        if outcome in SAYS_SENT:
            send.sent_at = self._earliest(send.sent_at, at, send, now)
        if outcome in SAYS_DELIVERED:
            send.delivered_at = self._earliest(send.delivered_at, at, send, now)
        if before != (send.state, send.sent_at, send.delivered_at):
            self.entries += 1
            send.changed_at = now
        return reached

    def house_was_kept(self, now: datetime, kept: Collection[str]) -> None:
        """Leases that ran out have ended for good, and what is not `kept` any more is forgotten."""
        for send in self.sends:
            send.state = send.state_at(now)
            if send.decision_id not in kept and not send.is_forgotten:
                assert send.state != "reserved"
                assert max(send.changed_at, send.at) + self.keep <= now
                send.is_forgotten = True

    def _earliest(self, known: datetime | None, told: datetime | None, send: Send, now: datetime) -> datetime:
        if told is None or told > now:
            return known or max(now, send.at)
        told = max(told, send.at)
        return told if known is None else min(known, told)
