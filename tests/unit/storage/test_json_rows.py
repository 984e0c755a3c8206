from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Text, select

from guardrails.errors import CandidateError
from guardrails.storage.connections import Database
from guardrails.storage.json_rows import encode_rows, json_rows
from stores import sqlite_url

ROWS = json_rows("asked", name=Text(), number=BigInteger())
READ = select(ROWS.c.name, ROWS.c.number)
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))
NUMBERS = st.integers(-(2**63), 2**63 - 1)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request, tmp_path_factory):
    if request.param == "sqlite":
        database = Database(sqlite_url(tmp_path_factory.mktemp("rows") / "guardrails.db"))
        yield database
        database.close()
        return
    with request.getfixturevalue("postgres_server").database() as url:
        database = Database(url)
        yield database
        database.close()


@given(st.lists(st.tuples(st.none() | TEXTS, st.none() | NUMBERS)))
def test_rows_arrive_as_they_are_and_in_order(database, rows):
    with database.unit() as connection:
        read = [tuple(row) for row in connection.execute(READ, {"asked": encode_rows(rows)})]
    assert read == rows


def test_the_same_names_with_other_types_are_other_rows(database):
    as_text = json_rows("asked", name=Text(), number=Text())
    asked = {"asked": encode_rows([("a", 7)])}
    with database.unit() as connection:
        assert connection.execute(READ, asked).one() == ("a", 7)
        assert connection.execute(select(as_text.c.name, as_text.c.number), asked).one() == ("a", "7")


def test_thousands_of_rows_are_one_parameter(database):
    rows = [(f"r-{number}", number) for number in range(50_000)]
    with database.unit() as connection:
        assert [tuple(row) for row in connection.execute(READ, {"asked": encode_rows(rows)})] == rows


def test_a_text_with_nul_is_refused():
    with pytest.raises(CandidateError, match="NUL"):
        encode_rows([("r-1\0", 1)])


def test_half_of_a_surrogate_pair_is_refused():
    with pytest.raises(CandidateError, match="surrogate"):
        encode_rows([("r-\ud83d", 1)])


def test_a_text_that_only_spells_nul_is_not():
    assert encode_rows([(r"\u0000", 1)]) == r'[["\\u0000",1]]'
