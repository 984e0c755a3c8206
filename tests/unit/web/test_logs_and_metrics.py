from __future__ import annotations

import json
import logging
import logging.config

from guardrails.web.exchange import Exchange
from guardrails.web.front import problem_reply
from guardrails.web.logs import ServerFormatter, server_log_config
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


def test_a_fault_of_ours_is_a_500_without_its_cause_and_a_log_line_with_it(log_lines):
    exchange = Exchange({})
    reply = problem_reply(RuntimeError("the inside"), exchange)
    assert (reply.status, reply.content_type) == (500, "application/problem+json")
    assert b"inside" not in reply.body
    (line,) = log_lines
    assert (line["event"], line["error"], line["request_id"]) == ("fault", "the inside", exchange.request_id)
    assert isinstance(line["exc_info"], RuntimeError)
