"""What a cap says: how many, in which window, under which key, of what, counted from when. Nothing is implicit.

The three windows, and the instants at which they change:

- rolling     a send counts for `seconds` after it counted; half-open: exactly `seconds` later it no longer does
- calendar    sends within the day, week or month that the instant falls into, in the recipient's or a given zone
- countdown   a send counts until the countdown that it started ends; later edits of the policy don't move that end

A send that is already planned for later counts for a rolling or countdown window too, so that no two sends, decided
in whatever order, can stand closer than the cap allows.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from guardrails.core.candidate import Candidate, candidate_facts
from guardrails.core.conditions import TRUE, Condition, FactType
from guardrails.core.needs import Answer, CountOn, Take, Usage, UsageQuery
from guardrails.core.timing import Zone, calendar_window

__all__ = ["CalendarWindow", "CapNeed", "CapRule", "CountdownWindow", "RollingWindow", "Window", "cap_keys"]

LISTED_TIMES = 1000
"""How many sends are listed one by one at most; limits of rolling and countdown windows stay within it."""


class RollingWindow(msgspec.Struct, frozen=True, tag=True):
    """The last `seconds` before the instant."""

    seconds: int


class CalendarWindow(msgspec.Struct, frozen=True, tag=True):
    """The calendar day, week or month around the instant, in `zone`. `week_starts`: 0 is Monday."""

    unit: Literal["day", "week", "month"]
    zone: Zone
    week_starts: int = 0


class CountdownWindow(msgspec.Struct, frozen=True, tag=True):
    """`seconds` from each send on, fixed when that send began to count."""

    seconds: int


Window = RollingWindow | CalendarWindow | CountdownWindow


class CapRule(msgspec.Struct, frozen=True, kw_only=True):
    """At most `limit` sends in `window` for each combination of the facts named in `per`.

    `per` holds field names; empty for one counter over everything. `content.tags` makes one counter a tag. `counts`
    says which sends count, whether or not the policy applies to them; where it is unknown, they do.
    """

    id: str
    limit: int
    window: Window
    per: tuple[str, ...]
    counts: Condition = TRUE
    count_on: CountOn = "reserved"

    def takes(self, candidate: Candidate) -> tuple[Take, ...]:
        """The slots that a send of `candidate` takes, one a key; none where a part of the key is missing."""
        seconds = self.window.seconds if isinstance(self.window, CountdownWindow) else None
        return tuple(Take(self.id, key, self.count_on, seconds) for key in cap_keys(self.per, candidate) or ())


class CapNeed(msgspec.Struct, frozen=True):
    """The fact "how many are used", the largest over the candidate's keys and the zones that it may be in."""

    fact: str
    rule: CapRule
    type: FactType = FactType.NUMBER
