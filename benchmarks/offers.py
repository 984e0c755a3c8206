"""`make bench-offers`: offer tokens signed and verified a second, and redemptions a second and how they scale.

Tokens are timed beside the bare signature that each is made of, redemptions beside a bare insert and commit on SQLite.
A redemption is all of it: the token verified, its decision, the offer, stock and limit looked at, the wallet debited,
the commission booked and shared, the log's entries written, all of it durable before it is answered.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from rich.table import Table

from benchmarks.state.application import application
from benchmarks.state.load import Effort, Measured, Mode, Source, measure
from benchmarks.state.stores import sqlite_commit
from guardrails.bootstrap import Application
from guardrails.core.claims import AttributionClaims, OfferClaims
from guardrails.decide.ports import StoredDecision
from guardrails.ledger.values import TopUpRequest
from guardrails.offers.redemptions import RedemptionRequest
from guardrails.offers.values import Affiliate, Benefit, Named, OfferRequest
from guardrails.signing import SigningKeys
from guardrails.signing.tokens import Tokens
from servers import start_postgresql

SOUND, FINDINGS = 0, 1
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
POLICIES = """\
apiVersion: guardrails/v1
policies:
  - {id: adults, kind: rule, deny_when: {recipient.age: {lt: 18}}}
"""
OFFER = OfferRequest(
    id="sea-view-tonight",
    title="Sea view tonight",
    amount_minor=19,
    currency="EUR",
    sponsor=Named(id="hotel-meridian"),
    affiliate=Affiliate(id="travel-network", share_bps=2000),
    benefit=Benefit(share_bps=1000),
    commission_bps=1500,
    per_recipient=2**31 - 1,
    session="optional",
)
RECIPIENTS = 1_000
WALLET_MINOR = 1_000_000_000
TOKEN_MOST = 3.0
"""At most so many times what a bare signature takes, or its verification, may a token's take."""
GROWTH_MOST = 1.5
"""At most so many times what one redemption costs among few may it cost among many."""
TOGETHER_LEAST = 1.2
"""At least so many times what one thread redeems do sixteen, since they share commits."""


class Plan(msgspec.Struct, frozen=True):
    """How much is done: `few` and `many` redemptions are stored while their cost is compared."""

    effort: Effort
    few: int
    many: int


FULL = Plan(Effort(rounds=7, seconds=1.0), few=1_000, many=100_000)
QUICK = Plan(Effort(rounds=3, seconds=0.3), few=200, many=2_000)


class Row(msgspec.Struct, frozen=True):
    """One line: how many a second, and its ratio to what stands beside it."""

    name: str
    a_second: float
    p50_ms: float
    p99_ms: float
    ratio: float | None = None


class Figure(msgspec.Struct, frozen=True):
    """What is wanted, and what was reached."""

    name: str
    wanted: str
    reached: float
    ok: bool


@click.command()
@click.option("--quick", is_flag=True, help="Fewer rounds: under a minute.")
@click.option("--json", "json_wanted", is_flag=True, help="Print the figures as JSON.")
def main(*, quick: bool, json_wanted: bool) -> None:
    """Time tokens and redemptions, and hold them against what is to be reached.

    Exits with 1 where it isn't.
    """
    plan = QUICK if quick else FULL
    tokens, token_figures = time_tokens(plan)
    with tempfile.TemporaryDirectory(prefix="guardrails-") as name:
        redemptions, redemption_figures = time_redemptions(plan, Path(name))
    figures = (*token_figures, *redemption_figures)
    if json_wanted:
        click.echo(msgspec.json.encode({"tokens": tokens, "redemptions": redemptions, "figures": figures}))
    else:
        _print(tokens, redemptions, figures)
    sys.exit(SOUND if all(figure.ok for figure in figures) else FINDINGS)


# --- tokens -----------------------------------------------------------------------------------------------------


def time_tokens(plan: Plan) -> tuple[list[Row], list[Figure]]:
    """Tokens signed and verified, beside the signature alone over as many bytes."""
    tokens, bare = Tokens(SigningKeys.generate(NOW)), Ed25519PrivateKey.generate()
    offer, attribution = _offer_claims(tokens, "0" * 32), _attribution_claims(tokens)
    offer_token, attribution_token = tokens.offer(offer), tokens.attribution(attribution)
    message = offer_token.rpartition(".")[0].encode()
    signature, public = bare.sign(message), bare.public_key()
    timed = {
        "bare Ed25519, signed": _repeated(lambda: bare.sign(message)),
        f"offer token of {len(offer_token)} bytes, signed": _repeated(lambda: tokens.offer(offer)),
        f"attribution of {len(attribution_token)} bytes, signed": _repeated(lambda: tokens.attribution(attribution)),
        "bare Ed25519, verified": _repeated(lambda: public.verify(signature, message)),
        "offer token, verified": _repeated(lambda: tokens.read_offer(offer_token, NOW)),
        "attribution, verified": _repeated(lambda: tokens.read_attribution(attribution_token)),
    }
    measure(list(timed.values()), plan.effort)
    signed, verified = (timed[f"bare Ed25519, {done}"].measured for done in ("signed", "verified"))
    rows = [_row(name, source.measured, signed if "signed" in name else verified) for name, source in timed.items()]
    figures = [
        _at_most(f"{row.name}, to the bare one", TOKEN_MOST, 1 / row.ratio)
        for row in rows
        if row.ratio is not None and "token" in row.name
    ]
    return rows, figures


def _offer_claims(tokens: Tokens, decision_id: str, recipient: str = "r-0") -> OfferClaims:
    return OfferClaims(
        offer=OFFER.id,
        recipient=tokens.pseudonym(recipient),
        amount_minor=OFFER.amount_minor,
        currency=OFFER.currency,
        decision_id=decision_id,
        expires_at_seconds=int((NOW + timedelta(days=1)).timestamp()),
        token_id=tokens.token_id(decision_id),
    )


def _attribution_claims(tokens: Tokens) -> AttributionClaims:
    return AttributionClaims(
        decision_id="0" * 32,
        audit_index=1_000_000,
        lane="monetized",
        evaluated_at_ms=int(NOW.timestamp() * 1000),
        policy_revision=f"sha256:{'0' * 64}",
        recipient=tokens.pseudonym("r-0"),
        campaign="same-day-upgrade",
        sponsor=OFFER.sponsor.id,
        offer=OFFER.id,
    )


def _repeated(call: Callable[[], object]) -> Source:
    def run(calls: int) -> tuple[float, list[float]]:
        times = [_timed(call) for _ in range(calls)]
        return sum(times), times

    return Source(run, Mode(1, 1))


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


# --- redemptions ------------------------------------------------------------------------------------------------


class Shop:
    """An application with an offer, recipients who can pay for it, and tokens that nobody has redeemed."""

    def __init__(self, opened: Application) -> None:
        self._application = opened
        self._tokens = opened.tokens()
        self._made = 0
        opened.offers.register(OFFER, now=NOW)
        for number in range(RECIPIENTS):
            wallet = TopUpRequest(id=f"w-{number}", recipient=f"r-{number}", amount_minor=WALLET_MINOR, currency="EUR")
            opened.ledger.top_up(wallet, now=NOW)

    def source(self, threads: int) -> Source:
        """Redeems from so many threads, a token each time."""

        def run(calls: int) -> tuple[float, list[float]]:
            return self.redeem(self.tokens(calls), threads)

        return Source(run, Mode(threads, 1))

    def tokens(self, count: int) -> list[tuple[str, str]]:
        """New tokens, each with its recipient. Their decisions are written as `decide` would have left them."""
        made = []
        decisions = []
        for number in range(self._made, self._made + count):
            decision_id, recipient = f"{number:032x}", f"r-{number % RECIPIENTS}"
            decisions.append(_decision(decision_id, recipient, number))
            made.append((self._tokens.offer(_offer_claims(self._tokens, decision_id, recipient)), recipient))
        self._made += count
        for start in range(0, count, 1_000):
            self._application.transactor.call(_insert, decisions[start : start + 1_000])
        return made

    def redeem(self, tokens: Sequence[tuple[str, str]], threads: int) -> tuple[float, list[float]]:
        """The seconds that all took together, and those of each. Raises RuntimeError where one doesn't settle."""

        def one(token: tuple[str, str]) -> float:
            began = time.perf_counter()
            asked = RedemptionRequest(recipient=token[1])
            redeemed = self._application.redemptions.redeem(token[0], asked, now=NOW)
            if redeemed.redemption.state != "settled" or not redeemed.is_new:
                raise RuntimeError(f"not redeemed as it should be: {redeemed.redemption}")
            return time.perf_counter() - began

        if threads == 1:
            times = [one(token) for token in tokens]
            return sum(times), times
        with ThreadPoolExecutor(threads) as pool:
            began = time.perf_counter()
            times = list(pool.map(one, tokens))
            return time.perf_counter() - began, times


def _decision(decision_id: str, recipient: str, number: int) -> StoredDecision:
    return StoredDecision(
        decision_id=decision_id,
        candidate_id=decision_id,
        body_hash=b"0" * 16,
        answer=b'{"obligations":[]}',
        evaluated_at=NOW,
        audit_index=number,
        state="sent",
        due_at=NOW + timedelta(days=7),
        lease_until=NOW + timedelta(minutes=10),
        sent_at=NOW,
        recipient=recipient,
    )


def _insert(session: Any, groups: list[list[StoredDecision]]) -> list[None]:
    for decisions in groups:
        session.decisions.insert(decisions)
    return [None] * len(groups)


def time_redemptions(plan: Plan, directory: Path) -> tuple[list[Row], list[Figure]]:
    """On each store from one thread and sixteen; on SQLite also among few and many."""
    (directory / "policies.yaml").write_text(POLICIES, encoding="utf-8")
    with ExitStack() as stack:
        postgresql = stack.enter_context(start_postgresql())
        urls = {
            "memory": "memory:",
            "SQLite": f"sqlite:///{directory / 'redemptions.db'}",
            "PostgreSQL": postgresql.create_database(),
        }
        shops = {name: stack.enter_context(_shop(directory / name, directory, url)) for name, url in urls.items()}
        floor = Source.of_commits(stack.enter_context(sqlite_commit(directory / "bare.db")), b"0" * 1_000)
        sources = {(name, threads): shop.source(threads) for name, shop in shops.items() for threads in (1, 16)}
        measure([floor, *sources.values()], plan.effort)
        few, many = stack.enter_context(_grown(plan, directory))
    rows = [_row("SQLite, bare insert and commit", floor.measured)]
    rows += [
        _row(f"{name}, {threads} thread{'s' * (threads > 1)}", source.measured, floor.measured)
        for (name, threads), source in sources.items()
    ]
    rows += [
        _row(f"SQLite, 1 thread, among {plan.few:,}", few),
        _row(f"SQLite, 1 thread, among {plan.many:,}", many, few),
    ]
    one, sixteen = (sources["SQLite", threads].measured for threads in (1, 16))
    return rows, [
        _at_least("SQLite: sixteen threads to one", TOGETHER_LEAST, sixteen.ratio(one)),
        _at_most(
            f"SQLite: cost of one among {plan.many:,} to one among {plan.few:,}", GROWTH_MOST, few.rate / many.rate
        ),
    ]


@contextmanager
def _shop(folder: Path, directory: Path, url: str) -> Iterator[Shop]:
    folder.mkdir()
    with application(folder, url, policies=directory / "policies.yaml") as opened:
        yield Shop(opened)


@contextmanager
def _grown(plan: Plan, directory: Path) -> Iterator[tuple[Measured, Measured]]:
    """The same among few redemptions and among many: two files, in turns."""
    with ExitStack() as stack:
        sources = []
        for stored in (plan.few, plan.many):
            url = f"sqlite:///{directory / f'among-{stored}.db'}"
            shop = stack.enter_context(_shop(directory / f"among-{stored}", directory, url))
            shop.redeem(shop.tokens(stored), 16)
            sources.append(shop.source(1))
        measure(sources, plan.effort)
        few, many = (source.measured for source in sources)
        yield few, many


# --- telling ----------------------------------------------------------------------------------------------------


def _row(name: str, measured: Measured, beside: Measured | None = None) -> Row:
    ratio = None if beside is None or beside is measured else measured.ratio(beside)
    return Row(name, measured.rate, measured.milliseconds(50), measured.milliseconds(99), ratio)


def _at_most(name: str, most: float, reached: float) -> Figure:
    return Figure(name, f"at most {most:g}x", reached, reached <= most)


def _at_least(name: str, least: float, reached: float) -> Figure:
    return Figure(name, f"at least {least:g}x", reached, reached >= least)


def _print(tokens: Sequence[Row], redemptions: Sequence[Row], figures: Sequence[Figure]) -> None:
    console = Console(highlight=False)
    for title, rows in (("tokens", tokens), ("redemptions", redemptions)):
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column(title)
        for heading in ("a second", "p50 ms", "p99 ms", "ratio"):
            table.add_column(heading, justify="right")
        for row in rows:
            ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
            table.add_row(row.name, f"{row.a_second:,.0f}", f"{row.p50_ms:.3f}", f"{row.p99_ms:.3f}", ratio)
        console.print(table)
        console.print()
    for figure in figures:
        mark = "[green]ok[/green]" if figure.ok else "[red]not reached[/red]"
        console.print(f"{figure.name}: {figure.reached:.2f}x ({figure.wanted}) {mark}")


if __name__ == "__main__":
    main()
