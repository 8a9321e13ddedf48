"""Users: added, found, changed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from holdfast import errors
from holdfast.core.rotation import Decision, Outcome
from holdfast.ports import SessionStatus, SessionStore, User
from holdfast.testing.store_suite.samples import (
    ANN,
    BOB,
    HASH,
    NOW,
    W,
    a_session,
    happened,
    refresh,
    with_session,
)

RENEWED = f"{HASH}-again"


class Users:
    async def test_a_user_comes_back_as_added(self, store: SessionStore) -> None:
        assert await store.add_user(ANN) == ANN
        assert await store.user(ANN.id) == ANN
        assert await store.user_named("Ann") == ANN

    async def test_an_unknown_user_is_none(self, store: SessionStore) -> None:
        assert await store.user("nobody") is None
        assert await store.user_named("nobody") is None

    @pytest.mark.parametrize(
        ("name", "asked"),
        [("Ann", "aNN"), ("Женя", "ЖЕНЯ"), ("Straße", "STRASSE"), ("é", "e\N{COMBINING ACUTE ACCENT}")],
    )
    async def test_a_name_is_found_without_regard_to_case(
        self, store: SessionStore, name: str, asked: str
    ) -> None:
        await store.add_user(replace(ANN, name=name))
        found = await store.user_named(asked)
        assert found is not None
        assert found.name == name

    @pytest.mark.parametrize(
        "second", [replace(BOB, name="ANN"), replace(BOB, id=ANN.id)], ids=["name", "id"]
    )
    async def test_a_taken_name_or_id_is_a_conflict_and_writes_nothing(
        self, store: SessionStore, second: User
    ) -> None:
        await store.add_user(ANN)
        before = await happened(store)
        with pytest.raises(errors.Conflict):
            await store.add_user(second)
        assert await store.users() == [ANN]
        assert await happened(store) == before

    async def test_of_many_who_take_a_name_at_once_one_gets_it(self, store: SessionStore) -> None:
        tries = [store.add_user(replace(BOB, id=f"u-{n}", name=f"b{'oO'[n % 2]}b")) for n in range(8)]
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(isinstance(outcome, User) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, errors.Conflict) for outcome in outcomes) == 7
        assert len(await store.users()) == 1

    async def test_users_come_by_name(self, store: SessionStore) -> None:
        for name in ("Zoe", "ann", "Bob"):
            await store.add_user(replace(BOB, id=name, name=name))
        assert [user.name for user in await store.users()] == ["ann", "Bob", "Zoe"]

    async def test_adding_is_in_the_log(self, store: SessionStore) -> None:
        await store.add_user(ANN)
        (event,) = await happened(store)
        assert (event.kind, event.at, event.user_id) == ("user.added", NOW, ANN.id)
        assert event.data == {"name": "Ann", "roles": ["admin", "reader"]}

    async def test_a_new_password_ends_every_session_and_says_so(self, store: SessionStore) -> None:
        await with_session(store)
        last = await store.latest_event_id()
        event = await store.set_password(ANN.id, RENEWED, now=NOW + 1)
        user = await store.user(ANN.id)
        assert user == replace(ANN, password_hash=RENEWED, epoch=1)
        session = await store.session("s-1")
        assert session is not None
        assert (session.status, session.ended_reason) == (SessionStatus.REVOKED, "password_changed")
        changed, revoked = await happened(store, after=last)
        assert (changed.kind, changed.at, changed.user_id) == ("user.password_changed", NOW + 1, ANN.id)
        assert revoked == event
        assert (revoked.kind, revoked.at, revoked.user_id) == ("user.revoked", NOW + 1, ANN.id)
        assert revoked.data == {"reason": "password_changed", "keep": None, "epoch": 1}
        assert "argon2" not in f"{changed}{revoked}"

    async def test_the_session_that_changed_the_password_goes_on_in_the_new_epoch(
        self, store: SessionStore
    ) -> None:
        await with_session(store)
        await store.open_session(a_session("s-2"), now=NOW)
        event = await store.set_password(ANN.id, RENEWED, now=NOW + 1, keep="s-1")
        assert event.data == {"reason": "password_changed", "keep": "s-1", "epoch": 1}
        kept = await refresh(store, 1, after=W)
        assert kept.decision.outcome is Outcome.ROTATE
        assert kept.session is not None
        assert kept.session.epoch == 1
        other = await refresh(store, 1, after=W, sid="s-2")
        assert other.decision == Decision(Outcome.DENY, "password_changed")

    async def test_nobody_sees_a_new_password_beside_the_sessions_of_the_old_one(
        self, store: SessionStore
    ) -> None:
        await with_session(store)
        changing = asyncio.ensure_future(store.set_password(ANN.id, RENEWED, now=NOW + 1))
        while not changing.done():
            user = await store.user(ANN.id)
            session = await store.session("s-1")
            assert user is not None
            assert session is not None
            assert user.password_hash == HASH or session.status is SessionStatus.REVOKED
        await changing

    async def test_the_same_password_hashed_anew_ends_nothing_and_is_no_event(
        self, store: SessionStore
    ) -> None:
        await with_session(store)
        before = await happened(store)
        await store.rehash_password(ANN.id, RENEWED, instead_of=HASH)
        assert await store.user(ANN.id) == replace(ANN, password_hash=RENEWED)
        assert await happened(store) == before
        assert (await refresh(store, 1, after=W)).decision.outcome is Outcome.ROTATE

    async def test_a_hash_is_not_renewed_over_another_password(self, store: SessionStore) -> None:
        await store.add_user(ANN)
        await store.rehash_password(ANN.id, RENEWED, instead_of=f"{HASH}-of-before")
        assert await store.user(ANN.id) == ANN

    async def test_new_roles_are_kept_and_in_the_log(self, store: SessionStore) -> None:
        await store.add_user(ANN)
        await store.set_roles(ANN.id, ["reader"], now=NOW + 1)
        user = await store.user(ANN.id)
        assert user == replace(ANN, roles=("reader",))
        event = (await happened(store))[-1]
        assert (event.kind, event.at, event.data) == ("user.roles_changed", NOW + 1, {"roles": ["reader"]})

    async def test_disabling_ends_every_session_and_says_so(self, store: SessionStore) -> None:
        await with_session(store)
        last = await store.latest_event_id()
        await store.set_disabled(ANN.id, True, now=NOW + 1)
        user = await store.user(ANN.id)
        assert user == replace(ANN, disabled=True, epoch=1)
        session = await store.session("s-1")
        assert session is not None
        assert (session.status, session.ended_reason) == (SessionStatus.REVOKED, "disabled")
        disabled, revoked = await happened(store, after=last)
        assert (disabled.kind, revoked.kind) == ("user.disabled", "user.revoked")
        assert revoked.data == {"reason": "disabled", "keep": None, "epoch": 1}

    async def test_enabling_lets_in_again_but_brings_no_session_back(self, store: SessionStore) -> None:
        await with_session(store)
        await store.set_disabled(ANN.id, True, now=NOW + 1)
        await store.set_disabled(ANN.id, False, now=NOW + 2)
        assert (await happened(store))[-1].kind == "user.enabled"
        assert (await refresh(store, 1, after=W)).decision == Decision(Outcome.DENY, "disabled")
        opened = await store.open_session(a_session("s-2"), now=NOW + 3)
        assert opened.epoch == 1
        assert (await refresh(store, 1, after=W, sid="s-2")).decision.outcome is Outcome.ROTATE

    async def test_changing_nobody_is_not_found_and_writes_nothing(self, store: SessionStore) -> None:
        for change in (
            store.set_password("nobody", "hash", now=NOW),
            store.set_roles("nobody", ["admin"], now=NOW),
            store.set_disabled("nobody", True, now=NOW),
        ):
            with pytest.raises(errors.NotFound):
                await change
        assert await happened(store) == []
