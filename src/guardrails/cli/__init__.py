"""The command line: `guardrails serve | decide | explain | validate | lint | test | schema | usage | replay`.

One short module per command, imported only when that command runs, so that `guardrails --help` answers at once.
A command returns its exit code (`exit_codes`); what goes wrong on the way is turned into one line on standard
error here and nowhere else.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import click

from guardrails.cli import exit_codes
from guardrails.cli.documented import HelpContext
from guardrails.cli.problems import show_error
from guardrails.errors import GuardrailsError

__all__ = ["COMMANDS", "main"]


class _Entry(NamedTuple):
    """A command as the list of commands shows it; its module says the rest."""

    module: str
    summary: str


COMMANDS = {
    "serve": _Entry("guardrails.cli.serve", "Answer decisions over HTTP."),
    "decide": _Entry("guardrails.cli.decide", "Decide candidates: allow or deny, and why."),
    "explain": _Entry("guardrails.cli.explain", "Show how each policy judged a candidate."),
    "validate": _Entry("guardrails.cli.validate", "Check that policies load; say what is wrong, and where."),
    "lint": _Entry("guardrails.cli.lint", "Warn about policies that load but look mistaken."),
    "test": _Entry("guardrails.cli.test", "Run policy tests."),
    "schema": _Entry("guardrails.cli.schema", "Print the JSON Schema of policies, or of policy tests."),
    "usage": _Entry("guardrails.cli.usage", "Show how far a recipient has used each cap."),
    "replay": _Entry("guardrails.cli.replay", "Decide all recorded decisions again; report any difference."),
}


class _Commands(click.Group):
    """The group of all commands, each imported when it is asked for."""

    context_class = HelpContext

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order in which people meet them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module; it names its command like itself."""
        del ctx
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(importlib.import_module(entry.module), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing one of them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own
        """Run the command; that nobody reads on is no error of the command's."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _silence_stdout()
            return exit_codes.PIPE_CLOSED
        return code

    def main(
        self,
        args: Sequence[str] | None = None,
        *_: Any,  # noqa: ANN401 - click's own
        **extra: Any,  # noqa: ANN401 - click's own
    ) -> NoReturn:
        """Run one command and exit with its code; no error ends in a traceback but a fault of ours."""
        extra |= {"prog_name": "guardrails", "standalone_mode": False}
        try:
            code = super().main(args, **extra) or exit_codes.FINE
        except click.ClickException as error:
            error.show()
            code = error.exit_code
        except click.Abort:
            code = exit_codes.INTERRUPTED
        except (GuardrailsError, OSError) as error:
            show_error(error)
            code = exit_codes.COULD_NOT_RUN
        sys.exit(code)


def _silence_stdout() -> None:
    """Nobody reads any more: what Python still flushes at its end goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine, 1 findings, 2 could not run. A deny is an answer, not a finding.",
)
@click.version_option(package_name="notification-guardrails", message="guardrails %(version)s")
def main() -> None:
    """Decide every notification before it is sent: YAML policies, reasons, and an audit trail.

    Policies are written in YAML; `guardrails validate` says whether they load, `guardrails test` whether they do what
    they should, `guardrails explain` why a candidate got its answer, and `guardrails serve` answers over HTTP.
    """
