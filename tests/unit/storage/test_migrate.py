from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Boolean, Connection, LargeBinary, Text, bindparam, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError

from guardrails.consent import ConsentEvent
from guardrails.errors import SettingsError
from guardrails.preferences import PreferenceEvent
from guardrails.storage.append_only import append_only_statements
from guardrails.storage.connections import Database
from guardrails.storage.instants import to_micros
from guardrails.storage.tables import APPEND_ONLY, METADATA, SCHEMA_REVISION, audit_entries, decisions
from stores import instant, open_stores, run, sqlite_url

CATALOGUE = """
SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), l.collname, a.attnotnull::text,
       pg_get_expr(d.adbin, d.adrelid), row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum)::text
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
LEFT JOIN pg_collation l ON l.oid = a.attcollation
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped
UNION ALL SELECT 'index', tablename, indexname, indexdef, NULL, NULL, NULL, NULL FROM pg_indexes
WHERE schemaname = 'public'
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), NULL, NULL, NULL, NULL
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'sequence', sequencename, data_type::text, NULL, NULL, NULL, NULL, NULL FROM pg_sequences
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "guardrails.db")
    return request.getfixturevalue("empty_postgres_url")


@pytest.fixture
def database(url):
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def by_tables(request, url, tmp_path):
    """A database that `create_all` has made of the tables, beside the one that migrations made."""
    if url.startswith("sqlite"):
        database = Database(sqlite_url(tmp_path / "by_tables.db"))
    else:
        server = request.getfixturevalue("postgres_server")
        database = Database(server.create_database())
    with database.engine.begin() as connection:
        METADATA.create_all(connection)
    yield database
    database.close()


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", "guardrails.storage:migrations")
    config.set_main_option("path_separator", "os")
    return config


def schema(connection: Connection) -> set[tuple[str, ...]]:
    """All that there is, as the database itself tells it; of SQLite, the statements that made it."""
    if connection.dialect.name == "postgresql":
        return {tuple(row) for row in connection.execute(text(CATALOGUE)) if "alembic_version" not in tuple(row)}
    return {
        (kind, name, *sorted(filter(None, (part.strip(" ,\n\t") for part in _lines(sql or "")))))
        for kind, name, sql in connection.execute(text("SELECT type, name, sql FROM sqlite_master"))
        if kind != "trigger" and "alembic_version" not in name
    }


def _lines(sql: str) -> list[str]:
    """Its parts; a column that was added later stands on the line of the one before it."""
    return sql.replace('"', "").replace(", ", "\n").splitlines()


def test_migrations_make_what_the_tables_say(database):
    with database.unit() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_migrations_make_the_very_schema_that_the_tables_make(database, by_tables):
    """Strictness, collations, partial indexes and constraints, which the comparison above does not see."""
    with database.unit() as migrated, by_tables.engine.begin() as created:
        assert schema(migrated) == schema(created)


def test_the_newest_migration_is_the_one_the_tables_name():
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == SCHEMA_REVISION


def test_migrating_again_changes_nothing(database, url):
    with database.unit() as connection:
        before = schema(connection)
    again = Database(url)
    with again.unit() as connection:
        assert schema(connection) == before
    again.close()


def test_a_schema_of_a_newer_release_is_refused(database, url):
    with database.unit() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsError, match="revision `9999`, newer than"):
        run(open_stores(url), lambda session: session.audit.next_index())


OLD_DECISION = text("""
INSERT INTO decisions
  (decision_id, candidate_id, body_hash, answer, evaluated_at, audit_index, state, lease_until)
VALUES (:decision_id, :candidate_id, :body_hash, :answer, :evaluated_at, :audit_index, :state, :lease_until)
""").bindparams(bindparam("body_hash", type_=LargeBinary), bindparam("answer", type_=LargeBinary))


def old_decision(number: int, state: str, *, has_lease: bool) -> dict[str, object]:
    return {
        "decision_id": f"d-{number}",
        "candidate_id": f"c-{number}",
        "body_hash": b"\x00\xff" * 16,
        "answer": b'{"effect": "allow"}',
        "evaluated_at": to_micros(instant(10)),
        "audit_index": number,
        "state": state,
        "lease_until": to_micros(instant(10, 10)) if has_lease else None,
    }


def test_decisions_of_the_first_schema_are_carried_over(database, url):
    old = [old_decision(1, "reserved", has_lease=True), old_decision(2, "sent", has_lease=True)]
    old.append(old_decision(3, "none", has_lease=False))
    with database.engine.begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(OLD_DECISION, old)
        connection.execute(insert(audit_entries), [{"index": 0, "entry": b"first"}])
        connection.execute(
            text("INSERT INTO cap_slots (cap, key, decision_id, count_on) VALUES ('a-cap', 'r-1', 'd-1', 'reserved')")
        )
    with database.unit() as connection:
        carried = connection.execute(select(decisions).order_by(decisions.c.decision_id)).mappings().all()
        entries = connection.execute(select(audit_entries.c.entry)).scalars().all()
        slots = connection.execute(text("SELECT count(*) FROM cap_slots")).scalar()
        tables = set(inspect(connection).get_table_names())
    new = {"takes": b"[]", "is_caps_pending": False, "sent_at": None, "delivered_at": None, "recipient": None}
    new["needed_until"] = None
    kept_until = to_micros(instant(10)) + 7 * 24 * 3600 * 1_000_000
    due = [to_micros(instant(10, 10)), kept_until, kept_until]
    assert [dict(row) for row in carried] == [
        row | new | {"owned_candidate": row["candidate_id"], "due_at": due_at}
        for row, due_at in zip(old, due, strict=True)
    ]
    assert entries == [b"first"]
    assert slots == 0
    assert tables == {*METADATA.tables, "alembic_version"}


OLD_CONSENT = text("""
INSERT INTO consent_events
  (seq, id, recipient, purpose, state, at, method, notice_version, language, evidence, captured_by, expires_at,
   recorded_at)
VALUES (:seq, :id, :recipient, 'offers', :state, :at, 'form', :notice_version, 'de', '{"n": [1, null]}', NULL,
        :expires_at, :recorded_at)
""")
OLD_PREFERENCE = text("""
INSERT INTO preference_events (seq, recipient, toggle, is_on, at, recorded_at)
VALUES (:seq, :recipient, :toggle, :is_on, :at, :recorded_at)
""").bindparams(bindparam("is_on", type_=Boolean()))
ODD = "r-%_é😀"


def test_consents_and_preferences_of_the_second_schema_are_carried_over_in_their_order(database, url):
    """Of one instant the last to arrive speaks, before and after."""
    now = {"at": to_micros(instant(9)), "recorded_at": to_micros(instant(10)), "recipient": ODD}
    granted = {"state": "granted", "notice_version": "3", "expires_at": to_micros(instant(20))}
    withdrawn = {"state": "withdrawn", "notice_version": None, "expires_at": None}
    with database.engine.begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        consents = [(9, "b", withdrawn), (5, "a", granted), (12, "z", granted), (11, "c", withdrawn)]
        connection.execute(OLD_CONSENT, [{"seq": seq, "id": id_, **now, **said} for seq, id_, said in consents])
        choices = [(7, "sponsored", False), (3, "sponsored", True), (8, "topic:travel", True)]
        connection.execute(
            OLD_PREFERENCE, [{"seq": seq, "toggle": toggle, "is_on": is_on, **now} for seq, toggle, is_on in choices]
        )
    record = ConsentEvent(
        id="a",
        recipient=ODD,
        purpose="offers",
        state="granted",
        at=instant(9),
        method="form",
        recorded_at=instant(10),
        notice_version="3",
        language="de",
        evidence={"n": [1, None]},
        expires_at=instant(20),
    )
    changes = {"state": "withdrawn", "notice_version": None, "expires_at": None}
    carried = [
        record,
        msgspec.structs.replace(record, id="b", **changes),
        msgspec.structs.replace(record, id="c", **changes),
        msgspec.structs.replace(record, id="z"),
    ]
    choice = PreferenceEvent(recipient=ODD, name="toggle:sponsored", value=True, at=instant(9), recorded_at=instant(10))
    chosen = [
        choice,
        msgspec.structs.replace(choice, value=False),
        msgspec.structs.replace(choice, name="toggle:topic:travel"),
    ]
    stores = open_stores(url)
    assert run(stores, lambda session: session.consents.arrivals(0, 99, 99)) == list(enumerate(carried, 1))
    assert run(stores, lambda session: session.preferences.history(ODD)) == tuple(chosen)
    later = [msgspec.structs.replace(record, id="later"), msgspec.structs.replace(choice, value=None)]
    run(stores, lambda session: session.consents.append(later[:1]))
    run(stores, lambda session: session.preferences.append(later[1:]))
    assert run(stores, lambda session: session.consents.history(ODD)) == (*carried, later[0])
    assert run(stores, lambda session: session.preferences.history(ODD)) == (*chosen, later[1])
    stores.close()


OLD_CONVERSION = text("""
INSERT INTO conversions
  (id, decision_id, offer, recipient, body_hash, declared, is_paid, done, opened_at, ends_at, converted_at)
VALUES (:id, 'd-1', 'upgrade', 'r-1', :hash, '["view"]', :is_paid, '[["view",60]]', 0, 300, :converted_at)
""").bindparams(bindparam("is_paid", type_=Boolean()), bindparam("hash", type_=LargeBinary))
OLD_REDEMPTION = text("""
INSERT INTO redemptions
  (id, decision_id, offer, recipient, conversion, body_hash, state, method, amount_minor, currency, details,
   recorded_at, settled_at)
VALUES (:id, 'd-1', 'upgrade', 'r-1', :conversion, :hash, 'settled', 'none', 0, 'EUR', '{}', 0, :settled_at)
""").bindparams(bindparam("hash", type_=LargeBinary))


def test_sessions_of_the_fifth_schema_are_converted_where_they_were_redeemed(database, url):
    """What costs nothing was converted by its last step before, and some of it was never redeemed."""
    sessions = [
        ("paid", True, 70),
        ("free", False, 60),
        ("had", False, 60),
        ("refused", False, 60),
        ("open", False, None),
    ]
    with database.engine.begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
        connection.execute(
            OLD_CONVERSION,
            [{"id": id_, "is_paid": paid, "hash": b"1", "converted_at": at} for id_, paid, at in sessions],
        )
        redeemed = [("one", "had", 65), ("two", "refused", None), ("three", None, 65)]
        connection.execute(
            OLD_REDEMPTION,
            [{"id": id_, "conversion": of, "hash": b"1", "settled_at": at} for id_, of, at in redeemed],
        )
    stores = open_stores(url)
    found = run(stores, lambda session: session.conversions.by_id([id_ for id_, _, _ in sessions]))
    stores.close()
    assert {id_: each.converted_at is not None for id_, each in found.items()} == {
        "paid": True,
        "free": False,
        "had": True,
        "refused": False,
        "open": False,
    }


@pytest.mark.parametrize("table", APPEND_ONLY, ids=lambda table: table.name)
@pytest.mark.parametrize("statement", ["UPDATE {table} SET {column} = {column}", "DELETE FROM {table}"])
def test_append_only_tables_refuse_to_change(database, table, statement):
    row = {
        column.name: "x" if isinstance(column.type, Text) else b"x" if isinstance(column.type, LargeBinary) else 1
        for column in table.columns
    }
    with database.unit() as connection:
        connection.execute(insert(table), row | ({"is_on": True} if "is_on" in row else {}))
    column = '"' + table.columns[0].name + '"'
    with pytest.raises(IntegrityError, match=f"{table.name} is append-only"), database.engine.begin() as connection:
        connection.execute(text(statement.format(table=table.name, column=column)))


@pytest.mark.parametrize("table", APPEND_ONLY, ids=lambda table: table.name)
def test_append_only_tables_refuse_to_be_emptied_at_once(postgres_url, table):
    database = Database(postgres_url)
    with database.unit():
        pass
    with pytest.raises(IntegrityError, match="is append-only"), database.engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {table.name}"))
    database.close()


def test_every_append_only_table_has_its_triggers_and_no_other_has_any(database):
    names = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
    }[database.engine.dialect.name]
    wanted = {
        statement.split()[2]
        for table in APPEND_ONLY
        for statement in append_only_statements(table.name, database.engine.dialect.name)
        if statement.startswith("CREATE TRIGGER")
    }
    with database.unit() as connection:
        assert set(connection.execute(text(names)).scalars()) == wanted


START = """
import sys
from guardrails.storage.connections import Database
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
database = Database(sys.argv[1])
with database.unit() as connection:
    sys.stdout.write(str(connection.exec_driver_sql("SELECT count(*) FROM alembic_version").scalar()))
database.close()
"""


def test_processes_that_start_at_once_all_find_the_schema(url):
    command_line = [sys.executable, "-c", START, url]
    processes = [
        subprocess.Popen(command_line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate() for process in processes] == [("1", "")] * 4
