"""Revocation: of a session, and of everything a user has."""

from __future__ import annotations

from holdfast.core.rotation import Decision, Outcome
from holdfast.ports import SessionStatus, SessionStore
from holdfast.testing.store_suite.samples import ANN, BOB, NOW, a_session, happened, refresh, with_session


class Revocation:
    async def test_a_session_is_ended_once(self, store: SessionStore) -> None:
        await with_session(store)
        event = await store.revoke_session("s-1", reason="signed_out", now=NOW + 1)
        assert event is not None
        assert (event.kind, event.at, event.user_id, event.session_id) == (
            "session.revoked",
            NOW + 1,
            ANN.id,
            "s-1",
        )
        assert event.data == {"reason": "signed_out"}
        assert (await happened(store))[-1] == event
        session = await store.session("s-1")
        assert session is not None
        assert (session.status, session.ended_at, session.ended_reason) == (
            SessionStatus.REVOKED,
            NOW + 1,
            "signed_out",
        )
        assert await store.revoke_session("s-1", reason="admin", now=NOW + 2) is None
        assert await store.session("s-1") == session
        assert (await happened(store))[-1] == event

    async def test_an_unknown_session_is_none(self, store: SessionStore) -> None:
        assert await store.revoke_session("s-1", reason="signed_out", now=NOW) is None
        assert await happened(store) == []

    async def test_everything_of_a_user_ends_and_nothing_of_others(self, store: SessionStore) -> None:
        await with_session(store)
        await store.open_session(a_session("s-2"), now=NOW)
        await store.add_user(BOB)
        bobs = await store.open_session(a_session("s-3", user=BOB), now=NOW)
        event = await store.revoke_user(ANN.id, reason="everywhere", now=NOW + 1)
        assert (event.kind, event.at, event.user_id, event.session_id) == (
            "user.revoked",
            NOW + 1,
            ANN.id,
            None,
        )
        assert event.data == {"reason": "everywhere", "keep": None, "epoch": 1}
        assert (await happened(store))[-1] == event
        for sid in ("s-1", "s-2"):
            assert (await refresh(store, 1, after=20, sid=sid)).decision == Decision(
                Outcome.DENY, "everywhere"
            )
        assert await store.session("s-3") == bobs
        assert await store.user(BOB.id) == BOB
        user = await store.user(ANN.id)
        assert user is not None
        assert user.epoch == 1

    async def test_the_kept_session_goes_on_in_the_new_epoch(self, store: SessionStore) -> None:
        await with_session(store)
        await store.open_session(a_session("s-2"), now=NOW)
        event = await store.revoke_user(ANN.id, reason="password", now=NOW + 1, keep="s-1")
        assert event.data == {"reason": "password", "keep": "s-1", "epoch": 1}
        kept = await refresh(store, 1, after=20)
        assert kept.decision.outcome is Outcome.ROTATE
        assert kept.session is not None
        assert kept.user is not None
        assert (kept.session.epoch, kept.user.epoch) == (1, 1)
        assert (await refresh(store, 1, after=20, sid="s-2")).decision == Decision(Outcome.DENY, "password")

    async def test_keeping_a_session_that_has_ended_brings_nothing_back(self, store: SessionStore) -> None:
        await with_session(store)
        await store.revoke_session("s-1", reason="signed_out", now=NOW)
        ended = await store.session("s-1")
        await store.revoke_user(ANN.id, reason="password", now=NOW + 1, keep="s-1")
        assert await store.session("s-1") == ended

    async def test_keeping_a_session_of_somebody_else_touches_nothing_of_theirs(
        self, store: SessionStore
    ) -> None:
        await with_session(store)
        await store.add_user(BOB)
        bobs = await store.open_session(a_session("s-2", user=BOB), now=NOW)
        await store.revoke_user(ANN.id, reason="password", now=NOW + 1, keep="s-2")
        assert await store.session("s-2") == bobs

    async def test_somebody_of_an_outside_issuer_is_revoked_by_the_event_alone(
        self, store: SessionStore
    ) -> None:
        event = await store.revoke_user("auth0|77", reason="banned", now=NOW)
        assert (event.kind, event.user_id) == ("user.revoked", "auth0|77")
        assert event.data == {"reason": "banned", "keep": None, "epoch": None}
        assert await happened(store) == [event]
