from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from guardrails.errors import SettingsError
from guardrails.storage.append_only import append_only_triggers
from guardrails.storage.connections import Database
from guardrails.storage.tables import APPEND_ONLY, METADATA, SCHEMA_REVISION
from stores import open_stores, sqlite_url


@pytest.fixture
def database(tmp_path):
    database = Database(sqlite_url(tmp_path / "guardrails.db"))
    yield database
    database.close()


def schema(connection) -> list[tuple[str, ...]]:
    return [tuple(row) for row in connection.execute(text("SELECT type, name, sql FROM sqlite_master ORDER BY name"))]


def test_migrations_make_what_the_tables_say(database):
    with database.unit() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_migrations_make_the_very_statements_that_the_tables_make(database, tmp_path):
    """Strictness, partial indexes and constraints, which the comparison above does not see."""
    by_tables = Database(sqlite_url(tmp_path / "by_tables.db"))
    METADATA.create_all(by_tables.engine)
    with database.unit() as migrated, by_tables.engine.begin() as created:
        assert objects(migrated) == objects(created)
    by_tables.close()


def objects(connection) -> dict[str, list[str]]:
    """Each table and index, as its statement, whose order of clauses and spelling of quotes don't matter."""
    wanted = {table.name for table in METADATA.sorted_tables}
    return {
        name: sorted(part.strip(" ,\n\t") for part in (sql or "").replace('"', "").splitlines())
        for _, name, sql in schema(connection)
        if name in wanted or name.startswith("ix_")
    }


def test_the_newest_migration_is_the_one_the_tables_name():
    config = Config()
    config.set_main_option("script_location", "guardrails.storage:migrations")
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA_REVISION


def test_migrating_again_changes_nothing(database):
    with database.unit() as connection:
        before = schema(connection)
    again = Database(str(database.engine.url))
    with again.unit() as connection:
        assert schema(connection) == before
    again.close()


def test_a_schema_of_a_newer_release_is_refused(database):
    with database.unit() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsError, match="revision `9999`, newer than"):
        open_stores(str(database.engine.url))


@pytest.mark.parametrize("table", [table.name for table in APPEND_ONLY])
@pytest.mark.parametrize("statement", ["UPDATE {table} SET {column} = {column}", "DELETE FROM {table}"])
def test_append_only_tables_refuse_to_change(database, table, statement):
    with database.unit() as connection:
        columns = inspect(connection).get_columns(table)
        values = {column["name"]: 1 if "INT" in str(column["type"]) else b"x" for column in columns}
        values = {
            name: "x" if str(column["type"]) == "TEXT" else values[name]
            for name, column in zip(values, columns, strict=True)
        }
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" for _ in values)
        connection.exec_driver_sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))  # noqa: S608
    path = database.engine.url.database
    raw = sqlite3.connect(path)
    column = '"' + columns[0]["name"] + '"'
    with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
        raw.execute(statement.format(table=table, column=column))
    raw.close()


def test_every_append_only_table_has_its_triggers(database):
    wanted = {name for table in APPEND_ONLY for name in append_only_triggers(table.name)}
    with database.unit() as connection:
        assert {name for kind, name, _ in schema(connection) if kind == "trigger"} == wanted


START = """
import sys
from guardrails.storage.connections import Database
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
database = Database(sys.argv[1])
with database.unit() as connection:
    sys.stdout.write(str(connection.exec_driver_sql("SELECT count(*) FROM alembic_version").scalar()))
"""


def test_processes_that_start_at_once_all_find_the_schema(tmp_path):
    url = sqlite_url(tmp_path / "guardrails.db")
    command = [sys.executable, "-c", START, url]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate() for process in processes] == [("1", "")] * 4
    assert Path(tmp_path / "guardrails.db").exists()
