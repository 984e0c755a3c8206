from __future__ import annotations

import json
import logging
import logging.config
import threading
import time

import pytest

from guardrails.web.exchange import Exchange
from guardrails.web.front import problem_reply
from guardrails.web.logs import Recurring, ServerFormatter, server_log_config
from guardrails.web.metrics import Metrics


def record_of(message, error=None):
    info = None if error is None else (type(error), error, None)
    return logging.LogRecord("_granian", logging.ERROR, __file__, 1, message, (), info)


def test_the_servers_own_lines_are_json_too():
    line = json.loads(ServerFormatter().format(record_of("worker-1 died")))
    assert (line["level"], line["event"], line["logger"]) == ("error", "worker-1 died", "granian")


def test_only_the_servers_news_are_logged(capsys):
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False} | server_log_config())
    try:
        logger = logging.getLogger("_granian")
        logger.info("Starting granian")
        logger.warning("Configuration allows spawning up to 16 Python threads")
        logger.warning("Killing worker-1")
    finally:
        logging.getLogger("_granian").handlers.clear()
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["Killing worker-1"]


def test_disagreements_are_counted_by_themselves():
    metrics = Metrics()
    metrics.decision("deny", "monetized", ["engine.disagreement"], degraded=True)
    lines = metrics.render().decode().splitlines()
    assert "guardrails_engine_disagreements_total 1.0" in lines
    assert 'guardrails_decisions_total{degraded="yes",effect="deny",lane="monetized"} 1.0' in lines


def test_no_series_says_when_a_counter_was_made():
    metrics = Metrics()
    metrics.request("/livez", 200, 0.001)
    assert b"_created" not in metrics.render()


def test_a_fault_of_ours_is_a_500_without_its_cause():
    reply = problem_reply(RuntimeError("the inside"), Exchange({}))
    assert (reply.status, reply.content_type) == (500, "application/problem+json")
    assert b"inside" not in reply.body


# --- what goes wrong with every request ---------------------------------------------------------------------------


@pytest.fixture
def recurring(log_lines):
    """An error that may recur, and what it will do in a while."""
    in_a_while = []
    return Recurring("went.wrong", in_a_while=in_a_while.append), in_a_while


def test_the_first_is_told_at_once_and_the_rest_by_their_number_in_a_while(recurring, log_lines):
    error, in_a_while = recurring
    for number in range(1, 6):
        error.tell("database", decision_id=f"d-{number}")
    assert [(line["decision_id"], line.get("count")) for line in log_lines] == [("d-1", None)]
    in_a_while.pop()()
    assert (log_lines[1]["decision_id"], log_lines[1]["count"]) == ("d-5", 4)
    error.tell("database", decision_id="d-6")
    assert (len(log_lines), len(in_a_while)) == (2, 1)
    in_a_while.pop()()
    assert (log_lines[2]["decision_id"], log_lines[2]["count"]) == ("d-6", 1)


def test_where_nothing_came_the_next_one_is_told_at_once_again(recurring, log_lines):
    error, in_a_while = recurring
    error.tell("database", number=1)
    in_a_while.pop()()
    assert (len(log_lines), in_a_while) == (1, [])
    error.tell("database", number=2)
    assert [(line["number"], line.get("count")) for line in log_lines] == [(1, None), (2, None)]


def test_one_kind_hides_no_other(recurring, log_lines):
    error, in_a_while = recurring
    for kind in ("database", "caps", "database", "caps", "caps"):
        error.tell(kind, kind=kind)
    for tell_rest in tuple(in_a_while):
        tell_rest()
    assert [(line["kind"], line.get("count")) for line in log_lines] == [
        ("database", None),
        ("caps", None),
        ("database", 1),
        ("caps", 2),
    ]


def test_what_many_threads_tell_is_counted_to_the_last(recurring, log_lines):
    error, in_a_while = recurring

    def tell():
        for _ in range(500):
            error.tell("database")

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if in_a_while:
            in_a_while.pop(0)()
    while in_a_while:
        in_a_while.pop(0)()
    assert sum(line.get("count", 1) for line in log_lines) == 2000


def test_where_the_system_has_no_thread_left_all_are_told_at_once_and_none_is_kept_for_ever(log_lines, monkeypatch):
    def start(_thread):
        raise RuntimeError("can't start new thread")

    error = Recurring("went.wrong")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        for number in range(3):
            error.tell("database", number=number)
    assert [(line["number"], line.get("count")) for line in log_lines] == [(0, None), (1, None), (2, None)]


def test_the_while_passes_by_itself(log_lines):
    error = Recurring("went.wrong")
    for _ in range(3):
        error.tell("database")
    deadline = time.monotonic() + 60
    while len(log_lines) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert [line.get("count") for line in log_lines] == [None, 2]
