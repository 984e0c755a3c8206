"""`min_gap`: some time passes between two sends that count, whichever of them was decided first.

A gap is a rolling cap of one: exactly `gap` after the earlier send, the next may follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guardrails.core.cap_needs import CapNeed
from guardrails.core.cap_rule import CapRule, RollingWindow
from guardrails.core.conditions import Compare, FactType, Ordering
from guardrails.core.policy import Reason
from guardrails.policyfile.kinds._counting import (
    COUNTING_PROPERTIES,
    count_condition,
    key_fields,
    key_words,
    retry_advice,
)
from guardrails.policyfile.kinds._kind import Kind, Lowered, Lowering

__all__ = ["KIND"]


def lower(spec: Mapping[str, Any], lowering: Lowering) -> Lowered:
    """Violated where a send stands closer than `gap`, satisfied where none does."""
    fact = f"gap.{lowering.policy_id}.used"
    cap = CapRule(
        id=lowering.policy_id,
        limit=1,
        window=RollingWindow(lowering.duration_seconds(("gap",))),
        per=key_fields(spec),
        counts=count_condition(spec, lowering),
        count_on=spec.get("count_on", "reserved"),
    )
    return Lowered(
        violated=Compare(fact, FactType.NUMBER, Ordering.GTE, 1),
        satisfied=Compare(fact, FactType.NUMBER, Ordering.LT, 1),
        reason=Reason("gap.too_soon", f"at least {spec['gap']} must lie between two sends, {key_words(spec)}"),
        needs=(CapNeed(fact, cap),),
        caps=(cap,),
        retry=retry_advice(spec, lowering),
    )


KIND = Kind(
    name="min_gap",
    summary="Keeps a least time between two sends.",
    properties={
        "gap": {
            "$ref": "#/$defs/duration",
            "description": "How much time must lie between two sends, such as `4h`; exactly as much is enough.",
        },
        **COUNTING_PROPERTIES,
    },
    required=("gap", "per"),
    reason_codes={"gap.too_soon": "Another send that counts lies closer than `gap`."},
    example="""\
- id: two-hours-apart
  kind: min_gap
  title: Two hours between two monetized notifications
  applies_to: {lane: monetized}
  gap: 2h
  per: [recipient]
""",
    lower=lower,
)
