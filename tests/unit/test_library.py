"""The library: candidates that were built in Python are decided as if they had been sent, or refused likewise."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from guardrails import Candidate, in_memory_application
from guardrails.bootstrap import compiler
from guardrails.core.candidate import Content, Recipient
from guardrails.errors import CandidateError, ConflictError
from guardrails.policyfile.loader import load_policy_files

POLICIES = """
apiVersion: guardrails/v1
policies:
  - {id: short, kind: conversion_steps, applies_to: {lane: monetized}, max: 3}
"""
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.fixture
def application():
    policy_set = load_policy_files({"p.yaml": POLICIES})
    made = in_memory_application(policy_set, compiled=compiler("native")(policy_set), clock=lambda: NOW)
    yield made
    made.close()


def built(candidate_id="c-1", *, steps=2, recipient=None, **more):
    return Candidate(
        id=candidate_id,
        lane="monetized",
        channel="push",
        recipient=recipient or Recipient(id="r-1"),
        content=Content(class_="sponsored", steps=steps),
        **more,
    )


def test_a_candidate_that_was_built_is_decided_as_one_that_was_sent(application):
    sent = msgspec.json.decode(msgspec.json.encode(built()), type=Candidate)
    (answer,) = application.decide([built()])
    (again,) = application.decider.decide([sent])
    assert (answer.decision.effect, again.body, again.repeated) == ("allow", answer.body, True)


@pytest.mark.parametrize(
    ("wrong", "problems"),
    [
        (built("a\x00b"), [("/id", "`a\\x00b` holds a control character")]),
        (built(steps=-3), [("/content/steps", "`-3` is less than 0")]),
        (built(steps="2"), [("/content/steps", "expected an integer, got a string")]),
        (
            built("", recipient=Recipient(id="r", country="de")),
            [
                ("/id", "is empty"),
                ("/recipient/country", "`de` is not two capital letters, such as `DE`"),
            ],
        ),
        (built("c-9", send_at=datetime(2026, 11, 1, tzinfo=UTC)), [("/send_at", None)]),
        (built("\ud800"), []),
        (built(recipient=object()), []),
        (None, [("", "expected an object, got null")]),
    ],
    ids=["nul", "negative", "type", "several", "past", "surrogate", "object", "nothing"],
)
def test_a_candidate_that_could_not_be_sent_is_an_error_in_its_place(application, wrong, problems):
    first, error, last = application.decide([built("c-1"), wrong, built("c-2", steps=4)])
    assert (first.decision.effect, type(error), last.decision.effect) == ("allow", CandidateError, "deny")
    assert [pointer for pointer, _ in error.problems] == [pointer for pointer, _ in problems]
    assert {detail for _, detail in problems if detail} <= {detail for _, detail in error.problems}
    assert application.audit.size() == 2
    with pytest.raises(CandidateError):
        application.explain(wrong)


def test_another_body_is_a_conflict_in_its_place(application):
    _, conflict, _ = application.decide([built("c-1"), built("c-1", steps=1), built("c-2")])
    assert isinstance(conflict, ConflictError)


def test_explain_says_what_would_be_decided(application):
    explanation = application.explain(built(steps=4), now=NOW)
    assert (explanation.decision.effect, explanation.traces[0].policy) == ("deny", "short")
    assert application.audit.size() == 0
