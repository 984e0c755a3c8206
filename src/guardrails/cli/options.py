"""Options that several commands share, and how their values are read.

Where the records are is also told by the variables of `guardrails serve`, to the commands that only look into them. Not
to those on candidates: by a variable that is set for the service, `decide` would write to its database unasked.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from guardrails.policytest.times import parse_instant
from guardrails.settings import EngineName

__all__ = [
    "INSTANT",
    "candidate_options",
    "engine_option",
    "json_option",
    "recorded_caps_option",
    "recorded_policies_option",
    "records_option",
]

Command = TypeVar("Command", bound=Callable[..., Any])


class _Instant(click.ParamType[datetime]):
    """A point in time, as policy tests write it."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read the value, or say what is wrong with it."""
        try:
            return parse_instant(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


INSTANT = _Instant()

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, whoever reads it.")


def _policies_option(variable: str | None = None) -> Callable[[Command], Command]:
    return click.option(
        "--policies",
        type=click.Path(path_type=Path),
        default="policies",
        show_default=True,
        envvar=variable,
        show_envvar=True,
        help="A policy file, or a directory of them.",
    )


def _caps_option(variable: str | None = None) -> Callable[[Command], Command]:
    return click.option(
        "--caps",
        metavar="URL",
        envvar=variable,
        show_envvar=True,
        help="The Redis or Valkey that the caps live in, such as `redis://localhost:6379`. Else they live in the "
        "database.",
    )


recorded_policies_option = _policies_option("GUARDRAILS_POLICIES")

recorded_caps_option = _caps_option("GUARDRAILS_CAPS_URL")

engine_option = click.option(
    "--engine",
    type=click.Choice(get_args(EngineName)),
    default="paired",
    show_default=True,
    help="Which engine decides; `paired` is both, and they must agree.",
)

records_option = click.option(
    "--database",
    metavar="URL",
    default="sqlite:///guardrails.db",
    show_default=True,
    envvar="GUARDRAILS_DATABASE_URL",
    show_envvar=True,
    help="Where decisions and consents are recorded.",
)

_candidate_options = (
    click.argument("source", type=click.File("rb"), default="-"),
    _policies_option(),
    click.option(
        "--database",
        metavar="URL",
        help="Decide by what is recorded here, such as `sqlite:///guardrails.db`. Else nothing is on record.",
    ),
    _caps_option(),
    click.option(
        "--at",
        type=INSTANT,
        help="Decide as of this time: `2026-12-01T12:00:00Z` or `2026-12-01T12:00 Europe/Berlin`. Else now.",
    ),
    engine_option,
    json_option,
)


def candidate_options(command: Command) -> Command:
    """What every command on candidates takes: where they come from, `--at` and `--json`, and how `opened` opens."""
    for option in reversed(_candidate_options):
        command = option(command)
    return command


signing_keys_option = click.option(
    "--signing-keys",
    type=click.Path(path_type=Path),
    default="guardrails-state/signing-keys.json",
    show_default=True,
    help="The file of the keys that sign receipts and links.",
)
