"""`guardrails payments reconcile`: our redemptions held against the payment service's own list."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from guardrails.bootstrap import payment_service, utc_now
from guardrails.cli import exit_codes
from guardrails.cli.documented import Documented
from guardrails.cli.opening import opened_records
from guardrails.cli.options import json_option, records_option
from guardrails.cli.terminal import output_console, print_json
from guardrails.errors import DependencyError, SettingsError
from guardrails.offers.reconciliation import Reconciliation
from guardrails.payments.provider import NoAnswerError, Provider
from guardrails.settings import Settings, parse_payments_url, read_webhook_secrets

__all__ = ["reconcile"]


@click.command(
    cls=Documented,
    examples=("guardrails payments reconcile", "guardrails payments reconcile --json | jq -r '.differences[].payment'"),
    exits={0: "both agree", 1: "something differs, and is named", 2: "could not run"},
)
@records_option
@click.option(
    "--payments-url",
    metavar="URL",
    envvar="GUARDRAILS_PAYMENTS_URL",
    show_envvar=True,
    required=True,
    help="The payment service.",
)
@click.option(
    "--payments-secret-file",
    type=click.Path(path_type=Path),
    envvar="GUARDRAILS_PAYMENTS_SECRET_FILE",
    show_envvar=True,
    required=True,
    help="The secrets that are shared with it.",
)
@json_option
def reconcile(*, database: str, payments_url: str, payments_secret_file: Path, as_json: bool) -> int:
    """Compare every redemption that is paid by the payment service with how it stands there.

    What differs is looked at again on both sides before it is told. What is under way is left out. Nothing is changed,
    and a service may go on meanwhile.
    """
    provider = _provider(payments_url, payments_secret_file)
    with opened_records(database) as transactor:
        comparison = Reconciliation(transactor, provider)
        try:
            differences = list(comparison.differences())
        except NoAnswerError as error:
            message = f"the payment service does not answer: {error}"
            raise DependencyError(message, dependency="payments") from None
    if as_json:
        counts = {"compared": comparison.compared, "under_way": comparison.under_way}
        print_json(counts | {"differences": differences})
    else:
        console = output_console()
        for each in differences:
            console.print(Text.assemble((each.payment, "bold"), f" ours {each.ours}, theirs {each.theirs}"))
        verdict = f"{len(differences)} differ" if differences else "all agree"
        console.print(f"{comparison.compared:,} payments compared, {comparison.under_way:,} under way: {verdict}")
    return exit_codes.FINDINGS if differences else exit_codes.FINE


def _provider(url: str, secret_file: Path) -> Provider:
    try:
        parse_payments_url(url)
    except ValueError as error:
        raise SettingsError(f"--payments-url: `{url}` {error}") from None
    try:
        secrets = read_webhook_secrets(secret_file)
    except ValueError as error:
        raise SettingsError(f"--payments-secret-file: `{secret_file}` {error}") from None
    provider = payment_service(Settings(payments_url=url, payments_secrets=secrets), utc_now)
    assert provider is not None  # noqa: S101 - both are given
    return provider
