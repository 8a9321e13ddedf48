from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import MisuseError, TokenInvalid
from holdfast.ports import Presented
from holdfast.tokens.keys import KeyRing
from holdfast.tokens.refresh import RefreshTokenCodec

OTHER = "another-secret-of-this-suite-which-is-long-enough"


@pytest.fixture(scope="module")
def ring(secret):
    return KeyRing.from_secret(secret)


@pytest.fixture(scope="module")
def codec(ring):
    return RefreshTokenCodec(ring)


@pytest.fixture(scope="module")
def session(make_session, codec):
    return make_session(kid=codec.kid)


@pytest.fixture(scope="module")
def token(codec, session):
    return codec.derive(session)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sealed(master, kid, sid, generation, proof):
    """What somebody makes who has the master key and has read this project, but has not got the salt."""
    head = f"rt1.{kid}.{sid}.{generation}"
    seal = hmac.new(master, b"holdfast rt1 seal\0" + head.encode() + b"\0" + proof, hashlib.sha256).digest()
    return f"{head}.{b64(proof + seal)}"


def refused(codec, token, because=""):
    with pytest.raises(TokenInvalid) as caught:
        codec.read(token)
    assert because in caught.value.detail
    assert caught.value.__context__ is None
    assert not any(len(part) > 16 and part in repr(vars(caught.value)) for part in str(token).split("."))


def test_a_token_says_whose_it_is_and_is_matched_to_the_row(codec, session, token):
    presented = codec.read(token)
    assert (presented.kid, presented.sid, presented.generation) == (codec.kid, session.id, 7)
    assert codec.matches(presented, session)


def test_a_token_has_its_documented_shape_and_fits_a_cookie(codec, session, token):
    prefix, kid, sid, generation, mac = token.split(".")
    assert (prefix, kid, sid, generation, len(mac)) == ("rt1", codec.kid, session.id, "7", 86)
    assert len(token) < 200


def test_the_same_row_gives_the_same_token_each_time(codec, session, token, secret):
    assert codec.derive(session) == token
    assert RefreshTokenCodec(KeyRing.from_secret(secret)).derive(replace(session, last_seen_at=0.0)) == token


@pytest.mark.parametrize(
    "changed", [{"generation": 8}, {"salt": b"fedcba9876543210"}, {"id": "another-session"}], ids=str
)
def test_another_generation_salt_or_session_gives_another_token(codec, session, token, changed):
    other = codec.derive(replace(session, **changed))
    assert other.split(".")[-1] != token.split(".")[-1]


def test_an_older_generation_still_matches_the_row_that_has_moved_on(codec, session, token):
    assert codec.matches(codec.read(token), replace(session, generation=9, confirmed_generation=8))


def test_a_token_of_another_session_does_not_match(codec, session, token):
    presented = codec.read(token)
    assert not codec.matches(presented, replace(session, id="another-session"))
    assert not codec.matches(replace(presented, sid="another-session"), session)
    assert not codec.matches(presented, replace(session, salt=b"fedcba9876543210"))


def test_the_master_key_without_the_salt_forges_nothing(codec, ring, session, token):
    """It gets past the seal, and no further: not even as far as looking like a reuse."""
    master = ring.master(ring.master_kid)
    own_proof = codec.read(token).proof
    guesses = [
        bytes(32),
        own_proof,
        *(
            hmac.new(
                master, b"holdfast rt1 proof\0" + session.id.encode() + b"\x006\0" + salt, "sha256"
            ).digest()
            for salt in (b"", bytes(16))
        ),
    ]
    for proof in guesses:
        presented = codec.read(sealed(master, ring.master_kid, session.id, 6, proof))
        assert not codec.matches(presented, session)


def test_the_store_without_a_master_key_forges_nothing(codec, session):
    forger = RefreshTokenCodec(KeyRing.from_secret(OTHER))
    token = forger.derive(replace(session, kid=forger.kid))
    refused(codec, token, "not known")
    refused(codec, token.replace(forger.kid, codec.kid), "seal")


def test_a_presented_token_without_a_proof_matches_nothing(codec, session):
    assert not codec.matches(Presented(codec.kid, session.id, 7), session)
    assert not codec.matches(Presented("unknown-kid", session.id, 7, bytes(32)), session)


@pytest.mark.parametrize("field", [2, 3, 4], ids=["sid", "generation", "mac"])
def test_no_field_can_be_exchanged_between_two_good_tokens(codec, session, token, field):
    other = codec.derive(replace(session, id="another-session", generation=8)).split(".")
    mixed = token.split(".")
    mixed[field] = other[field]
    refused(codec, ".".join(mixed), "seal")


@pytest.mark.parametrize(
    "generation", ["0", "07", "+7", "-7", "7.0", "7e0", " 7", "٧", "", "2147483648", "9" * 11]
)
def test_a_generation_is_written_in_one_way_only(codec, ring, session, generation):
    refused(codec, sealed(ring.master(ring.master_kid), ring.master_kid, session.id, generation, bytes(32)))


def test_the_largest_generation_of_a_column_is_read(codec, session):
    assert codec.read(codec.derive(replace(session, generation=2**31 - 1))).generation == 2**31 - 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: "",
        lambda _: None,
        lambda _: 7,
        lambda t: t.encode(),
        lambda t: t + "\n",
        lambda t: " " + t,
        lambda t: t + "=",
        lambda t: t + ".x",
        lambda t: t[:-1],
        lambda t: "RT1" + t[3:],
        lambda t: "rt2" + t[3:],
        lambda t: t.replace("-", "+"),
        lambda t: t * 4,
        lambda _: "x" * 513,
        lambda t: t.rpartition(".")[0] + ".",
    ],
)
def test_what_has_not_the_shape_is_refused_before_any_key_is_looked_at(codec, token, spoil):
    refused(codec, spoil(token), "shape")


def test_a_second_way_to_write_the_same_mac_is_refused(codec, token):
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(token[-1])
    for other in range(last + 1, last + 16):
        refused(codec, token[:-1] + alphabet[other], "shape")


@given(data=st.data())
def test_no_mutation_of_a_good_token_is_read(codec, token, data):
    at = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(st.one_of(st.sampled_from("AQgwz019-_."), st.characters(), st.just("")))
    bad = token[:at] + character + token[at + data.draw(st.integers(0, 1)) :]
    if bad != token:
        refused(codec, bad)


@given(
    text=st.text()
    | st.from_regex(r"rt1\.[\w-]{1,20}\.[\w-]{1,20}\.[0-9]{1,12}\.[\w-]{80,90}", fullmatch=True)
)
def test_no_text_raises_anything_else(codec, text):
    refused(codec, text)


def test_an_id_that_cannot_stand_in_a_token_is_misuse(codec, session):
    for wrong in ({"id": "with.dot"}, {"id": ""}, {"id": "x" * 65}, {"generation": 0}, {"generation": 2**31}):
        with pytest.raises(MisuseError):
            codec.derive(replace(session, **wrong))


def test_tokens_from_before_a_change_of_secret_are_good_and_new_ones_come_from_the_new(
    secret, session, token
):
    codec = RefreshTokenCodec(KeyRing.from_secret(OTHER, previous=[secret]))
    assert codec.matches(codec.read(token), session)
    assert codec.kid != session.kid
    moved = replace(session, kid=codec.kid, generation=8)
    assert codec.read(codec.derive(moved)).kid == codec.kid
    assert codec.matches(codec.read(token), moved)
    assert codec.derive(session) == token


def test_a_row_whose_master_key_is_gone_gives_no_token(session, token):
    codec = RefreshTokenCodec(KeyRing.from_secret(OTHER))
    with pytest.raises(TokenInvalid):
        codec.derive(session)
    refused(codec, token, "not known")


def test_access_tokens_and_refresh_tokens_share_no_key(ring, codec, now):
    """The HS256 secret makes no seal, and a master key makes no signature."""
    material = ring.signing(now).material
    assert ring.master(ring.master_kid) != material.private
    refused(codec, sealed(material.private, ring.master_kid, "session-1", 7, bytes(32)), "seal")


def test_no_repr_shows_the_proof(codec, token):
    assert "proof" not in repr(codec.read(token))
