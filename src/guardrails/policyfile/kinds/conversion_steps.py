"""`conversion_steps`: from opening the notification to conversion in few steps, by default one to three.

A candidate that doesn't say how many steps it takes is undetermined: in the monetized lane that is a deny.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guardrails.core.conditions import AllOf, AnyOf, Compare, FactType, Ordering
from guardrails.core.policy import Reason
from guardrails.policyfile.kinds._kind import Kind, Lowered, Lowering

__all__ = ["KIND"]

FEWEST, MOST = 1, 3
"""The bounds of a policy that states none."""

COUNT = {"type": "integer", "minimum": 0, "maximum": 100}
"""What `content.steps` can be."""


def lower(spec: Mapping[str, Any], lowering: Lowering) -> Lowered:
    """Satisfied where `content.steps` lies between both bounds, violated where it lies outside."""
    fewest, most = spec.get("min", FEWEST), spec.get("max", MOST)
    if fewest > most:
        lowering.problem(
            "contradiction",
            f"`min` is `{fewest}` and `max` is `{most}`: no number of steps is allowed",
            ("min",) if "min" in spec else ("max",),
            f"`min` is {FEWEST} and `max` is {MOST} where they are not given",
        )
    too_few, too_many = _steps(Ordering.LT, fewest), _steps(Ordering.GT, most)
    span = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    return Lowered(
        violated=AnyOf((too_few, too_many)),
        satisfied=AllOf((_steps(Ordering.GTE, fewest), _steps(Ordering.LTE, most))),
        reason=Reason(
            "steps.too_many",
            f"conversion must take {span} {'step' if most == 1 else 'steps'} from opening the notification",
            cases=((too_few, "steps.too_few"),),
        ),
    )


def _steps(ordering: Ordering, bound: int) -> Compare:
    return Compare("content.steps", FactType.NUMBER, ordering, bound)


KIND = Kind(
    name="conversion_steps",
    summary="Demands that conversion takes few steps, counted from opening the notification.",
    properties={
        "min": COUNT | {"default": FEWEST, "description": "The fewest steps that are allowed."},
        "max": COUNT | {"default": MOST, "description": "The most steps that are allowed."},
    },
    reason_codes={
        "steps.too_many": "`content.steps` is greater than `max`.",
        "steps.too_few": "`content.steps` is less than `min`.",
    },
    example="""\
- id: convert-in-three-steps
  kind: conversion_steps
  title: From opening to conversion in one to three steps
  applies_to: {lane: monetized}
  min: 1
  max: 3
""",
    lower=lower,
)
