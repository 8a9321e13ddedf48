"""Sessions: opened, listed, confirmed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from holdfast import errors
from holdfast.ports import SessionStore
from holdfast.testing.store_suite.samples import ANN, BOB, NOW, a_session, happened, refresh, with_session


class Sessions:
    async def test_a_session_comes_back_as_opened(self, store: SessionStore) -> None:
        opened = await with_session(store)
        assert opened == a_session()
        assert await store.session("s-1") == opened
        assert await store.session("s-2") is None

    async def test_signing_in_is_in_the_log(self, store: SessionStore) -> None:
        await with_session(store)
        event = (await happened(store))[-1]
        assert (event.kind, event.at, event.user_id, event.session_id) == (
            "user.signed_in",
            NOW,
            ANN.id,
            "s-1",
        )
        assert event.address == "192.0.2.7"
        assert event.data == {"client": "browser", "user_agent": "Mozilla/5.0 (X11; Linux)"}

    async def test_a_session_takes_the_epoch_of_its_user(self, store: SessionStore) -> None:
        await store.add_user(ANN)
        await store.revoke_user(ANN.id, reason="everywhere", now=NOW)
        opened = await store.open_session(a_session(epoch=77), now=NOW)
        assert opened.epoch == 1
        assert await store.session("s-1") == opened

    async def test_who_is_disabled_or_unknown_gets_no_session(self, store: SessionStore) -> None:
        await store.add_user(replace(ANN, disabled=True))
        last = await store.latest_event_id()
        for user in (ANN, BOB):
            with pytest.raises(errors.SessionEnded):
                await store.open_session(a_session(user=user), now=NOW)
        assert await store.sessions() == []
        assert await happened(store, after=last) == []

    async def test_sessions_come_newest_first_and_by_user(self, store: SessionStore) -> None:
        await store.add_user(ANN)
        await store.add_user(BOB)
        for sid, user, age in (("s-1", ANN, 0), ("s-2", BOB, 2), ("s-3", ANN, 1)):
            await store.open_session(a_session(sid, user=user, at=NOW + age), now=NOW + age)
        assert [session.id for session in await store.sessions()] == ["s-2", "s-3", "s-1"]
        assert [session.id for session in await store.sessions(user_id=ANN.id)] == ["s-3", "s-1"]

    @pytest.mark.parametrize("limit", ["idle_expires_at", "absolute_expires_at"])
    async def test_only_sessions_that_could_be_refreshed_are_active(
        self, store: SessionStore, limit: str
    ) -> None:
        await with_session(store, **{limit: NOW + 100})
        await store.open_session(a_session("s-2"), now=NOW)
        await store.revoke_session("s-2", reason="signed_out", now=NOW)
        for at, active in ((NOW + 99, ["s-1"]), (NOW + 100, []), (NOW + 101, [])):
            assert [session.id for session in await store.sessions(active_at=at)] == active

    async def test_an_address_is_known_once_a_session_was_opened_from_it(self, store: SessionStore) -> None:
        await with_session(store)
        await store.revoke_session("s-1", reason="signed_out", now=NOW + 1)
        assert await store.has_signed_in_from(ANN.id, "192.0.2.7")
        assert not await store.has_signed_in_from(ANN.id, "192.0.2.8")
        assert not await store.has_signed_in_from(BOB.id, "192.0.2.7")


class Confirmation:
    async def test_a_proof_is_news_once(self, store: SessionStore) -> None:
        await with_session(store)
        await refresh(store, 1, after=10)
        assert await store.confirm("s-1", 2, now=NOW + 11)
        confirmed = await store.session("s-1")
        assert confirmed is not None
        assert (confirmed.confirmed_generation, confirmed.confirmed_at) == (2, NOW + 11)
        assert not await store.confirm("s-1", 2, now=NOW + 12)
        assert await store.session("s-1") == confirmed

    async def test_of_many_at_once_one_is_news(self, store: SessionStore) -> None:
        await with_session(store)
        await refresh(store, 1, after=10)
        news = await asyncio.gather(*[store.confirm("s-1", 2, now=NOW + 11) for _ in range(8)])
        assert news.count(True) == 1

    async def test_other_generations_and_sessions_change_nothing(self, store: SessionStore) -> None:
        await with_session(store)
        rotated = (await refresh(store, 1, after=10)).session
        for sid, generation in (("s-1", 0), ("s-1", 1), ("s-1", 3), ("s-2", 2)):
            assert not await store.confirm(sid, generation, now=NOW + 11)
        assert await store.session("s-1") == rotated

    async def test_an_ended_session_is_not_confirmed(self, store: SessionStore) -> None:
        await with_session(store)
        await refresh(store, 1, after=10)
        await store.revoke_session("s-1", reason="signed_out", now=NOW + 11)
        assert not await store.confirm("s-1", 2, now=NOW + 12)
