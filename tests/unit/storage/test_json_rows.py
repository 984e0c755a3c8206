from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Text, create_engine, select

from guardrails.errors import CandidateError
from guardrails.storage.json_rows import encode_rows, json_rows

ROWS = json_rows("asked", name=Text(), number=BigInteger())
READ = select(ROWS.c.name, ROWS.c.number)
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))


@given(st.lists(st.tuples(TEXTS, st.integers(-(2**63), 2**63 - 1))))
def test_rows_arrive_as_they_are_and_in_order(rows):
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        read = [tuple(row) for row in connection.execute(READ, {"asked": encode_rows(rows)})]
    engine.dispose()
    assert read == rows


def test_a_text_with_nul_is_refused():
    with pytest.raises(CandidateError, match="NUL"):
        encode_rows([("r-1\0", 1)])


def test_a_text_that_only_spells_nul_is_not():
    assert encode_rows([(r"\u0000", 1)]) == r'[["\\u0000",1]]'
