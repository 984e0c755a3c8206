"""Options that several commands share, and how their values are read.

Where the records are is also told by the variables of `guardrails serve`, to the commands on records. Not to those on
candidates: by a variable that is set for the service, `decide` would write to its database unasked.
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
    "signing_keys_option",
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


def _note_state_directory(ctx: click.Context, _: click.Parameter, value: Path) -> None:
    ctx.meta["guardrails.state_directory"] = value


def _in_state_directory(ctx: click.Context, _: click.Parameter, value: Path | None) -> Path:
    directory: Path = ctx.meta["guardrails.state_directory"]
    return value or directory / "signing-keys.json"


_signing_keys_options = (
    click.option(
        "--state-directory",
        type=click.Path(path_type=Path),
        default="guardrails-state",
        show_default=True,
        envvar="GUARDRAILS_STATE_DIRECTORY",
        show_envvar=True,
        is_eager=True,
        expose_value=False,
        callback=_note_state_directory,
        help="Where the service keeps what is local to the machine.",
    ),
    click.option(
        "--signing-keys",
        type=click.Path(path_type=Path),
        envvar="GUARDRAILS_SIGNING_KEYS",
        show_envvar=True,
        callback=_in_state_directory,
        help="The file of the keys that sign receipts, tokens and links.  [default: signing-keys.json in the state "
        "directory]",
    ),
)


def signing_keys_option(command: Command) -> Command:
    """`signing_keys`: the file that the service of the same variables has its keys in."""
    for option in reversed(_signing_keys_options):
        command = option(command)
    return command
