"""The life of a session, over a real store and real tokens."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import pytest

from holdfast.core.connection import Proof
from holdfast.core.policy import SessionPolicy
from holdfast.core.rotation import Outcome
from holdfast.errors import (
    BadCredentials,
    Conflict,
    Forbidden,
    MisuseError,
    NotFound,
    SessionEnded,
    Throttled,
    TokenExpired,
    TokenInvalid,
    TokenReused,
    Unavailable,
)
from holdfast.sessions import service as module
from holdfast.sessions.grant import Grant
from holdfast.sessions.service import Sessions
from holdfast.testing.logs import capture_logs

PASSWORD = "correct horse battery"
ANOTHER = "staple after battery"
HOME = "192.0.2.1"
ELSEWHERE = "https://elsewhere.example"


async def sign_in(sessions: Sessions, client: str = "program", address: str | None = HOME) -> Grant:
    return await sessions.sign_in("ann", PASSWORD, client=client, address=address, user_agent="Firefox")


async def refresh(sessions: Sessions, grant: Grant) -> Grant:
    return await sessions.refresh(grant.refresh_token, address=HOME)


async def rotated(sessions: Sessions, world, grant: Grant) -> Grant:
    """The next generation: the window over, and the token presented."""
    world.clock.set(world.clock.now() + 11)
    return await refresh(sessions, grant)


# Signing in


async def test_sign_in_opens_a_session_and_its_access_token_proves_the_person(sessions: Sessions) -> None:
    grant = await sign_in(sessions)
    proof = await sessions.authenticate(grant.access_token)
    assert (proof.name, proof.roles, proof.session) == ("ann", ("admin",), grant.session.id)
    assert (grant.session.client, grant.session.address, grant.session.user_agent) == (
        "program",
        HOME,
        "Firefox",
    )


async def test_tokens_stay_out_of_a_grants_repr(sessions: Sessions) -> None:
    grant = await sign_in(sessions)
    assert grant.access_token not in repr(grant)
    assert grant.refresh_token not in repr(grant)


async def test_each_sign_in_is_a_session_of_its_own(sessions: Sessions) -> None:
    grants = [await sign_in(sessions) for _ in range(3)]
    assert len({grant.session.id for grant in grants}) == 3


async def test_a_token_is_told_in_remaining_seconds_and_ends_on_a_whole_one(
    sessions: Sessions, world
) -> None:
    grant = await sign_in(sessions)
    proof = await sessions.authenticate(grant.access_token)
    assert proof.expires_at == math.floor(world.clock.now()) + 60
    assert grant.expires_in == proof.expires_at - world.clock.now()
    assert grant.refresh_in == grant.expires_in / 2  # the lead is never over half the lifetime


async def test_a_password_that_was_changed_during_the_sign_in_opens_nothing(
    sessions: Sessions, world, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await world.store.user_named("ann")
    real = world.store.open_session

    async def open_late(session, *, now):
        await world.store.set_password(ann.id, await world.passwords.hash(ANOTHER), now=now)
        return await real(session, now=now)

    monkeypatch.setattr(world.store, "open_session", open_late)
    with pytest.raises(BadCredentials):
        await sign_in(sessions)
    assert await world.store.sessions(user_id=ann.id, active_at=world.clock.now()) == []


async def test_the_owner_gets_in_from_home_while_the_account_is_under_attack(sessions: Sessions) -> None:
    await sign_in(sessions)
    for n in range(50):
        with pytest.raises(BadCredentials):
            await sessions.sign_in(
                "ann", "a wrong guess", client="program", address=f"198.51.100.{n}", user_agent=None
            )
    with pytest.raises(Throttled):
        await sign_in(sessions, address="203.0.113.7")
    await sign_in(sessions, address=HOME)


async def test_an_app_can_open_a_session_for_somebody_it_has_checked_itself(sessions: Sessions) -> None:
    grant = await sessions.open("x1", name="guest", roles=["b"], client="browser")
    proof = await sessions.authenticate(grant.access_token)
    assert (proof.user, proof.name, proof.roles) == ("x1", "guest", ("b",))
    with pytest.raises(Conflict):
        await sessions.open("x2", name="guest", client="browser")


async def test_a_disabled_user_cannot_be_let_in_by_the_app_either(sessions: Sessions) -> None:
    await sessions.open("x1", name="guest", client="browser")
    await sessions.set_disabled("x1", True)
    with pytest.raises(SessionEnded):
        await sessions.open("x1", name="guest", client="browser")


# Refreshing


async def test_a_refresh_after_the_window_gives_the_next_generation(sessions: Sessions, world) -> None:
    first = await sign_in(sessions)
    second = await rotated(sessions, world, first)
    assert second.outcome is Outcome.ROTATE
    assert second.session.generation == 2
    assert second.refresh_token != first.refresh_token
    assert (await sessions.authenticate(second.access_token)).generation == 2


async def test_tabs_that_refresh_at_once_all_get_the_same_refresh_token(sessions: Sessions, world) -> None:
    first = await sign_in(sessions)
    world.clock.set(world.clock.now() + 11)
    grants = await asyncio.gather(*(refresh(sessions, first) for _ in range(5)))
    assert len({grant.refresh_token for grant in grants}) == 1
    assert {grant.session.generation for grant in grants} == {2}


async def test_a_lost_answer_can_be_asked_for_again_days_later(world) -> None:
    day = 86_400.0
    sessions = await world.process(SessionPolicy(access_lifetime=60.0, idle_lifetime=9 * day))
    await sessions.add_user("ann", PASSWORD)
    first = await sign_in(sessions)
    lost = await rotated(sessions, world, first)
    world.clock.set(world.clock.now() + 5 * day)
    again = await refresh(sessions, first)
    assert again.refresh_token == lost.refresh_token
    assert again.outcome is Outcome.REPLAY


async def test_an_old_token_after_its_successor_was_used_ends_the_session_everywhere(
    sessions: Sessions, world
) -> None:
    elsewhere = await world.process()
    told: list[str] = []
    sessions.log.subscribe(lambda event: told.append(event.kind))
    first = await sign_in(sessions)
    second = await rotated(sessions, world, first)
    await sessions.authenticate(second.access_token)  # proves that the second has arrived
    world.clock.set(world.clock.now() + 11)
    with pytest.raises(TokenReused):
        await refresh(sessions, first)
    assert told[-1] == "session.reuse"
    with pytest.raises(SessionEnded) as refused:
        await sessions.authenticate(second.access_token)
    assert refused.value.reason == "reuse"
    await elsewhere.log.catch_up()
    with pytest.raises(SessionEnded):
        await elsewhere.authenticate(second.access_token)


async def test_an_unproved_successor_lets_the_old_token_come_back(sessions: Sessions, world) -> None:
    first = await sign_in(sessions)
    await rotated(sessions, world, first)
    world.clock.set(world.clock.now() + 20)
    assert (await refresh(sessions, first)).outcome is Outcome.REPLAY


async def test_made_up_and_foreign_tokens_touch_nothing(sessions: Sessions) -> None:
    grant = await sign_in(sessions)
    other = await sign_in(sessions)
    damaged = grant.refresh_token[:-3] + "AAA"
    borrowed = ".".join([*grant.refresh_token.split(".")[:4], other.refresh_token.split(".")[-1]])
    for token in ("", "x", damaged, borrowed, grant.access_token):
        with pytest.raises(TokenInvalid):
            await sessions.refresh(token, address=HOME)
    assert (await refresh(sessions, grant)).session.status == "active"


async def test_a_good_token_is_never_throttled_for_what_others_at_its_address_send(
    sessions: Sessions,
) -> None:
    grant = await sign_in(sessions)
    for _ in range(30):
        with pytest.raises(TokenInvalid):
            await sessions.refresh("made up", address=HOME)
    with pytest.raises(Throttled):
        await sessions.refresh("made up", address=HOME)
    await refresh(sessions, grant)


async def test_a_refresh_token_whose_salt_is_not_its_sessions_is_refused_and_is_no_reuse(
    sessions: Sessions, world
) -> None:
    """Whoever has a master key but not the store can make the seal, not the proof."""
    grant = await sign_in(sessions)
    forged = sessions._refresh_tokens.derive(replace(grant.session, salt=b"x" * 16))
    with pytest.raises(TokenInvalid):
        await sessions.refresh(forged, address=HOME)
    assert await world.events("session.reuse") == []


async def test_a_refresh_tells_subscribers_until_when_before_it_answers(sessions: Sessions, world) -> None:
    told: list[float] = []
    sessions.log.subscribe(
        lambda event: told.append(event.data["expires_at"]) if event.kind.startswith("refresh.") else None
    )
    first = await sign_in(sessions)
    grant = await rotated(sessions, world, first)
    await refresh(sessions, grant)
    expected = math.floor(world.clock.now()) + 60
    assert told == [expected, expected]


async def test_access_tokens_and_renewals_never_outlast_the_session(world) -> None:
    sessions = await world.process(
        SessionPolicy(access_lifetime=60.0, rotation_window=10.0, idle_lifetime=80.0, absolute_lifetime=80.0)
    )
    await sessions.add_user("ann", PASSWORD)
    told: list[float] = []
    sessions.log.subscribe(lambda event: told.append(event.data.get("expires_at", 0.0)))
    grant = await sign_in(sessions)
    end = grant.session.absolute_expires_at
    world.clock.set(end - 30)
    late = await refresh(sessions, grant)
    assert late.session.absolute_expires_at == end
    assert (await sessions.authenticate(late.access_token)).expires_at == math.floor(end)
    assert told[-1] == math.floor(end)
    world.clock.set(end - 0.1)  # within the last second there is no whole one left to give
    with pytest.raises(SessionEnded) as refused:
        await refresh(sessions, late)
    assert refused.value.reason == "too_old"


@pytest.mark.parametrize(("seconds", "good"), [(3599.9, True), (3600, False)])
async def test_a_session_left_alone_ends(sessions: Sessions, world, seconds: float, good: bool) -> None:
    grant = await sign_in(sessions)
    world.clock.set(world.clock.now() + seconds)
    if good:
        await refresh(sessions, grant)
    else:
        with pytest.raises(SessionEnded) as refused:
            await refresh(sessions, grant)
        assert refused.value.reason == "idle"


async def test_the_log_says_what_a_refresh_came_to_and_holds_no_token(sessions: Sessions) -> None:
    with capture_logs() as lines:
        grant = await sign_in(sessions)
        again = await refresh(sessions, grant)
        await sessions.log_out_by_token(again.refresh_token)
        with pytest.raises(SessionEnded):
            await refresh(sessions, again)
    assert ("refresh", "coalesced") in [(line["event"], line.get("outcome")) for line in lines]
    assert ("refresh", "signed_out") in [(line["event"], line.get("reason")) for line in lines]
    written = repr(lines)
    for secret in (PASSWORD, grant.access_token, again.access_token, grant.refresh_token.split(".")[-1]):
        assert secret not in written


# Checking


async def test_a_good_token_is_checked_without_the_store(
    sessions: Sessions, world, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await sign_in(sessions)
    second = await rotated(sessions, world, first)
    await sessions.authenticate(second.access_token)  # confirms once

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("asked the store")

    for verb in ("confirm", "session", "user", "events_after", "revocations_since"):
        monkeypatch.setattr(world.store, verb, fail)
    await sessions.authenticate(first.access_token)
    await sessions.authenticate(second.access_token)


async def test_a_generation_is_confirmed_once_by_each_process(sessions: Sessions, world, monkeypatch) -> None:
    asked: list[int] = []
    real = world.store.confirm

    async def confirm(sid: str, generation: int, *, now: float) -> bool:
        asked.append(generation)
        return await real(sid, generation, now=now)

    monkeypatch.setattr(world.store, "confirm", confirm)
    first = await sign_in(sessions)
    second = await rotated(sessions, world, first)
    for _ in range(3):
        await sessions.authenticate(first.access_token)
        await sessions.authenticate(second.access_token)
    assert asked == [2]
    assert (await world.store.session(first.session.id)).confirmed_generation == 2


async def test_a_store_that_cannot_confirm_is_no_reason_to_refuse_and_is_asked_again(
    sessions: Sessions, world, monkeypatch
) -> None:
    first = await sign_in(sessions)
    second = await rotated(sessions, world, first)

    async def away(*_: object, **__: object) -> bool:
        raise Unavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "confirm", away)
        proof = await sessions.authenticate(second.access_token)
        with pytest.raises(Unavailable):
            await sessions.confirm(proof)
    assert (await world.store.session(first.session.id)).confirmed_generation == 1
    await sessions.authenticate(second.access_token)
    assert (await world.store.session(first.session.id)).confirmed_generation == 2


async def test_what_is_remembered_of_confirmations_is_bounded(sessions: Sessions, monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_CONFIRMED", 3)
    grant = await sign_in(sessions)
    proof = await sessions.authenticate(grant.access_token)
    for n in range(10):
        await sessions.confirm(replace(proof, session=f"s{n}", generation=2))
    assert len(sessions._confirmed) == 3


@pytest.mark.parametrize(("seconds", "good"), [(59, True), (60, False), (61, False)])
async def test_an_access_token_expires_on_the_second(
    sessions: Sessions, world, seconds: int, good: bool
) -> None:
    grant = await sign_in(sessions)
    world.clock.set(math.floor(world.clock.now()) + seconds)
    if good:
        await sessions.authenticate(grant.access_token)
    else:
        with pytest.raises(TokenExpired):
            await sessions.authenticate(grant.access_token)


# Ending


async def test_signing_out_ends_the_session_here_at_once(sessions: Sessions) -> None:
    told: list[str] = []
    sessions.log.subscribe(lambda event: told.append(event.kind))
    grant, other = await sign_in(sessions), await sign_in(sessions)
    await sessions.log_out(grant.session.id)
    assert told[-1] == "session.revoked"
    for refused in (sessions.authenticate(grant.access_token), refresh(sessions, grant)):
        with pytest.raises(SessionEnded) as ended:
            await refused
        assert ended.value.reason == "signed_out"
    await sessions.authenticate(other.access_token)


async def test_signing_out_twice_is_no_error(sessions: Sessions, world) -> None:
    grant = await sign_in(sessions)
    await sessions.log_out(grant.session.id)
    await sessions.log_out(grant.session.id)
    await sessions.log_out("no such session")
    assert len(await world.events("session.revoked")) == 1


async def test_other_processes_learn_of_it_by_themselves(sessions: Sessions, world) -> None:
    elsewhere = await world.process()
    told = asyncio.Event()
    elsewhere.log.subscribe(lambda _event: told.set())
    grant = await sign_in(sessions)
    await elsewhere.log.catch_up()
    told.clear()
    await sessions.log_out(grant.session.id)
    await elsewhere.authenticate(grant.access_token)  # not told yet
    await world.clock.advance(0.5)
    await asyncio.wait_for(told.wait(), 10)
    with pytest.raises(SessionEnded):
        await elsewhere.authenticate(grant.access_token)


async def test_a_process_that_starts_later_knows_what_was_revoked_before(sessions: Sessions, world) -> None:
    grant, other = await sign_in(sessions), await sign_in(sessions)
    await sessions.log_out(grant.session.id)
    late = await world.process()
    with pytest.raises(SessionEnded):
        await late.authenticate(grant.access_token)
    await late.authenticate(other.access_token)


async def test_a_refresh_token_of_any_generation_signs_out(sessions: Sessions, world) -> None:
    first = await sign_in(sessions)
    await rotated(sessions, world, first)
    assert await sessions.log_out_by_token(first.refresh_token) == first.session.id
    assert (await world.store.session(first.session.id)).ended_reason == "signed_out"


async def test_a_made_up_refresh_token_signs_nobody_out(sessions: Sessions) -> None:
    grant = await sign_in(sessions)
    assert await sessions.log_out_by_token(grant.refresh_token[:-2] + "AA") is None
    await sessions.authenticate(grant.access_token)


async def test_signing_out_everywhere_ends_all_sessions_and_new_ones_are_good(sessions: Sessions) -> None:
    grants = [await sign_in(sessions) for _ in range(3)]
    await sessions.log_out_everywhere(await sessions.authenticate(grants[0].access_token))
    for grant in grants:
        with pytest.raises(SessionEnded):
            await sessions.authenticate(grant.access_token)
        with pytest.raises(SessionEnded):
            await refresh(sessions, grant)
    await sessions.authenticate((await sign_in(sessions)).access_token)


async def test_signing_out_everywhere_else_keeps_this_session_whole(sessions: Sessions, world) -> None:
    mine, other = await sign_in(sessions), await sign_in(sessions)
    await sessions.log_out_everywhere(await sessions.authenticate(mine.access_token), keep_this=True)
    await sessions.authenticate(mine.access_token)
    again = await rotated(sessions, world, mine)
    await sessions.authenticate(again.access_token)
    with pytest.raises(SessionEnded):
        await sessions.authenticate(other.access_token)


async def test_one_ends_ones_own_sessions_and_nobody_elses(sessions: Sessions) -> None:
    await sessions.add_user("mallory", PASSWORD)
    mine, other = await sign_in(sessions), await sign_in(sessions)
    proof = await sessions.authenticate(mine.access_token)
    theirs = await sessions.sign_in("mallory", PASSWORD, client="program", address=None, user_agent=None)
    for sid in (theirs.session.id, "no such session", ""):
        with pytest.raises(NotFound):
            await sessions.end_session(proof, sid)
    await sessions.end_session(proof, other.session.id)
    with pytest.raises(NotFound):
        await sessions.end_session(proof, other.session.id)
    assert [session.id for session in await sessions.own_sessions(proof)] == [mine.session.id]
    await sessions.authenticate(theirs.access_token)


@pytest.mark.parametrize("by", ["id", "name"])
async def test_a_user_is_revoked_by_id_or_name_with_the_reason(sessions: Sessions, world, by: str) -> None:
    grant = await sign_in(sessions)
    await sessions.revoke(user=grant.user.id if by == "id" else "ANN", reason="banned")
    with pytest.raises(SessionEnded) as refused:
        await sessions.authenticate(grant.access_token)
    assert refused.value.reason == "banned"
    (event,) = await world.events("user.revoked")
    assert event.data["reason"] == "banned"


async def test_a_session_is_revoked_alone(sessions: Sessions) -> None:
    grant, other = await sign_in(sessions), await sign_in(sessions)
    await sessions.revoke(session=grant.session.id)
    with pytest.raises(SessionEnded) as refused:
        await sessions.authenticate(grant.access_token)
    assert refused.value.reason == "revoked"
    await sessions.authenticate(other.access_token)


def stranger(sub: str, world, issuer: str = ELSEWHERE) -> Proof:
    """What the token of an outside issuer proves."""
    now = world.clock.now()
    return Proof(user=sub, name="stranger", issuer=issuer, expires_at=now + 60, issued_at=now)


@pytest.mark.parametrize("issuer", [None, ELSEWHERE])
async def test_people_of_an_outside_issuer_are_revoked_by_their_sub(
    sessions: Sessions, world, issuer
) -> None:
    proof = stranger("auth0|7", world)
    sessions.check_revoked(proof)
    await sessions.revoke(user="auth0|7", issuer=issuer, reason="banned")
    with pytest.raises(SessionEnded) as refused:
        sessions.check_revoked(proof)
    assert refused.value.reason == "banned"
    sessions.check_revoked(replace(proof, issued_at=world.clock.now() + 1))


async def test_a_stranger_with_the_id_of_a_user_of_ours_has_none_of_their_sessions(
    sessions: Sessions, world
) -> None:
    grant = await sign_in(sessions)
    proof = stranger(grant.user.id, world)
    assert await sessions.own_sessions(proof) == []
    with pytest.raises(NotFound):
        await sessions.end_session(proof, grant.session.id)
    for refused in (
        sessions.log_out_by_proof(proof),
        sessions.log_out_everywhere(proof),
        sessions.change_password(proof, PASSWORD, ANOTHER),
    ):
        with pytest.raises(Forbidden, match="elsewhere"):
            await refused
    await sessions.authenticate(grant.access_token)
    await sign_in(sessions)
    assert not await world.events("user.revoked")
    assert not await world.events("user.password")


async def test_revoking_a_user_of_ours_leaves_a_stranger_of_the_same_id_alone(
    sessions: Sessions, world
) -> None:
    grant = await sign_in(sessions)
    proof = stranger(grant.user.id, world)
    await sessions.revoke(user=grant.user.id)
    with pytest.raises(SessionEnded):
        await sessions.authenticate(grant.access_token)
    sessions.check_revoked(proof)


async def test_revoking_a_stranger_leaves_the_user_of_ours_and_other_issuers_alone(
    sessions: Sessions, world
) -> None:
    grant = await sign_in(sessions)
    elsewhere = await world.process()
    proof = stranger(grant.user.id, world)
    await sessions.revoke(user=grant.user.id, issuer=ELSEWHERE, reason="banned")
    await elsewhere.log.catch_up()
    late = await world.process()
    for process in (sessions, elsewhere, late):
        with pytest.raises(SessionEnded):
            process.check_revoked(proof)
        process.check_revoked(replace(proof, issuer="https://third.example"))
        await process.authenticate(grant.access_token)
    await refresh(sessions, grant)


async def test_naming_our_own_issuer_revokes_nobody_elses_user(sessions: Sessions, world) -> None:
    await sessions.revoke(user="auth0|7", issuer="holdfast")
    sessions.check_revoked(stranger("auth0|7", world))
    with pytest.raises(SessionEnded):
        sessions.check_revoked(stranger("auth0|7", world, issuer="holdfast"))


async def test_a_start_that_fails_leaves_nothing_running(world, monkeypatch) -> None:
    async def away(_at: float) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(world.store, "revocations_since", away)
    before = asyncio.all_tasks()
    with pytest.raises(Unavailable):
        await world.process()
    assert asyncio.all_tasks() == before


async def test_revoking_nobody_is_a_mistake(sessions: Sessions) -> None:
    for nobody in ({}, {"issuer": ELSEWHERE}, {"issuer": ELSEWHERE, "session": "s"}):
        with pytest.raises(MisuseError):
            await sessions.revoke(reason="x", **nobody)


async def test_disabling_a_user_ends_everything_at_once(sessions: Sessions) -> None:
    grant = await sign_in(sessions)
    await sessions.set_disabled(grant.user.id, True)
    for refused in (sessions.authenticate(grant.access_token), refresh(sessions, grant)):
        with pytest.raises(SessionEnded) as ended:
            await refused
        assert ended.value.reason == "disabled"
    await sessions.set_disabled(grant.user.id, False)
    await sessions.authenticate((await sign_in(sessions)).access_token)


async def test_changing_the_password_ends_all_other_sessions(sessions: Sessions, world) -> None:
    mine, other = await sign_in(sessions), await sign_in(sessions)
    proof = await sessions.authenticate(mine.access_token)
    await sessions.change_password(proof, PASSWORD, ANOTHER)
    await sessions.authenticate(mine.access_token)
    await rotated(sessions, world, mine)
    with pytest.raises(SessionEnded) as refused:
        await sessions.authenticate(other.access_token)
    assert refused.value.reason == "password_changed"


async def test_a_password_and_the_end_of_its_sessions_are_one_call_of_the_store(
    sessions: Sessions, world, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = await sign_in(sessions), await sign_in(sessions)
    proof = await sessions.authenticate(mine.access_token)

    async def away(*_args: object, **_named: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(world.store, "revoke_user", away)
    await sessions.change_password(proof, PASSWORD, ANOTHER)
    with pytest.raises(SessionEnded):
        await sessions.authenticate(other.access_token)
    await sessions.set_password(proof.user, PASSWORD)
    with pytest.raises(SessionEnded):
        await sessions.authenticate(mine.access_token)


async def test_setting_somebodys_password_ends_all_their_sessions(sessions: Sessions) -> None:
    grant = await sign_in(sessions)
    await sessions.set_password(grant.user.id, ANOTHER)
    with pytest.raises(SessionEnded):
        await sessions.authenticate(grant.access_token)
    await sessions.sign_in("ann", ANOTHER, client="program", address=None, user_agent=None)


async def test_new_roles_are_in_the_next_token(sessions: Sessions) -> None:
    grant = await sign_in(sessions)
    await sessions.set_roles(grant.user.id, ["viewer"])
    again = await refresh(sessions, grant)
    assert (await sessions.authenticate(again.access_token)).roles == ("viewer",)


# Tickets


async def test_a_ticket_is_not_good_for_what_was_revoked_meanwhile(sessions: Sessions) -> None:
    grant = await sign_in(sessions)
    proof = await sessions.authenticate(grant.access_token)
    text, _ = await sessions.issue_ticket(proof, origin=None)
    await sessions.log_out(grant.session.id)
    with pytest.raises(SessionEnded):
        await sessions.redeem_ticket(text, origin=None)


async def test_a_ticket_gives_the_proof_that_it_was_made_of(sessions: Sessions) -> None:
    grant = await sign_in(sessions)
    proof = await sessions.authenticate(grant.access_token)
    text, _ = await sessions.issue_ticket(proof, origin=None)
    assert await sessions.redeem_ticket(text, origin=None) == proof


# Housekeeping


async def test_the_store_is_swept_every_hour_and_a_failure_is_tried_again(
    sessions: Sessions, world, monkeypatch
) -> None:
    swept: list[float] = []

    async def sweep(*, now: float, keep_events: float) -> int:
        assert keep_events >= sessions.revocations.since
        swept.append(now)
        if len(swept) == 1:
            raise Unavailable("away")
        return 0

    monkeypatch.setattr(world.store, "sweep", sweep)
    start = world.clock.now()
    await world.clock.advance(0.0)
    world.clock.set(start + 3599.9)
    with capture_logs():
        await world.clock.advance(0.2)
        await world.clock.advance(3600)
    assert [round(at - start) for at in swept] == [3600, 7200]


async def test_what_happens_is_counted_by_the_words_of_the_audit_log(sessions: Sessions, world) -> None:
    grant = await sign_in(sessions)
    again = await refresh(sessions, grant)
    await sessions.log_out(again.session.id)
    assert world.counts.seen == ["user.signed_in", "refresh.coalesced", "session.revoked"]
