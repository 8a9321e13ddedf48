"""Tickets, the log of events, and forgetting both."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from holdfast.ports import AuditEvent, SessionStore, Ticket
from holdfast.testing.store_suite.samples import (
    ABSOLUTE,
    ANN,
    IDLE,
    NOW,
    a_session,
    a_ticket,
    happened,
    refresh,
    with_session,
)

DIGEST = bytes(range(32))


class Tickets:
    async def test_a_ticket_comes_back_whole_and_once(self, store: SessionStore) -> None:
        await store.add_ticket(DIGEST, a_ticket())
        assert await store.take_ticket(DIGEST) == a_ticket()
        assert await store.take_ticket(DIGEST) is None

    async def test_a_ticket_without_an_origin_or_a_session_comes_back_as_given(
        self, store: SessionStore
    ) -> None:
        full = a_ticket()
        bare = replace(full, origin=None, proof=replace(full.proof, session=None, auth_time=None, roles=()))
        await store.add_ticket(DIGEST, bare)
        assert await store.take_ticket(DIGEST) == bare

    async def test_of_many_who_ask_at_once_one_gets_it(self, store: SessionStore) -> None:
        await store.add_ticket(DIGEST, a_ticket())
        taken = await asyncio.gather(*[store.take_ticket(DIGEST) for _ in range(20)])
        assert sum(isinstance(ticket, Ticket) for ticket in taken) == 1

    async def test_only_its_own_digest_takes_a_ticket(self, store: SessionStore) -> None:
        await store.add_ticket(DIGEST, a_ticket())
        assert await store.take_ticket(bytes(32)) is None
        assert await store.take_ticket(DIGEST) is not None


class Log:
    async def test_an_event_comes_back_whole(self, store: SessionStore) -> None:
        data = {"reason": "банан", "n": 1.5, "deep": {"list": [1, None, True]}}
        event = AuditEvent(
            kind="app.thing", at=NOW, user_id="u", session_id="s", address="2001:db8::1", data=data
        )
        written = await store.record(event)
        assert written.id is not None
        assert written == replace(event, id=written.id)
        assert await happened(store) == [written]

    async def test_an_empty_log_stands_at_zero(self, store: SessionStore) -> None:
        assert await store.latest_event_id() == 0
        assert await store.events_after(0) == []
        assert await store.revocations_since(0) == []

    async def test_ids_rise_in_the_order_of_writing_whatever_the_time_says(self, store: SessionStore) -> None:
        for at in (5.0, 1.0, 3.0):
            await store.record(AuditEvent(kind="app.thing", at=at))
        events = await happened(store)
        ids = [event.id for event in events if event.id is not None]
        assert [event.at for event in events] == [5.0, 1.0, 3.0]
        assert ids == sorted(set(ids))
        assert await store.latest_event_id() == ids[-1]

    async def test_a_follower_reads_on_from_where_it_was(self, store: SessionStore) -> None:
        for n in range(7):
            await store.record(AuditEvent(kind="app.thing", at=NOW, data={"n": n}))
        seen: list[int] = []
        last = 0
        while page := await store.events_after(last, limit=3):
            assert len(page) <= 3
            seen += [event.data["n"] for event in page]
            last = page[-1].id or 0
        assert seen == list(range(7))

    async def test_a_follower_misses_nothing_that_many_write_at_once(self, store: SessionStore) -> None:
        writes = [store.record(AuditEvent(kind="app.thing", at=NOW, data={"n": n})) for n in range(40)]
        following = asyncio.gather(*writes)
        seen: list[AuditEvent] = []
        while not following.done() or await store.events_after(seen[-1].id or 0 if seen else 0):
            seen += await store.events_after(seen[-1].id or 0 if seen else 0)
        assert {event.id for event in seen} == {event.id for event in await following}

    async def test_revocations_are_what_ends_connections(self, store: SessionStore) -> None:
        await with_session(store)
        for sid in ("s-2", "s-3"):
            await store.open_session(a_session(sid), now=NOW)
        await refresh(store, 1, after=10, sid="s-3")
        await refresh(store, 2, after=20, sid="s-3")
        await refresh(store, 1, after=30, sid="s-3")
        await store.revoke_session("s-2", reason="signed_out", now=NOW + 40)
        await store.revoke_user(ANN.id, reason="everywhere", now=NOW + 50)
        kinds = [event.kind for event in await store.revocations_since(NOW)]
        assert kinds == ["session.reuse", "session.revoked", "user.revoked"]

    @pytest.mark.parametrize(("since", "count"), [(39, 1), (40, 1), (41, 0)])
    async def test_revocations_count_from_the_second(
        self, store: SessionStore, since: float, count: int
    ) -> None:
        await store.revoke_user("u", reason="banned", now=NOW + 40)
        assert len(await store.revocations_since(NOW + since)) == count


class Sweeping:
    @pytest.mark.parametrize(("age", "left"), [(99, 1), (100, 1), (101, 0)])
    async def test_events_are_kept_as_long_as_asked(self, store: SessionStore, age: float, left: int) -> None:
        await store.record(AuditEvent(kind="app.thing", at=NOW))
        assert await store.sweep(now=NOW + age, keep_events=100) == 1 - left
        assert len(await happened(store)) == left

    @pytest.mark.parametrize(("after", "left"), [(31, True), (3629, True), (3630, False), (3631, False)])
    async def test_tickets_go_an_hour_after_they_are_over(
        self, store: SessionStore, after: float, left: bool
    ) -> None:
        await store.add_ticket(DIGEST, a_ticket(expires_at=NOW + 30))
        assert await store.sweep(now=NOW + after, keep_events=1e9) == (0 if left else 1)
        assert (await store.take_ticket(DIGEST) is not None) == left

    @pytest.mark.parametrize(("age", "left"), [(99, True), (100, True), (101, False)])
    async def test_ended_sessions_are_kept_as_long_as_events(
        self, store: SessionStore, age: float, left: bool
    ) -> None:
        await with_session(store)
        await store.revoke_session("s-1", reason="signed_out", now=NOW + 50)
        await store.sweep(now=NOW + 50 + age, keep_events=100)
        assert (await store.session("s-1") is not None) == left

    @pytest.mark.parametrize(("age", "left"), [(99, True), (100, True), (101, False)])
    @pytest.mark.parametrize("limit", ["idle_expires_at", "absolute_expires_at"])
    async def test_sessions_that_nobody_came_back_to_go_too(
        self, store: SessionStore, limit: str, age: float, left: bool
    ) -> None:
        await with_session(store, **{limit: NOW + 50})
        await store.sweep(now=NOW + 50 + age, keep_events=100)
        assert (await store.session("s-1") is not None) == left

    async def test_a_session_that_can_go_on_is_never_swept(self, store: SessionStore) -> None:
        await with_session(store, idle_expires_at=NOW + ABSOLUTE)
        await store.sweep(now=NOW + ABSOLUTE - 1, keep_events=0)
        assert (await refresh(store, 1, after=ABSOLUTE - 1)).decision.outcome.hands_out
        assert IDLE < ABSOLUTE

    async def test_the_id_of_a_swept_event_is_never_given_again(self, store: SessionStore) -> None:
        before = await store.record(AuditEvent(kind="app.thing", at=NOW))
        await store.sweep(now=NOW + 2, keep_events=1)
        assert await happened(store) == []
        after = await store.record(AuditEvent(kind="app.thing", at=NOW + 3))
        assert before.id is not None
        assert after.id is not None
        assert after.id > before.id

    async def test_however_much_there_is_it_all_goes(self, store: SessionStore) -> None:
        writes = [store.record(AuditEvent(kind="app.thing", at=NOW)) for _ in range(2_100)]
        await asyncio.gather(*writes)
        assert await store.sweep(now=NOW + 2, keep_events=1) == 2_100
        assert await happened(store) == []
