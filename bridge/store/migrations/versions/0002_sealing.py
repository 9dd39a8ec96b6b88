"""What seals the journal: entries to take, leaves, checkpoints, and triggers that let nobody change the latter two."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = ("shipped", "checkpoint", "leaf", "unsealed")
GUARDED = {"leaf": "the sealed log takes only new leaves", "checkpoint": "a checkpoint is never changed"}
SQLITE_GUARD = """
CREATE TRIGGER {table}_no_{what} BEFORE {WHAT} ON {table}
BEGIN SELECT RAISE(ABORT, '{why}'); END
"""
POSTGRESQL_GUARD = """
CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '{why}'; END $$;
CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION {table}_refuse();
CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse();
"""


def upgrade() -> None:
    """Make the tables and guards; what the journal holds already waits to be sealed."""
    op.create_table(
        "unsealed",
        sa.Column("entry", NUMBER, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("entry"),
    )
    op.create_table(
        "leaf",
        sa.Column("seq", NUMBER, autoincrement=False, nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("rule_seq", sa.BigInteger(), nullable=False),
        sa.Column("leaf", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("entry"),
        sa.UniqueConstraint("rule", "rule_seq", name="leaf_rule_seq"),
    )
    op.create_table(
        "checkpoint",
        sa.Column("size", NUMBER, autoincrement=False, nullable=False),
        sa.Column("peaks", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("size"),
    )
    op.create_table(
        "shipped",
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("place"),
    )
    op.create_index(
        "deliveries_kept",
        "deliveries",
        ["finished_at"],
        unique=False,
        sqlite_where=sa.text("payload IS NOT NULL"),
        postgresql_where=sa.text("payload IS NOT NULL"),
    )
    op.execute("INSERT INTO unsealed (entry) SELECT id FROM journal")
    for table, why in GUARDED.items():
        if op.get_bind().dialect.name == "postgresql":
            op.execute(POSTGRESQL_GUARD.format(table=table, why=why))
        else:
            for what in ("update", "delete"):
                op.execute(SQLITE_GUARD.format(table=table, what=what, WHAT=what.upper(), why=why))


def downgrade() -> None:
    """Remove the seals; the journal itself stays."""
    op.drop_index("deliveries_kept", table_name="deliveries")
    for name in TABLES:
        op.drop_table(name)
    if op.get_bind().dialect.name == "postgresql":
        for table in GUARDED:
            op.execute(f"DROP FUNCTION {table}_refuse()")
