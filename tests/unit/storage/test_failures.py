"""A SQLite file out of reach: each cause is a DependencyError that says it, and is over when the cause is gone."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import event

from disks import as_nobody
from guardrails.errors import DependencyError
from guardrails.storage.connections import Database
from guardrails.storage.transactors import sql_transactor
from stores import make_database, open_stores, run, sql_session, sqlite_url


def append(session) -> int:
    index = session.audit.next_index()
    session.audit.append([b"x" * 5000])
    return index


def assert_fails(transactor, cause: str) -> None:
    with pytest.raises(DependencyError, match=cause) as caught:
        run(transactor, append)
    assert caught.value.dependency == "database"
    assert "guardrails.db" in str(caught.value)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "guardrails.db"


@pytest.fixture
def transactor(path):
    transactor = open_stores(sqlite_url(path), busy_seconds=0.05)
    yield transactor
    transactor.close()


def test_a_path_that_is_not_there_is_said_by_the_first_call(tmp_path):
    path = tmp_path / "missing" / "guardrails.db"
    with pytest.raises(DependencyError, match="unable to open database file"):
        run(open_stores(sqlite_url(path)), lambda session: session.audit.next_index())
    path.parent.mkdir()
    transactor = open_stores(sqlite_url(path))
    assert run(transactor, append) == 0
    transactor.close()


def test_a_path_that_comes_back_is_used_again(path, transactor):
    database = Database(sqlite_url(path.parent / "later" / "guardrails.db"))
    late = sql_transactor(database, sql_session)
    assert_fails(late, "unable to open database file")
    (path.parent / "later").mkdir()
    assert run(late, append) == 0
    late.close()


def test_a_lock_held_too_long_by_another_process(path, transactor):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert_fails(transactor, "database is locked")
    other.execute("ROLLBACK")
    assert run(transactor, append) == 0
    other.close()


def test_a_file_that_others_hold_is_not_one_that_hangs(path):
    transactor = open_stores(sqlite_url(path), busy_seconds=60, hang_seconds=0.5)
    assert run(transactor, append) == 0
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(12):
        with pytest.raises(DependencyError, match="did not answer within 50 ms"):
            transactor.call(lambda session, items: items, None, timeout_seconds=0.05)
    other.execute("ROLLBACK")
    assert run(transactor, append) == 1
    other.close()
    transactor.close()


def test_a_lock_at_the_first_call_is_waited_for_and_then_said(path, transactor):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DependencyError, match="database is locked"):
        run(open_stores(sqlite_url(path), busy_seconds=0.05), lambda session: session.audit.next_index())
    other.close()


def test_a_lock_of_a_file_that_is_not_yet_write_ahead_is_waited_for_and_then_said(tmp_path):
    path = tmp_path / "guardrails.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TABLE old (x)")
    other.execute("BEGIN")
    other.execute("SELECT * FROM old").fetchall()  # a reader is enough to keep others from switching
    with pytest.raises(DependencyError, match="database is locked"):
        run(open_stores(sqlite_url(path), busy_seconds=0.05), lambda session: session.audit.next_index())
    other.close()
    make_database(sqlite_url(path))
    again = sqlite3.connect(path)
    assert again.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    again.close()


def test_a_full_disk(path):
    database = Database(sqlite_url(path))
    pages = 0

    @event.listens_for(database.engine, "connect")
    def fill(connection, _record):
        if pages:
            connection.execute(f"PRAGMA max_page_count = {pages}")

    transactor = sql_transactor(database, sql_session)
    assert run(transactor, append) == 0
    database.close()  # the next unit connects again, to a full disk
    pages = 1
    assert_fails(transactor, "database or disk is full")
    assert_fails(transactor, "database or disk is full")
    pages = 10_000
    assert run(transactor, append) == 1
    transactor.close()


@pytest.fixture
def unprivileged():
    with as_nobody() as directory:
        yield directory


def test_a_file_that_became_read_only(unprivileged):
    path = unprivileged / "guardrails.db"
    database = Database(sqlite_url(path))
    transactor = sql_transactor(database, sql_session)
    assert run(transactor, append) == 0
    database.close()
    path.chmod(0o400)
    unprivileged.chmod(0o500)
    assert_fails(transactor, "readonly database|unable to open")
    assert_fails(transactor, "readonly database|unable to open")
    unprivileged.chmod(0o700)
    path.chmod(0o600)
    assert run(transactor, append) == 1
    transactor.close()


def test_a_directory_that_may_not_be_entered_any_more(unprivileged):
    transactor = open_stores(sqlite_url(unprivileged / "guardrails.db"))
    assert run(transactor, append) == 0
    unprivileged.chmod(0)
    assert_fails(transactor, "is gone")
    unprivileged.chmod(0o700)
    assert run(transactor, append) == 1
    transactor.close()


def test_a_file_that_is_no_database(path):
    path.write_bytes(b"not a database, whatever its name says. " * 200)
    with pytest.raises(DependencyError, match="file is not a database"):
        run(open_stores(sqlite_url(path)), lambda session: session.audit.next_index())


def test_a_file_that_is_damaged_and_then_restored(path):
    database = Database(sqlite_url(path))
    transactor = sql_transactor(database, sql_session)
    assert run(transactor, append) == 0
    database.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    assert_fails(transactor, "malformed")
    database.close()
    for leftover in ("-wal", "-shm"):
        path.with_name(path.name + leftover).unlink(missing_ok=True)
    path.write_bytes(whole)
    assert run(transactor, append) == 1
    transactor.close()


def test_a_file_that_is_gone_is_not_made_anew(path, transactor):
    assert [run(transactor, append) for _ in range(2)] == [0, 1]
    path.rename(path.with_name("elsewhere.db"))
    assert_fails(transactor, "is gone")
    assert not path.exists()
    path.with_name("elsewhere.db").rename(path)
    assert run(transactor, append) == 2


def test_a_file_that_is_replaced_is_the_one_that_is_written_to(path, transactor):
    before = open_stores(sqlite_url(path.with_name("before.db")))
    assert [run(before, append) for _ in range(3)] == [0, 1, 2]
    before.close()
    assert run(transactor, append) == 0
    for name in ("guardrails.db-wal", "guardrails.db-shm"):
        path.with_name(name).unlink()
    path.with_name("before.db").replace(path)
    assert run(transactor, append) == 3
    assert in_file(path) == 4


def in_file(path: Path) -> int:
    """How many entries whoever opens the file now finds."""
    connection = sqlite3.connect(path)
    (found,) = connection.execute("SELECT count(*) FROM audit_entries").fetchone()
    connection.close()
    return found


def test_an_error_in_one_unit_is_over_with_it(transactor):
    def fail(session):
        session.audit.append([b"lost"])
        session.audit._connection.exec_driver_sql("SELECT 1 FROM nowhere")

    with pytest.raises(DependencyError, match="no such table: nowhere"):
        run(transactor, fail)
    assert run(transactor, append) == 0
