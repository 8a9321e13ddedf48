from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from holdfast.errors import ConfigurationError
from holdfast.tokens import algorithms


def pem(private):
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_a_generated_pair_loads_as_its_algorithm_and_no_other(algorithm):
    text = algorithms.generate(algorithm)
    assert algorithms.from_pem(algorithm, text).algorithm == algorithm
    for other in {"RS256", "ES256", "EdDSA"} - {algorithm}:
        with pytest.raises(ValueError, match=f"not a private key for {other}"):
            algorithms.from_pem(other, text)


def test_a_generated_rsa_key_has_the_strength_of_128_bits():
    assert algorithms.from_pem("RS256", algorithms.generate("RS256")).public.key_size == 3072


def test_keys_of_another_curve_or_too_few_bits_are_refused():
    for algorithm, private in (
        ("RS256", rsa.generate_private_key(public_exponent=65537, key_size=1024)),
        ("ES256", ec.generate_private_key(ec.SECP384R1())),
        ("ES256", ec.generate_private_key(ec.SECP256K1())),
        ("EdDSA", ed448.Ed448PrivateKey.generate()),
    ):
        with pytest.raises(ValueError, match="not a private key"):
            algorithms.from_pem(algorithm, pem(private))


def test_what_is_no_pem_is_refused_without_repeating_it():
    with pytest.raises(ValueError, match=r"^not a private key for ES256$"):
        algorithms.from_pem("ES256", "c2VjcmV0 stuff")


def test_generated_secrets_are_long_and_never_the_same():
    first, second = algorithms.generate("HS256"), algorithms.generate("HS256")
    assert first != second
    assert len(base64.urlsafe_b64decode(first)) == 48


def test_the_kid_of_a_pair_is_its_rfc_7638_thumbprint():
    material = algorithms.from_pem("ES256", algorithms.generate("ES256"))
    jwk = material.public_jwk()
    required = json.dumps({name: jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    digest = hashlib.sha256(required.encode()).digest()
    assert material.kid == base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == jwk["kid"]


def test_the_thumbprint_is_the_one_of_the_rfc_8037_example():
    public = ed25519.Ed25519PublicKey.from_public_bytes(
        base64.urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    )
    assert algorithms.thumbprint("EdDSA", public) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_the_kid_of_a_secret_is_the_same_each_time_and_is_no_plain_hash_of_it(secret):
    kid = algorithms.from_secret(secret).kid
    assert kid == algorithms.from_secret(secret.encode()).kid
    assert len(kid) == 16
    digest = base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()).decode()
    assert kid not in digest
    assert kid != algorithms.from_secret(secret + "x").kid


def test_a_secret_has_no_public_face(secret):
    assert algorithms.from_secret(secret).public_jwk() is None


@pytest.mark.parametrize("secret", ["", "tooshort", "x" * 31, "ж" * 15])
def test_c10_a_secret_under_32_bytes_is_refused_without_repeating_it(secret):
    with pytest.raises(ConfigurationError, match="shorter than 32 bytes") as caught:
        algorithms.from_secret(secret)
    assert not secret or secret not in str(caught.value)


def test_a_key_of_another_kind_is_refused_as_a_secret():
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for text in (public, pem(private), json.dumps({"kty": "oct", "k": "x" * 43})):
        with pytest.raises(ConfigurationError, match="not a secret"):
            algorithms.from_secret(text)


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_no_repr_shows_a_key(algorithm, secret):
    material = (
        algorithms.from_secret(secret)
        if algorithm == "HS256"
        else algorithms.from_pem(algorithm, algorithms.generate(algorithm))
    )
    assert repr(material) == f"Material(algorithm={algorithm!r}, kid={material.kid!r})"


def test_only_the_whole_signature_is_one(secret):
    material = algorithms.from_secret(secret)
    good = hmac.digest(secret.encode(), b"signed", "sha256")
    for _ in range(2):
        assert material.verify(b"signed", good)
    for bad in (b"", good[:1], good[:-1], good + b"x", good[::-1]):
        assert not material.verify(b"signed", bad)
    assert not material.verify(b"signe", good)


def test_an_unknown_algorithm_is_named_with_those_there_are():
    with pytest.raises(ConfigurationError, match=r"'none' is not one of HS256, RS256, ES256, EdDSA"):
        algorithms.generate("none")


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "EC"},
        {"kty": "EC", "crv": "P-256", "x": 5, "y": []},
        {"kty": "RSA", "n": "", "e": ""},
        {"kty": "OKP", "crv": "X25519", "x": "AAAA"},
        {"kty": ["EC"]},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
    ],
)
def test_what_is_no_public_key_is_none(jwk):
    assert algorithms.public_from_jwk(jwk) is None


def test_a_jwk_with_its_private_part_is_no_public_key():
    jwk = {
        "kty": "OKP",
        "crv": "Ed25519",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }
    assert algorithms.public_from_jwk(jwk) is None
    del jwk["d"]
    assert algorithms.fits("EdDSA", algorithms.public_from_jwk(jwk))
