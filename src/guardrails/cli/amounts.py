"""Amounts of money as they are typed: decimals in the currency's own digits, always more than zero."""

from __future__ import annotations

import re

import click

from guardrails.cli.documented import Documented
from guardrails.core.money import AMOUNT_MOST, decimal_text, parse_amount
from guardrails.policyfile.currencies import currency_words

__all__ = ["AmountCommand", "minor_units"]


class AmountCommand(Documented):
    """A command that takes an AMOUNT; one below zero is told so, not taken for an option that there is none of."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what was typed."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if re.match(r"-[0-9.]", error.option_name) is None:
                raise
            raise click.BadParameter("is not more than zero", ctx, param_hint="AMOUNT") from None


def minor_units(amount: str, currency: str) -> int:
    """The minor units of what was typed.

    Raises click.BadParameter where it is no amount, of no currency, not more than zero, or more than the most.
    """
    try:
        minor = parse_amount(amount, currency)
    except KeyError:
        raise click.BadParameter(currency_words(currency), param_hint="CURRENCY") from None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="AMOUNT") from None
    if minor <= 0:
        raise click.BadParameter(f"`{amount}` is not more than zero", param_hint="AMOUNT")
    if minor > AMOUNT_MOST:
        most = decimal_text(AMOUNT_MOST, currency)
        raise click.BadParameter(f"`{amount}` is more than {most}, the most at once", param_hint="AMOUNT")
    return minor
