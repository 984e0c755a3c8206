"""A PostgreSQL out of reach: each cause is a DependencyError that says it, and is over when the cause is gone."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from guardrails.errors import DependencyError
from guardrails.storage import postgresql
from guardrails.storage.connections import Database
from guardrails.storage.transactors import sql_transactor
from servers import database_name, start_postgresql, wait_until
from stores import open_stores, run, sql_session


def append(session) -> int:
    index = session.audit.next_index()
    session.audit.append([b"x" * 5000])
    return index


def assert_fails(transactor, cause: str, work=append) -> None:
    with pytest.raises(DependencyError, match=cause) as caught:
        run(transactor, work)
    assert caught.value.dependency == "database"
    assert "postgresql://guardrails@/guardrails_" in str(caught.value)


@pytest.fixture
def transactor(postgres_url):
    transactor = open_stores(postgres_url, busy_seconds=0.2)
    yield transactor
    transactor.close()


def test_a_server_that_is_not_there_is_said_by_the_first_call(postgres_server, postgres_url):
    postgres_server.stop()
    with pytest.raises(DependencyError, match="connection is bad"):
        run(open_stores(postgres_url), lambda session: session.audit.next_index())
    postgres_server.start()
    transactor = open_stores(postgres_url)
    assert run(transactor, append) == 0
    transactor.close()


def test_a_server_that_was_restarted_while_nothing_was_asked_of_it_costs_nobody_anything(postgres_server, transactor):
    assert run(transactor, append) == 0
    postgres_server.stop()
    postgres_server.start()
    assert run(transactor, append) == 1
    postgres_server.restart()
    assert run(transactor, append) == 2


def test_a_server_that_was_killed_and_is_back(postgres_server, transactor):
    assert run(transactor, append) == 0
    postgres_server.kill()
    assert_fails(transactor, "Connection refused")
    assert_fails(transactor, "Connection refused")
    postgres_server.start()
    assert run(transactor, append) == 1


def test_a_server_that_is_killed_in_the_middle_of_a_unit(postgres_server, transactor):
    def kill(session) -> None:
        append(session)
        postgres_server.kill()
        append(session)

    assert_fails(transactor, "closed the connection", kill)
    postgres_server.start()
    assert run(transactor, append) == 0


def test_a_session_that_an_administrator_ended_in_the_middle_of_a_unit(postgres_server, transactor):
    def end_own_session(session) -> None:
        append(session)
        pid = backend_pid(session)
        postgres_server.execute(f"SELECT pg_terminate_backend({pid}, 60000)")
        append(session)

    assert_fails(transactor, "terminating connection", end_own_session)
    assert run(transactor, append) == 0


def test_a_lock_held_too_long_by_another(postgres_server, postgres_url, transactor):
    with subprocess.Popen([sys.executable, "-c", HOLDER, postgres_url], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        assert_fails(transactor, "lock timeout")
        holder.send_signal(signal.SIGKILL)
    assert run(transactor, append) == 0


def test_a_server_that_is_busy_for_others_is_not_one_that_hangs(postgres_url, monkeypatch):
    """Neither is the line to it cut, nor is anybody refused before the time is over; then it goes on where it was."""
    monkeypatch.setattr(postgresql, "_IN_LINE_SECONDS", 0.02)
    transactor = open_stores(postgres_url, busy_seconds=60, hang_seconds=0.5)
    pid = run(transactor, backend_pid)
    with subprocess.Popen([sys.executable, "-c", HOLDER, postgres_url], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        said = [why_not(transactor) for _ in range(12)]
        holder.kill()
    assert said == ["the database did not answer within 100 ms"] * 12
    assert run(transactor, backend_pid) == pid
    transactor.close()


def why_not(transactor) -> str:
    try:
        return str(transactor.call(lambda session, items: items, None, timeout_seconds=0.1))
    except DependencyError as error:
        return str(error)


def backend_pid(session) -> int:
    return session.audit._connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()


def test_a_process_that_is_stuck_in_a_unit_keeps_the_others_waiting_no_longer_than_the_server_lets_it(postgres_url):
    patient = open_stores(postgres_url, busy_seconds=60)
    impatient = "from guardrails.storage import postgresql; postgresql._SILENT_SECONDS = 0.5" + HOLDER
    with subprocess.Popen([sys.executable, "-c", impatient, postgres_url], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGSTOP)
        assert patient.call(lambda session, items: [append(session)], None, timeout_seconds=60) == 0
        holder.kill()
    patient.close()


HOLDER = """
import sys, time
from guardrails.storage.connections import Database
with Database(sys.argv[1]).unit() as connection:
    sys.stdout.write("held\\n"); sys.stdout.flush()
    while True:
        connection.exec_driver_sql("SELECT 1")
        time.sleep(0.01)
"""


def test_a_database_that_was_set_read_only_writes_nothing_anywhere(postgres_server, postgres_url, transactor):
    asked_more = []

    def reserve_elsewhere_then_append(session) -> None:
        asked_more.append("reserved elsewhere")
        append(session)

    name = database_name(postgres_url)
    assert run(transactor, append) == 0
    postgres_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    postgres_server.restart()  # so that the connection is a new one, to which it applies
    assert_fails(transactor, "it is read-only", reserve_elsewhere_then_append)
    assert asked_more == []
    postgres_server.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    assert run(transactor, append) == 1


def test_a_standby_is_refused_until_it_is_promoted(postgres_server, postgres_url):
    first = open_stores(postgres_url)
    assert run(first, append) == 0
    first.close()
    with start_postgresql(standby_of=postgres_server) as standby:
        database = Database(standby.url(database_name(postgres_url)))
        transactor = sql_transactor(database, sql_session)
        assert_fails(transactor, "it is read-only: a standby")
        standby.promote()
        assert run(transactor, append) == 1
        transactor.close()


def test_a_server_that_hangs_is_used_again_once_it_goes_on(postgres_server, postgres_url):
    transactor = open_stores(postgres_url, hang_seconds=0.05)
    assert run(transactor, append) == 0
    with postgres_server.paused(), pytest.raises(DependencyError):
        transactor.call(lambda session, items: [append(session)], None, timeout_seconds=0.05)
    wait_until(lambda: answers(transactor), lambda: "it does not answer")
    entries = run(transactor, lambda session: session.audit.read(0, 10))
    assert [index for index, _ in entries] == list(range(len(entries)))
    transactor.close()


def answers(transactor) -> bool:
    try:
        run(transactor, append)
    except DependencyError:
        return False
    return True


def test_an_error_in_one_unit_is_over_with_it(transactor):
    def fail(session):
        session.audit.append([b"lost"])
        session.audit._connection.exec_driver_sql("SELECT 1 FROM nowhere")

    assert_fails(transactor, 'relation "nowhere" does not exist', fail)
    assert run(transactor, append) == 0
