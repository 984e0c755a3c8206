from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading

import psutil
import pytest
from sqlalchemy import event, insert, select, text

from guardrails.errors import DependencyError, SettingsError
from guardrails.storage.connections import Database
from guardrails.storage.postgresql import _check_server
from guardrails.storage.sqlite import _check_library
from guardrails.storage.tables import audit_entries
from servers import database_name, start_postgresql, wait_until
from stores import sqlite_url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "guardrails.db")
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def database(url):
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def other(url):
    other = Database(url, busy_seconds=0.01)
    yield other
    other.close()


@pytest.fixture
def postgres(postgres_url):
    database = Database(postgres_url)
    yield database
    database.close()


def append(connection, index: int) -> None:
    connection.execute(insert(audit_entries), {"index": index, "entry": b"x"})


def indexes(connection) -> list[int]:
    return list(connection.execute(select(audit_entries.c.index).order_by(audit_entries.c.index)).scalars())


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("guardrails.db", "is not a database URL"),
        ("postgresql:/user:secret@host/db", "`...@host/db` is not a database URL"),
        ("postgresql://user:secret@host:many/db", "`...@host:many/db` is not a database URL"),
        ("mysql://user:secret@host/db", "`mysql` is not a database this release knows"),
        ("postgresql+asyncpg://user:secret@host/db", "`postgresql\\+asyncpg` is not a database this release knows"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_a_url_that_names_no_database_of_ours_is_refused(url, message):
    with pytest.raises(SettingsError, match=message) as caught:
        Database(url)
    assert "secret" not in str(caught.value)
    assert "sqlite:///path" in str(caught.value)
    assert "postgresql://" in str(caught.value)


WITHOUT_DRIVER = """
import sys
sys.modules["psycopg"] = None  # as where it is not installed
from guardrails.storage.connections import Database
from guardrails.errors import SettingsError
try:
    Database("postgresql://user:secret@host/db")
except SettingsError as error:
    print(error)
"""


def test_a_driver_that_is_not_installed_is_said():
    said = subprocess.run([sys.executable, "-c", WITHOUT_DRIVER], capture_output=True, text=True, check=True).stdout
    assert "install `notification-guardrails[postgres]`" in said
    assert "secret" not in said


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_common_spelling_of_a_postgresql_url_is_taken(postgres_url, scheme):
    database = Database(scheme + postgres_url.removeprefix("postgresql"))
    with database.unit() as connection:
        assert connection.execute(text("SELECT current_setting('application_name')")).scalar() == "guardrails"
    database.close()


def test_what_the_url_says_of_the_connection_holds(postgres_url):
    database = Database(f"{postgres_url}&application_name=nightly")
    with database.unit() as connection:
        assert connection.execute(text("SELECT current_setting('application_name')")).scalar() == "nightly"
    database.close()


def test_the_newest_postgresql_is_spoken_to_as_well():
    with start_postgresql(version=18) as server:
        database = Database(server.create_database())
        with database.unit() as connection:
            append(connection, 0)
        with database.unit() as connection:
            assert indexes(connection) == [0]
        database.close()


@pytest.mark.parametrize(
    ("said", "threshold"), [("", 5), ("&prepare_threshold=0", 0), ("&prepare_threshold=none", None)]
)
def test_statements_are_prepared_as_the_url_says(postgres_url, said, threshold):
    database = Database(postgres_url + said)
    with database.unit() as connection:
        assert connection.connection.dbapi_connection.prepare_threshold == threshold
    database.close()


def test_a_number_of_executions_that_is_none_is_refused():
    with pytest.raises(SettingsError, match="`prepare_threshold` in the database URL is a number or `none`, not `-1`"):
        Database("postgresql://host/db?prepare_threshold=-1")


def test_a_plan_made_while_the_tables_were_small_reads_by_index(postgres):
    statement = "SELECT 1 FROM audit_entries JOIN json_array_elements('[1]') j ON index = (j.value #>> '{}')::bigint"
    with postgres.unit() as connection:
        lines = connection.exec_driver_sql(f"EXPLAIN {statement}").scalars().all()
    assert any("using pk_audit_entries" in line for line in lines)
    assert not any("Seq Scan" in line or "Hash Join" in line for line in lines)


def test_a_password_is_in_no_message(postgres_server):
    database = Database(f"postgresql://user:secret@/nowhere?host={postgres_server.directory}&sslpassword=secret")
    with pytest.raises(DependencyError, match="`postgresql://user:\\*\\*\\*@/nowhere`") as caught, database.unit():
        pass
    assert "secret" not in str(caught.value)


def test_a_server_that_is_too_old_or_holds_not_every_id_is_refused():
    _check_server("name", 140_000, "UTF8")
    with pytest.raises(SettingsError, match="`name` is PostgreSQL 13; 14 or newer is needed"):
        _check_server("name", 130_021, "UTF8")


def test_a_database_that_can_not_hold_every_id_is_refused(postgres_server):
    postgres_server.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    database = Database(postgres_server.url("latin"))
    with pytest.raises(SettingsError, match="is LATIN1; it must be UTF8"), database.unit():
        pass
    postgres_server.execute("DROP DATABASE latin")


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("cache_size", -16_384)]
)
def test_a_commit_to_a_file_outlives_a_power_cut_and_the_rest_is_set(tmp_path, pragma, value):
    database = Database(sqlite_url(tmp_path / "guardrails.db"))
    with database.unit() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    database.close()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("transaction_isolation", "read committed"),
        ("synchronous_commit", "on"),
        ("lock_timeout", "5s"),
        ("statement_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "5s"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
    ],
)
def test_a_unit_of_postgresql_is_durable_reads_by_index_and_holds_nobody_up_for_long(postgres, setting, value):
    with postgres.unit() as connection:
        assert connection.execute(text(f"SELECT current_setting('{setting}')")).scalar() == value


def test_settings_of_a_unit_end_with_it(postgres):
    with postgres.unit():
        pass
    driver = postgres.engine.raw_connection()
    assert driver.dbapi_connection.execute("SHOW lock_timeout").fetchone() == ("0",)
    driver.close()


@pytest.mark.parametrize(("asked", "holds"), [("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")])
def test_a_commit_reaches_the_disk_whatever_the_database_prefers(postgres_server, postgres_url, asked, holds):
    postgres_server.execute(f"ALTER DATABASE {database_name(postgres_url)} SET synchronous_commit = {asked}")
    database = Database(postgres_url)
    with database.unit() as connection:
        assert connection.execute(text("SELECT current_setting('synchronous_commit')")).scalar() == holds
    database.close()


def test_a_unit_holds_the_database_from_its_begin_on(database, other):
    with database.unit(), pytest.raises(DependencyError, match=r"locked|lock timeout"), other.unit():
        pass
    with other.unit() as connection:
        assert indexes(connection) == []


def test_a_unit_that_had_to_wait_sees_what_was_written_meanwhile(postgres, postgres_url, postgres_server):
    waiting = Database(postgres_url)
    seen = []

    def read() -> None:
        with waiting.unit() as connection:
            seen.extend(indexes(connection))

    with postgres.unit() as connection:
        reader = threading.Thread(target=read)
        reader.start()
        wait_until(lambda: is_waited_for(postgres_server), lambda: "nobody waits")
        append(connection, 0)
    reader.join()
    waiting.close()
    assert seen == [0]


def is_waited_for(server) -> bool:
    return bool(server.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))


def test_a_library_that_is_too_old_is_said():
    _check_library((3, 37, 0))
    with pytest.raises(SettingsError, match=r"SQLite 3\.36\.9; 3\.37\.0 or newer"):
        _check_library((3, 36, 9))


def test_nothing_is_opened_before_the_first_unit(tmp_path):
    Database(sqlite_url(tmp_path / "guardrails.db"))
    assert list(tmp_path.iterdir()) == []


def test_nothing_stays_open_once_it_is_closed(database):
    process = psutil.Process()
    open_before = process.num_fds()
    for _ in range(3):
        with database.unit():
            pass
        database.close()
    assert process.num_fds() == open_before


def test_a_path_is_that_of_the_directory_it_was_said_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    database = Database("sqlite:///guardrails.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with database.unit():
        pass
    database.close()
    assert (tmp_path / "guardrails.db").exists()


def test_an_abandoned_connection_is_left_as_it_is_and_a_new_one_opened(database):
    with database.unit() as connection:
        first = connection.connection.dbapi_connection
    database.abandon()
    with database.unit() as connection:
        assert connection.connection.dbapi_connection is not first
    assert first.execute("SELECT 1").fetchone() == (1,)
    first.close()


def test_the_switch_to_a_write_ahead_log_waits_for_a_reader_to_end(tmp_path):
    reader = sqlite3.connect(tmp_path / "guardrails.db", isolation_level=None, check_same_thread=False)
    reader.execute("CREATE TABLE old (x)")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM old").fetchall()
    end = threading.Timer(0.05, reader.close)
    end.start()
    database = Database(sqlite_url(tmp_path / "guardrails.db"), busy_seconds=60)
    with database.unit() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    end.join()
    database.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_migration_is_not_broken_off(request, tmp_path, kind):
    """It would only begin anew, and so never end where it takes longer than anybody waits."""
    url = sqlite_url(tmp_path / "new.db") if kind == "sqlite" else request.getfixturevalue("empty_postgres_url")
    database = Database(url)
    interrupted = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def interrupt(_connection, _cursor, statement, *_rest):
        if "CREATE TABLE" in statement:
            interrupted.append(statement)
            database.interrupt()

    with database.unit() as connection:
        assert indexes(connection) == []
    assert len(interrupted) > 5
    database.close()


class TestInterrupt:
    """`interrupt` ends what the unit waits for, whatever it is; nothing of the unit is kept, and the next one works."""

    def test_a_statement_that_runs(self, database):
        statement = {
            "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
            "postgresql": "SELECT pg_sleep(3600)",
        }[database.engine.dialect.name]

        def work(connection) -> None:
            append(connection, 0)
            connection.execute(text(statement))

        self.interrupted(database, work)

    def test_the_lock_of_another(self, database, url):
        holder = Database(url)
        with holder.unit():
            error = self.error_of_interrupted(Database(url, busy_seconds=3600), lambda connection: None)
        assert error.dependency == "database"
        holder.close()

    def test_a_server_that_hangs(self, postgres, postgres_server):
        with postgres.unit():
            pass
        with postgres_server.paused():
            self.error_of_interrupted(postgres, lambda connection: None)
        with postgres.unit() as connection:
            append(connection, 0)
            assert indexes(connection) == [0]

    def test_a_unit_that_has_not_committed(self, database):
        def work(connection) -> None:
            append(connection, 0)
            database.interrupt()

        self.interrupted(database, work)

    def test_a_database_at_rest(self, database):
        database.interrupt()
        self.works(database)
        database.interrupt()
        self.works(database)
        database.close()
        database.interrupt()
        self.works(database)

    def interrupted(self, database, work) -> None:
        self.error_of_interrupted(database, work)
        self.works(database)

    def error_of_interrupted(self, database, work) -> DependencyError:
        errors = []

        def run() -> None:
            try:
                with database.unit() as connection:
                    work(connection)
            except DependencyError as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        while thread.is_alive():
            database.interrupt()
            thread.join(0.01)
        database.close()
        (error,) = errors
        return error

    def works(self, database) -> None:
        """Nothing was kept, and something can be written."""
        with database.unit() as connection:
            assert indexes(connection) == []
            append(connection, 0)
            connection.rollback()
