from __future__ import annotations

import pytest

from guardrails.core.facts import CONTENT_CLASSES

MONETIZED_CLASSES = [name for name in CONTENT_CLASSES if name != "transactional"]


def facts(lane, content_class):
    return {"lane": lane, "content.class": content_class}


def test_transactional_content_takes_the_transactional_lane_only(policy, outcome):
    separation = policy("kind: lane_separation\n")
    assert outcome(separation, facts("transactional", "transactional")) == "satisfied"
    assert outcome(separation, facts("monetized", "transactional")) == "lane.not_monetized"


@pytest.mark.parametrize("content_class", MONETIZED_CLASSES)
def test_every_other_class_takes_the_monetized_lane_only(policy, outcome, content_class):
    separation = policy("kind: lane_separation\n")
    assert outcome(separation, facts("monetized", content_class)) == "satisfied"
    assert outcome(separation, facts("transactional", content_class)) == "lane.not_transactional"


def test_the_author_says_which_classes_are_transactional(policy, outcome):
    separation = policy("kind: lane_separation\ntransactional_classes: [transactional, recognition]\n")
    assert outcome(separation, facts("transactional", "recognition")) == "satisfied"
    assert outcome(separation, facts("monetized", "recognition")) == "lane.not_monetized"
    assert outcome(separation, facts("transactional", "editorial")) == "lane.not_transactional"
    assert separation.reason.message == (
        "content of class `transactional` or `recognition` takes the transactional lane, all other content the "
        "monetized lane"
    )


@pytest.mark.parametrize("known", [{}, {"lane": "monetized"}, {"content.class": "sponsored"}])
def test_what_is_not_known_is_undetermined(policy, outcome, known):
    assert outcome(policy("kind: lane_separation\n"), known) == "undetermined"


@pytest.mark.parametrize(
    ("classes", "code"),
    [("[]", "out-of-bounds"), ("[promo]", "unknown-value"), ("[editorial, editorial]", "duplicate-item")],
)
def test_the_classes_are_some_of_those_that_exist(problems, classes, code):
    assert problems(f"kind: lane_separation\ntransactional_classes: {classes}\n") == [(2, code)]
