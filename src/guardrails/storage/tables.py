"""The schema, all of it. Every change here comes with a migration; a test holds the two together.

Instants are integer microseconds (`instants`), JSON is text, texts compare byte by byte, so that SQLite and PostgreSQL
put ids into the same order, and what was answered or recorded stays as it was: `APPEND_ONLY` tables refuse UPDATE and
DELETE in the database itself.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
    true,
)

__all__ = [
    "APPEND_ONLY",
    "METADATA",
    "SCHEMA_REVISION",
    "audit_entries",
    "cap_epochs",
    "cap_slots",
    "cap_tallies",
    "cap_tally_leases",
    "consent_events",
    "conversions",
    "decisions",
    "ledger_accounts",
    "ledger_postings",
    "ledger_transactions",
    "notices",
    "offers",
    "payment_events",
    "policy_sets",
    "preference_events",
    "redemptions",
    "revenues",
]

SCHEMA_REVISION = "0006"
"""The newest migration; a database that is at it needs none."""

METADATA = MetaData(
    naming_convention={
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(column_0_label)s",
    }
)

WideInteger = BigInteger().with_variant(Integer, "sqlite")
Flag = Boolean().with_variant(Integer, "sqlite")
Words = Text().with_variant(Text(collation="C"), "postgresql")

consent_events = Table(
    "consent_events",
    METADATA,
    Column("seq", WideInteger, primary_key=True, autoincrement=True),
    Column("id", Words, nullable=False, unique=True),
    Column("recipient", Words, nullable=False),
    Column("purpose", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("at", WideInteger, nullable=False),
    Column("method", Words, nullable=False),
    Column("channels", Words),  # a JSON array, sorted; null: all
    Column("notice_id", Words),
    Column("notice_version", Words),
    Column("notice_hash", Words),
    Column("language", Words),
    Column("evidence", Words, nullable=False),  # JSON
    Column("jurisdiction", Words),
    Column("captured_by", Words),
    Column("confirms", Words),  # the pending record; it is confirmed once
    Column("expires_at", WideInteger),
    Column("recorded_at", WideInteger, nullable=False),
    Index("ix_consent_events_confirms", "confirms", unique=True),
    Index("ix_consent_events_newest", "recipient", "purpose", "at", "seq"),
    sqlite_strict=True,
)

# The texts that recipients were shown, by the SHA-256 of all that a notice says.
notices = Table(
    "notices",
    METADATA,
    Column("hash", Words, primary_key=True),
    Column("id", Words, nullable=False),
    Column("version", Words, nullable=False),
    Column("language", Words, nullable=False),
    Column("body", Words, nullable=False),  # JSON
    Column("recorded_at", WideInteger, nullable=False),
    UniqueConstraint("id", "version", "language", name="uq_notices_id"),
    sqlite_strict=True,
)

preference_events = Table(
    "preference_events",
    METADATA,
    Column("seq", WideInteger, primary_key=True, autoincrement=True),
    Column("recipient", Words, nullable=False),
    Column("name", Words, nullable=False),  # what is preferred: `toggle:sponsored`, `pause`, `limit:...`, `timezone`
    Column("value", Words, nullable=False),  # JSON; null takes back what was preferred before
    Column("at", WideInteger, nullable=False),
    Column("recorded_at", WideInteger, nullable=False),
    Index("ix_preference_events_newest", "recipient", "name", "at", "seq"),
    sqlite_strict=True,
)

# Clustered by its key: everything that a question asks for stands together, and no other index is kept up.
cap_slots = Table(
    "cap_slots",
    METADATA,
    Column("owner", Words, primary_key=True),  # the recipient whose key it is; empty where recipients share it
    Column("cap", Words, primary_key=True),
    Column("key", Words, primary_key=True),
    Column("instant", WideInteger, primary_key=True, autoincrement=False),  # what questions compare it by
    Column("decision_id", Words, primary_key=True),
    Column("lease_until", WideInteger),  # null once the send took place
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

# How many sends count under a tallied key, by quarters of an hour: reservations included, whatever their lease.
cap_tallies = Table(
    "cap_tallies",
    METADATA,
    Column("cap", Words, primary_key=True),
    Column("key", Words, primary_key=True),
    Column("quarter", WideInteger, primary_key=True, autoincrement=False),  # its first microsecond
    Column("sends", WideInteger, nullable=False),
    Column("keep_until", WideInteger, nullable=False),
    Index("ix_cap_tallies_keep_until", "keep_until"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

# The reservations among them: those whose lease ran out are taken off.
cap_tally_leases = Table(
    "cap_tally_leases",
    METADATA,
    Column("cap", Words, primary_key=True),
    Column("key", Words, primary_key=True),
    Column("lease_until", WideInteger, primary_key=True, autoincrement=False),
    Column("decision_id", Words, primary_key=True),
    Column("instant", WideInteger, nullable=False),
    Column("sends", WideInteger, nullable=False, server_default=text("1")),  # of a budget, so many minor units
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

decisions = Table(
    "decisions",
    METADATA,
    Column("decision_id", Words, primary_key=True),
    Column("candidate_id", Words, nullable=False),
    Column("owned_candidate", Words, unique=True),  # null where another decision answers for the candidate
    Column("body_hash", LargeBinary, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("evaluated_at", WideInteger, nullable=False),
    Column("audit_index", WideInteger, nullable=False),
    Column("state", Words, nullable=False),
    Column("due_at", WideInteger, nullable=False),
    Column("lease_until", WideInteger),
    Column("sent_at", WideInteger),
    Column("delivered_at", WideInteger),
    Column("takes", LargeBinary, nullable=False),  # JSON
    Column("is_caps_pending", Flag, nullable=False),
    Column("recipient", Words),  # null of what was decided before it was kept
    Column("needed_until", WideInteger),  # by its offer's token or its attribution; null: by neither
    Index("ix_decisions_due_at", "due_at"),
    sqlite_strict=True,
)
# Allows only, which have a lease: most decisions of a busy campaign are denies, and nobody was sent those.
Index(
    "ix_decisions_recipient",
    decisions.c.recipient,
    decisions.c.evaluated_at,
    sqlite_where=decisions.c.lease_until.is_not(None),
    postgresql_where=decisions.c.lease_until.is_not(None),
)
Index(
    "ix_decisions_is_caps_pending",
    decisions.c.decision_id,
    sqlite_where=decisions.c.is_caps_pending == true(),
    postgresql_where=decisions.c.is_caps_pending == true(),
)

# One row, where the caps live in Redis: the name under which they are complete there, and the servers that hold them.
cap_epochs = Table(
    "cap_epochs",
    METADATA,
    Column("only", WideInteger, primary_key=True, autoincrement=False),  # always 0
    Column("home", Words, nullable=False),  # the database that wrote this: a copy of it is another
    Column("epoch", Words, nullable=False),
    Column("servers", Words, nullable=False),  # a JSON array of their ids
    Column("keeps", Words, nullable=False),  # a JSON object: for how many seconds the slots of each cap are kept there
    Column("rebuilder", Words),  # who is building the next epoch,
    Column("rebuilding_until", WideInteger),  # and until when nobody else begins to
    sqlite_strict=True,
)

audit_entries = Table(
    "audit_entries",
    METADATA,
    Column("index", WideInteger, primary_key=True, autoincrement=False),
    Column("entry", LargeBinary, nullable=False),
    sqlite_strict=True,
)

# What can be bought or redeemed. The terms never change; `taken` are the redemptions that hold a unit of the stock.
offers = Table(
    "offers",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("terms", Words, nullable=False),  # JSON
    Column("taken", WideInteger, nullable=False),
    Column("withdrawn_at", WideInteger),
    Column("recorded_at", WideInteger, nullable=False),
    sqlite_strict=True,
)

# One conversion within one notification, step by step.
conversions = Table(
    "conversions",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("decision_id", Words, nullable=False),
    Column("offer", Words, nullable=False),
    Column("recipient", Words, nullable=False),
    Column("body_hash", LargeBinary, nullable=False),
    Column("declared", Words, nullable=False),  # a JSON array of the steps' names
    Column("done", Words, nullable=False),  # a JSON array of names and instants
    Column("opened_at", WideInteger, nullable=False),
    Column("ends_at", WideInteger, nullable=False),
    Column("converted_at", WideInteger),
    Index("ix_conversions_decision_id", "decision_id"),
    Index("ix_conversions_recipient", "recipient"),
    Index("ix_conversions_ends_at", "ends_at"),
    sqlite_strict=True,
)

redemptions = Table(
    "redemptions",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("decision_id", Words, nullable=False),
    Column("held_decision", Words, unique=True),  # null where nothing came of it: the token may be tried again
    Column("offer", Words, nullable=False),
    Column("recipient", Words, nullable=False),
    Column("conversion", Words),
    Column("body_hash", LargeBinary, nullable=False),
    Column("state", Words, nullable=False),
    Column("method", Words, nullable=False),
    Column("amount_minor", WideInteger, nullable=False),
    Column("currency", Words, nullable=False),
    Column("details", Words, nullable=False),  # JSON: what else its later life needs
    Column("recorded_at", WideInteger, nullable=False),
    Column("settled_at", WideInteger),
    Column("due_at", WideInteger),  # when it is looked at next; null where nothing is under way
    Index("ix_redemptions_due_at", "due_at"),
    Index("ix_redemptions_offer", "offer", "recipient"),
    Index("ix_redemptions_recipient", "recipient"),
    sqlite_strict=True,
)

# The ids of what payment services told us: each is taken once.
payment_events = Table(
    "payment_events",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("recorded_at", WideInteger, nullable=False),
    Index("ix_payment_events_recorded_at", "recorded_at"),
    sqlite_strict=True,
)

# What each account holds, on its own side of the books: never below zero.
ledger_accounts = Table(
    "ledger_accounts",
    METADATA,
    Column("account", Words, primary_key=True),  # a JSON array of kind, owner and unit
    Column("kind", Words, nullable=False),
    Column("unit", Words, nullable=False),
    Column("balance", WideInteger, nullable=False),
    CheckConstraint("balance >= 0", name="balance"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

ledger_transactions = Table(
    "ledger_transactions",
    METADATA,
    Column("seq", WideInteger, primary_key=True, autoincrement=False),  # 1, 2, 3 ...: none is missing
    Column("id", Words, nullable=False, unique=True),
    Column("kind", Words, nullable=False),
    Column("refers_to", Words),  # the redemption, revenue or award that caused it
    Column("reverses", Words, unique=True),  # the transaction that it takes back; each is taken back once
    Column("memo", Words, nullable=False),  # JSON
    Column("at", WideInteger, nullable=False),
    Index("ix_ledger_transactions_refers_to", "refers_to"),
    Index("ix_ledger_transactions_at", "at", "seq"),
    sqlite_strict=True,
)

# Signed: what is credited is positive, what is debited negative, and those of a transaction sum to zero.
ledger_postings = Table(
    "ledger_postings",
    METADATA,
    Column("account", Words, primary_key=True),
    Column("seq", WideInteger, primary_key=True, autoincrement=False),
    Column("amount", WideInteger, nullable=False),
    Index("ix_ledger_postings_seq", "seq"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

# What was earned, and taken back again: a reversal is a row of its own, below zero.
revenues = Table(
    "revenues",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("body_hash", LargeBinary, nullable=False),
    Column("amount_minor", WideInteger, nullable=False),
    Column("currency", Words, nullable=False),
    Column("at", WideInteger, nullable=False),
    Column("conversion", Words),  # of those that are not taken back, one each
    Column("reverses", Words, unique=True),
    Column("recipient", Words),
    Column("sponsor", Words),
    Column("booked", Words, nullable=False),  # JSON: the model, and the part and the shares of each decision
    Column("audit_index", WideInteger, nullable=False),
    Column("recorded_at", WideInteger, nullable=False),
    Index("ix_revenues_conversion", "conversion"),
    Index("ix_revenues_recorded_at", "recorded_at", "audit_index"),
    Index("ix_revenues_recipient", "recipient"),
    sqlite_strict=True,
)

policy_sets = Table(
    "policy_sets",
    METADATA,
    Column("revision", Words, primary_key=True),
    Column("files", Words, nullable=False),
    Column("recorded_at", WideInteger, nullable=False),
    sqlite_strict=True,
)

APPEND_ONLY = (
    consent_events,
    notices,
    preference_events,
    audit_entries,
    policy_sets,
    ledger_transactions,
    ledger_postings,
    revenues,
)
