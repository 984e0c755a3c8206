"""`guardrails offers add` and `guardrails offers withdraw`: what changes offers."""

from __future__ import annotations

from typing import BinaryIO

import click
import msgspec

from guardrails.bootstrap import utc_now
from guardrails.cli import exit_codes
from guardrails.cli.documented import Documented
from guardrails.cli.offer_show import one_line
from guardrails.cli.opening import opened_records
from guardrails.cli.options import json_option, records_option
from guardrails.decoding import Decoder, malformed_words
from guardrails.errors import CandidateError, NotFoundError
from guardrails.offers.offer_view import view
from guardrails.offers.service import Offers
from guardrails.offers.values import OfferRequest
from guardrails.stores import migrate

__all__ = ["add", "withdraw"]


@click.command(
    cls=Documented,
    examples=("guardrails offers add upgrade.json", "render-offers | guardrails offers add"),
    exits={0: "registered, or were before", 1: "some can't be registered like this", 2: "could not run"},
)
@click.argument("file", type=click.File("rb"), default="-")
@records_option
@json_option
def add(*, file: BinaryIO, database: str, as_json: bool) -> int:
    """Register the offers in FILE: a JSON object, as `POST /v1/offers` takes it, or an array of them.

    Without FILE they are read from standard input. The same terms may be added again; other terms need another id.
    """
    said = _read(file)
    code = exit_codes.FINE
    decoder = Decoder(OfferRequest)
    with opened_records(database, on_old_schema=migrate) as transactor:
        offers = Offers(transactor)
        for place, one in enumerate(said, 1):
            try:
                told = view(offers.register(decoder.convert(one), now=utc_now()).standing)
            except CandidateError as error:
                code = exit_codes.FINDINGS
                _show_problems(place, error)
                continue
            click.echo(msgspec.json.encode(told) if as_json else one_line(told))
    return code


@click.command(
    cls=Documented,
    examples=("guardrails offers withdraw upgrade-sea-view",),
    exits={0: "withdrawn, or was before", 1: "there is no such offer", 2: "could not run"},
)
@click.argument("id_", metavar="ID")
@records_option
@json_option
def withdraw(*, id_: str, database: str, as_json: bool) -> int:
    """Let nobody redeem the offer ID any more, whatever token they hold; what is being paid for goes on."""
    with opened_records(database, on_old_schema=migrate) as transactor:
        try:
            told = view(Offers(transactor).withdraw(id_, now=utc_now()))
        except NotFoundError as error:
            click.echo(f"guardrails: {error}", err=True)
            return exit_codes.FINDINGS
    click.echo(msgspec.json.encode(told) if as_json else one_line(told))
    return exit_codes.FINE


def _read(file: BinaryIO) -> list[object]:
    text = file.read()
    try:
        said = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise click.BadParameter(f"is no JSON: {malformed_words(text, error)}", param_hint="FILE") from None
    return said if isinstance(said, list) else [said]


def _show_problems(place: int, error: CandidateError) -> None:
    for pointer, message in error.problems or (("", str(error)),):
        click.echo(f"guardrails: offer {place}{pointer}: {message}", err=True)
