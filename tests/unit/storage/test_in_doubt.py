"""A connection that is lost while it commits: whether the commit holds, nobody here can know."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from guardrails.errors import DependencyError
from guardrails.storage.connections import Database
from guardrails.storage.transactors import sql_transactor
from stores import run, sql_session


def append(session) -> int:
    session.audit.append([b"x"])
    return session.audit.next_index()


def test_a_line_lost_in_the_commit_leaves_it_in_doubt_and_is_not_tried_again(postgres_url):
    database = Database(postgres_url)
    transactor = sql_transactor(database, sql_session)
    assert run(transactor, append) == 1
    commits = []

    def cut(_connection):
        commits.append(1)
        if len(commits) == 1:
            database._backend.interrupt()

    event.listen(database.engine, "commit", cut)
    with pytest.raises(DependencyError) as caught:
        run(transactor, append)
    assert caught.value.in_doubt
    assert run(transactor, append) == 2
    transactor.close()
