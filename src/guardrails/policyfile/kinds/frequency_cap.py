"""`frequency_cap`: at most so many sends in a window, for each recipient, channel, campaign or whatever is named.

The well-known notification systems contradict each other on what a cap means, so every part of it is written down:
the window and its zone, the key, what counts and from when on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from guardrails.core.cap_needs import CapNeed, PersonalNeed
from guardrails.core.cap_rule import (
    LISTED_TIMES,
    RECIPIENT,
    CalendarWindow,
    CapRule,
)
from guardrails.core.conditions import AllOf, AnyOf, Compare, FactType, Ordering
from guardrails.core.policy import Reason
from guardrails.policyfile.kinds._counting import (
    COUNTING_PROPERTIES,
    HIGHEST_LIMIT,
    count_condition,
    key_fields,
    key_words,
    retry_advice,
)
from guardrails.policyfile.kinds._kind import Kind, Lowered, Lowering
from guardrails.policyfile.kinds._windows import WINDOW_SCHEMA, in_window, window_of

__all__ = ["KIND"]


def lower(spec: Mapping[str, Any], lowering: Lowering) -> Lowered:
    """Violated where as many sends as `limit` are used in the window, satisfied where fewer are."""
    fact, limit = f"cap.{lowering.policy_id}.used", spec["limit"]
    window = window_of(spec["window"], lowering)
    if not isinstance(window, CalendarWindow) and limit > LISTED_TIMES:
        lowering.problem(
            "out-of-bounds",
            f"`{limit}` is more than a rolling or countdown window can count: at most {LISTED_TIMES}",
            ("limit",),
            "a calendar window counts further",
        )
    cap = CapRule(
        id=lowering.policy_id,
        limit=limit,
        window=window,
        per=key_fields(spec),
        counts=count_condition(spec, lowering),
        count_on=spec.get("count_on", "reserved"),
        personal=spec.get("personal", False),
    )
    if cap.personal and RECIPIENT not in cap.per:
        message = "a counter that recipients share has no limit of one of them"
        lowering.problem("contradiction", message, ("personal",), "add `recipient` to `per`, or leave `personal` out")
    used = CapNeed(fact, cap)
    lowered = Lowered(
        violated=Compare(fact, FactType.NUMBER, Ordering.GTE, limit),
        satisfied=Compare(fact, FactType.NUMBER, Ordering.LT, limit),
        reason=Reason("cap.exceeded", f"at most {limit} {in_window(window, spec['window'])}, {key_words(spec)}"),
        needs=(used,),
        caps=(cap,),
        retry=retry_advice(spec, lowering),
    )
    return _with_own_limit(lowered, used) if cap.personal else lowered


def _with_own_limit(lowered: Lowered, used: CapNeed) -> Lowered:
    """The same where the recipient's own limit holds too; the code says which of the two is reached."""
    fact, reason = f"cap.{used.rule.id}.left", lowered.reason
    return msgspec.structs.replace(
        lowered,
        violated=AnyOf((lowered.violated, Compare(fact, FactType.NUMBER, Ordering.LTE, 0))),
        satisfied=AllOf((lowered.satisfied, Compare(fact, FactType.NUMBER, Ordering.GT, 0))),
        reason=Reason(
            "cap.personal",
            f"{reason.message}, or fewer where the recipient chose so",
            cases=((lowered.violated, reason.code),),
        ),
        needs=(used, PersonalNeed(fact, used)),
    )


KIND = Kind(
    name="frequency_cap",
    summary="Allows at most so many sends in a window of time.",
    properties={
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": HIGHEST_LIMIT,
            "description": f"The most sends in one window; at most {LISTED_TIMES} for `rolling` and `countdown`.",
        },
        "window": WINDOW_SCHEMA,
        "personal": {
            "type": "boolean",
            "default": False,
            "description": (
                "Whether recipients may choose fewer than `limit` for themselves, by this policy's id among the "
                "`limits` of their preferences; never more. Needs `recipient` in `per`."
            ),
        },
        **COUNTING_PROPERTIES,
    },
    required=("limit", "window", "per"),
    reason_codes={
        "cap.exceeded": "As many sends as `limit` allows are already used in the window.",
        "cap.personal": "As many sends as the recipient wants at most are used in the window; `limit` allows more.",
    },
    example="""\
- id: one-sponsored-a-day
  kind: frequency_cap
  title: One sponsored notification a day
  applies_to: {content.class: sponsored, channel: [push, email]}
  limit: 1
  window: {calendar: day, timezone: recipient, fallback: strictest}
  per: [recipient]
  personal: true
""",
    lower=lower,
)
