"""Refreshing: every row of the table of `core.rotation`, as a store writes it down."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from holdfast.core.rotation import Decision, Outcome
from holdfast.ports import SessionStatus, SessionStore
from holdfast.testing.store_suite.samples import ANN, IDLE, NOW, W, a_session, happened, refresh, with_session


class Rotation:
    async def test_the_newest_generation_rotates_once_the_window_is_over(self, store: SessionStore) -> None:
        opened = await with_session(store)
        rotated = await refresh(store, 1, after=W)
        assert rotated.decision == Decision(Outcome.ROTATE)
        assert rotated.user == ANN
        assert rotated.session == replace(
            opened,
            generation=2,
            issued_at=NOW + W,
            last_seen_at=NOW + W,
            idle_expires_at=NOW + W + IDLE,
        )
        assert await store.session("s-1") == rotated.session

    async def test_rotating_proves_what_was_presented(self, store: SessionStore) -> None:
        await with_session(store)
        await refresh(store, 1, after=10)
        rotated = (await refresh(store, 2, after=20)).session
        assert rotated is not None
        assert (rotated.generation, rotated.confirmed_generation, rotated.confirmed_at) == (3, 2, NOW + 20)

    async def test_within_the_window_the_same_generation_comes_again(self, store: SessionStore) -> None:
        await with_session(store)
        await refresh(store, 1, after=10)
        again = await refresh(store, 2, after=10 + W - 1)
        assert again.decision.outcome is Outcome.COALESCE
        assert again.session is not None
        assert (again.session.generation, again.session.issued_at) == (2, NOW + 10)
        assert (again.session.confirmed_generation, again.session.confirmed_at) == (2, NOW + 19)
        assert await store.session("s-1") == again.session

    async def test_a_lost_answer_is_given_again_at_any_age(self, store: SessionStore) -> None:
        await with_session(store)
        await refresh(store, 1, after=10)
        for count, age in enumerate((11, 900, 1_800), start=1):
            again = await refresh(store, 1, after=age)
            assert again.decision.outcome is Outcome.REPLAY
            assert again.session is not None
            assert (again.session.generation, again.session.replay_count) == (2, count)
            assert (again.session.issued_at, again.session.idle_expires_at) == (NOW + age, NOW + age + IDLE)
            assert await store.session("s-1") == again.session

    async def test_a_late_tab_gets_the_newest_until_the_window_is_over(self, store: SessionStore) -> None:
        await with_session(store)
        await refresh(store, 1, after=10)
        await store.confirm("s-1", 2, now=NOW + 100)
        for age in (100 + W - 1, 100 + W):
            late = await refresh(store, 1, after=age)
            assert late.decision.outcome is Outcome.REPLAY
            assert late.session is not None
            assert late.session.generation == 2
        assert (await refresh(store, 1, after=100 + W + 1)).decision.outcome is Outcome.REUSE

    async def test_what_was_replaced_and_proved_is_a_theft(self, store: SessionStore) -> None:
        await with_session(store)
        await refresh(store, 1, after=10)
        await refresh(store, 2, after=20)
        reused = await refresh(store, 1, after=21)
        assert reused.decision == Decision(Outcome.REUSE, "reuse")
        session = await store.session("s-1")
        assert session == reused.session
        assert session is not None
        assert (session.status, session.ended_at, session.ended_reason) == (
            SessionStatus.REVOKED,
            NOW + 21,
            "reuse",
        )
        event = (await happened(store))[-1]
        assert (event.id, event.kind, event.session_id) == (reused.event_id, "session.reuse", "s-1")
        assert event.data == {"reason": "reuse", "generation": 1, "newest": 3}
        assert (await refresh(store, 3, after=30)).decision == Decision(Outcome.DENY, "reuse")

    @pytest.mark.parametrize(
        ("limit", "reason"), [("idle_expires_at", "idle"), ("absolute_expires_at", "too_old")]
    )
    async def test_a_session_ends_on_the_second(self, store: SessionStore, limit: str, reason: str) -> None:
        limits: dict[str, Any] = {limit: NOW + 100}
        await with_session(store, **limits)
        await store.open_session(a_session("s-2", **limits), now=NOW)
        assert (await refresh(store, 1, after=99)).decision.outcome is Outcome.ROTATE
        for after in (100, 101):
            ended = await refresh(store, 1, after=after, sid="s-2")
            assert ended.decision == Decision(Outcome.DENY, reason)
        session = await store.session("s-2")
        assert session is not None
        assert (session.status, session.ended_at, session.ended_reason) == (
            SessionStatus.EXPIRED,
            NOW + 100,
            reason,
        )

    async def test_no_refresh_goes_past_the_absolute_limit(self, store: SessionStore) -> None:
        await with_session(store, absolute_expires_at=NOW + 500)
        rotated = (await refresh(store, 1, after=10)).session
        assert rotated is not None
        assert (rotated.idle_expires_at, rotated.absolute_expires_at) == (NOW + 500, NOW + 500)
        replayed = (await refresh(store, 1, after=20)).session
        assert replayed is not None
        assert (replayed.idle_expires_at, replayed.absolute_expires_at) == (NOW + 500, NOW + 500)

    async def test_a_generation_of_the_future_is_refused_and_harms_nothing(self, store: SessionStore) -> None:
        opened = await with_session(store)
        ahead = await refresh(store, 2, after=10)
        assert ahead.decision.outcome is Outcome.AHEAD
        assert await store.session("s-1") == opened
        event = (await happened(store))[-1]
        assert (event.kind, event.data) == ("refresh.ahead", {"generation": 2, "newest": 1})

    async def test_an_unknown_session_is_refused(self, store: SessionStore) -> None:
        unknown = await refresh(store, 1, after=10)
        assert (unknown.decision.outcome, unknown.session, unknown.user) == (Outcome.UNKNOWN, None, None)
        event = (await happened(store))[-1]
        assert (event.id, event.kind, event.session_id) == (unknown.event_id, "refresh.invalid", "s-1")

    async def test_a_revoked_session_says_why(self, store: SessionStore) -> None:
        await with_session(store)
        await store.revoke_session("s-1", reason="signed_out", now=NOW + 1)
        before = await store.session("s-1")
        assert (await refresh(store, 1, after=20)).decision == Decision(Outcome.DENY, "signed_out")
        assert await store.session("s-1") == before
        event = (await happened(store))[-1]
        assert (event.kind, event.data) == ("refresh.denied", {"reason": "signed_out", "generation": 1})

    async def test_the_key_changes_with_the_generation_only(self, store: SessionStore) -> None:
        await with_session(store)
        kids = []
        for presented, after in ((1, 9), (1, 10), (2, 11), (1, 12), (2, 30)):
            session = (await refresh(store, presented, after=after, kid="k2")).session
            assert session is not None
            kids.append((session.generation, session.kid))
        assert kids == [(1, "k1"), (2, "k2"), (2, "k2"), (2, "k2"), (3, "k2")]

    async def test_each_hand_out_tells_until_when_and_for_whom(self, store: SessionStore) -> None:
        await with_session(store)
        for presented, after, kind in ((1, 10, "rotated"), (2, 12, "coalesced"), (1, 14, "replayed")):
            rotated = await refresh(store, presented, after=after)
            event = (await happened(store))[-1]
            assert (event.id, event.kind) == (rotated.event_id, f"refresh.{kind}")
            assert (event.at, event.user_id, event.session_id) == (NOW + after, ANN.id, "s-1")
            assert event.data == {
                "generation": 2,
                "expires_at": round(NOW + after) + 60.0,
                "name": ANN.name,
                "roles": list(ANN.roles),
            }

    async def test_all_who_refresh_at_once_get_one_generation(self, store: SessionStore) -> None:
        await with_session(store)
        for presented in range(1, 6):
            answers = await asyncio.gather(
                *[refresh(store, presented, after=20 * presented) for _ in range(8)]
            )
            outcomes = [answer.decision.outcome for answer in answers]
            assert outcomes.count(Outcome.ROTATE) == 1
            assert outcomes.count(Outcome.REPLAY) == 7
            assert {answer.session and answer.session.generation for answer in answers} == {presented + 1}

    async def test_nobody_is_handed_a_token_after_the_revocation(self, store: SessionStore) -> None:
        await store.add_user(ANN)
        for n in range(8):
            await store.open_session(a_session(f"s-{n}"), now=NOW)
            early = [asyncio.create_task(refresh(store, 1, after=20, sid=f"s-{n}")) for _ in range(3)]
            revoking = asyncio.create_task(store.revoke_session(f"s-{n}", reason="signed_out", now=NOW + 20))
            late = [asyncio.create_task(refresh(store, 1, after=20, sid=f"s-{n}")) for _ in range(3)]
            answers = await asyncio.gather(*early, *late)
            revoked = await revoking
            assert revoked is not None
            assert revoked.id is not None
            for answer in answers:
                assert answer.event_id is not None
                assert answer.decision.outcome.hands_out == (answer.event_id < revoked.id)
