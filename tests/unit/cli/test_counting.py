from __future__ import annotations

import pytest

from guardrails.cli.counting import counted


@pytest.mark.parametrize(
    ("count", "words", "expected"),
    [
        (0, ("case",), "0 cases"),
        (1, ("case",), "1 case"),
        (2, ("case",), "2 cases"),
        (1, ("policy", "policies"), "1 policy"),
        (1200, ("policy", "policies"), "1,200 policies"),
    ],
)
def test_the_noun_follows_the_count(count, words, expected):
    assert counted(count, *words) == expected
