"""Every forging that the standards name is refused, each by name."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.connection import Proof
from holdfast.errors import TokenExpired, TokenInvalid
from holdfast.tokens.issuer import Issuer
from holdfast.tokens.keys import KeyRing
from holdfast.tokens.verifier import Verifier

LIFETIME = 900


@pytest.fixture(scope="module")
def ring(secret):
    return KeyRing.from_secret(secret)


@pytest.fixture(scope="module")
def verifier(ring):
    return Verifier(ring, issuer="us", audience="api")


@pytest.fixture
def header(ring, now):
    return {"alg": "HS256", "typ": "at+jwt", "kid": ring.signing(now).kid}


@pytest.fixture
def claims(now):
    return good_claims(now)


def good_claims(now):
    return {
        "iss": "us",
        "aud": "api",
        "sub": "user-1",
        "sid": "session-1",
        "jti": "id-1",
        "iat": int(now),
        "exp": int(now) + LIFETIME,
        "gen": 7,
        "epoch": 3,
        "roles": ["admin"],
        "auth_time": int(now) - 60,
        "client_id": "browser",
        "name": "Alice",
    }


@pytest.fixture
def refused(verifier, now):
    """Asserts that a token is refused as invalid, for the reason given, and that its text is nowhere in the error."""

    async def check(token, because, at=now):
        with pytest.raises(TokenInvalid) as caught:
            await verifier.verify(token, now=at)
        error = caught.value
        assert because in error.detail
        assert str(error) == "Invalid token. Please refresh the page to get a new token."
        # A parser's error would carry the whole text along with it.
        assert error.__context__ is None
        assert not any(len(part) > 8 and part in repr(vars(error)) for part in str(token).split("."))

    return check


async def test_a_good_token_says_who_is_there(verifier, forge, header, claims, now):
    assert await verifier.verify(forge(header, claims), now=now) == Proof(
        user="user-1",
        name="Alice",
        issuer="us",
        expires_at=now + LIFETIME,
        session="session-1",
        generation=7,
        epoch=3,
        roles=("admin",),
        issued_at=now,
        auth_time=now - 60,
        client="browser",
    )


async def test_what_the_issuer_signs_the_verifier_accepts(ring, verifier, random, make_session, user, now):
    issuer = Issuer(ring, issuer="us", audience="api", random=random)
    token = issuer.issue(make_session(), user, now=now + 0.9, expires_at=now + LIFETIME)
    proof = await verifier.verify(token, now=now + 0.9)
    assert (proof.user, proof.name, proof.generation, proof.roles) == (
        "user-1",
        "Алиса",
        7,
        ("admin", "author"),
    )


# Time (C08)


@pytest.mark.parametrize("before", [1, 0.5, 0.001])
async def test_a_token_is_good_until_just_before_exp(verifier, forge, header, claims, now, before):
    await verifier.verify(forge(header, claims), now=now + LIFETIME - before)


@pytest.mark.parametrize("after", [0, 0.001, 1, 1e9])
async def test_a_token_has_expired_from_the_second_of_exp_on(verifier, forge, header, claims, now, after):
    with pytest.raises(TokenExpired) as caught:
        await verifier.verify(forge(header, claims), now=now + LIFETIME + after)
    assert str(caught.value) == "Token expired. Please refresh the page to get a new token."


@pytest.mark.parametrize(("early", "good"), [(4, True), (5, True), (5.001, False), (6, False)])
async def test_iat_may_be_five_seconds_ahead_for_skewed_clocks(
    verifier, refused, forge, header, claims, now, early, good
):
    token = forge(header, claims)
    if good:
        await verifier.verify(token, now=now - early)
    else:
        await refused(token, "iat is in the future", at=now - early)


@pytest.mark.parametrize(("early", "good"), [(4, True), (5, True), (6, False)])
async def test_nbf_is_obeyed(verifier, refused, forge, header, claims, now, early, good):
    token = forge(header, {**claims, "nbf": now + 100})
    if good:
        await verifier.verify(token, now=now + 100 - early)
    else:
        await refused(token, "nbf is in the future", at=now + 100 - early)


# Only who was good is told that it has expired


@pytest.mark.parametrize(
    "spoil",
    [
        lambda header, claims: (header, {**claims, "iss": "them"}),
        lambda header, claims: (header, {**claims, "aud": "other"}),
        lambda header, claims: ({**header, "typ": "JWT"}, claims),
        lambda header, claims: (header, {**claims, "gen": "7"}),
    ],
    ids=["iss", "aud", "typ", "gen"],
)
async def test_an_expired_token_with_another_fault_is_invalid_not_expired(
    refused, forge, header, claims, now, spoil
):
    await refused(forge(*spoil(header, claims)), "", at=now + LIFETIME + 1)


async def test_an_expired_token_with_a_bad_signature_is_invalid_not_expired(
    refused, forge, header, claims, now
):
    token = forge(header, claims, key="another-secret-of-more-than-32-bytes")
    await refused(token, "signature", at=now + LIFETIME + 1)


# Algorithms (C01, C02, C11)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", None])
async def test_c01_alg_none_is_refused_with_and_without_a_signature(refused, forge, header, claims, alg):
    token = forge({**header, "alg": alg}, claims)
    await refused(token, "alg")
    await refused(token.rpartition(".")[0] + ".", "three parts")


@pytest.mark.parametrize(("alg", "digest"), [("HS384", "sha384"), ("HS512", "sha512"), ("hs256", "sha256")])
async def test_c02_another_hmac_with_the_right_secret_is_refused(refused, forge, header, claims, alg, digest):
    await refused(forge({**header, "alg": alg}, claims, digest=digest), "alg")


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA", "PBES2-HS256+A128KW", "dir", 256, ["HS256"], {}])
async def test_c02_an_algorithm_that_is_not_the_keys_is_refused(refused, forge, header, claims, alg):
    await refused(forge({**header, "alg": alg}, claims), "alg")


async def test_c01_a_public_key_used_as_hmac_secret_is_refused(tmp_path, forge, header, claims, now):
    """The classic confusion: the attacker knows the public key and signs HS256 with its bytes."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    ring = KeyRing.from_directory(tmp_path, now=now, algorithm="ES256")
    verifier = Verifier(ring, issuer="us", audience="api")
    key = ring.signing(now)
    encodings = [
        key.material.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        key.material.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        key.material.public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        json.dumps(ring.jwks(now)["keys"][0]).encode(),
    ]
    for public in encodings:
        for alg in ("HS256", "ES256"):
            token = forge({**header, "alg": alg, "kid": key.kid}, claims, key=public)
            with pytest.raises(TokenInvalid):
                await verifier.verify(token, now=now)


async def test_c01_a_key_of_the_algorithm_before_verifies_nothing(tmp_path, random, make_session, user, now):
    """One ring, one algorithm: after a change of ALGORITHM no token of the old one is accepted."""
    old = KeyRing.from_directory(tmp_path, now=now, algorithm="HS256")
    token = Issuer(old, issuer="us", audience="api", random=random).issue(
        make_session(), user, now=now, expires_at=now + LIFETIME
    )
    new = KeyRing.from_directory(tmp_path, now=now, algorithm="ES256")
    with pytest.raises(TokenInvalid):
        await Verifier(new, issuer="us", audience="api").verify(token, now=now)


async def test_c11_encrypted_and_compressed_tokens_are_refused(refused, forge, header, claims):
    await refused(forge({**header, "zip": "DEF"}, claims), "header")
    await refused(forge({**header, "enc": "A128GCM"}, claims), "header")
    await refused("a.b.c.d.e", "three parts")
    await refused(forge({**header, "alg": "PBES2-HS256+A128KW", "p2c": 2**31, "p2s": "x"}, claims), "header")


# Keys named by the token (C03)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jku", "https://evil.example/jwks.json"),
        ("x5u", "https://evil.example/cert.pem"),
        ("x5c", ["MIIB"]),
        ("jwk", {"kty": "oct", "k": "c2VjcmV0"}),
        ("x5t", "abc"),
        ("crit", ["exp"]),
        ("crit", []),
        ("b64", False),
        ("b64", True),
        ("cty", "JWT"),
        ("nonce", "x"),
    ],
)
async def test_c03_a_header_that_brings_its_own_key_or_rules_is_refused(
    refused, forge, header, claims, name, value
):
    await refused(forge({**header, name: value}, claims), "header")


async def test_c03_a_jwk_in_the_header_does_not_verify_its_own_signature(refused, forge, header, claims):
    own = base64.urlsafe_b64encode(b"k" * 32).rstrip(b"=").decode()
    token = forge({**header, "jwk": {"kty": "oct", "k": own}}, claims, key=b"k" * 32)
    await refused(token, "header")


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "' OR 1=1 --",
        "x" * 65,
        "short",
        "",
        "with\nnewline-in-it",
        "пятнадцать-букв",
        None,
        7,
        True,
        ["kid"],
        {"kid": 1},
    ],
)
async def test_c03_a_kid_that_is_not_one_of_ours_is_refused(refused, forge, header, claims, kid):
    await refused(forge({**header, "kid": kid}, claims), "kid is not one of ours")


async def test_c03_a_kid_with_a_newline_after_it_is_refused(refused, forge, header, claims):
    await refused(forge({**header, "kid": header["kid"] + "\n"}, claims), "kid is not one of ours")


async def test_c03_a_well_formed_kid_that_nobody_knows_is_refused(refused, forge, header, claims):
    await refused(forge({**header, "kid": "well-formed-and-unknown"}, claims), "kid is not known")


@pytest.mark.parametrize("name", ["alg", "kid", "typ"])
async def test_a_header_without_one_of_its_three_members_is_refused(refused, forge, header, claims, name):
    del header[name]
    await refused(forge(header, claims), "header")


# Meant for us (C04, C05, C06)


@pytest.mark.parametrize("iss", ["them", "US", "us ", "", None, 7, ["us"], {"us": 1}])
async def test_c04_another_issuer_is_refused_even_with_our_signature(refused, forge, header, claims, iss):
    await refused(forge(header, {**claims, "iss": iss}), "issuer")


@pytest.mark.parametrize("aud", ["other", "API", "", None, 7, [], ["other"], {"api": 1}])
async def test_c05_another_audience_is_refused(refused, forge, header, claims, aud):
    await refused(forge(header, {**claims, "aud": aud}), "aud")


async def test_c05_a_list_of_audiences_must_hold_ours_and_nothing_but_strings(
    verifier, refused, forge, header, claims, now
):
    await verifier.verify(forge(header, {**claims, "aud": ["other", "api"]}), now=now)
    await refused(forge(header, {**claims, "aud": ["api", 7]}), "aud")


@pytest.mark.parametrize(
    "typ", ["JWT", "jwt", "at-jwt", "at+jwt ", "rt+jwt", "logout+jwt", "dpop+jwt", "", None, 7, []]
)
async def test_c06_another_kind_of_token_is_refused(refused, forge, header, claims, typ):
    await refused(forge({**header, "typ": typ}, claims), "typ")


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
async def test_c06_the_media_type_counts_not_its_spelling(verifier, forge, header, claims, now, typ):
    await verifier.verify(forge({**header, "typ": typ}, claims), now=now)


# Claims (C07, C08)

REQUIRED = sorted(good_claims(0))


@pytest.mark.parametrize("name", REQUIRED)
async def test_c07_a_token_without_a_required_claim_is_refused(refused, forge, header, claims, name):
    del claims[name]
    await refused(forge(header, claims), "")


@pytest.mark.parametrize("name", ["sub", "sid", "jti", "client_id", "name"])
@pytest.mark.parametrize("value", [None, 7, True, "", ["x"], {}, "nul\0", "line\nline", "\ud800"])
async def test_a_claim_that_must_be_text_is_refused_otherwise(refused, forge, header, claims, name, value):
    await refused(forge(header, {**claims, name: value}), name)


@pytest.mark.parametrize("name", ["exp", "iat", "nbf", "auth_time"])
@pytest.mark.parametrize("value", [None, True, False, "1900000000", [], {}, -1, 1e300, 10**30, 10**4000])
async def test_c08_a_time_that_is_no_time_is_refused(refused, forge, header, claims, name, value):
    await refused(forge(header, {**claims, name: value}), name)


@pytest.mark.parametrize("name", ["exp", "iat", "nbf", "auth_time"])
@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
async def test_c08_a_time_that_json_does_not_know_is_refused(refused, forge, header, claims, name, text):
    raw = json.dumps({**claims, name: 0}).replace(f'"{name}": 0', f'"{name}": {text}')
    await refused(forge(header, raw.encode()), "")


@pytest.mark.parametrize("name", ["gen", "epoch"])
@pytest.mark.parametrize("value", [None, True, "7", 7.0, -1, 2**53 + 1, []])
async def test_a_count_that_is_no_whole_number_is_refused(refused, forge, header, claims, name, value):
    await refused(forge(header, {**claims, name: value}), name)


@pytest.mark.parametrize(
    "roles", [None, "admin", {"admin": True}, [1], ["admin", None], [["admin"]], [""], ["a\nb"]]
)
async def test_roles_that_are_no_list_of_text_are_refused(refused, forge, header, claims, roles):
    await refused(forge(header, {**claims, "roles": roles}), "roles")


# Shape (C09)


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c.d",
        "{}",
        "Bearer a.b.c",
        " a.b.c",
        "a.b.c\n",
        "a=.b.c",
        "a+.b/.c",
        "а.б.в",
        "\ud800.b.c",
        "a" * 8193,
        '{"payload":"e30","signatures":[]}',
        None,
        7,
        b"a.b.c",
    ],
)
async def test_c09_what_is_not_compact_is_refused(refused, token):
    await refused(token, "")


@pytest.mark.parametrize("padding", ["=", "==", " ", "\n", "\r\n", "%3D", "\0", ".", "é"])
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_c09_characters_outside_base64url_are_refused_in_every_part(
    refused, forge, header, claims, padding, place
):
    parts = forge(header, claims).split(".")
    parts[place] += padding
    await refused(".".join(parts), "")


async def test_c09_a_second_way_to_write_the_same_bytes_is_refused(
    verifier, refused, forge, header, claims, now
):
    """32 bytes of signature are 43 characters, of which the last has two bits that mean nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = forge(header, claims)
    last = alphabet.index(token[-1])
    assert last % 4 == 0
    for other in range(last + 1, last + 4):
        await refused(token[:-1] + alphabet[other], "canonical")
    await verifier.verify(token, now=now)


async def test_c09_a_token_of_8_kb_is_read_and_a_longer_one_is_not(
    verifier, refused, forge, header, claims, now
):
    def of_length(wanted):
        length, roles = 0, ["x"]
        while length < wanted:
            roles = ["x" * (len(roles[0]) + 1)]
            length = len(forge(header, {**claims, "roles": roles}))
        return forge(header, {**claims, "roles": roles})

    fits = of_length(8190)
    assert 8190 <= len(fits) <= 8192
    await verifier.verify(fits, now=now)
    await refused(of_length(8193), "8 KB")


@pytest.mark.parametrize("which", ["header", "payload"])
@pytest.mark.parametrize(
    "raw", [b"[]", b'"text"', b"7", b"null", b"", b"{", b"{}{}", b"\xff{}", b"\xef\xbb\xbf{}", b"{'a': 1}"]
)
async def test_a_part_that_is_no_json_object_is_refused(refused, forge, header, claims, which, raw):
    await refused(forge(raw, claims) if which == "header" else forge(header, raw), "")


@pytest.mark.parametrize("which", ["header", "payload"])
async def test_a_name_that_stands_twice_is_refused(refused, forge, header, claims, which):
    """Two readers of such a token may each see another value."""
    twice = {"header": b'{"alg":"none",', "payload": b'{"sub":"root",'}[which]
    whole = json.dumps(header if which == "header" else claims).encode()
    raw = twice + whole[1:]
    token = forge(raw, claims) if which == "header" else forge(header, raw)
    await refused(token, f"the {which} is not a JSON object with each name once")


@pytest.mark.parametrize(("open_", "close"), [(b"[", b"]"), (b'{"a":', b"}")])
async def test_deep_nesting_is_refused_without_a_crash(refused, forge, header, claims, open_, close):
    depth = 5000 // (len(open_) + len(close))
    deep = b'{"x":' + open_ * depth + b"1" + close * depth + b"}"
    await refused(forge(header, deep), "")
    await refused(forge(deep, claims), "")


# Whatever else is done to a token


@given(data=st.data())
async def test_no_mutation_of_a_good_token_is_accepted(verifier, forge, ring, now, data):
    header = {"alg": "HS256", "typ": "at+jwt", "kid": ring.signing(now).kid}
    good = forge(header, good_claims(now))
    kind = data.draw(st.sampled_from(["replace", "insert", "delete", "swap", "cut"]))
    at = data.draw(st.integers(0, len(good) - 1))
    character = data.draw(st.one_of(st.sampled_from("AQgwz09-_.="), st.characters()))
    match kind:
        case "replace":
            bad = good[:at] + character + good[at + 1 :]
        case "insert":
            bad = good[:at] + character + good[at:]
        case "delete":
            bad = good[:at] + good[at + 1 :]
        case "swap":
            other = data.draw(st.integers(0, len(good) - 1))
            letters = list(good)
            letters[at], letters[other] = letters[other], letters[at]
            bad = "".join(letters)
        case _:
            bad = good[:at]
    if bad == good:
        return
    with pytest.raises(TokenInvalid):
        await verifier.verify(bad, now=now)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(name=st.sampled_from([*REQUIRED, "nbf"]), value=JSON)
async def test_no_value_of_a_claim_raises_anything_else(verifier, forge, ring, now, name, value):
    """Signed with the right key, so that the value itself is what is looked at."""
    header = {"alg": "HS256", "typ": "at+jwt", "kid": ring.signing(now).kid}
    token = forge(header, {**good_claims(now), name: value})
    try:
        proof = await verifier.verify(token, now=now)
    except (TokenInvalid, TokenExpired):
        return
    assert proof.issuer == "us"


@given(token=st.text())
async def test_no_text_raises_anything_else(verifier, now, token):
    with pytest.raises(TokenInvalid):
        await verifier.verify(token, now=now)


# The other algorithms, and rotation


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256", "EdDSA"])
async def test_each_algorithm_signs_and_verifies_and_notices_a_change(
    tmp_path, random, make_session, user, now, algorithm
):
    ring = KeyRing.from_directory(tmp_path, now=now, algorithm=algorithm)
    token = Issuer(ring, issuer="us", audience="api", random=random).issue(
        make_session(), user, now=now, expires_at=now + LIFETIME
    )
    verifier = Verifier(ring, issuer="us", audience="api")
    assert (await verifier.verify(token, now=now)).user == "user-1"
    head, _, signature = token.rpartition(".")
    for bad in (signature[:-4], signature + "AAAA", "AAAA" + signature[4:], "AAAA"):
        with pytest.raises(TokenInvalid):
            await verifier.verify(f"{head}.{bad}", now=now)


async def test_a_token_of_a_retired_key_has_expired_whatever_it_claims(
    tmp_path, random, make_session, user, now
):
    """Who slept through a rotation is told to refresh; so is who has a leaked key, and he has nothing to refresh."""
    ring = KeyRing.from_directory(tmp_path, now=now)
    token = Issuer(ring, issuer="us", audience="api", random=random).issue(
        make_session(), user, now=now, expires_at=now + 10 * LIFETIME
    )
    retires_at = now + 300 + LIFETIME
    ring.rotate(now, token_lifetime=LIFETIME, cache_seconds=300)
    verifier = Verifier(ring, issuer="us", audience="api")
    assert (await verifier.verify(token, now=retires_at - 1)).user == "user-1"
    for at in (retires_at, retires_at + 1):
        with pytest.raises(TokenExpired):
            await verifier.verify(token, now=at)
