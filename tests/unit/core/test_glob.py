"""Globs match as an obvious, slow matcher does, and no pattern makes them slow."""

from __future__ import annotations

import itertools

import pytest

from guardrails.core.glob import glob


def matches(pattern: str, text: str) -> bool:
    """What a glob means, in as few words as possible."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return matches(pattern[1:], text) or (bool(text) and matches(pattern, text[1:]))
    return bool(text) and pattern[0] in {"?", text[0]} and matches(pattern[1:], text[1:])


def words(letters: str, most: int):
    return ("".join(word) for length in range(most + 1) for word in itertools.product(letters, repeat=length))


def test_every_short_glob_matches_exactly_what_it_means():
    for pattern in words("ab*?", 4):
        for text in words("ab", 5):
            assert matches(pattern, text) == glob(pattern)(text), (pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("c-*", "c-7", True),
        ("c-*", "C-7", False),
        ("c-*", "xc-7", False),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("[ab]", "[ab]", True),
        ("a\\*", "a\\b", True),
        ("*", "two\nlines", True),
        ("?", "\n", True),
        ("?", "🎉", True),
        ("?", "e\u0301", False),
        ("(?:a)|$^+{2}", "(x:a)|$^+{2}", True),
    ],
)
def test_only_star_and_question_mark_are_special(pattern, text, expected):
    assert expected == glob(pattern)(text)


@pytest.mark.parametrize(
    "pattern", ["*a" * 50 + "b", "a*" * 50 + "b", "*?" * 50 + "b", "*a?" * 30 + "*b", "*" * 99 + "b"]
)
def test_a_pattern_made_to_backtrack_ends(pattern):
    assert not glob(pattern)("a" * 1000)
