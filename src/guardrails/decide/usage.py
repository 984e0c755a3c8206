"""Usage: how far a recipient has used each cap, and when the next slot opens.

Told are the caps in force that count by recipient, and those with one counter for everybody (`per: []`). Left out are
caps that count by something else, such as a campaign's budget, which is no one recipient's, and what the store still
keeps of caps that the active policies no longer have.

What counts and when that changes is asked of each cap's `CapRule`, on one reading of the store, as for a decision and
its `retry_at`: the two never tell different stories. Reservations are taken to become sends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeGuard

import msgspec

from guardrails.core.candidate import Instant, Recipient
from guardrails.core.cap_rule import (
    CAP_PARTS,
    RECIPIENT,
    CalendarWindow,
    CapRule,
    CountdownWindow,
    RollingWindow,
    Window,
)
from guardrails.core.needs import CountOn, PreferenceQuery, Preferences, Usage, UsageQuery
from guardrails.core.policy import Mode, Policy
from guardrails.core.timing import format_duration, has_zone, in_chosen_zone, zones_of
from guardrails.decide.case import Compiled
from guardrails.decide.ports import Session, Transactor
from guardrails.decide.retry import HORIZON
from guardrails.policyfile.problems import quote

__all__ = ["MOST_KEYS", "CapUsage", "RecipientUsage", "UsageReader"]

MOST_KEYS = 1000
"""Of the keys that hold more than the recipient, such as one a tag, so many are looked at."""

_PLANNED = "so much is planned for later that the next slot is not known"
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class CapUsage(msgspec.Struct, frozen=True, kw_only=True):
    """How far one cap is used under one key.

    `key` holds what the cap counts by: fields and their values; it is empty where all recipients share the counter.
    `used` is null where the recipient's zone is needed and not known. `limit` is the one that holds for the recipient:
    lower than the `policy_limit` where they chose so. `next_slot_at` is the first instant at which the cap has room if
    nothing but time passes, or is in force no longer: `as_of` where it has room now, null where that is not within a
    year or not known. `note` says why something is not known, or what stands in for the recipient's zone or the
    policy's limit.
    """

    policy: str
    title: str
    mode: Mode
    key: dict[str, str]
    shared: bool
    used: int | None
    limit: int
    policy_limit: int
    count_on: CountOn
    window: str
    next_slot_at: Instant | None
    note: str | None = None


class RecipientUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Every cap in force that counts what this recipient gets, in policy order.

    A cap that counts by more than the recipient, by channel say, stands in `caps` once for each key under which
    anything counts, and in `unused` where nothing does. `truncated`: there are more keys than were looked at.
    """

    recipient: str
    as_of: Instant
    policy_revision: str
    caps: tuple[CapUsage, ...]
    unused: tuple[str, ...]
    truncated: bool


class _Cap(msgspec.Struct, frozen=True):
    """A cap in force that counts what the recipient gets."""

    policy: Policy
    rule: CapRule

    @property
    def has_one_key(self) -> bool:
        """Whether the recipient alone says under which key it counts."""
        return set(self.rule.per) <= {RECIPIENT}


class _Request(msgspec.Struct, frozen=True):
    caps: tuple[_Cap, ...]
    recipient: Recipient
    now: datetime


class _Counter(msgspec.Struct, frozen=True):
    """A cap under one of its keys; `questions` None: the recipient's zone is needed and not known."""

    cap: _Cap
    key: dict[str, str]
    questions: tuple[UsageQuery, ...] | None


class _Reading(msgspec.Struct, frozen=True):
    """What the stores said; `cut` are the caps that have more keys than are looked at.

    `chosen` is what the recipient chose, as far as a cap goes by it; `recipient` is them in the zone that holds.
    """

    recipient: Recipient
    chosen: Preferences
    counters: tuple[_Counter, ...]
    answers: Mapping[UsageQuery, Usage]
    cut: frozenset[str]


class UsageReader:
    """Reads how far recipients have used the caps of the active policies."""

    def __init__(
        self, *, snapshot: Callable[[], Compiled], transactor: Transactor, clock: Callable[[], datetime]
    ) -> None:
        self._snapshot = snapshot
        self._transactor = transactor
        self._clock = clock

    def read(self, recipient: Recipient, *, now: datetime | None = None) -> RecipientUsage:
        """The recipient's usage; nobody is unknown: of whom nothing is kept, nothing is used.

        Raises DependencyError where a store is out of reach.
        """
        now = (now or self._clock()).astimezone(UTC)
        policy_set = self._snapshot().policy_set
        caps = _caps(policy_set.policies, now)
        reading = self._transactor.call(_read_group, _Request(caps, recipient, now))
        used = _used(reading, recipient.timezone, now)
        shown = {usage.policy for usage in used} | reading.cut
        return RecipientUsage(
            recipient=recipient.id,
            as_of=now,
            policy_revision=policy_set.revision,
            caps=used,
            unused=tuple(cap.policy.id for cap in caps if cap.policy.id not in shown),
            truncated=bool(reading.cut),
        )


def _caps(policies: Iterable[Policy], now: datetime) -> tuple[_Cap, ...]:
    return tuple(
        _Cap(policy, policy.cap)
        for policy in policies
        if policy.cap is not None and (not policy.cap.per or RECIPIENT in policy.cap.per) and policy.is_valid_at(now)
    )


# --- in the session ---------------------------------------------------------------------------------------------


def _read_group(session: Session, requests: list[_Request]) -> list[_Reading]:
    return [_read(session, request) for request in requests]


def _read(session: Session, request: _Request) -> _Reading:
    chosen = _chosen(session, request)
    recipient = in_chosen_zone(request.recipient, chosen.timezone)
    request = msgspec.structs.replace(request, recipient=recipient)
    kept: dict[str, list[str]] = {}
    for cap_id, key in session.caps.keys_of(request.recipient.id):
        kept.setdefault(cap_id, []).append(key)
    counters, cut = _counters(request, kept)
    queries = dict.fromkeys(query for counter in counters for query in counter.questions or ())
    answers = session.caps.read(tuple(queries), request.now) if queries else {}
    return _Reading(recipient, chosen, counters, answers, cut)


def _chosen(session: Session, request: _Request) -> Preferences:
    """What the recipient chose; nothing where no cap asks for it."""
    recipient, rules = request.recipient, [cap.rule for cap in request.caps]
    is_unlocated = not has_zone(recipient) and any(_goes_by_their_zone(rule.window) for rule in rules)
    if not is_unlocated and not any(rule.personal for rule in rules):
        return Preferences()
    query = PreferenceQuery(recipient.id)
    return session.preferences.read((query,))[query]


def _goes_by_their_zone(window: Window) -> TypeGuard[CalendarWindow]:
    return isinstance(window, CalendarWindow) and window.zone.name == "recipient"


def _counters(request: _Request, kept: Mapping[str, Sequence[str]]) -> tuple[tuple[_Counter, ...], frozenset[str]]:
    """The counters to look at, and the caps that have more of them."""
    counters: list[_Counter] = []
    cut: set[str] = set()
    left = MOST_KEYS
    for cap in request.caps:
        if cap.has_one_key:
            keys = [_key([request.recipient.id] if cap.rule.per else [])]
        else:
            fitting = sorted(key for key in kept.get(cap.rule.id, ()) if _fits(cap.rule, key))
            keys = fitting[:left]
            left -= len(keys)
            if len(keys) < len(fitting):
                cut.add(cap.policy.id)
        counters += [_counter(cap, key, request) for key in keys]
    return tuple(counters), frozenset(cut)


def _counter(cap: _Cap, key: str, request: _Request) -> _Counter:
    parts = dict(zip(_fields(cap.rule), _values(key), strict=True))
    return _Counter(cap, parts, cap.rule.questions((key,), request.recipient, request.now))


def _fields(rule: CapRule) -> tuple[str, ...]:
    """What the rule's keys are made of, in the order in which they hold it."""
    return tuple(field for field in CAP_PARTS if field in rule.per)


def _fits(rule: CapRule, key: str) -> bool:
    """Whether a stored key is one of the rule as it is now: an edit of `per` leaves others behind."""
    return len(_values(key)) == len(_fields(rule))


def _key(values: list[str]) -> str:
    return msgspec.json.encode(values).decode()


def _values(key: str) -> list[str]:
    return msgspec.json.decode(key, type=list[str])


# --- from its answers -------------------------------------------------------------------------------------------


def _used(reading: _Reading, named: str | None, now: datetime) -> tuple[CapUsage, ...]:
    """The counters that say something; `named` is the zone that was asked for."""
    found = []
    for counter in reading.counters:
        usages = None if counter.questions is None else tuple(reading.answers[query] for query in counter.questions)
        # Keys that nothing counts under any more are kept until housekeeping comes by: they say nothing.
        if usages is None or counter.cap.has_one_key or any(usage.older or usage.times for usage in usages):
            found.append(_cap_usage(counter, usages, reading, named, now))
    return tuple(found)


def _cap_usage(
    counter: _Counter, usages: tuple[Usage, ...] | None, reading: _Reading, named: str | None, now: datetime
) -> CapUsage:
    policy, rule, recipient = counter.cap.policy, counter.cap.rule, reading.recipient
    limit = rule.limit_for(reading.chosen)
    opens = None if usages is None else _next_slot(counter.cap, usages, limit, recipient, now)
    notes = (
        f"the recipient wants at most {limit}; the policy allows {rule.limit}" if limit < rule.limit else None,
        _zone_note(rule.window, recipient, named),
        _PLANNED if opens is None and _is_planned_full(rule, usages) else None,
    )
    return CapUsage(
        policy=policy.id,
        title=policy.title,
        mode=policy.mode,
        key=counter.key,
        shared=not rule.per,
        used=None if usages is None else rule.used(usages, recipient, now),
        limit=limit,
        policy_limit=rule.limit,
        count_on=rule.count_on,
        window=_window_words(rule.window),
        next_slot_at=opens,
        note="; ".join(note for note in notes if note is not None) or None,
    )


def _next_slot(
    cap: _Cap, usages: tuple[Usage, ...], limit: int, recipient: Recipient, now: datetime
) -> datetime | None:
    """The first instant from `now` on at which fewer than `limit` count, or the policy is no longer in force."""
    policy, rule = cap.policy, cap.rule
    at, last = now, now + HORIZON
    while (rule.used(usages, recipient, at) or 0) >= limit:
        changes = (rule.next_change(usages, recipient, at), policy.valid_until)
        change = min((change for change in changes if change is not None), default=None)
        if change is None or change > last:
            return None
        at = change
        if not policy.is_valid_at(at):
            break
    return at.astimezone(UTC)


def _is_planned_full(rule: CapRule, usages: tuple[Usage, ...] | None) -> bool:
    """Whether as much is planned for after the window as one window takes: of a tally it is not known for which."""
    return any(usage.later >= rule.limit for usage in usages or ())


def _window_words(window: Window) -> str:
    if isinstance(window, RollingWindow):
        return f"rolling {format_duration(window.seconds)}"
    if isinstance(window, CountdownWindow):
        return f"countdown of {format_duration(window.seconds)} from each send"
    begins = f" from {_WEEKDAYS[window.week_starts]}" if window.unit == "week" else ""
    place = "the recipient's zone" if window.zone.name == "recipient" else window.zone.name
    return f"calendar {window.unit}{begins} in {place}"


def _zone_note(window: Window, recipient: Recipient, named: str | None) -> str | None:
    """What stands in for the recipient's zone where that is needed and, as it is `named`, not known."""
    if not _goes_by_their_zone(window):
        return None
    if has_zone(recipient):
        return None if recipient.timezone == named else f"counted in {recipient.timezone}, as the recipient chose"
    said = "the recipient's zone is not known" if named is None else f"there is no zone {quote(named)}"
    fallback, zones = window.zone.fallback, zones_of(window.zone, recipient)
    if zones is None:
        needed = "a `timezone` is" if fallback == "deny" else "`timezone`, `country` or `region` is"
        return f"{said}: {needed} needed to say what counts"
    if fallback != "strictest":
        return f"{said}: counted in {fallback}, as the policy says"
    return f"{said}: the most that counts in any zone that they may be in"
