"""The log: JSON lines on standard error, one a request, with the request, trace and decision ids to find it by.

Never a body, an address or a header's value goes in, only what a handler puts into `Exchange.log`. What goes wrong with
every request of an outage is told at once, and then by one line a second (`Recurring`).
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from guardrails.settings import LogLevel

__all__ = ["Recurring", "configure_logs", "server_log_config"]

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_encoder = msgspec.json.Encoder(enc_hook=str)
_log = structlog.get_logger()

RECURRING_SECONDS = 1.0


def _render(event: object, **_: object) -> bytes:
    return _encoder.encode(event)


_PROCESSORS: tuple[structlog.typing.Processor, ...] = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    structlog.processors.JSONRenderer(serializer=_render),
)


def configure_logs(level: LogLevel) -> None:
    """Set structlog up for this process; what is below `level` costs a call that does nothing."""
    structlog.configure(
        processors=_PROCESSORS,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )


def _in_a_while(work: Callable[[], None]) -> None:
    timer = threading.Timer(RECURRING_SECONDS, work)
    timer.daemon = True
    try:
        timer.start()
    except RuntimeError:  # the system has no thread left
        work()


class Recurring:
    """An error that may come with every request of an outage: the first is told at once, then one a while.

    Each line but the first says in `count` how many have come since the one before, and tells of the newest. None goes
    uncounted: what came last is told once the while is over.
    """

    def __init__(self, event: str, *, in_a_while: Callable[[Callable[[], None]], None] = _in_a_while) -> None:
        """`in_a_while` calls what it is given once, from another thread, RECURRING_SECONDS later."""
        self._event = event
        self._in_a_while = in_a_while
        self._lock = threading.Lock()
        self._untold: dict[str, tuple[int, dict[str, object]]] = {}  # by kind, while one was just told

    def tell(self, kind: str, /, **fields: object) -> None:
        """Tell of one; those of another `kind` are told by themselves, and there are only so many kinds."""
        with self._lock:
            is_first = kind not in self._untold
            count, _ = self._untold.get(kind, (-1, fields))
            self._untold[kind] = count + 1, fields
        if is_first:
            _log.error(self._event, **fields)
            self._in_a_while(lambda: self._tell_rest(kind))

    def _tell_rest(self, kind: str) -> None:
        with self._lock:
            count, fields = self._untold.pop(kind)
            if count:
                self._untold[kind] = 0, {}
        if count:
            _log.error(self._event, count=count, **fields)
            self._in_a_while(lambda: self._tell_rest(kind))


class ServerFormatter(logging.Formatter):
    """A line of the HTTP server in the shape of ours."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON line for `record`."""
        event: dict[str, Any] = {"event": record.getMessage(), "logger": "granian"}
        for processor in _PROCESSORS[1:3]:
            event = processor(None, record.levelname.lower(), event)  # type: ignore[assignment]
        return _encoder.encode({"level": record.levelname.lower(), **event}).decode()


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line of the server says what we don't know: that threads outnumber cores is meant (group commit)."""
    return not record.getMessage().startswith("Configuration allows spawning")


def server_log_config() -> dict[str, Any]:
    """What Granian's own logger is to do: warnings and worse, to standard error, as JSON lines."""
    return {
        "formatters": {"json": {"()": f"{__name__}.ServerFormatter"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "json",
                "stream": "ext://sys.stderr",
                "filters": [_is_news],
            }
        },
        "loggers": {"_granian": {"handlers": ["stderr"], "level": "WARNING", "propagate": False}},
    }
