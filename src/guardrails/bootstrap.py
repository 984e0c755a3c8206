"""The composition root: settings in, a running application out. The only place that chooses implementations.

application = open_application(Settings.load(environ))
(answer,) = application.decide([candidate])
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Connection

from guardrails.attribution.commissions import Commissions
from guardrails.attribution.service import RevenueService
from guardrails.attribution.settlement import Settlements
from guardrails.audit import (
    AuditService,
    FileSpool,
    MemorySpool,
)
from guardrails.caps.moving import Filled
from guardrails.consent import (
    ConsentService,
    NoticeService,
    Withdrawals,
)
from guardrails.consent.receipts import Receipts
from guardrails.consent.service import CONFIRM_WITHIN
from guardrails.core.candidate import Candidate
from guardrails.core.controller import Controller
from guardrails.core.policy_set import Attribution, PolicySet
from guardrails.core.purposes import Purpose
from guardrails.decide.active_policies import ActivePolicies
from guardrails.decide.case import Compiled, compile_policies
from guardrails.decide.decider import Decider
from guardrails.decide.drain import Drain
from guardrails.decide.explain import Explainer, Explanation
from guardrails.decide.housekeeping import Housekeeping
from guardrails.decide.outcomes import Outcomes
from guardrails.decide.ports import (
    EngineFactory,
    Session,
    Transactor,
)
from guardrails.decide.records import Records
from guardrails.decide.spool import Spool
from guardrails.decide.usage import UsageReader
from guardrails.decide.writes import Answer
from guardrails.decoding import Decoder, in_place
from guardrails.engine.native import NativeEngine
from guardrails.errors import CandidateError, DependencyError, SettingsError
from guardrails.ledger import LedgerService
from guardrails.offers.conversion_service import Conversions
from guardrails.offers.redemption_service import Redemptions
from guardrails.offers.service import Offers
from guardrails.offers.values import Payment
from guardrails.payments.events import PaymentEvents
from guardrails.payments.port import PaymentMethod
from guardrails.payments.provider import Patience, Provider
from guardrails.payments.provider_calls import SignedCalls
from guardrails.payments.wallet import FreePayments, WalletPayments
from guardrails.policyfile.loader import load_policy_files
from guardrails.preferences import PreferenceService
from guardrails.settings import EngineName, Settings
from guardrails.signing import Links, SigningKeys, Tokens
from guardrails.storage.migrate import migrate
from guardrails.stores import DEADLINE, open_redis, open_stores, rebuild_of

if TYPE_CHECKING:
    from guardrails.caps.redis import CapsRebuild, RedisGateway

__all__ = [
    "MIGRATION_SECONDS",
    "Application",
    "Outside",
    "Terms",
    "build_application",
    "compiler",
    "in_memory_application",
    "open_application",
    "payment_service",
    "utc_now",
]


_CANDIDATE = Decoder(Candidate)

MIGRATION_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Terms:
    """How long things hold.

    `lease`: an allow holds its slots without an outcome. `keep`: a decision answers for its candidate after its last
    change. `deadline`: all store calls of a decision together. `confirm_within`: a pending consent waits for its
    confirmation.
    """

    lease: timedelta = timedelta(minutes=10)
    keep: timedelta = timedelta(days=7)
    deadline: timedelta = DEADLINE
    confirm_within: timedelta = CONFIRM_WITHIN


@dataclass(frozen=True, slots=True)
class Outside:
    """What the service is to recipients, and to whoever verifies what it has signed.

    `keys` are opened, or made, with the first call; `links` is None where recipients can't reach the service, and
    `payments` where no payment service is set up.
    """

    keys: Callable[[], SigningKeys]
    links: Links | None = None
    payments: PaymentMethod | None = None
    controller: Controller | None = None

    @property
    def unpayable(self) -> frozenset[Payment]:
        """The payment methods that there is nothing for."""
        return frozenset({"provider"}) if self.payments is None else frozenset()


@dataclass(frozen=True, slots=True)
class Application:
    """Everything a process needs, put together. Safe to use from several threads."""

    policies: ActivePolicies
    decider: Decider
    explainer: Explainer
    outcomes: Outcomes
    records: Records
    usage: UsageReader
    consents: ConsentService
    withdrawals: Withdrawals
    notices: NoticeService
    preferences: PreferenceService
    conversions: Conversions
    ledger: LedgerService
    receipts: Receipts
    offers: Offers
    redemptions: Redemptions
    payment_events: PaymentEvents
    revenue: RevenueService
    settlements: Settlements
    signing_keys: Callable[[], SigningKeys]
    tokens: Callable[[], Tokens]
    links: Links | None
    audit: AuditService
    housekeeping: Housekeeping
    drain: Drain
    spool: Spool
    caps_rebuild: CapsRebuild | None
    transactor: Transactor

    def decide(self, candidates: Iterable[Candidate], *, now: datetime | None = None) -> list[Answer | CandidateError]:
        """Decide candidates in order, as `Decider.decide` does, however they were made: each is checked first.

        What was decoded (`msgspec.convert`, `msgspec.json.decode`) is checked already, and its decider may be asked
        itself. A candidate that is none is an error in its place, with everything that is wrong with it.
        """
        return in_place([_checked(candidate) for candidate in candidates], partial(self.decider.decide, now=now))

    def explain(self, candidate: Candidate, *, now: datetime | None = None) -> Explanation:
        """What would be decided, and why, as `Explainer.explain` says it; the candidate is checked first."""
        checked = _checked(candidate)
        if isinstance(checked, CandidateError):
            raise checked
        return self.explainer.explain(checked, now=now)

    def reach(self, *, timeout_seconds: float) -> None:
        """Reach the database now, and not with the first decision; where its schema is old, it is brought up to date.

        Raises SettingsError where the schema is none that this release can use, DependencyError where the database does
        not answer: an UnansweredError where that takes too long. A migration that has begun goes on then.
        """
        self.transactor.call(_nothing, None, timeout_seconds=timeout_seconds)

    def make_ready(self) -> None:
        """Reach the database now, and not with the first decision; bring its schema up to date, however long it takes.

        Raises SettingsError where the schema is none that this release can use, or the caps live elsewhere,
        DependencyError where the database does not answer.
        """
        elsewhere = self.transactor.call(_look, None, timeout_seconds=MIGRATION_SECONDS)
        if elsewhere is not None and self.caps_rebuild is None:
            raise SettingsError(elsewhere)

    def fill_caps(self, *, timeout_seconds: float = float("inf")) -> Filled | None:
        """Fill the caps in Redis from the decisions, where they are not complete there and nobody else is at it.

        Returns with what, if so. Where Redis is out of reach, or it takes longer, it is left to upkeep, which says why.
        Raises DependencyError for the database.
        """
        if self.caps_rebuild is None:
            return None
        until = time.monotonic() + timeout_seconds
        try:
            while self.caps_rebuild.step() and time.monotonic() < until:
                pass
        except DependencyError as error:
            if error.dependency != "caps":
                raise
        return self.caps_rebuild.pop_filled()

    def close(self) -> None:
        """Finish what was accepted, then let go of the stores."""
        self.transactor.close()


def open_application(
    settings: Settings,
    *,
    clock: Callable[[], datetime] | None = None,
    on_old_schema: Callable[[Connection], None] = migrate,
    unpayable: AbstractSet[Payment] | None = None,
) -> Application:
    """The application that the settings describe; `on_old_schema` as for `open_stores`.

    `unpayable` are the payment methods that there is nothing for, where the settings are not the service's own and
    can't tell; None: what the settings say.

    Raises PolicyError where the policies don't load, SettingsError or DependencyError where the stores don't open.
    """
    clock = clock or utc_now
    state = settings.state_directory
    compile_set = compiler(settings.engine, disagreements=state / "disagreements")
    policies = ActivePolicies.from_path(settings.policies, compile_set=compile_set, clock=clock)
    terms = Terms(
        lease=timedelta(seconds=settings.lease_seconds),
        keep=timedelta(seconds=settings.keep_seconds),
        deadline=timedelta(milliseconds=settings.deadline_ms),
        confirm_within=timedelta(seconds=settings.confirmation_link_seconds),
    )
    redis = None if settings.redis_url is None else open_redis(settings.redis_url, settings)
    outside = _open_outside(settings, clock)
    return build_application(
        policies,
        transactor=open_stores(
            settings.database_url,
            redis=redis,
            deadline=terms.deadline,
            on_old_schema=on_old_schema,
            unpayable=outside.unpayable if unpayable is None else unpayable,
        ),
        spool=FileSpool(state / "audit-spool.jsonl"),
        clock=clock,
        terms=terms,
        redis=redis,
        outside=outside,
    )


def in_memory_application(
    policy_set: PolicySet,
    *,
    compiled: Compiled | None = None,
    clock: Callable[[], datetime] | None = None,
    new_id: Callable[[], str] | None = None,
) -> Application:
    """An application that keeps nothing: for tests, the test runner and decisions on the command line.

    `compiled`, where given, is `policy_set` compiled before, so that many applications may share it.
    """
    clock = clock or utc_now
    compiled = compiled or compiler("paired")(policy_set)
    policies = ActivePolicies(None, policy_set, compile_set=lambda _: compiled, clock=clock)
    return build_application(
        policies, transactor=open_stores("memory:"), spool=MemorySpool(), clock=clock, make_id=new_id
    )


def build_application(
    policies: ActivePolicies,
    *,
    transactor: Transactor,
    spool: Spool,
    clock: Callable[[], datetime],
    terms: Terms | None = None,
    make_id: Callable[[], str] | None = None,
    redis: RedisGateway | None = None,
    outside: Outside | None = None,
) -> Application:
    """Put the application together from its parts; `redis` is what `transactor` keeps the caps in, if anything.

    Without `outside` it signs with keys that go with the process, and makes no links.
    """
    make_id = make_id or new_id
    has_keys = outside is not None  # an allow carries no tokens whose keys go with the process
    unpayable = outside.unpayable if outside is not None else frozenset()  # what is tried out is paid by nobody
    outside = outside or Outside(keys=cache(lambda: SigningKeys.generate(clock())))
    terms = terms or Terms()
    tokens = cache(lambda: Tokens(outside.keys()))

    def snapshot() -> Compiled:
        return policies.snapshot

    def purposes() -> Mapping[str, Purpose]:
        return policies.snapshot.policy_set.purposes

    def attribution() -> Attribution:
        return policies.snapshot.policy_set.project.attribution

    methods: dict[str, PaymentMethod] = {"wallet": WalletPayments(), "none": FreePayments()}
    if outside.payments is not None:
        methods["provider"] = outside.payments
    commissions = Commissions(terms=attribution)
    redemptions = Redemptions(
        transactor,
        tokens=tokens,
        methods=methods,
        new_id=make_id,
        clock=clock,
        on_settled=commissions.settled,
        on_taken_back=commissions.taken_back,
    )
    return Application(
        policies=policies,
        decider=Decider(
            snapshot=snapshot,
            transactor=transactor,
            spool=spool,
            clock=clock,
            new_id=make_id,
            lease=terms.lease,
            keep=terms.keep,
            deadline=terms.deadline,
            links=outside.links,
            tokens=tokens if has_keys else None,
        ),
        explainer=Explainer(snapshot=snapshot, transactor=transactor, clock=clock),
        outcomes=Outcomes(transactor, clock=clock, keep=terms.keep, spool=spool),
        usage=UsageReader(snapshot=snapshot, transactor=transactor, clock=clock),
        records=Records(transactor, compile_files=_compile_files, clock=clock),
        consents=ConsentService(transactor, purposes=purposes, new_id=make_id, confirm_within=terms.confirm_within),
        withdrawals=Withdrawals(transactor, purposes=purposes, new_id=make_id),
        notices=NoticeService(transactor, purposes=purposes),
        preferences=PreferenceService(transactor),
        conversions=Conversions(transactor, tokens=tokens, new_id=make_id),
        ledger=LedgerService(transactor),
        receipts=Receipts(
            transactor, keys=outside.keys, purposes=purposes, controller=outside.controller, new_id=make_id
        ),
        offers=Offers(transactor, unpayable=unpayable),
        redemptions=redemptions,
        payment_events=PaymentEvents(transactor, redemptions, clock=clock),
        revenue=RevenueService(transactor, tokens=tokens, terms=attribution, new_id=make_id),
        settlements=Settlements(transactor, zone=lambda: policies.snapshot.policy_set.project.zone),
        signing_keys=outside.keys,
        tokens=tokens,
        links=outside.links,
        audit=AuditService(transactor),
        housekeeping=Housekeeping(transactor, keep=terms.keep),
        drain=Drain(transactor, spool, clock=clock, keep=terms.keep),
        spool=spool,
        caps_rebuild=None if redis is None else rebuild_of(transactor, redis, policies, clock=clock, new_id=make_id),
        transactor=transactor,
    )


def _open_outside(settings: Settings, clock: Callable[[], datetime]) -> Outside:
    """What the settings say of it. The keys are opened only where they are used: few commands need a key file."""

    @cache
    def keys() -> SigningKeys:
        return SigningKeys.open(settings.signing_keys_file, now=clock())

    return Outside(
        keys=keys,
        links=None if settings.public_url is None else _links(settings, settings.public_url, keys()),
        controller=settings.controller,
        payments=payment_service(settings, clock),
    )


def payment_service(settings: Settings, clock: Callable[[], datetime]) -> Provider | None:
    """The payment service of the settings, if there is one. It is asked nothing yet."""
    if settings.payments_url is None or settings.payments_secrets is None:
        return None
    calls = SignedCalls(
        settings.payments_url,
        secrets=settings.payments_secrets,
        timeout_seconds=settings.payments_timeout_ms / 1000,
        clock=clock,
    )
    patience = Patience(first_seconds=settings.payments_retry_ms / 1000, authorise_attempts=settings.payments_attempts)
    return Provider(calls, patience=patience, clock=clock, new_id=new_id, chance=random.random)


def _links(settings: Settings, public_url: str, keys: SigningKeys) -> Links:
    return Links(
        public_url,
        keys.link_secret,
        accepted=keys.accepted_link_secrets,
        page_lifetime=timedelta(seconds=settings.page_link_seconds),
        confirmation_lifetime=timedelta(seconds=settings.confirmation_link_seconds),
    )


def compiler(engine: EngineName, *, disagreements: Path | None = None) -> Callable[[PolicySet], Compiled]:
    """What compiles a policy set for `engine`; the paired engine writes the cases it disagrees on to a folder."""
    factory = _engine_factory(engine, disagreements)

    def compile_set(policy_set: PolicySet) -> Compiled:
        return compile_policies(policy_set, engine=factory, native=NativeEngine)

    return compile_set


def _engine_factory(engine: EngineName, disagreements: Path | None) -> EngineFactory:
    if engine == "native":
        return NativeEngine
    # durable-rules is compiled code of 2020: it is not even loaded where nobody asked for it.
    if engine == "durable":
        from guardrails.engine.durable import DurableEngine  # noqa: PLC0415

        return DurableEngine
    from guardrails.engine.paired import PairedEngine  # noqa: PLC0415

    return partial(PairedEngine, disagreements=disagreements)


def _compile_files(files: Mapping[str, str]) -> Compiled:
    return compiler("native")(load_policy_files(files))


def utc_now() -> datetime:
    """The clock of a running service."""
    return datetime.now(UTC)  # noqa: TID251 - the one place where time comes from outside


def new_id() -> str:
    """An id that nobody can guess and nobody else has: 48 bits of milliseconds since 1970, then 80 of chance.

    What is written together has ids that stand together: a store's index then grows at its end, and not all over.
    """
    milliseconds = time.time_ns() // 1_000_000  # noqa: TID251 - chance and time both come from here
    return f"{milliseconds:012x}{secrets.token_hex(10)}"


def _checked(candidate: Candidate) -> Candidate | CandidateError:
    """The candidate as it would have been decoded: built in Python it may hold anything."""
    try:
        return _CANDIDATE.try_decode(msgspec.json.encode(candidate))
    except (UnicodeError, TypeError, ValueError, OverflowError, msgspec.EncodeError) as error:
        return CandidateError(f"the candidate can't be written as JSON: {error}")


def _nothing(_session: Session, calls: list[None]) -> list[None]:
    return calls


def _look(session: Session, looks: list[None]) -> list[str | None]:
    """Why the caps don't answer, if they don't."""
    try:
        session.caps.keys_of("")
    except DependencyError as error:
        return [str(error)] * len(looks)
    return [None] * len(looks)
