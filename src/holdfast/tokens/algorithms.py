"""One key and the one algorithm that it is for (RFC 8725, section 3.1), its `kid`, and its public face.

A `kid` is made from the key itself, so two processes that hold the same key call it the same: the RFC 7638 thumbprint
of a public key; for a secret, a one-way derivation that shares nothing with its other uses.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from jwt.algorithms import get_default_algorithms
from jwt.exceptions import InvalidKeyError

from holdfast.errors import ConfigurationError
from holdfast.settings import MIN_SECRET_BYTES

HMAC = "HS256"
ASYMMETRIC = ("RS256", "ES256", "EdDSA")
SUPPORTED = (HMAC, *ASYMMETRIC)
"""What Holdfast itself signs with."""

RSA_BITS = 3072
"""128 bits of strength (NIST SP 800-57, table 2)."""
MIN_RSA_BITS = 2048

_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "ES256": ec.SECP256R1,
    "ES384": ec.SECP384R1,
    "ES512": ec.SECP521R1,
}
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")

OUTSIDE = (*_RSA, *_CURVES, "EdDSA")
"""What others may sign with: never a shared secret, which would let us sign for them."""

_LIBRARY = {
    name: algorithm for name, algorithm in get_default_algorithms().items() if name == HMAC or name in OUTSIDE
}
_BY_KTY = {"RSA": _LIBRARY["RS256"], "EC": _LIBRARY["ES256"], "OKP": _LIBRARY["EdDSA"]}


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """A key that signs and verifies with one algorithm."""

    algorithm: str
    kid: str
    private: Any = field(repr=False)
    """What signs: secret bytes, or a private key of `cryptography`."""
    public: Any = field(repr=False)
    """What verifies: the same secret, or the public key."""
    keyed: hmac.HMAC | None = field(default=None, repr=False)
    """For a secret: an HMAC that has taken the key, which is most of the work with a text as short as a token."""

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether this key made `signature` over `message`."""
        if self.keyed is not None:
            made = self.keyed.copy()
            made.update(message)
            return hmac.compare_digest(made.digest(), signature)
        return _LIBRARY[self.algorithm].verify(message, self.public, signature)

    def public_jwk(self) -> dict[str, str] | None:
        """The key as others may see it; `None` for a secret, which nobody may."""
        if self.algorithm == HMAC:
            return None
        return {**_members(self.algorithm, self.public), "kid": self.kid, "use": "sig", "alg": self.algorithm}


def from_secret(secret: str | bytes) -> Material:
    """HS256 with the very bytes of the secret, so that any JWT library verifies with it.

    Raises:
        ConfigurationError: it is too short, or is a key for something else.
    """
    raw = secret.encode() if isinstance(secret, str) else secret
    if len(raw) < MIN_SECRET_BYTES:
        raise ConfigurationError(f"a secret key is shorter than {MIN_SECRET_BYTES} bytes; {MAKE_ONE}")
    try:
        _LIBRARY[HMAC].prepare_key(raw)
    except InvalidKeyError:
        # A public key as HMAC secret is the classic confusion of algorithms (RFC 8725, section 2.1).
        raise ConfigurationError(f"a secret key is a PEM, SSH or JWK key, not a secret; {MAKE_ONE}") from None
    kid = base64url(derive(raw, b"holdfast key id v1", length=12))
    return Material(HMAC, kid, raw, raw, hmac.new(raw, digestmod=hashlib.sha256))


def from_pem(algorithm: str, pem: str) -> Material:
    """A key pair from its private part in PKCS 8.

    Raises:
        ValueError: it is no key, not one for this algorithm, or too weak; never says what is in it.
    """
    try:
        private: Any = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        private = None
    public = private.public_key() if private is not None else None
    if not fits(algorithm, public):
        raise ValueError(f"not a private key for {algorithm}")
    return Material(algorithm, thumbprint(algorithm, public), private, public)


def public_from_jwk(jwk: dict[str, Any]) -> Any:
    """The public key in a JWK of somebody else, or `None` for anything that is not one."""
    library = _BY_KTY.get(str(jwk.get("kty")))
    # A private part has no place in a published key set: a key that is known to all proves nothing.
    if library is None or "d" in jwk:
        return None
    try:
        return library.from_jwk(jwk)
    except Exception:  # noqa: BLE001 - one odd key of theirs, of whatever oddness, must not take the others away
        return None


def generate(algorithm: str) -> str:
    """A new key from the system's randomness, as text: a secret, or a private key as PKCS 8 PEM."""
    match algorithm:
        case "HS256":
            return secrets.token_urlsafe(48)
        case "RS256":
            private: Any = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        case "ES256":
            private = ec.generate_private_key(ec.SECP256R1())
        case "EdDSA":
            private = ed25519.Ed25519PrivateKey.generate()
        case _:
            raise ConfigurationError(f"ALGORITHM {algorithm!r} is not one of {', '.join(SUPPORTED)}")
    pem: bytes = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode()


def fits(algorithm: str, public: Any) -> bool:
    """Whether a public key is of the kind, curve and size that the algorithm asks for."""
    if algorithm in _RSA:
        return isinstance(public, rsa.RSAPublicKey) and public.key_size >= MIN_RSA_BITS
    if algorithm in _CURVES:
        return isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, _CURVES[algorithm])
    return algorithm == "EdDSA" and isinstance(public, ed25519.Ed25519PublicKey)


def thumbprint(algorithm: str, public: Any) -> str:
    """The SHA-256 JWK thumbprint of a public key (RFC 7638)."""
    canonical = json.dumps(_members(algorithm, public), sort_keys=True, separators=(",", ":"))
    return base64url(hashlib.sha256(canonical.encode()).digest())


def derive(secret: bytes, label: bytes, *, length: int = 32) -> bytes:
    """A key for one purpose from a secret that has others (HKDF-SHA256)."""
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=label).derive(secret)


def base64url(data: bytes) -> str:
    """Without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _members(algorithm: str, public: Any) -> dict[str, str]:
    jwk: dict[str, Any] = _LIBRARY[algorithm].to_jwk(public, as_dict=True)
    # Named one by one: whatever else the library puts in a JWK, now or later, does not get out.
    return {name: jwk[name] for name in _REQUIRED[jwk["kty"]]}


_REQUIRED = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}

MAKE_ONE = 'make one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'
