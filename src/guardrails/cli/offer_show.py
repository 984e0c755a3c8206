"""`guardrails offers list` and `guardrails offers show`: what can be had, and how it stands."""

from __future__ import annotations

from collections.abc import Iterator

import click
import msgspec
from rich.table import Table
from rich.text import Text

from guardrails.cli import exit_codes
from guardrails.cli.decision_view import moment
from guardrails.cli.documented import Documented
from guardrails.cli.opening import opened_records
from guardrails.cli.options import json_option, records_option
from guardrails.cli.terminal import output_console
from guardrails.core.money import decimal_text
from guardrails.errors import NotFoundError
from guardrails.offers.offer_view import OfferView, view
from guardrails.offers.service import Offers

__all__ = ["list_offers", "one_line", "show"]

PAGE = 500


@click.command(
    "list",
    cls=Documented,
    examples=("guardrails offers list", "guardrails offers list --json | jq -r 'select(.left == 0).id'"),
    exits={0: "listed", 2: "could not run"},
)
@records_option
@json_option
def list_offers(*, database: str, as_json: bool) -> int:
    """List all offers, by id: the price, how they stand, and what of their stock is left, held and settled."""
    table = Table("offer", "price", "sponsor", "stands", "left", "held", "settled", box=None, pad_edge=False)
    with opened_records(database) as transactor:
        for each in _every(Offers(transactor)):
            if as_json:
                click.echo(msgspec.json.encode(each))
            else:
                table.add_row(
                    each.id, _price(each), each.sponsor.id, each.status, _left(each), str(each.held), str(each.settled)
                )
    if not as_json:
        output_console().print(table if table.row_count else Text("there is no offer"))
    return exit_codes.FINE


@click.command(
    cls=Documented,
    examples=("guardrails offers show upgrade-sea-view",),
    exits={0: "shown", 1: "there is no such offer", 2: "could not run"},
)
@click.argument("id_", metavar="ID")
@records_option
@json_option
def show(*, id_: str, database: str, as_json: bool) -> int:
    """Show the offer ID: its terms, and how it stands."""
    with opened_records(database) as transactor:
        try:
            told = view(Offers(transactor).read(id_))
        except NotFoundError as error:
            click.echo(f"guardrails: {error}", err=True)
            return exit_codes.FINDINGS
    if as_json:
        click.echo(msgspec.json.encode(told))
        return exit_codes.FINE
    console = output_console()
    for line in _lines(told):
        console.print(Text(line))
    return exit_codes.FINE


def one_line(offer: OfferView) -> str:
    """An offer in a few words."""
    return f"{offer.id}  {_price(offer)}  {offer.status}, {_left(offer)} left"


def _every(offers: Offers) -> Iterator[OfferView]:
    after = ""
    while page := offers.page(after=after, most=PAGE):
        yield from map(view, page)
        after = page[-1].offer.id


def _price(offer: OfferView) -> str:
    return f"{decimal_text(offer.amount_minor, offer.currency)} {offer.currency}"


def _left(offer: OfferView) -> str:
    return "any" if offer.left is None else str(offer.left)


def _lines(offer: OfferView) -> Iterator[str]:
    yield f"{offer.id}  {offer.title}"
    stock = "" if offer.stock is None else f" of {offer.stock}"
    yield f"  {_price(offer)} by {offer.payment}, {offer.per_recipient} a recipient"
    yield f"  {offer.status}: {_left(offer)}{stock} left, {offer.held} held, {offer.settled} settled"
    if offer.begins_at is not None or offer.ends_at is not None:
        begins = "" if offer.begins_at is None else f" from {moment(offer.begins_at)}"
        ends = "" if offer.ends_at is None else f" until {moment(offer.ends_at)}"
        yield f"  to be had{begins}{ends}"
    campaign = "" if offer.campaign is None else f", campaign {offer.campaign.id}"
    yield f"  sponsor {offer.sponsor.id}{campaign}, commission {_percent(offer.commission_bps)} of the price"
    if offer.affiliate is not None:
        yield f"  affiliate {offer.affiliate.id} has {_percent(offer.affiliate.share_bps)} of the revenue"
    if offer.benefit is not None:
        text = "" if offer.benefit.text is None else f": {offer.benefit.text}"
        yield f"  the recipient has {_percent(offer.benefit.share_bps)} of the revenue, as {offer.benefit.form}{text}"
    steps, seconds = ", ".join(offer.steps), offer.session_seconds
    without = ", or without a session" if offer.session == "optional" else ""
    yield f"  {steps} within {seconds} s{without}; a token lives {offer.lifetime_seconds} s at most"
    withdrawn = "" if offer.withdrawn_at is None else f", withdrawn at {moment(offer.withdrawn_at)}"
    yield f"  registered at {moment(offer.recorded_at)}{withdrawn}"


def _percent(bps: int) -> str:
    whole, hundredths = divmod(bps, 100)
    return f"{whole}.{hundredths:02d} %" if hundredths else f"{whole} %"
