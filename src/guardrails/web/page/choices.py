"""What a recipient can choose on their page: only what an enforced policy of the active set goes by.

A switch that nothing listens to would be a promise that nobody keeps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from guardrails.consent.fold import CHANNELS
from guardrails.core.cap_rule import CalendarWindow, Window
from guardrails.core.needs import Preferences
from guardrails.core.policy import Policy
from guardrails.core.policy_set import PolicySet
from guardrails.policyfile.kinds.content_toggle import NamedToggle, ToggleNeed
from guardrails.preferences import PreferenceRequest
from guardrails.preferences.values import LIMIT_MOST

__all__ = ["Choices", "Limit", "Toggle", "choices_of"]


class Toggle(NamedTuple):
    """A switch: `name` as it is recorded, `sort` and `thing` what is before and after its colon."""

    name: str
    sort: str
    thing: str
    is_on: bool


class Limit(NamedTuple):
    """How many at most: `chosen` by the recipient, `most` by the policy. `unit` and `units` say in which time."""

    policy: str
    title: str
    most: int
    unit: str
    units: int
    chosen: int | None


class Choices(NamedTuple):
    """All that can be chosen, as it stands. `paused_until` is None where they don't pause."""

    toggles: tuple[Toggle, ...]
    limits: tuple[Limit, ...]
    can_pause: bool
    paused_until: datetime | None

    def exceeded(self, wanted: PreferenceRequest) -> Limit | None:
        """The first limit of which more is wanted than there is."""
        return next((limit for limit in self.limits if (wanted.limits.get(limit.policy) or 0) > limit.most), None)

    def offer(self, wanted: PreferenceRequest) -> bool:
        """Whether all that is wanted can be chosen: a link is no way to record whatever its holder likes."""
        pauses = isinstance(wanted.paused_until, datetime)
        return (
            wanted.toggles.keys() <= {toggle.name for toggle in self.toggles}
            and wanted.limits.keys() <= {limit.policy for limit in self.limits}
            and self.exceeded(wanted) is None
            and (self.can_pause or not pauses)
        )


def choices_of(
    policy_set: PolicySet, chosen: Preferences, now: datetime, *, met: Mapping[str, Iterable[str]]
) -> Choices:
    """What the policies let a recipient choose. `met` are the topics and sponsors that they know, by sort."""
    enforced = [policy for policy in policy_set.policies if policy.mode == "enforce" and policy.is_valid_at(now)]
    paused_until = chosen.paused_until
    return Choices(
        toggles=tuple(_toggles(enforced, chosen.toggles, met)),
        limits=tuple(_limits(enforced, chosen.limits)),
        can_pause=any(policy.kind == "pause" for policy in enforced),
        paused_until=paused_until if paused_until is not None and paused_until > now else None,
    )


def _toggles(
    policies: Iterable[Policy], chosen: Mapping[str, bool], met: Mapping[str, Iterable[str]]
) -> Iterator[Toggle]:
    """Each once: the first policy that goes by it says how it stands where nobody touched it."""
    defaults: dict[str, str] = {}
    for policy in policies:
        for need in policy.needs:
            if isinstance(need, ToggleNeed):
                for name in _names(need, chosen, met):
                    defaults.setdefault(name, need.default)
    for name, default in defaults.items():
        sort, colon, thing = name.partition(":")
        yield Toggle(name, sort if colon else "", thing if colon else name, chosen.get(name, default == "on"))


def _names(need: ToggleNeed, chosen: Mapping[str, bool], met: Mapping[str, Iterable[str]]) -> list[str]:
    """The toggles of a policy: one, or one for each channel, or for each topic or sponsor known here."""
    if isinstance(need.toggle, NamedToggle):
        return [need.toggle.name]
    sort = need.toggle.sort
    if sort == "channel":
        return [f"{sort}:{channel}" for channel in CHANNELS]
    known = {f"{sort}:{thing}" for thing in met.get(sort, ())}
    return sorted(known | {name for name in chosen if name.startswith(f"{sort}:")}, key=_natural)


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    """What names are sorted by, as people count: `hotel 2` before `Hotel 10`."""
    parts = re.findall(r"([0-9]*)([^0-9]*)", name.casefold())
    return tuple((int(digits or -1), letters) for digits, letters in parts)


def _limits(policies: Iterable[Policy], chosen: Mapping[str, int]) -> Iterator[Limit]:
    for policy in policies:
        for cap in policy.caps:
            if not cap.personal:
                continue
            own = chosen.get(cap.id)
            shown = None if own is None or own >= cap.limit else own
            yield Limit(cap.id, policy.title or policy.id, min(cap.limit, LIMIT_MOST), *_span(cap.window), shown)


_HOUR = 3600
_DAY = 24 * _HOUR


def _span(window: Window) -> tuple[str, int]:
    """A window in words: the catalogue's key, and how many of that unit."""
    if isinstance(window, CalendarWindow):
        return window.unit, 1
    for unit, seconds in (("days", _DAY), ("hours", _HOUR), ("minutes", 60)):
        if window.seconds % seconds == 0:
            return unit, window.seconds // seconds
    return "seconds", window.seconds
