from __future__ import annotations

import pytest

from guardrails.core.versions import is_at_least, numbers_of


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("3", "10"),
        ("2026-03", "2026-11"),
        ("1.2", "1.10"),
        ("v1.9-final", "v2"),
        ("1", "1.0.1"),
        ("2026-03", "2026-03-02"),
        ("09", "10"),
    ],
)
def test_versions_are_ordered_by_their_numbers(earlier, later):
    assert is_at_least(later, earlier)
    assert not is_at_least(earlier, later)


@pytest.mark.parametrize(("one", "other"), [("3", "3"), ("3", "v3"), ("1.2", "1.2.0"), ("1.2.0", "1.2"), ("03", "3")])
def test_versions_of_the_same_numbers_are_the_same(one, other):
    assert is_at_least(one, other)
    assert is_at_least(other, one)


@pytest.mark.parametrize("version", ["", "latest", "٣", None])
def test_a_version_without_numbers_is_below_every_other(version):
    assert not is_at_least(version, "0")


def test_zero_is_a_number():
    assert is_at_least("0", "0")


def test_numbers_are_read_from_left_to_right():
    assert numbers_of("release 12 of 2026-03b") == (12, 2026, 3)
