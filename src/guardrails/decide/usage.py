"""Usage: how far a recipient has used each cap, and when the next slot opens.

Told are the caps in force that count by recipient, and those with one counter for everybody (`per: []`). Left out are
caps that count by something else, such as a campaign's budget, which is no one recipient's, and what the store still
keeps of caps that the active policies no longer have.

What counts and when that changes is asked of each cap's `CapRule`, on one reading of the store, as for a decision and
its `retry_at`: the two never tell different stories. Reservations are taken to become sends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from guardrails.core.amount_rule import AmountRule
from guardrails.core.candidate import Instant, Recipient
from guardrails.core.cap_rule import (
    CAP_PARTS,
    RECIPIENT,
    CapRule,
)
from guardrails.core.facts import VOCABULARY
from guardrails.core.needs import CountOn, PreferenceQuery, Preferences, Usage, UsageQuery
from guardrails.core.policy import Mode, Policy
from guardrails.core.timing import has_zone, in_chosen_zone
from guardrails.core.zones import zone_named, zone_names, zones_in
from guardrails.decide.case import Compiled
from guardrails.decide.ports import Session, Transactor
from guardrails.decide.retry import HORIZON
from guardrails.decide.usage_words import goes_by_their_zone, window_words, zone_note
from guardrails.decoding import invalid
from guardrails.policyfile.problems import did_you_mean, quote

__all__ = ["LONG_KEY", "MOST_KEYS", "CapUsage", "RecipientUsage", "UsageReader"]

MOST_KEYS = 1000
"""Of the keys that hold more than the recipient, such as one a tag, so many are looked at."""

LONG_KEY = "sha256:"
"""What a key begins with that is too long to be kept: its digest stands for it."""

_PLANNED = "so much is planned for later that the next slot is not known"


class CapUsage(msgspec.Struct, frozen=True, kw_only=True):
    """How far one cap is used under one key.

    `key` holds what the cap counts by: fields and their values; it is empty where all recipients share the counter. Of
    one that is too long to be kept it holds the recipient and, as `key`, the digest of the whole.
    `used` is null where the recipient's zone is needed and not known. Where `currency` (ISO 4217) is set, `used` and
    the limits are minor units of it, else sends. `limit` is the one that holds for the recipient: lower than the
    `policy_limit` where they chose so. `next_slot_at` is the first instant at which the cap has room if
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
    currency: str | None = None
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


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReader:
    """Reads how far recipients have used the caps of the active policies."""

    snapshot: Callable[[], Compiled]
    transactor: Transactor
    clock: Callable[[], datetime]

    def read(self, recipient: Recipient, *, now: datetime | None = None) -> RecipientUsage:
        """The recipient's usage; nobody is unknown: of whom nothing is kept, nothing is used.

        Raises CandidateError where there is no such zone, country or region, DependencyError where a store is out of
        reach.
        """
        _check(recipient)
        now = (now or self.clock()).astimezone(UTC)
        policy_set = self.snapshot().policy_set
        caps = _caps(policy_set.policies, now)
        reading = self.transactor.call(_read_group, _Request(caps, recipient, now))
        used = _used(reading, recipient.timezone, now)
        shown = {usage.policy for usage in used} | reading.cut
        return RecipientUsage(
            recipient=recipient.id,
            as_of=now,
            policy_revision=policy_set.revision,
            caps=used,
            unused=tuple(dict.fromkeys(cap.policy.id for cap in caps if cap.policy.id not in shown)),
            truncated=bool(reading.cut),
        )


def _check(recipient: Recipient) -> None:
    """A candidate may say what nobody knows, and a policy what is done then; who asks is told."""
    problems = []
    if recipient.timezone is not None and zone_named(recipient.timezone) is None:
        hint = did_you_mean(recipient.timezone, zone_names()) or "a zone is named like `Europe/Berlin`"
        problems.append(("/timezone", f"there is no zone {quote(recipient.timezone)}; {hint}"))
    if recipient.country is not None and zones_in(recipient.country, None) is None:
        problems.append(("/country", f"no zone is known in {quote(recipient.country)}; a country is named like `DE`"))
    if recipient.region is not None and zones_in(None, recipient.region) is None:
        problems.append(("/region", f"no zone is known in {quote(recipient.region)}; a region is named like `US-NY`"))
    if problems:
        raise invalid(tuple(problems))


def _caps(policies: Iterable[Policy], now: datetime) -> tuple[_Cap, ...]:
    return tuple(
        _Cap(policy, cap)
        for policy in policies
        if policy.is_valid_at(now)
        for cap in policy.caps
        if not cap.per or RECIPIENT in cap.per
    )


# --- in the session ---------------------------------------------------------------------------------------------


def _read_group(session: Session, requests: list[_Request]) -> list[_Reading]:
    return [_read(session, request) for request in requests]


def _read(session: Session, request: _Request) -> _Reading:
    chosen = _chosen(session, request)
    recipient = in_chosen_zone(request.recipient, chosen.timezone)
    request = msgspec.structs.replace(request, recipient=recipient)
    kept: dict[str, list[str]] = {}
    tallied = [cap.rule.id for cap in request.caps if cap.rule.is_tallied and cap.rule.is_owned and not cap.has_one_key]
    for cap_id, key in session.caps.keys_of(request.recipient.id, tallied):
        kept.setdefault(cap_id, []).append(key)
    counters, cut = _counters(request, kept)
    queries = dict.fromkeys(query for counter in counters for query in counter.questions or ())
    answers = session.caps.read(tuple(queries), request.now) if queries else {}
    return _Reading(recipient, chosen, counters, answers, cut)


def _chosen(session: Session, request: _Request) -> Preferences:
    """What the recipient chose; nothing where no cap asks for it."""
    recipient, rules = request.recipient, [cap.rule for cap in request.caps]
    is_unlocated = not has_zone(recipient) and any(goes_by_their_zone(rule.window) for rule in rules)
    if not is_unlocated and not any(rule.personal for rule in rules):
        return Preferences()
    query = PreferenceQuery(recipient.id)
    return session.preferences.read((query,))[query]


def _counters(request: _Request, kept: Mapping[str, Sequence[str]]) -> tuple[tuple[_Counter, ...], frozenset[str]]:
    """The counters to look at, and the caps that have more of them."""
    counters: list[_Counter] = []
    cut: set[str] = set()
    left = MOST_KEYS
    for cap in request.caps:
        if cap.has_one_key:
            keys = [_key([request.recipient.id] if cap.rule.per else [])]
        else:
            fitting = sorted(key for key in kept.get(cap.rule.id, ()) if _parts(cap, key, request) is not None)
            keys = fitting[:left]
            left -= len(keys)
            if len(keys) < len(fitting):
                cut.add(cap.policy.id)
        counters += [_counter(cap, key, request) for key in keys]
    return tuple(counters), frozenset(cut)


def _counter(cap: _Cap, key: str, request: _Request) -> _Counter:
    parts = _parts(cap, key, request) or {}
    return _Counter(cap, parts, cap.rule.questions((key,), request.recipient, request.now))


def _parts(cap: _Cap, key: str, request: _Request) -> dict[str, str] | None:
    """What the key is made of; None where the cap makes none like it: an edit of `per` leaves others behind."""
    values: list[str] = msgspec.json.decode(key, type=list[str])
    fields = [field for field in CAP_PARTS if field in cap.rule.per]
    recipient_id = request.recipient.id
    if len(values) == 1 < len(fields) and values[0].startswith(LONG_KEY):
        return {RECIPIENT: recipient_id, "key": values[0]}
    if len(values) != len(fields):
        return None
    parts = dict(zip(fields, values, strict=True))
    choices = {**{field: VOCABULARY[field].values for field in fields}, RECIPIENT: (recipient_id,)}
    is_ours = all(not choices[field] or value in choices[field] for field, value in parts.items())
    return parts if is_ours else None


def _key(values: list[str]) -> str:
    return msgspec.json.encode(values).decode()


# --- from its answers -------------------------------------------------------------------------------------------


def _used(reading: _Reading, named: str | None, now: datetime) -> tuple[CapUsage, ...]:
    """The counters that say something; `named` is the zone that was asked for."""
    found = []
    for counter in reading.counters:
        usages = None if counter.questions is None else tuple(reading.answers[query] for query in counter.questions)
        # Keys that nothing counts under any more are kept until housekeeping comes by: they say nothing.
        if (
            usages is None
            or counter.cap.has_one_key
            or any(usage.older or usage.times or usage.later for usage in usages)
        ):
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
        zone_note(rule.window, recipient, named),
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
        currency=rule.currency if isinstance(rule, AmountRule) else None,
        count_on=rule.count_on,
        window=window_words(rule.window),
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
