from __future__ import annotations

import sqlite3

import pytest

from guardrails.errors import SettingsError
from guardrails.storage.connections import Database, _check_library, _switch_to_wal
from stores import sqlite_url


@pytest.fixture
def database(tmp_path):
    database = Database(sqlite_url(tmp_path / "guardrails.db"))
    yield database
    database.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("guardrails.db", "is not a database URL"),
        ("mysql://user:secret@host/db", "`mysql` is not a database this release knows"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_a_url_that_names_no_database_of_ours_is_refused(url, message):
    with pytest.raises(SettingsError, match=message) as caught:
        Database(url)
    assert "secret" not in str(caught.value)
    assert "sqlite:///path" in str(caught.value)


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 5000)]
)
def test_a_commit_outlives_a_power_cut_and_the_rest_is_set(database, pragma, value):
    with database.unit() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


def test_a_unit_holds_the_database_from_its_begin_on(database, tmp_path):
    other = Database(sqlite_url(tmp_path / "guardrails.db"), busy_seconds=0.01)
    with database.unit(), pytest.raises(Exception, match="locked"), other.unit():
        pass
    other.close()


def test_a_library_that_is_too_old_is_said():
    _check_library((3, 37, 0))
    with pytest.raises(SettingsError, match=r"SQLite 3\.36\.9; 3\.37\.0 or newer"):
        _check_library((3, 36, 9))


def test_nothing_is_opened_before_the_first_unit(tmp_path):
    Database(sqlite_url(tmp_path / "guardrails.db"))
    assert list(tmp_path.iterdir()) == []


def test_an_abandoned_connection_is_left_as_it_is_and_a_new_one_opened(database):
    with database.unit() as connection:
        first = connection.connection.dbapi_connection
    database.abandon()
    with database.unit() as connection:
        assert connection.connection.dbapi_connection is not first
    assert first.execute("SELECT 1").fetchone() == (1,)
    first.close()


def test_the_switch_to_a_write_ahead_log_waits_for_a_reader_to_end(tmp_path):
    reader = sqlite3.connect(tmp_path / "old.db", isolation_level=None)
    reader.execute("CREATE TABLE old (x)")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM old").fetchall()
    connection = sqlite3.connect(tmp_path / "old.db", timeout=0)
    attempts = []

    def end_reader_at_the_second(statement: str) -> None:
        attempts.append(statement)
        if len(attempts) == 2:
            reader.close()

    connection.set_trace_callback(end_reader_at_the_second)
    _switch_to_wal(connection, 60)
    assert attempts == ["PRAGMA journal_mode = WAL"] * 2
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
