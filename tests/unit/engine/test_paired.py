"""The paired engine answers where both agree, and nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from guardrails.core.policy import Verdict
from guardrails.engine.durable import DurableEngine
from guardrails.engine.native import NativeEngine
from guardrails.engine.paired import Disagreement, FactShown, PairedEngine
from guardrails.errors import EngineDisagreement
from unit.engine.making import above, policy, policy_set, text

POLICIES = (policy(above("recipient.age", 18), policy_id="age"), policy(text("channel", "sms"), policy_id="channel"))
FACTS = {"recipient.age": 20, "channel": "push", "context.at": datetime(2026, 3, 1, tzinfo=UTC), "content.tags": ("a",)}


def split(folder=None):
    """A paired engine whose halves were given different policies."""
    engine = PairedEngine(policy_set(*POLICIES), disagreements=folder)
    engine._native = NativeEngine(policy_set(policy(above("recipient.age", 30)), POLICIES[1]))
    return engine


def evaluate(engine, facts=FACTS):
    return engine.evaluate(policy_set(*POLICIES).index.select(facts), facts)


def test_verdicts_on_which_both_agree_are_given():
    assert evaluate(PairedEngine(policy_set(*POLICIES))) == [Verdict.VIOLATED, Verdict.SATISFIED]


def test_a_difference_is_raised_with_both_verdicts():
    with pytest.raises(EngineDisagreement, match=r"differ on age$") as raised:
        evaluate(split())
    assert raised.value.differences == {"age": ("violated", "satisfied")}


def test_where_one_would_allow_and_the_other_not_nothing_is_answered():
    engine = PairedEngine(policy_set(*POLICIES))
    engine._durable = DurableEngine(policy_set(policy(above("recipient.age", 30)), POLICIES[1]))
    with pytest.raises(EngineDisagreement):
        evaluate(engine)
    assert evaluate(engine, {"recipient.age": 40, "channel": "push"}) == [Verdict.VIOLATED, Verdict.SATISFIED]


def test_the_case_is_written_with_all_that_it_takes_to_see_it_again(tmp_path):
    with pytest.raises(EngineDisagreement, match="the case is in"):
        evaluate(split(tmp_path / "new" / "folder"))
    (path,) = (tmp_path / "new" / "folder").iterdir()
    assert msgspec.json.decode(path.read_bytes(), type=Disagreement) == Disagreement(
        revision="sha256:test",
        differences={"age": ("violated", "satisfied")},
        facts={
            "recipient.age": FactShown("int", 20),
            "channel": FactShown("str", "push"),
            "context.at": FactShown("datetime", "2026-03-01T00:00:00Z"),
            "content.tags": FactShown("tuple", ["a"]),
        },
        files={"policies.yaml": "policies: []\n"},
    )


def test_a_flood_of_candidates_that_differ_alike_is_written_once(tmp_path):
    engine = split(tmp_path)
    for age in (20, 21, 22):
        with pytest.raises(EngineDisagreement):
            evaluate(engine, {"recipient.age": age})
    assert len(list(tmp_path.iterdir())) == 1


def test_a_disagreement_stays_one_where_it_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EngineDisagreement, match="could not be written"):
        evaluate(split(tmp_path / "file"))
