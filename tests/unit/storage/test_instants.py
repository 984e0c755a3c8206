from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.storage.instants import FIRST_MICROS, LAST_MICROS, from_micros, to_micros

INSTANTS = st.datetimes(timezones=st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23))))


@given(INSTANTS)
def test_every_instant_comes_back_the_same(instant):
    assert from_micros(to_micros(instant)) == instant


@given(INSTANTS, INSTANTS)
def test_numbers_are_ordered_like_the_instants(one, other):
    assert (to_micros(one) < to_micros(other)) == (one < other)


def test_1970_is_zero_and_a_second_a_million():
    assert to_micros(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == 1_000_000


def test_what_lies_beyond_the_calendar_is_read_as_its_end():
    assert from_micros(LAST_MICROS + 1) == datetime.max.replace(tzinfo=UTC)


def test_what_lies_before_the_calendar_is_read_as_its_start():
    new_year_of_year_one_in_kiribati = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
    assert from_micros(to_micros(new_year_of_year_one_in_kiribati)) == datetime.min.replace(tzinfo=UTC)
    assert from_micros(FIRST_MICROS) == datetime.min.replace(tzinfo=UTC)


def test_a_naive_instant_is_refused():
    with pytest.raises(TypeError):
        to_micros(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point
