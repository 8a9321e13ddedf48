from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.core.connection import Connection, Proof, State
from holdfast.core.effects import Bind, Close, Deliver, Record, Request, Send, Verify
from holdfast.core.policy import LivePolicy, Renewal
from holdfast.protocol import endings, frames

T0 = 1_000_000.0


def a_proof(expires_in: float = 100.0, *, user="ann", session="s1", issuer="holdfast", at=T0) -> Proof:
    return Proof(user=user, name=user, issuer=issuer, session=session, expires_at=at + expires_in)


def a_connection(*, controlled: bool = True, proof: Proof | None = None, **policy) -> Connection:
    connection = Connection(
        id="c1",
        policy=LivePolicy(**{"refresh_lead": 20.0, "ping_interval": 1000.0, **policy}),
        controlled=controlled,
        jitter=0.5,
        now=T0,
    )
    if proof is not None:
        connection.proven(proof, T0)
    return connection


def sent(effects):
    return [effect.frame for effect in effects if isinstance(effect, Send)]


def closing(effects):
    return [effect.ending for effect in effects if isinstance(effect, Close)]


def test_a_good_proof_binds_the_connection_and_welcomes_the_client():
    effects = a_connection().proven(a_proof(), T0)
    assert Bind("s1") in effects
    (welcome,) = sent(effects)
    assert (welcome.connection, welcome.user, welcome.expires_in, welcome.refresh_in) == (
        "c1",
        "ann",
        100,
        80,
    )


def test_a_bad_first_proof_ends_the_connection_with_its_own_code_and_reason():
    connection = a_connection()
    effects = connection.refused(endings.TOKEN_EXPIRED, T0)
    assert sent(effects) == [frames.Bye(endings.TOKEN_EXPIRED)]
    assert closing(effects) == [endings.TOKEN_EXPIRED]
    assert connection.state is State.ENDED


@pytest.mark.parametrize(("after", "ended"), [(9.0, False), (10.0, True), (11.0, True)])
def test_a_connection_that_proves_nothing_ends_at_the_proof_timeout(after, ended):
    connection = a_connection()
    assert connection.next_deadline(T0) == T0 + 10
    assert closing(connection.handle_deadline(T0 + after)) == ([endings.NO_PROOF] if ended else [])


def test_an_app_message_before_the_proof_is_refused_and_the_connection_lives():
    connection = a_connection()
    effects = connection.received(frames.Message({"x": 1}), 10, T0)
    assert sent(effects) == [
        frames.Error("auth_required", 'send a token first: {"type": "auth", "token": "..."}')
    ]
    assert connection.state is State.PROVING


def test_the_first_frame_may_bring_the_token():
    assert a_connection().received(frames.Auth("t", 1), 10, T0) == [Verify("t", 1)]


def test_the_server_prompts_for_a_new_token_when_it_is_due():
    connection = a_connection(proof=a_proof())
    assert connection.next_deadline(T0) == T0 + 80
    assert sent(connection.handle_deadline(T0 + 79)) == []
    assert sent(connection.handle_deadline(T0 + 80)) == [frames.AuthDue(20)]
    assert sent(connection.handle_deadline(T0 + 81)) == []


def test_a_renewal_in_band_answers_its_request_and_moves_the_lease():
    connection = a_connection(proof=a_proof())
    effects = connection.proven(a_proof(200, at=T0), T0 + 90, request=7)
    assert sent(effects) == [frames.AuthOk(110, 90, 7)]
    assert connection.next_deadline(T0 + 90) == T0 + 180


@pytest.mark.parametrize(("at", "state"), [(99.0, State.DUE), (100.0, State.GRACE), (101.0, State.GRACE)])
def test_a_message_sent_at_or_after_exp_is_not_delivered(at, state):
    connection = a_connection(proof=a_proof())
    effects = connection.received(frames.Message({"id": 5}), 10, T0 + at)
    assert connection.state is state
    delivered = [effect for effect in effects if isinstance(effect, Deliver)]
    assert bool(delivered) is (state is State.DUE)
    if state is State.GRACE:
        assert sent(effects)[-1].code == "auth_required"
        assert sent(effects)[-1].id == 5


@pytest.mark.parametrize(("at", "ends"), [(-1.0, False), (0.0, True), (1.0, True)])
def test_strict_ends_at_exp_itself_even_if_no_timer_fired(at, ends):
    connection = a_connection(proof=a_proof(), grace=0.0)
    effects = connection.received(frames.Message({}), 10, T0 + 100 + at)
    assert closing(effects) == ([endings.TOKEN_EXPIRED] if ends else [])
    assert any(isinstance(effect, Deliver) for effect in effects) is not ends


def test_a_renewal_in_grace_heals_the_connection_in_place():
    connection = a_connection(proof=a_proof())
    assert sent(connection.handle_deadline(T0 + 100)) == [frames.AuthGrace(30)]
    effects = connection.proven(a_proof(220), T0 + 120)
    assert connection.state is State.READY
    assert any(isinstance(effect, Record) and effect.what == "healed" for effect in effects)
    assert closing(effects) == []


@pytest.mark.parametrize(("at", "ended"), [(129.0, False), (130.0, True), (131.0, True)])
def test_a_connection_ends_with_its_grace(at, ended):
    connection = a_connection(proof=a_proof())
    assert closing(connection.handle_deadline(T0 + at)) == ([endings.TOKEN_EXPIRED] if ended else [])


def test_a_renewal_that_comes_after_the_grace_is_too_late():
    connection = a_connection(proof=a_proof())
    assert closing(connection.proven(a_proof(300), T0 + 131)) == [endings.TOKEN_EXPIRED]


def test_a_bad_token_in_band_is_an_error_and_the_lease_in_hand_still_stands():
    connection = a_connection(proof=a_proof())
    effects = connection.refused(endings.TOKEN_INVALID, T0 + 50, request="r")
    assert [(frame.code, frame.id) for frame in sent(effects)] == [("invalid_token", "r")]
    assert connection.state is State.READY


def test_an_older_token_of_the_same_session_takes_nothing_away():
    connection = a_connection(proof=a_proof(100))
    connection.proven(a_proof(50), T0 + 10)
    assert connection.lease.expires_at == T0 + 100


def staff(expires_in: float, **said) -> Proof:
    """A token from when its user was one of the staff."""
    return replace(a_proof(expires_in), roles=("staff",), **said)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"generation": 1}, {"generation": 2}),
        ({"generation": 2, "issued_at": T0}, {"generation": 2, "issued_at": T0 + 1}),
        ({"issued_at": T0}, {"issued_at": T0 + 1}),
    ],
)
@pytest.mark.parametrize("expires_in", [50, 100, 400])
def test_an_older_token_of_the_same_session_brings_no_role_back(first, second, expires_in):
    connection = a_connection(proof=staff(100, **first))
    connection.proven(replace(a_proof(300), **second), T0 + 10)
    effects = connection.proven(staff(expires_in, **first), T0 + 20, request=7)
    assert sent(effects) == [frames.AuthOk(280, 260, 7)]
    assert connection.proof == replace(a_proof(300), **second)


def test_a_newer_token_counts_even_where_it_ends_earlier():
    """As when the lifetime of tokens was made shorter."""
    connection = a_connection(proof=staff(100, generation=1))
    connection.proven(replace(a_proof(50), generation=2), T0 + 10)
    assert connection.proof.roles == ()
    assert connection.lease.expires_at == T0 + 100


def test_what_the_session_has_said_is_newer_than_a_token_from_before():
    connection = a_connection(proof=staff(100, generation=1), renewal=Renewal.SESSION)
    connection.session_renewed(T0 + 100, T0 + 1, generation=2, roles=[])
    connection.proven(staff(200, generation=1), T0 + 2)
    assert connection.proof.roles == ()
    connection.session_renewed(T0 + 100, T0 + 3, generation=2, roles=["staff"])
    connection.session_renewed(T0 + 100, T0 + 4, generation=2, roles=[])
    connection.proven(staff(200, generation=2, issued_at=T0 + 3), T0 + 5)
    assert connection.proof.roles == ()


def test_an_expired_token_of_another_session_binds_nothing():
    """Or a revocation of the session that did prove the connection would not find it."""
    connection = a_connection(proof=a_proof(100))
    effects = connection.proven(a_proof(10, session="s2"), T0 + 10)
    assert [type(effect) for effect in effects] == [Send]
    assert connection.session == "s1"


def test_signing_in_again_as_the_same_user_goes_on_with_the_new_session():
    connection = a_connection(proof=a_proof())
    connection.handle_deadline(T0 + 100)
    effects = connection.proven(a_proof(300, session="s2"), T0 + 110)
    assert Bind("s2") in effects
    assert connection.state is State.READY


@pytest.mark.parametrize("other", [{"user": "bob"}, {"issuer": "https://elsewhere"}])
def test_signing_in_as_somebody_else_ends_the_connection_so_that_nothing_leaks(other):
    connection = a_connection(proof=a_proof())
    assert closing(connection.proven(a_proof(300, **other), T0 + 10)) == [endings.SIGNED_IN_AS_ANOTHER]


@pytest.mark.parametrize(
    ("renewal", "controlled", "renews"),
    [
        (Renewal.AUTO, True, False),
        (Renewal.AUTO, False, True),
        (Renewal.CONNECTION, False, False),
        (Renewal.CONNECTION, True, False),
        (Renewal.SESSION, True, True),
        (Renewal.SESSION, False, True),
    ],
)
def test_who_is_renewed_through_the_session(renewal, controlled, renews):
    connection = a_connection(controlled=controlled, proof=a_proof(), renewal=renewal)
    connection.session_renewed(T0 + 500, T0 + 50)
    assert connection.lease.expires_at == (T0 + 500 if renews else T0 + 100)


def test_a_renewal_through_the_session_says_who_the_user_is_by_now():
    connection = a_connection(controlled=False, proof=a_proof())
    connection.session_renewed(T0 + 500, T0 + 50, name="Ann", roles=["staff"])
    assert (connection.proof.name, connection.proof.roles) == ("Ann", ("staff",))
    connection.session_renewed(T0 + 600, T0 + 60)
    assert (connection.proof.name, connection.proof.roles) == ("Ann", ("staff",))
    connection.session_renewed(
        T0 + 600, T0 + 60.1, roles=[]
    )  # in the same second, as whole ones are in a token
    assert (connection.proof.name, connection.proof.roles) == ("Ann", ())
    assert connection.lease.expires_at == T0 + 600
    assert connection.session_renewed(T0 + 600, T0 + 61, name="Ann", roles=[]) == []


def test_two_unanswered_pings_end_the_connection_and_any_frame_is_an_answer():
    connection = a_connection(proof=a_proof(10_000), ping_interval=25.0)
    assert sent(connection.handle_deadline(T0 + 25)) == [frames.Ping()]
    assert sent(connection.handle_deadline(T0 + 50)) == [frames.Ping()]
    connection.received(frames.Pong(), 5, T0 + 51)
    assert closing(connection.handle_deadline(T0 + 75)) == []
    connection.handle_deadline(T0 + 100)
    assert closing(connection.handle_deadline(T0 + 125)) == [endings.PEER_GONE]


def test_plain_sockets_are_not_pinged():
    connection = a_connection(controlled=False, proof=a_proof(10_000), ping_interval=25.0, refresh_lead=20.0)
    assert connection.next_deadline(T0) == T0 + 9_980


def test_a_frame_over_the_size_ends_the_connection_and_one_of_the_size_does_not():
    connection = a_connection(proof=a_proof(), max_frame_bytes=2000)
    assert closing(connection.received(frames.Message({}), 2000, T0)) == []
    assert closing(connection.received(frames.Message({}), 2001, T0)) == [endings.FRAME_TOO_LARGE]


def test_whoever_comes_back_may_ask_for_all_its_channels_at_once():
    connection = a_connection(proof=a_proof(), max_frames_per_second=3, max_channels_per_connection=50)
    for number in range(50):
        asked = frames.Subscribe(number, f"job:{number}")
        assert connection.received(asked, 2, T0 + 1) == [Request(asked)]
    for _ in range(3):
        assert connection.received(frames.Message({}), 2, T0 + 1) == [Deliver({}, 2)]
    one_more = frames.Subscribe(50, "job:50")
    assert closing(connection.received(one_more, 2, T0 + 1)) == [endings.TOO_MANY_FRAMES]


def test_too_many_frames_in_a_second_end_the_connection_and_a_pause_earns_more():
    connection = a_connection(proof=a_proof(), max_frames_per_second=3)
    for _ in range(3):
        assert closing(connection.received(frames.Message({}), 2, T0)) == []
    assert closing(connection.received(frames.Message({}), 2, T0 + 1)) == []
    for _ in range(2):
        connection.received(frames.Message({}), 2, T0 + 1)
    assert closing(connection.received(frames.Message({}), 2, T0 + 1)) == [endings.TOO_MANY_FRAMES]


def test_after_the_end_nothing_happens_any_more():
    connection = a_connection(proof=a_proof())
    connection.end(endings.REVOKED)
    assert connection.next_deadline(T0) is None
    assert connection.handle_deadline(T0 + 999) == []
    assert connection.received(frames.Message({}), 1, T0) == []
    assert connection.proven(a_proof(500), T0) == []
    assert connection.refused(endings.TOKEN_INVALID, T0) == []
    assert connection.session_renewed(T0 + 500, T0) == []
    assert connection.disconnected(1000) == []
    assert connection.end(endings.SIGNED_OUT) == []


def test_an_expired_first_proof_is_refused_even_if_the_verifier_was_slow():
    assert closing(a_connection().proven(a_proof(0), T0)) == [endings.TOKEN_EXPIRED]


def test_the_handler_that_returns_closes_without_a_bye():
    connection = a_connection(proof=a_proof())
    effects = connection.end(endings.FINISHED)
    assert sent(effects) == []
    assert closing(effects) == [endings.FINISHED]


def test_no_repr_shows_a_token():
    assert "s3cret" not in repr(frames.Auth("s3cret")) + repr(Verify("s3cret"))


REQUESTS = [
    frames.Subscribe(1, "job:42"),
    frames.Unsubscribe("u", "job:42"),
    frames.Publish(2, "job:42", "{}"),
    frames.ReadHistory(3, "job:42"),
    frames.ReadPresence(0, "job:42"),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda it: type(it).__name__)
@pytest.mark.parametrize(
    ("at", "taken"), [(79.0, True), (80.0, True), (99.0, True), (100.0, False), (101.0, False)]
)
def test_a_request_about_a_channel_is_taken_until_exp_and_refused_in_grace(request_, at, taken):
    effects = a_connection(proof=a_proof()).received(request_, 10, T0 + at)
    assert (Request(request_) in effects) is taken
    errors = [frame for frame in sent(effects) if isinstance(frame, frames.Error)]
    assert [(error.code, error.id) for error in errors] == ([] if taken else [("auth_required", request_.id)])


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda it: type(it).__name__)
def test_a_request_about_a_channel_before_the_proof_is_refused(request_):
    connection = a_connection()
    (error,) = sent(connection.received(request_, 10, T0))
    assert (error.code, error.id) == ("auth_required", request_.id)
    assert connection.state is State.PROVING


@pytest.mark.parametrize("grew_to", [85.0, 105.0])
def test_a_clock_that_is_set_back_gives_the_lease_its_time_again_and_says_nothing(grew_to):
    connection = a_connection(proof=a_proof(100.0), grace=30.0)
    connection.handle_deadline(T0 + grew_to)
    assert connection.state is not State.READY
    assert connection.handle_deadline(T0 + 50.0) == []
    assert connection.state is State.READY
    assert connection.received(frames.Message({"n": 1}), 9, T0 + 51.0) == [Deliver({"n": 1}, 9)]


def test_a_pong_before_any_proof_is_neither_answered_nor_a_mistake():
    connection = a_connection()
    assert connection.received(frames.Pong(), 5, T0 + 1) == []
    assert connection.state is State.PROVING
