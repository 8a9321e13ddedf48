from __future__ import annotations

import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.connection import Proof
from holdfast.errors import ConfigurationError, TokenExpired, TokenInvalid, Unavailable
from holdfast.tokens import algorithms
from holdfast.tokens.issuer import Issuer
from holdfast.tokens.jwks import MIN_REFETCH_SECONDS
from holdfast.tokens.keys import KeyRing
from holdfast.tokens.outside import AnyVerifier, OutsideVerifier
from holdfast.tokens.verifier import Verifier

ISSUER = "https://id.example/"


class Provider:
    """An identity provider with one key."""

    def __init__(self, algorithm="ES256"):
        self.material = algorithms.from_pem(algorithm, algorithms.generate(algorithm))
        self.calls = 0
        self.down = False

    async def fetch(self, _url):
        self.calls += 1
        if self.down:
            raise OSError
        return json.dumps({"keys": [self.material.public_jwk()]}).encode()

    def sign(self, claims, **header):
        headers = {"kid": self.material.kid, **header}
        return jwt.encode(claims, self.material.private, algorithm=self.material.algorithm, headers=headers)

    def verifier(self, **changes):
        options = {
            "issuer": ISSUER,
            "jwks_url": "https://id.example/jwks.json",
            "audience": "api",
            "algorithms": ("RS256", "ES256", "EdDSA"),
            "fetch": self.fetch,
        }
        return OutsideVerifier(**{**options, **changes})


@pytest.fixture(scope="module")
def provider():
    return Provider()


@pytest.fixture(scope="module")
def outside(provider):
    return provider.verifier()


@pytest.fixture(scope="module")
def claims(now):
    return {
        "iss": ISSUER,
        "aud": "api",
        "sub": "google|7",
        "iat": now - 10,
        "exp": now + 900,
        "roles": ["author"],
    }


async def refused(verifier, token, now, because=""):
    with pytest.raises(TokenInvalid) as caught:
        await verifier.verify(token, now=now)
    assert because in caught.value.detail
    assert caught.value.__context__ is None


async def test_a_good_token_says_who_is_there_and_has_no_session_of_ours(provider, outside, claims, now):
    token = provider.sign(
        {**claims, "sid": "theirs", "gen": 9, "epoch": 9, "auth_time": now - 60, "azp": "app"}
    )
    assert await outside.verify(token, now=now) == Proof(
        user="google|7",
        name="google|7",
        issuer=ISSUER,
        expires_at=now + 900,
        session=None,
        roles=("author",),
        issued_at=now - 10,
        auth_time=now - 60,
        client="app",
    )


@pytest.mark.parametrize("algorithm", ["RS256", "EdDSA"])
async def test_the_other_algorithms_verify_too(claims, now, algorithm):
    provider = Provider(algorithm)
    assert (await provider.verifier().verify(provider.sign(claims), now=now)).user == "google|7"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"name": "Alice", "preferred_username": "alice", "email": "a@x.example"}, "Alice"),
        ({"preferred_username": "alice", "email": "a@x.example"}, "alice"),
        ({"name": "", "email": "a@x.example"}, "a@x.example"),
        ({"name": 7}, "google|7"),
    ],
)
async def test_the_name_is_the_first_one_that_there_is(provider, outside, claims, now, said, name):
    assert (await outside.verify(provider.sign({**claims, **said}), now=now)).name == name


@pytest.mark.parametrize("roles", [None, "admin", {"admin": 1}, [1], ["admin", 1]])
async def test_roles_that_are_no_list_of_text_are_no_roles(provider, outside, claims, now, roles):
    assert (await outside.verify(provider.sign({**claims, "roles": roles}), now=now)).roles == ()


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "JWT", "jwt", None])
async def test_typ_may_be_that_of_an_access_token_or_of_none(provider, outside, claims, now, typ):
    await outside.verify(provider.sign(claims, typ=typ), now=now)


@pytest.mark.parametrize("typ", ["logout+jwt", "dpop+jwt", "secevent+jwt", "rt+jwt", 7])
async def test_typ_of_another_kind_is_refused(provider, outside, claims, now, typ):
    await refused(outside, provider.sign(claims, typ=typ), now, "typ")


@pytest.mark.parametrize(("after", "expired"), [(-1, False), (-0.001, False), (0, True), (1, True)])
async def test_expiry_is_exact(provider, outside, claims, now, after, expired):
    token = provider.sign(claims)
    if not expired:
        await outside.verify(token, now=now + 900 + after)
        return
    with pytest.raises(TokenExpired):
        await outside.verify(token, now=now + 900 + after)


async def test_an_expired_token_for_another_audience_is_invalid_not_expired(provider, outside, claims, now):
    await refused(outside, provider.sign({**claims, "aud": "other"}), now + 901, "audience")


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "iat", "exp"])
async def test_a_token_without_a_required_claim_is_refused(provider, outside, claims, now, name):
    await refused(outside, provider.sign({key: value for key, value in claims.items() if key != name}), now)


async def test_an_id_token_is_refused_by_its_audience(provider, outside, claims, now):
    await refused(outside, provider.sign({**claims, "aud": "the-web-client", "nonce": "n"}), now, "audience")


@pytest.mark.parametrize("name", ["at_hash", "c_hash"])
async def test_an_id_token_is_refused_even_if_the_api_shares_its_clients_name(
    provider, outside, claims, now, name
):
    await refused(outside, provider.sign({**claims, name: "x"}), now, "ID token")


@pytest.mark.parametrize(
    ("name", "value"), [("zip", "DEF"), ("enc", "A128GCM"), ("b64", True), ("crit", ["exp"])]
)
async def test_a_header_that_changes_the_meaning_is_refused(provider, outside, claims, now, name, value):
    token = forged_header(provider, provider.sign(claims), **{name: value})
    await refused(outside, token, now, "header")


def forged_header(provider, token, **changes):
    """The same claims under another header, signed again by hand."""
    header = {**jwt.get_unverified_header(token), **changes}
    first = algorithms.base64url(json.dumps(header).encode())
    signed = f"{first}.{token.split('.')[1]}"
    signature = jwt.get_algorithm_by_name(provider.material.algorithm).sign(
        signed.encode(), provider.material.private
    )
    return f"{signed}.{algorithms.base64url(signature)}"


async def test_keys_and_urls_in_the_header_are_never_used(outside, claims, now):
    thief = Provider()
    for header in (
        {"jku": "https://evil.example/jwks.json"},
        {"x5u": "https://evil.example/cert"},
        {"jwk": thief.material.public_jwk()},
        {"x5c": ["MIIB"]},
    ):
        await refused(outside, thief.sign(claims, **header), now, "no such key")


async def test_they_do_no_harm_beside_a_good_signature(provider, outside, claims, now):
    await outside.verify(provider.sign(claims, jku="https://id.example/other.json", x5t="abc"), now=now)


async def test_a_thief_who_borrows_the_kid_is_refused(provider, outside, claims, now):
    await refused(outside, Provider().sign(claims, kid=provider.material.kid), now, "signature")


@pytest.mark.parametrize("kid", [None, "", "x" * 257, "with space", "line\n"])
async def test_a_kid_that_is_no_name_is_refused_without_asking_the_provider(claims, now, forge, kid):
    provider = Provider()
    token = forge({"alg": "ES256", "kid": kid}, claims)
    await refused(provider.verifier(), token, now, "kid")
    assert provider.calls == 0


async def test_the_public_key_used_as_hmac_secret_is_refused(provider, outside, claims, now, forge):
    public = json.dumps(provider.material.public_jwk())
    for alg in ("HS256", "none", "PS256", None):
        await refused(
            outside, forge({"alg": alg, "kid": provider.material.kid}, claims, key=public), now, "alg"
        )


async def test_a_good_key_of_an_algorithm_that_is_not_allowed_is_refused(provider, claims, now):
    await refused(provider.verifier(algorithms=["RS256"]), provider.sign(claims), now, "alg is not one")


@pytest.mark.parametrize("wrong", [("HS256",), ("none",), ("RS256", "HS512"), ("rs256",), ()])
def test_only_asymmetric_algorithms_can_be_allowed(provider, wrong):
    with pytest.raises(ConfigurationError, match="HOLDFAST_OIDC_ALGORITHMS"):
        provider.verifier(algorithms=wrong)


async def test_a_provider_that_is_down_is_told_apart_from_a_bad_token(claims, now):
    provider = Provider()
    verifier = provider.verifier()
    provider.down = True
    with pytest.raises(Unavailable):
        await verifier.verify(provider.sign(claims), now=now)
    provider.down = False
    assert (await verifier.verify(provider.sign(claims), now=now + MIN_REFETCH_SECONDS)).user == "google|7"


@given(data=st.data())
async def test_no_mutation_is_accepted_or_raises_anything_else(provider, outside, claims, now, data):
    good = provider.sign(claims)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + data.draw(st.characters() | st.sampled_from("AQgw-_.")) + good[at + 1 :]
    if bad != good:
        await refused(outside, bad, now)


# Which verifier a token is for


@pytest.fixture(scope="module")
def ring(secret):
    return KeyRing.from_secret(secret)


@pytest.fixture(scope="module")
def either(ring, outside):
    return AnyVerifier(Verifier(ring, issuer="us", audience="api"), outside)


async def test_each_token_is_held_against_its_own_issuer(
    provider, either, ring, claims, random, make_session, user, now
):
    own = Issuer(ring, issuer="us", audience="api", random=random)
    ours = own.issue(make_session(), user, now=now, expires_at=now + 60)
    assert (await either.verify(ours, now=now)).issuer == "us"
    assert (await either.verify(provider.sign(claims), now=now)).issuer == ISSUER


async def test_c04_an_outside_issuer_cannot_speak_for_us_nor_we_for_it(
    provider, either, ring, claims, now, random, make_session, user
):
    await refused(either, provider.sign({**claims, "iss": "us"}, typ="at+jwt"), now, "kid is not known")
    own = Issuer(ring, issuer=ISSUER, audience="api", random=random)
    await refused(either, own.issue(make_session(), user, now=now, expires_at=now + 60), now, "alg")


@pytest.mark.parametrize("iss", ["https://id.example", "https://id.example//", "US", "", None, 7, ["us"], {}])
async def test_an_issuer_that_is_nobodys_is_refused(either, claims, now, forge, iss):
    await refused(
        either,
        forge({"alg": "ES256", "kid": "some-kid-or-other"}, {**claims, "iss": iss}),
        now,
        "another issuer",
    )


async def test_a_payload_that_is_no_object_is_refused(either, now, forge):
    await refused(either, forge({"alg": "ES256"}, b"[]"), now, "payload")


def test_two_issuers_of_one_name_are_refused(ring, provider):
    for own in (Verifier(ring, issuer=ISSUER, audience="api"), Verifier(ring, issuer="us", audience="api")):
        with pytest.raises(ConfigurationError, match="must differ"):
            AnyVerifier(own, provider.verifier(), provider.verifier())
    with pytest.raises(ConfigurationError, match="must differ"):
        AnyVerifier(Verifier(ring, issuer=ISSUER, audience="api"), provider.verifier())
