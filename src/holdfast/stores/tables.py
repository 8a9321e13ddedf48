"""The tables, under names that can stand beside an app's own in one database.

Columns of `session` and `user` are the fields of `ports.Session` and `ports.User`, name for name. A change here needs a
revision in migrations/versions; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

REVISION = "0001"
"""The newest revision in migrations/versions: a database that has it is started without loading Alembic."""

REVISION_TABLE = "holdfast_revision"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

user = Table(
    "holdfast_user",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("name", Text, nullable=False),
    # The name as it is compared: databases disagree about case beyond ASCII, so Python folds it.
    Column("name_key", Text, nullable=False, unique=True),
    Column("roles", JSON, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("password_hash", Text),
    Column("created_at", Double, nullable=False),
)

session = Table(
    "holdfast_session",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("user_id", String(255), ForeignKey(user.c.id), nullable=False),
    Column("client", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    Column("ended_at", Double),
    Column("ended_reason", Text),
    Column("kid", String(255), nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("confirmed_generation", Integer, nullable=False),
    Column("confirmed_at", Double, nullable=False),
    Column("issued_at", Double, nullable=False),
    Column("replay_count", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("auth_time", Double, nullable=False),
    Column("idle_expires_at", Double, nullable=False),
    Column("absolute_expires_at", Double, nullable=False),
    Column("last_seen_at", Double, nullable=False),
    Column("address", Text),
    Column("user_agent", Text),
    Index(None, "user_id", "created_at"),
    Index(None, "created_at"),
    Index(None, "ended_at"),
    Index(None, "idle_expires_at"),
)

ticket = Table(
    "holdfast_ticket",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("proof", JSON, nullable=False),
    Column("origin", Text),
    Column("expires_at", Double, nullable=False, index=True),
)

event = Table(
    "holdfast_event",
    metadata,
    # SQLite counts only INTEGER keys by itself; AUTOINCREMENT keeps it from giving the id of a swept event again.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("kind", String(64), nullable=False),
    Column("at", Double, nullable=False),
    Column("user_id", String(255)),
    Column("session_id", String(255)),
    Column("address", Text),
    Column("data", JSON, nullable=False),
    Index(None, "kind", "at"),
    Index(None, "at"),
    sqlite_autoincrement=True,
)
