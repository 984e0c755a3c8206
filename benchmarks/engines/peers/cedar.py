"""Cedar by `cedarpy` (Rust): each policy a `forbid` with its id, over one `permit`; the reasons name what forbade."""

from __future__ import annotations

import json

import cedarpy
import msgspec

from benchmarks.engines.contender import InProcess
from benchmarks.engines.peers.translation import denial, flat_facts, flat_name
from guardrails.core.conditions import AllOf, AnyOf, Compare, Condition, Contains, Exists, Matches, Not, OneOf, Ordering
from guardrails.core.policy_set import PolicySet

__all__ = ["contender"]

NAME = "Cedar (cedarpy)"
SIGNS = {Ordering.LT: "<", Ordering.LTE: "<=", Ordering.GT: ">", Ordering.GTE: ">="}
REQUEST = {"principal": 'Sender::"s"', "action": 'Action::"send"', "resource": 'Notification::"n"'}


def contender(policy_set: PolicySet) -> InProcess:
    """Policies and entities are parsed ahead; the facts are the context, as JSON text, quicker than as a dict."""
    forbids = [
        f"@id({json.dumps(policy.id)}) forbid(principal, action, resource) when {{ {_text(denial(policy))} }};"
        for policy in policy_set.policies
    ]
    policies = cedarpy.PolicySet.from_str("\n".join(["permit(principal, action, resource);", *forbids]))
    entities = cedarpy.Entities.from_json_str("[]")

    encode = msgspec.json.Encoder().encode

    def ask(facts: dict[str, object]) -> cedarpy.AuthzResult:
        return cedarpy.is_authorized({**REQUEST, "context": encode(facts).decode()}, policies, entities)

    def violated(_facts: dict[str, object], result: cedarpy.AuthzResult) -> frozenset[str]:
        return frozenset(result.diagnostics.id_annotations_by_reason.values())

    return InProcess(NAME, flat_facts, ask, violated)


def _text(condition: Condition) -> str:
    match condition:
        case AllOf():
            return f"({' && '.join(_text(part) for part in condition.parts)})" if condition.parts else "true"
        case AnyOf():
            return f"({' || '.join(_text(part) for part in condition.parts)})" if condition.parts else "false"
        case Not():
            return f"!({_text(condition.part)})"
        case Exists():
            return f"context has {flat_name(condition.field)}"
        case OneOf(values=(value,)):
            return f"{_fact(condition.field)} == {json.dumps(value)}"
        case OneOf():
            return f"{json.dumps(list(condition.values))}.contains({_fact(condition.field)})"
        case Compare():
            return f"{_fact(condition.field)} {SIGNS[condition.ordering]} {condition.bound}"
        case Contains():
            return f"{_fact(condition.field)}.contains({json.dumps(condition.value)})"
        case Matches():
            raise NotImplementedError("the workload matches no patterns")


def _fact(field: str) -> str:
    return f"context.{flat_name(field)}"
