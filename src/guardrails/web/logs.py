"""The log: JSON lines on standard error, one a request, with the request, trace and decision ids to find it by.

Never a body, an address or a header's value goes in, only what a handler puts into `Exchange.log`.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import msgspec
import structlog

from guardrails.settings import LogLevel

__all__ = ["configure_logs", "server_log_config"]

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_encoder = msgspec.json.Encoder(enc_hook=str)


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
