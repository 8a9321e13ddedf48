from __future__ import annotations

import pytest

from holdfast.errors import BadCredentials, Throttled, TokenInvalid
from holdfast.testing.logs import capture_logs

TYPED = "hunter2-hunter2"
HOME = "192.0.2.1"


async def sign_in(sessions, name: str, password: str) -> None:
    await sessions.sign_in(name, password, client="browser", address=HOME, user_agent="Firefox")


async def test_a_failed_sign_in_is_written_down_with_the_name_of_the_user(sessions, world) -> None:
    with pytest.raises(BadCredentials):
        await sign_in(sessions, "ANN", TYPED)
    (event,) = await world.events("user.sign_in_failed")
    assert event.data == {"reason": "wrong password", "name": "ann"}
    assert event.address == HOME
    assert event.user_id == (await world.store.user_named("ann")).id


async def test_what_was_typed_is_nowhere_since_it_may_be_a_password(sessions, world) -> None:
    with capture_logs() as lines:
        for name, password in [(TYPED, ""), ("ann", TYPED), (TYPED * 9, TYPED)]:
            with pytest.raises(BadCredentials) as refused:
                await sign_in(sessions, name, password)
            assert TYPED not in str(refused.value) + refused.value.detail
    assert len(await world.events("user.sign_in_failed")) == 3
    assert TYPED not in repr(await world.events())
    assert TYPED not in repr(lines)


async def test_the_log_says_why_a_sign_in_was_refused(sessions) -> None:
    with capture_logs() as lines, pytest.raises(BadCredentials):
        await sign_in(sessions, "nobody", TYPED)
    assert [(line["event"], line["detail"]) for line in lines] == [("sign-in refused", "no such user")]


async def test_being_throttled_is_written_down_once_a_minute(sessions, world) -> None:
    for _ in range(5):
        with pytest.raises(BadCredentials):
            await sign_in(sessions, "ann", TYPED)
    for _ in range(3):
        with pytest.raises(Throttled):
            await sign_in(sessions, "ann", TYPED)
    assert len(await world.events("user.throttled")) == 1
    assert world.counts.seen.count("user.throttled") == 3


async def test_a_made_up_refresh_token_is_written_down_without_it(sessions, world) -> None:
    with pytest.raises(TokenInvalid):
        await sessions.refresh("rt1.made.up.1.token", address=HOME)
    (event,) = await world.events("refresh.invalid")
    assert "made.up" not in repr(event)
    assert event.address == HOME


async def test_a_flood_of_made_up_refresh_tokens_stops_being_written_down(sessions, world) -> None:
    for _ in range(30):
        with pytest.raises(TokenInvalid):
            await sessions.refresh("made up", address=HOME)
    with pytest.raises(Throttled):
        await sessions.refresh("made up", address=HOME)
    assert len(await world.events("refresh.invalid")) == 30


async def test_a_failed_password_change_is_written_down(sessions, world) -> None:
    grant = await sessions.sign_in(
        "ann", "correct horse battery", client="browser", address=HOME, user_agent=None
    )
    proof = await sessions.authenticate(grant.access_token)
    with pytest.raises(BadCredentials):
        await sessions.change_password(proof, TYPED, "another good password", address=HOME)
    (event,) = await world.events("user.password_change_failed")
    assert (event.user_id, event.session_id, event.address) == (proof.user, proof.session, HOME)
    assert await world.events("user.revoked") == []
