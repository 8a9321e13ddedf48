"""What the conditional UPDATE is for: rows that change between reading and writing.

Under SQLite's one lock they cannot; under the row locks of other databases they do.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count, islice
from typing import Any

import pytest
from sqlalchemy import Connection, event, make_url, update

from holdfast import errors
from holdfast.core.policy import SessionPolicy
from holdfast.core.rotation import Decision, Outcome
from holdfast.ports import Rotated, SessionStatus
from holdfast.stores import schema, sessions, tickets, users
from holdfast.stores.sqlite import SqliteDatabase
from holdfast.stores.tables import session
from holdfast.testing.store_suite.samples import ANN, IDLE, NOW, a_session, a_ticket

POLICY = SessionPolicy(rotation_window=10.0, idle_lifetime=IDLE)


@pytest.fixture
async def database() -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase(make_url("sqlite://"), busy_timeout=1, readers=1)
    await database.start()
    await database.write(schema.upgrade)
    await database.write(lambda connection: users.add(connection, ANN))
    await database.write(lambda connection: sessions.open_(connection, a_session(), NOW))
    yield database
    await database.aclose()


@contextmanager
def interloper(connection: Connection, changes: Iterable[dict[str, Any]]) -> Iterator[None]:
    """Somebody else's commits, each just before an UPDATE of the one who is watched."""
    coming = iter(changes)
    inside = False

    def before(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        nonlocal inside
        if inside or not statement.startswith("UPDATE holdfast_session"):
            return
        inside = True
        for change in islice(coming, 1):
            connection.execute(update(session).values(**change))
        inside = False

    event.listen(connection, "before_cursor_execute", before)
    try:
        yield
    finally:
        event.remove(connection, "before_cursor_execute", before)


def refresh(connection: Connection, presented: int) -> Rotated:
    return sessions.rotate(
        connection, "s-1", presented, now=NOW + 20, policy=POLICY, kid="k1", access_expires_at=NOW + 80
    )


def prove(connection: Connection) -> bool:
    return sessions.confirm(connection, "s-2", 2, NOW + 21)


@pytest.mark.parametrize("first", [{"generation": 2, "issued_at": NOW + 20}, {"generation": 2}])
async def test_a_rotation_that_came_second_hands_out_what_the_first_made(
    database: SqliteDatabase, first: dict[str, Any]
) -> None:
    def body(connection: Connection) -> Rotated:
        with interloper(connection, [first]):
            return refresh(connection, 1)

    answer = await database.write(body)
    assert answer.decision.outcome is Outcome.REPLAY
    assert answer.session is not None
    assert answer.session.generation == 2
    assert await database.read(lambda connection: sessions.by_id(connection, "s-1")) == answer.session


async def test_a_replay_that_came_second_counts_on(database: SqliteDatabase) -> None:
    def body(connection: Connection) -> Rotated:
        refresh(connection, 1)
        with interloper(connection, [{"replay_count": 1, "issued_at": NOW + 20.5}]):
            return refresh(connection, 1)

    answer = await database.write(body)
    assert answer.session is not None
    assert (answer.session.generation, answer.session.replay_count) == (2, 2)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": SessionStatus.REVOKED, "ended_reason": "signed_out"}, "signed_out"),
        ({"epoch": 1}, "revoked"),
    ],
)
async def test_a_revocation_in_between_wins(
    database: SqliteDatabase, changes: dict[str, Any], reason: str
) -> None:
    def body(connection: Connection) -> Rotated:
        with interloper(connection, [changes]):
            return refresh(connection, 1)

    answer = await database.write(body)
    assert answer.decision == Decision(Outcome.DENY, reason)
    assert answer.session is not None
    assert answer.session.generation == 1


async def test_a_proof_that_came_second_is_no_news(database: SqliteDatabase) -> None:
    def body(connection: Connection) -> bool:
        refresh(connection, 1)
        with interloper(connection, [{"confirmed_generation": 2, "confirmed_at": NOW + 20}]):
            return sessions.confirm(connection, "s-1", 2, NOW + 21)

    assert not await database.write(body)


@pytest.mark.parametrize("give", [refresh, lambda connection, _: prove(connection)], ids=["refresh", "proof"])
async def test_a_row_that_never_stands_still_is_given_up(
    database: SqliteDatabase, give: Callable[[Connection, int], object]
) -> None:
    """Each time somebody else has replayed, so each time there is something else to write."""
    made = replace(a_session("s-2"), generation=2)

    def body(connection: Connection) -> None:
        sessions.open_(connection, made, NOW)
        with interloper(connection, ({"issued_at": NOW - n} for n in count(1))):
            give(connection, 1)

    with pytest.raises(errors.Unavailable, match="try again"):
        await database.write(body)
    assert await database.read(lambda connection: sessions.by_id(connection, "s-1")) == a_session()


async def test_a_proof_for_a_session_that_was_swept_meanwhile_is_no_news(database: SqliteDatabase) -> None:
    assert not await database.write(lambda connection: sessions.confirm(connection, "s-3", 1, NOW))


async def test_a_session_is_never_put_over_another(database: SqliteDatabase) -> None:
    with pytest.raises(errors.Conflict):
        await database.write(lambda connection: sessions.open_(connection, a_session(client="program"), NOW))
    assert await database.read(lambda connection: sessions.by_id(connection, "s-1")) == a_session()


async def test_a_ticket_is_never_put_over_another(database: SqliteDatabase) -> None:
    digest = bytes(32)
    await database.write(lambda connection: tickets.add(connection, digest, a_ticket()))
    with pytest.raises(errors.Conflict):
        await database.write(
            lambda connection: tickets.add(connection, digest, a_ticket(expires_at=NOW + 60))
        )
    assert await database.write(lambda connection: tickets.take(connection, digest)) == a_ticket()
