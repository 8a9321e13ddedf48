from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from holdfast.core.connection import Proof
from holdfast.errors import SessionEnded
from holdfast.ports import AuditEvent
from holdfast.sessions.revocations import KEEP_AT_LEAST, MARGIN, Revocations, session_ended

NOW = 1_000_000.0


@pytest.fixture
def revocations() -> Revocations:
    return Revocations(lifetime=60.0, issuer="holdfast")


def proof(session: str | None = "s1", epoch: int = 0, **facts: Any) -> Proof:
    given = {"user": "u1", "name": "ann", "issuer": "holdfast", "expires_at": NOW + 60, "generation": 1}
    return Proof(session=session, epoch=epoch, **{**given, **facts})


def outside(issued_at: float, session: str | None = None) -> Proof:
    """What an outside issuer's token proves: no generation, no epoch of ours."""
    return proof(session=session, generation=0, issued_at=issued_at, issuer="https://elsewhere.example")


def user_revoked(epoch: int | None, keep: str | None = None, at: float = NOW, **more: str) -> AuditEvent:
    facts = {"reason": "banned", "keep": keep, "epoch": epoch, **more}
    return AuditEvent(kind="user.revoked", at=at, user_id="u1", data=facts)


def is_refused(revocations: Revocations, it: Proof, now: float = NOW) -> bool:
    try:
        revocations.check(it, now)
    except SessionEnded:
        return True
    return False


def test_a_revoked_session_is_refused_with_its_reason_and_no_other_is(revocations: Revocations) -> None:
    revocations.apply(
        AuditEvent(kind="session.revoked", at=NOW, session_id="s1", data={"reason": "signed_out"})
    )
    with pytest.raises(SessionEnded) as refused:
        revocations.check(proof("s1"), NOW)
    assert refused.value.reason == "signed_out"
    assert not is_refused(revocations, proof("s2"))


def test_a_session_that_was_used_from_two_places_is_refused(revocations: Revocations) -> None:
    revocations.apply(AuditEvent(kind="session.reuse", at=NOW, session_id="s1"))
    with pytest.raises(SessionEnded) as refused:
        revocations.check(proof("s1"), NOW)
    assert refused.value.reason == "reuse"


def test_other_events_revoke_nothing(revocations: Revocations) -> None:
    for kind in ("refresh.rotated", "user.signed_in", "user.disabled"):
        revocations.apply(AuditEvent(kind=kind, at=NOW, user_id="u1", session_id="s1"))
    assert not is_refused(revocations, proof())
    assert len(revocations) == 0


def test_older_epochs_of_a_user_are_refused_and_the_new_one_is_not(revocations: Revocations) -> None:
    revocations.apply(user_revoked(epoch=3))
    assert is_refused(revocations, proof(epoch=2))
    assert not is_refused(revocations, proof("s2", epoch=3))
    assert not is_refused(revocations, proof(epoch=2, user="u2"))


def test_the_session_that_is_kept_goes_on_with_its_old_token(revocations: Revocations) -> None:
    revocations.apply(user_revoked(epoch=1, keep="s1"))
    assert not is_refused(revocations, proof("s1"))
    assert is_refused(revocations, proof("s2"))


def test_a_session_kept_once_is_ended_by_the_next_that_does_not_keep_it(revocations: Revocations) -> None:
    revocations.apply(user_revoked(epoch=1, keep="s1"))
    revocations.apply(user_revoked(epoch=2, keep="s2", at=NOW + 1))
    assert is_refused(revocations, proof("s1"))
    assert is_refused(revocations, proof("s2", epoch=0)), "the first ended it, whatever the second keeps"
    assert not is_refused(revocations, proof("s2", epoch=1))


def test_telling_everything_again_in_order_changes_nothing(revocations: Revocations) -> None:
    events = [user_revoked(epoch=1, keep="s1"), user_revoked(epoch=2, at=NOW + 1)]
    for event in [*events, *events]:
        revocations.apply(event)
    assert is_refused(revocations, proof("s1", epoch=1))
    assert len(revocations) == 1, "the second covers all of the first"


def test_many_revocations_of_one_user_take_the_room_of_one(revocations: Revocations) -> None:
    for epoch in range(1, 100):
        revocations.apply(user_revoked(epoch=epoch, keep="s1", at=NOW + epoch))
    assert len(revocations) == 1


@pytest.mark.parametrize(("issued_at", "refused"), [(NOW - 1, True), (NOW, True), (NOW + 1, False)])
def test_people_of_an_outside_issuer_are_refused_by_time(
    revocations: Revocations, issued_at: float, refused: bool
) -> None:
    revocations.apply(user_revoked(epoch=None))
    assert is_refused(revocations, outside(issued_at)) is refused


def test_a_token_of_the_same_second_is_refused_since_iat_is_whole_seconds(revocations: Revocations) -> None:
    revocations.apply(user_revoked(epoch=None, at=NOW + 0.5))
    assert is_refused(revocations, outside(NOW))


def test_an_outside_user_whose_id_is_known_here_is_somebody_else(revocations: Revocations) -> None:
    revocations.apply(user_revoked(epoch=4))
    assert is_refused(revocations, proof(epoch=3))
    assert not is_refused(revocations, outside(NOW - 1))


def test_a_user_of_one_issuer_is_refused_and_the_same_sub_of_another_is_not(revocations: Revocations) -> None:
    revocations.apply(user_revoked(epoch=None, issuer="https://elsewhere.example"))
    assert is_refused(revocations, outside(NOW - 1))
    assert not is_refused(revocations, proof(epoch=0, issued_at=NOW - 1))
    assert not is_refused(revocations, replace(outside(NOW - 1), issuer="https://third.example"))


def test_a_later_revocation_at_one_issuer_does_not_make_that_at_another_forgotten(
    revocations: Revocations,
) -> None:
    revocations.apply(user_revoked(epoch=None, issuer="https://elsewhere.example"))
    revocations.apply(user_revoked(epoch=None, issuer="https://third.example", at=NOW + 1))
    revocations.apply(user_revoked(epoch=5, at=NOW + 2))
    assert is_refused(revocations, outside(NOW))
    assert not is_refused(revocations, outside(NOW + 1))


def test_a_revocation_at_every_issuer_makes_those_at_one_needless(revocations: Revocations) -> None:
    revocations.apply(user_revoked(epoch=None, issuer="https://elsewhere.example"))
    revocations.apply(user_revoked(epoch=None, at=NOW + 1))
    assert is_refused(revocations, outside(NOW + 1))
    assert len(revocations) == 1


@pytest.mark.parametrize(
    ("lifetime", "kept"), [(60.0, KEEP_AT_LEAST), (KEEP_AT_LEAST * 3, KEEP_AT_LEAST * 3)]
)
def test_what_no_living_token_is_covered_by_is_forgotten(lifetime: float, kept: float) -> None:
    revocations = Revocations(lifetime=lifetime, issuer="holdfast")
    revocations.apply(AuditEvent(kind="session.revoked", at=NOW, session_id="s1"))
    revocations.apply(user_revoked(epoch=1))
    revocations.forget(NOW + kept + MARGIN)
    assert len(revocations) == 2
    revocations.forget(NOW + kept + MARGIN + 1)
    assert len(revocations) == 0


def test_checking_forgets_by_itself(revocations: Revocations) -> None:
    revocations.apply(AuditEvent(kind="session.revoked", at=NOW, session_id="s1"))
    later = NOW + 2 * KEEP_AT_LEAST
    assert not is_refused(revocations, proof("s1"), later)
    assert len(revocations) == 0


def test_every_reason_of_ours_has_words_for_people_and_others_have_the_general_ones() -> None:
    assert "password" in str(session_ended("password_changed"))
    assert str(session_ended("because I said so")) == SessionEnded.sentence
