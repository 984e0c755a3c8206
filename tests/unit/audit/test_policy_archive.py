from __future__ import annotations

from sqlalchemy import event

from guardrails.audit import SqlPolicyArchive
from guardrails.storage.connections import Database
from stores import instant, sqlite_url

FILES = {"policies/a.yaml": "policies: []\n"}


def test_what_is_kept_is_asked_for_once_a_connection_and_again_after_a_new_one(tmp_path):
    database = Database(sqlite_url(tmp_path / "guardrails.db"))
    asked = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def note(_connection, _cursor, statement, *_rest):
        if "policy_sets" in statement and "alembic" not in statement:
            asked.append(statement.split()[0])

    def keep() -> list[str]:
        asked.clear()
        with database.unit() as connection:
            SqlPolicyArchive(connection).keep("sha256:1", FILES, instant(10))
        return list(asked)

    with database.unit():
        pass
    assert [keep() for _ in range(4)] == [["SELECT", "INSERT"], ["SELECT"], [], []]
    database.close()
    assert [keep() for _ in range(2)] == [["SELECT"], []]
    database.close()
