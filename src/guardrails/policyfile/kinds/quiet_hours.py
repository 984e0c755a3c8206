"""`quiet_hours`: nothing is sent while people sleep, by the clock on their own wall.

Spans are half-open: at `to` the quiet is over. With `fallback: strictest` it is quiet as long as it is quiet in any
zone that the recipient may be in.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.core.conditions import FactType, OneOf
from guardrails.core.needs import Answer, Query
from guardrails.core.policy import Reason
from guardrails.core.timing import ZONE_FIELD, QuietSpan, Zone, is_quiet, next_quiet_change, zones_of
from guardrails.policyfile.kinds._kind import Kind, Lowered, Lowering

__all__ = ["KIND", "QuietNeed"]

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES

CLOCK = {
    "title": "time of day",
    "type": "string",
    "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
    "patternErrorMessage": 'a time of day is written in quotes, like "08:00" or "22:30"',
}


class QuietNeed(msgspec.Struct, frozen=True):
    """The fact "it is quiet for the recipient", which depends on time only."""

    fact: str
    spans: tuple[QuietSpan, ...]
    zone: Zone
    type: FactType = FactType.BOOLEAN
    shares: ClassVar[tuple[str, ...]] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """Their zone, where the hours are the recipient's."""
        return (ZONE_FIELD,) if self.zone.name == "recipient" else ()

    def queries(self, candidate: Candidate, _at: datetime) -> tuple[Query, ...] | None:
        """No question; None where no zone can be told for the recipient."""
        return None if zones_of(self.zone, candidate.recipient) is None else ()

    def value(self, _answers: tuple[Answer, ...], candidate: Candidate, at: datetime) -> bool | None:
        """Whether it is quiet at `at` in any zone that may hold for the recipient; None where that is unknown."""
        zones = zones_of(self.zone, candidate.recipient)
        return None if zones is None else any(is_quiet(self.spans, zone, at) for zone in zones)

    def next_change(self, _answers: tuple[Answer, ...], candidate: Candidate, at: datetime) -> datetime | None:
        """The first instant at which the quiet begins or ends in any of the zones."""
        zones = zones_of(self.zone, candidate.recipient) or ()
        changes = (next_quiet_change(self.spans, zone, at) for zone in zones)
        return min((change for change in changes if change is not None), default=None)


def lower(spec: Mapping[str, Any], lowering: Lowering) -> Lowered:
    """Violated while it is quiet, satisfied while it is not."""
    if spec["timezone"] == "recipient" and "fallback" not in spec:
        lowering.problem(
            "missing-property",
            "`timezone: recipient` needs a `fallback`: what holds where the recipient's zone is not known",
            ("timezone",),
            "`fallback` is `project`, a zone such as `Europe/Berlin`, `strictest` or `deny`",
        )
    spans = tuple(_span(span) for span in spec["spans"])
    if _covers_the_week(spans):
        lowering.problem("contradiction", "it is quiet all week: nothing could ever be sent", ("spans",))
    zone = lowering.zone(())
    place = "the recipient's zone" if zone.name == "recipient" else zone.name
    fact = f"quiet.{lowering.policy_id}.active"
    return Lowered(
        violated=OneOf(fact, FactType.BOOLEAN, (True,)),
        satisfied=OneOf(fact, FactType.BOOLEAN, (False,)),
        reason=Reason("quiet_hours", f"nothing may be sent {_listed(spec['spans'])} in {place}"),
        needs=(QuietNeed(fact, spans, zone),),
    )


def _span(span: Mapping[str, Any]) -> QuietSpan:
    weekdays = tuple(sorted(WEEKDAYS.index(day) for day in span.get("days", WEEKDAYS)))
    return QuietSpan(weekdays, _minute(span["from"]), _minute(span["to"]))


def _minute(clock: str) -> int:
    """Minutes since midnight of `22:30`."""
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _covers_the_week(spans: tuple[QuietSpan, ...]) -> bool:
    """Whether every minute of a week lies in one of the spans."""
    quiet = set[int]()
    for span in spans:
        length = (span.end_minute - span.start_minute - 1) % DAY_MINUTES + 1
        for day in span.weekdays:
            start = day * DAY_MINUTES + span.start_minute
            quiet.update(minute % WEEK_MINUTES for minute in range(start, start + length))
    return len(quiet) == WEEK_MINUTES


def _listed(spans: list[Mapping[str, Any]]) -> str:
    return " and ".join(
        f"from {span['from']} to {span['to']}" + (f" ({', '.join(span['days'])})" if "days" in span else "")
        for span in spans
    )


KIND = Kind(
    name="quiet_hours",
    summary="Keeps the hours quiet in which a recipient is not to be disturbed.",
    properties={
        "spans": {
            "type": "array",
            "minItems": 1,
            "maxItems": 21,
            "description": "When it is quiet, by the clock on the wall.",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["from", "to"],
                "properties": {
                    "from": CLOCK | {"description": 'When the quiet begins, such as "22:00".'},
                    "to": CLOCK
                    | {
                        "description": (
                            'When the quiet is over, such as "08:00": on the next day where it is not after `from`, '
                            "so that the same time twice means 24 hours."
                        )
                    },
                    "days": {
                        "type": "array",
                        "items": {"enum": list(WEEKDAYS)},
                        "minItems": 1,
                        "uniqueItems": True,
                        "description": "The weekdays on which the span begins; without it, every day.",
                    },
                },
            },
        },
        "timezone": {
            "$ref": "#/$defs/timezone",
            "description": "Whose clock: `recipient`, `project`, or a zone such as `Europe/Berlin`.",
        },
        "fallback": {
            "$ref": "#/$defs/fallback",
            "description": "Needed with `timezone: recipient`: the zone where theirs is missing or wrong.",
        },
    },
    required=("spans", "timezone"),
    reason_codes={"quiet_hours": "The notification would arrive within the quiet hours."},
    example="""\
- id: let-people-sleep
  kind: quiet_hours
  title: Nothing monetized at night
  applies_to: {lane: monetized}
  spans:
    - {from: "22:00", to: "08:00"}
    - {from: "08:00", to: "10:00", days: [sat, sun]}
  timezone: recipient
  fallback: strictest
""",
    lower=lower,
)
