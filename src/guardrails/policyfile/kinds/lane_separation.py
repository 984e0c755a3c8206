"""`lane_separation`: transactional content takes the transactional lane, all other content the monetized one.

A booking confirmation must not queue behind promotions, and a promotion must not ride on the service level of a
confirmation. The loader adds this policy to a set that has none of its kind, so an empty mapping is enough for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guardrails.core.conditions import AllOf, AnyOf, FactType, Not, OneOf
from guardrails.core.facts import CONTENT_CLASSES
from guardrails.core.policy import Reason
from guardrails.policyfile.kinds._kind import Kind, Lowered, Lowering

__all__ = ["KIND"]

NOT_TRANSACTIONAL = "lane.not_transactional"
NOT_MONETIZED = "lane.not_monetized"


def lower(spec: Mapping[str, Any], _lowering: Lowering) -> Lowered:
    """Violated where lane and content class contradict each other, satisfied where they agree."""
    classes = tuple(spec.get("transactional_classes", ("transactional",)))
    in_transactional_lane = OneOf("lane", FactType.STRING, ("transactional",))
    in_monetized_lane = OneOf("lane", FactType.STRING, ("monetized",))
    is_transactional = OneOf("content.class", FactType.STRING, classes)
    strays = AllOf((in_transactional_lane, Not(is_transactional)))
    blocks = AllOf((in_monetized_lane, is_transactional))
    return Lowered(
        violated=AnyOf((strays, blocks)),
        satisfied=AnyOf(
            (AllOf((in_transactional_lane, is_transactional)), AllOf((in_monetized_lane, Not(is_transactional))))
        ),
        reason=Reason(
            NOT_TRANSACTIONAL,
            f"content of class {_listed(classes)} takes the transactional lane, all other content the monetized lane",
            cases=((blocks, NOT_MONETIZED),),
        ),
    )


def _listed(classes: tuple[str, ...]) -> str:
    return " or ".join(f"`{name}`" for name in classes)


KIND = Kind(
    name="lane_separation",
    summary="Keeps monetized content out of the transactional lane, and the reverse.",
    properties={
        "transactional_classes": {
            "type": "array",
            "items": {"enum": list(CONTENT_CLASSES)},
            "minItems": 1,
            "uniqueItems": True,
            "default": ["transactional"],
            "description": "The classes that take the transactional lane; every other class takes the monetized lane.",
        },
    },
    reason_codes={
        NOT_TRANSACTIONAL: "The candidate takes the transactional lane, and its content class may not.",
        NOT_MONETIZED: "The candidate takes the monetized lane, and its content class belongs in the other.",
    },
    example="""\
- id: separate-lanes
  kind: lane_separation
  title: Only transactional content takes the transactional lane
  transactional_classes: [transactional]
""",
    lower=lower,
)
