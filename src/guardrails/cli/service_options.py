"""The options of `guardrails serve`: each is a setting, named as its variable is, and read as that is read.

None has a default: what is not said here is said by the variable, or else by `settings.Settings`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from guardrails.settings import (
    EngineName,
    LogLevel,
    parse_deadline,
    parse_keep,
    parse_lease,
    parse_payment_attempts,
    parse_payments_url,
    parse_public_url,
)

__all__ = ["service_options"]

Command = TypeVar("Command", bound=Callable[..., Any])
Option = Callable[[Command], Command]


def _path(flag: str, told: str | None = None) -> Option[Any]:
    return click.option(flag, type=click.Path(path_type=Path), help=told)


def _parsed(flag: str, parse: Callable[[str], object], told: str, *, name: str | None = None) -> Option[Any]:
    """An option whose text is read as the variable's is."""

    def read(_context: click.Context, _parameter: click.Parameter, text: str | None) -> object:
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            raise click.BadParameter(f"`{text}` {error}") from None

    is_url = flag.endswith("-url")
    names = [flag] if name is None else [flag, name]
    return click.option(*names, callback=read, metavar="URL" if is_url else None, help=told)


_OPTIONS = (
    _path("--policies", "The policy file or directory.  [default: policies]"),
    click.option(
        "--database",
        "database_url",
        metavar="URL",
        help="`sqlite:///file`, `postgresql://...` or `memory:`.  [default: sqlite:///guardrails.db]",
    ),
    click.option(
        "--caps",
        "caps_url",
        metavar="URL",
        help="`redis://...`, for the caps; `database` takes them back from there.  [default: in the database]",
    ),
    _path("--state-directory", "[default: guardrails-state]"),
    _path(
        "--signing-keys",
        "The keys that sign receipts, tokens and links.  [default: signing-keys.json in the state directory]",
    ),
    _parsed("--public-url", parse_public_url, "What recipients reach the service by; without it, it makes no links."),
    _parsed(
        "--page-links",
        parse_keep,
        "How long a link to a recipient's page opens it.  [default: 30d]",
        name="page_link_seconds",
    ),
    _parsed(
        "--confirmation-links",
        parse_keep,
        "How long a link confirms a consent.  [default: 7d]",
        name="confirmation_link_seconds",
    ),
    _path(
        "--controller-file",
        "Who answers for the recipients' data, JSON, for receipts; see docs/operations.md.",
    ),
    click.option("--host", help="The address to listen on.  [default: 127.0.0.1]"),
    click.option("--port", type=click.IntRange(0, 65_535), help="The port; 0 picks a free one.  [default: 8080]"),
    click.option("--workers", type=click.IntRange(1, 256), help="Processes that serve.  [default: 1]"),
    click.option("--threads", type=click.IntRange(1, 1024), help="Threads of each worker.  [default: 16]"),
    _parsed("--lease", parse_lease, "How long an allow holds.  [default: 10m]", name="lease_seconds"),
    _parsed(
        "--deadline",
        parse_deadline,
        "How long a decision waits for its stores.  [default: 250ms]",
        name="deadline_ms",
    ),
    _parsed(
        "--keep-decisions",
        parse_keep,
        "How long a decision answers for its candidate.  [default: 7d]",
        name="keep_seconds",
    ),
    _parsed(
        "--payments-url", parse_payments_url, "The payment service; without it, offers are paid by the wallet only."
    ),
    _path(
        "--payments-secret-file",
        "The secrets shared with the payment service, one a line; see docs/payments.md.",
    ),
    _parsed(
        "--payments-timeout",
        parse_deadline,
        "How long the payment service may take to answer.  [default: 10s]",
        name="payments_timeout_ms",
    ),
    _parsed(
        "--payments-retry",
        parse_deadline,
        "How long after its first silence it is asked again.  [default: 1s]",
        name="payments_retry_ms",
    ),
    _parsed(
        "--payments-attempts",
        parse_payment_attempts,
        "After so many silences an authorisation is given up.  [default: 8]",
    ),
    click.option("--engine", type=click.Choice(get_args(EngineName)), help="[default: paired]"),
    _path("--keys-file", "The API keys, JSON Lines; see docs/operations.md."),
    click.option("--log-level", type=click.Choice(get_args(LogLevel)), help="[default: info]"),
    click.option(
        "--replay-clock/--no-replay-clock",
        default=None,
        help="Let `Replay-At` set a request's time; loopback only.",
    ),
)


def service_options(command: Command) -> Command:
    """Every setting of the service, as an option of a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
