"""The tables, as SQLAlchemy Core objects; the migrations make them, and a test holds both against each other.

``journal`` is the audit log and takes only INSERT and SELECT (triggers, see ``migrations``): ``entry`` is the exact
canonical JSON text that is sealed, the other columns repeat members of it for searching. ``answers`` is what a further
attempt is given back; it may be deleted, ``journal`` keeps salted digests only. ``unsealed`` holds the ids of entries
that the sealer has yet to take; ``leaf`` gives each a place in the sealed log, ``checkpoint`` the tree over the first
``size`` leaves and its signed note, both INSERT and SELECT only; ``shipped`` how many leaves each place outside was
told of. Times named ``*_at`` and ``since`` are
RFC 3339 text in UTC; ``lease_until``, ``not_before`` and ``offered_at`` are seconds of ``Store.now`` (see engine) in
the boot that ``boot`` names. ``blocking`` is 1 while later deliveries of the same order key wait for this one.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

# SQLite numbers rows by itself, and keeps them in a key's order, only where the type reads INTEGER.
_Id = BigInteger().with_variant(Integer, "sqlite")

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("identity", Text),
    Column("order_key", Text),
    Column("order_seq", BigInteger),
    Column("payload", LargeBinary),
    Column("salt", LargeBinary, nullable=False),
    Column("payload_digest", Text, nullable=False),
    Column("initiator", Text),
    Column("state", Text, nullable=False),
    Column("blocking", Integer, nullable=False, server_default=text("0")),
    Column("run", Integer, nullable=False, server_default=text("0")),
    Column("round", Integer, nullable=False, server_default=text("0")),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("crashes", Integer, nullable=False, server_default=text("0")),
    Column("entries", Integer, nullable=False, server_default=text("0")),
    Column("worker", Text),
    Column("boot", Text),
    Column("lease_until", Double),
    Column("not_before", Double),
    Column("offered_at", Double),
    Column("accepted_at", Text, nullable=False),
    Column("since", Text, nullable=False),
    Column("finished_at", Text),
    Column("reason", Text),
    Column("result", Text),
    Column("rule_digest", Text),
    Index("deliveries_identity", "rule", "identity", unique=True),
    Index("deliveries_order", "rule", "order_key", "order_seq", unique=True),
    Index(
        "deliveries_blocking",
        "rule",
        "order_key",
        "order_seq",
        sqlite_where=text("blocking = 1"),
        postgresql_where=text("blocking = 1"),
    ),
    Index("deliveries_state", "state", "id"),
    Index("deliveries_rule", "rule", "id"),
    # What retention asks for: it must not read through all that was emptied long ago.
    Index(
        "deliveries_kept",
        "finished_at",
        sqlite_where=text("payload IS NOT NULL"),
        postgresql_where=text("payload IS NOT NULL"),
    ),
)

journal = Table(
    "journal",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("delivery", Text),
    Column("n", Integer),
    Column("run", Integer),
    Column("round", Integer),
    Column("attempt", Integer),
    Column("step", Integer),
    Column("rule", Text),
    Column("account", Text),
    Column("verb", Text),
    Column("target", Text),
    Column("outcome", Text),
    Column("person", Text),
    Column("entry", Text, nullable=False),
    UniqueConstraint("delivery", "n", name="journal_delivery_n"),
    Index(
        "journal_one_intent",
        "delivery",
        "run",
        "round",
        "step",
        unique=True,
        sqlite_where=text("kind = 'step:intent'"),
        postgresql_where=text("kind = 'step:intent'"),
    ),
    Index(
        "journal_one_outcome",
        "delivery",
        "run",
        "round",
        "step",
        unique=True,
        sqlite_where=text("kind = 'step:outcome'"),
        postgresql_where=text("kind = 'step:outcome'"),
    ),
    Index("journal_rule", "rule", "id"),
    Index("journal_account", "account", "id"),
    Index("journal_target", "target", "id"),
    Index("journal_verb", "verb", "id"),
    Index("journal_at", "at"),
    sqlite_autoincrement=True,
)

unsealed = Table(
    "unsealed",
    metadata,
    # Numbered by the journal.
    Column("entry", _Id, primary_key=True, autoincrement=False),
)

leaf = Table(
    "leaf",
    metadata,
    Column("seq", _Id, primary_key=True, autoincrement=False),
    Column("entry", BigInteger, nullable=False, unique=True),
    Column("rule", Text, nullable=False),
    Column("rule_seq", BigInteger, nullable=False),
    Column("leaf", Text, nullable=False),
    UniqueConstraint("rule", "rule_seq", name="leaf_rule_seq"),
)

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("size", _Id, primary_key=True, autoincrement=False),
    Column("peaks", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("at", Text, nullable=False),
)

shipped = Table(
    "shipped",
    metadata,
    Column("place", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("delivery", Text, nullable=False),
    Column("run", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("part", Text, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("delivery", "run", "step", "round", "part"),
)

rule_version = Table(
    "rule_version",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("texts", Text, nullable=False),
    Column("first_seen_at", Text, nullable=False),
    Column("brought_by", Text),
    Index("rule_version_rule", "rule"),
)

pause = Table(
    "pause",
    metadata,
    Column("what", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", Text, nullable=False),
    PrimaryKeyConstraint("what", "name"),
)

account = Table(
    "account",
    metadata,
    Column("name", Text, primary_key=True),
    Column("cloud_id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("account_type", Text),
    Column("seen_at", Text, nullable=False),
)
