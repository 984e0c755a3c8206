"""Combining: deny overrides, silence is never consent, order is of no account."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from guardrails.core.combine import combine
from guardrails.core.conditions import FALSE, TRUE
from guardrails.core.policy import Policy, Reason, Verdict

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NA, SATISFIED, VIOLATED, UNDETERMINED = Verdict


def policy(policy_id: str, *, ordinal: int = 0, mode: str = "enforce", **rest) -> Policy:
    return Policy(
        ordinal=ordinal,
        id=policy_id,
        kind="rule",
        mode=mode,
        violated=FALSE,
        satisfied=TRUE,
        reason=Reason("rule.denied", "no"),
        **rest,
    )


def combined(*pairs, lane="monetized", at=AT):
    policies = [each for each, _ in pairs]
    overriders = {}
    for each in policies:
        for overridden in each.overrides:
            overriders[overridden] = (*overriders.get(overridden, ()), each)
    return combine(policies, [verdict for _, verdict in pairs], lane=lane, at=at, overriders=overriders)


def ids(blocked):
    return [each.policy.id for each in blocked]


def test_violated_policy_beats_satisfied_ones():
    result = combined((policy("a"), SATISFIED), (policy("b", ordinal=1), VIOLATED), (policy("c", ordinal=2), SATISFIED))
    assert result.effect == "deny"
    assert ids(result.blocked) == ["b"]


def test_every_violated_policy_is_kept_in_policy_order():
    result = combined((policy("late", ordinal=5), VIOLATED), (policy("early", ordinal=2), VIOLATED))
    assert ids(result.blocked) == ["early", "late"]


@pytest.mark.parametrize(
    ("lane", "on_missing", "effect"),
    [
        ("monetized", None, "deny"),
        ("monetized", "allow", "allow"),
        ("monetized", "deny", "deny"),
        ("transactional", None, "allow"),
        ("transactional", "deny", "deny"),
        ("transactional", "allow", "allow"),
    ],
)
def test_undetermined_policy_does_what_on_missing_or_its_lane_says(lane, on_missing, effect):
    result = combined((policy("a", on_missing=on_missing), UNDETERMINED), lane=lane)
    assert result.effect == effect


@pytest.mark.parametrize(("lane", "effect"), [("monetized", "deny"), ("transactional", "allow")])
def test_where_no_policy_applies_the_lane_decides(lane, effect):
    result = combined((policy("a"), NA), lane=lane)
    assert result.effect == effect
    assert result.none_applies is (lane == "monetized")


def test_a_builtin_policy_is_no_evidence():
    assert combined((policy("guardrails-lane-separation", builtin=True), SATISFIED)).none_applies is True


def test_a_monitored_policy_is_reported_and_neither_denies_nor_speaks_for():
    watched = policy("watched", mode="monitor", ordinal=1)
    result = combined((policy("a"), SATISFIED), (watched, VIOLATED))
    assert result.effect == "allow"
    assert ids(result.monitored) == ["watched"]
    assert combined((watched, SATISFIED)).none_applies is True


def test_a_policy_out_of_its_validity_does_not_count():
    expired = policy("expired", valid_until=AT)
    coming = policy("coming", valid_from=AT + timedelta(seconds=1))
    result = combined((policy("a"), SATISFIED), (expired, VIOLATED), (coming, VIOLATED))
    assert result.effect == "allow"


def test_validity_is_half_open():
    limited = policy("limited", valid_from=AT, valid_until=AT + timedelta(seconds=1))
    assert combined((limited, VIOLATED), at=AT).blocked != ()
    assert combined((limited, VIOLATED), at=AT + timedelta(seconds=1)).blocked == ()


def test_an_overridden_policy_stands_aside():
    vip = policy("vip", overrides=("cap",))
    assert combined((vip, SATISFIED), (policy("cap"), VIOLATED)).effect == "allow"


@pytest.mark.parametrize("verdict", [NA, UNDETERMINED])
def test_what_does_not_apply_or_is_undetermined_overrides_nothing(verdict):
    vip = policy("vip", overrides=("cap",), on_missing="allow")
    assert ids(combined((vip, verdict), (policy("cap"), VIOLATED)).blocked) == ["cap"]


def test_a_monitored_policy_overrides_nothing():
    vip = policy("vip", overrides=("cap",), mode="monitor")
    assert ids(combined((vip, SATISFIED), (policy("cap"), VIOLATED)).blocked) == ["cap"]


def test_a_policy_that_stands_aside_overrides_nothing():
    first, second = policy("first", overrides=("second",)), policy("second", overrides=("third",))
    result = combined((first, SATISFIED), (second, SATISFIED), (policy("third"), VIOLATED))
    assert ids(result.blocked) == ["third"]


def test_layers_that_override_each_other_are_walked_once_and_not_once_for_every_path():
    looked_up = []

    class Counted(dict):
        def get(self, key, default=None):
            looked_up.append(key)
            return super().get(key, default)

    layers = [
        [policy(f"{name}{depth}", overrides=(f"a{depth + 1}", f"b{depth + 1}")) for name in "ab"] for depth in range(16)
    ]
    policies = [each for layer in layers for each in layer]
    overriders = Counted({overridden: tuple(layer) for layer in layers for overridden in layer[0].overrides})
    combine(policies, [SATISFIED] * len(policies), lane="monetized", at=AT, overriders=overriders)
    assert sorted(looked_up) == sorted(each.id for each in policies)


def test_the_order_of_policies_changes_nothing():
    pairs = [
        (policy("a", ordinal=0, overrides=("c",)), SATISFIED),
        (policy("b", ordinal=1), VIOLATED),
        (policy("c", ordinal=2), VIOLATED),
        (policy("d", ordinal=3), UNDETERMINED),
    ]
    results = {
        (each.effect, tuple(ids(each.blocked))) for each in (combined(*p) for p in itertools.permutations(pairs))
    }
    assert results == {("deny", ("b", "d"))}
