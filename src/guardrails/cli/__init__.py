"""The command line: `guardrails serve | decide | explain | validate | lint | test | schema | usage | ...`.

One short module per command, imported only when that command runs, so that `guardrails --help` answers at once.
A command returns its exit code (`exit_codes`); what goes wrong on the way is turned into one line on standard
error here and nowhere else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from guardrails.cli import exit_codes
from guardrails.cli.groups import CommandGroup, Entry
from guardrails.cli.problems import show_error
from guardrails.errors import GuardrailsError

__all__ = ["COMMANDS", "main"]


COMMANDS = {
    "serve": Entry("guardrails.cli.serve", "Answer decisions over HTTP."),
    "decide": Entry("guardrails.cli.decide", "Decide candidates: allow or deny, and why."),
    "explain": Entry("guardrails.cli.explain", "Show how each policy judged a candidate."),
    "validate": Entry("guardrails.cli.validate", "Check that policies load; say what is wrong, and where."),
    "lint": Entry("guardrails.cli.lint", "Warn about policies that load but look mistaken."),
    "test": Entry("guardrails.cli.test", "Run policy tests."),
    "schema": Entry("guardrails.cli.schema", "Print the JSON Schema of policies, or of policy tests."),
    "usage": Entry("guardrails.cli.usage", "Show how far a recipient has used each cap."),
    "consent": Entry("guardrails.cli.consent", "Show what recipients agreed to."),
    "recipient": Entry("guardrails.cli.recipient", "Make the link to a recipient's page, or tell all of them."),
    "offers": Entry("guardrails.cli.offers", "Register what can be bought or redeemed."),
    "wallet": Entry("guardrails.cli.wallet", "Show what a recipient has, or add to it."),
    "ledger": Entry("guardrails.cli.ledger", "Look after the books: check them, book payouts."),
    "keys": Entry("guardrails.cli.keys", "Look after the keys that sign receipts, tokens and links."),
    "notice": Entry("guardrails.cli.notice", "Keep the texts that recipients are shown."),
    "settle": Entry("guardrails.cli.settle", "Settle a month: statements that agree with the ledger."),
    "payments": Entry("guardrails.cli.payments", "Hold redemptions against the payment service's books."),
    "audit": Entry("guardrails.cli.audit", "Print entries of the log of all that was decided."),
    "replay": Entry("guardrails.cli.replay", "Decide all recorded decisions again; report any difference."),
}


class _Commands(CommandGroup):
    """The group of all commands: runs one, and exits with its code."""

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
        _open_closed_streams()
        extra |= {"prog_name": "guardrails", "standalone_mode": False}
        try:
            code = super().main(args, **extra) or exit_codes.FINE
        except click.ClickException as error:
            error.show()
            code = error.exit_code
        except UnicodeEncodeError:  # what the shell gave is no UTF-8: it is written down nowhere
            click.echo("guardrails: an argument is not UTF-8", err=True)
            code = exit_codes.COULD_NOT_RUN
        except click.Abort:
            code = exit_codes.INTERRUPTED
        except (GuardrailsError, OSError) as error:
            show_error(error)
            code = exit_codes.COULD_NOT_RUN
        sys.exit(code)


def _open_closed_streams() -> None:
    """Of a standard stream that was closed (`>&-`) nothing is read, and nothing is shown there.

    Whatever is opened first takes its number, and is not to be the database.
    """
    for name, mode in {"stdin": os.O_RDONLY, "stdout": os.O_WRONLY, "stderr": os.O_WRONLY}.items():
        if getattr(sys, name) is None:
            stream = os.fdopen(os.open(os.devnull, mode), "r" if mode == os.O_RDONLY else "w", encoding="utf-8")
            setattr(sys, name, stream)


def _silence_stdout() -> None:
    """Nobody reads any more: what Python still flushes at its end goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(
    cls=_Commands,
    entries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine, 1 findings, 2 could not run. A deny is an answer, not a finding.",
)
@click.version_option(package_name="notification-guardrails", message="guardrails %(version)s")
def main() -> None:
    """Decide every notification before it is sent: YAML policies, reasons, and an audit trail.

    Policies are written in YAML; `guardrails validate` says whether they load, `guardrails test` whether they do what
    they should, `guardrails explain` why a candidate got its answer, and `guardrails serve` answers over HTTP.
    """
