"""Users, sessions, tickets and the log of events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "holdfast_user",
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False),
        sa.Column("roles", sa.JSON, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("password_hash", sa.Text),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_holdfast_user"),
        sa.UniqueConstraint("name_key", name="uq_holdfast_user_name_key"),
    )
    op.create_table(
        "holdfast_session",
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("client", sa.String(32), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("ended_reason", sa.Text),
        sa.Column("kid", sa.String(255), nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("confirmed_generation", sa.Integer, nullable=False),
        sa.Column("confirmed_at", sa.Double, nullable=False),
        sa.Column("issued_at", sa.Double, nullable=False),
        sa.Column("replay_count", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("auth_time", sa.Double, nullable=False),
        sa.Column("idle_expires_at", sa.Double, nullable=False),
        sa.Column("absolute_expires_at", sa.Double, nullable=False),
        sa.Column("last_seen_at", sa.Double, nullable=False),
        sa.Column("address", sa.Text),
        sa.Column("user_agent", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_holdfast_session"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["holdfast_user.id"], name="fk_holdfast_session_user_id_holdfast_user"
        ),
    )
    op.create_index("ix_holdfast_session_user_id_created_at", "holdfast_session", ["user_id", "created_at"])
    op.create_index("ix_holdfast_session_created_at", "holdfast_session", ["created_at"])
    op.create_index("ix_holdfast_session_ended_at", "holdfast_session", ["ended_at"])
    op.create_index("ix_holdfast_session_idle_expires_at", "holdfast_session", ["idle_expires_at"])
    op.create_table(
        "holdfast_ticket",
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("proof", sa.JSON, nullable=False),
        sa.Column("origin", sa.Text),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_holdfast_ticket"),
    )
    op.create_index("ix_holdfast_ticket_expires_at", "holdfast_ticket", ["expires_at"])
    op.create_table(
        "holdfast_event",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("user_id", sa.String(255)),
        sa.Column("session_id", sa.String(255)),
        sa.Column("address", sa.Text),
        sa.Column("data", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_holdfast_event"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_holdfast_event_kind_at", "holdfast_event", ["kind", "at"])
    op.create_index("ix_holdfast_event_at", "holdfast_event", ["at"])
