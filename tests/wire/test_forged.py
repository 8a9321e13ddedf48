"""Tokens forged in each way that the security checklist names (docs/security.md, C01 to C12), at a real socket."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

INVALID = (4003, "Invalid token. Please refresh the page to get a new token.")
SECRET = b"wire tests need a secret of thirty-two bytes"
HMACS = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
DEADLINE = 20.0


def b64(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def read(part: str) -> dict[str, Any]:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


class Forger:
    """Makes a token that is good but for one thing, with the server's own secret unless that is the thing."""

    def __init__(self, good: str) -> None:
        self.good = good
        self.header, self.claims = map(read, good.split(".")[:2])

    def sign(self, header: dict, claims: dict, *, key: bytes = SECRET) -> str:
        signed = f"{b64(header)}.{b64(claims)}"
        digest = hmac.new(key, signed.encode(), HMACS.get(header.get("alg"), "sha256")).digest()
        return f"{signed}.{b64(digest)}"

    def headed(self, **changes: Any) -> str:
        return self.sign({**self.header, **changes}, self.claims)

    def claiming(self, **changes: Any) -> str:
        return self.sign(self.header, {**self.claims, **changes})

    def without(self, claim: str) -> str:
        return self.sign(self.header, {name: it for name, it in self.claims.items() if name != claim})


WAYS = {
    "c01 alg none, no signature": lambda f: f"{b64({**f.header, 'alg': 'none'})}.{f.good.split('.')[1]}.",
    "c01 alg none, a signature": lambda f: f.headed(alg="none"),
    "c01 no signature": lambda f: f.good.rpartition(".")[0] + ".",
    "c01 no alg": lambda f: f.sign({k: v for k, v in f.header.items() if k != "alg"}, f.claims),
    "c02 another HMAC with the right secret": lambda f: f.headed(alg="HS512"),
    "c02 alg in another case": lambda f: f.headed(alg="hs256"),
    "c02 alg of a key that is asymmetric": lambda f: f.headed(alg="RS256"),
    "c03 its own key in the header": lambda f: f.sign(
        {**f.header, "jwk": {"kty": "oct", "k": b64(b"x" * 32)}}, f.claims, key=b"x" * 32
    ),
    "c03 a URL of keys": lambda f: f.headed(jku="https://evil.example/keys"),
    "c03 a certificate": lambda f: f.headed(x5u="https://evil.example/certificate"),
    "c03 a kid that nobody knows": lambda f: f.headed(kid="someone-elses-key"),
    "c03 a kid that is a path": lambda f: f.headed(kid="../../dev/null"),
    "c03 no kid": lambda f: f.sign({k: v for k, v in f.header.items() if k != "kid"}, f.claims),
    "c04 another issuer": lambda f: f.claiming(iss="https://evil.example"),
    "c04 no subject": lambda f: f.without("sub"),
    "c05 another audience": lambda f: f.claiming(aud="another"),
    "c05 no audience": lambda f: f.without("aud"),
    "c06 a plain JWT": lambda f: f.headed(typ="JWT"),
    "c06 no typ": lambda f: f.sign({k: v for k, v in f.header.items() if k != "typ"}, f.claims),
    "c07 no client": lambda f: f.without("client_id"),
    "c07 no id": lambda f: f.without("jti"),
    "c08 no expiry": lambda f: f.without("exp"),
    "c08 an expiry in words": lambda f: f.claiming(exp="tomorrow"),
    "c08 not yet": lambda f: f.claiming(nbf=f.claims["exp"], iat=f.claims["exp"]),
    "c09 in JSON": lambda f: json.dumps(
        dict(zip(("protected", "payload", "signature"), f.good.split("."), strict=True))
    ),
    "c09 two tokens": lambda f: f"{f.good}.{f.good}",
    "c09 padding": lambda f: f.good + "=",
    "c09 over 8 KB": lambda f: f.claiming(roles=["x" * 9_000]),
    "c09 not a token": lambda _: "hello",
    "c10 a guessed secret": lambda f: f.sign(f.header, f.claims, key=b"secret"),
    "c10 no secret": lambda f: f.sign(f.header, f.claims, key=b""),
    "c11 encrypted": lambda f: (
        f"{b64({**f.header, 'alg': 'dir', 'enc': 'A256GCM'})}..{f.good.partition('.')[2]}"
    ),
    "c11 compressed": lambda f: f.headed(zip="DEF"),
    "c12 a key of before": lambda f: f.sign(
        f.header, f.claims, key=b"the secret of before, which was replaced"
    ),
}


def test_every_row_of_the_checklist_is_tried():
    assert {way[:3] for way in WAYS} == {f"c{row:02}" for row in range(1, 13)}


@pytest.mark.parametrize("way", list(WAYS))
async def test_c01_to_c12_a_forged_token_is_invalid_and_the_server_goes_on(shared, way):
    good = shared.token(60)
    forged = WAYS[way](Forger(good))
    assert forged != good
    for token, expected in ((forged, INVALID), (good, None)):
        async with connect(f"{shared.ws}/ws", proxy=None) as socket:
            await socket.send(json.dumps({"type": "auth", "token": token}))
            await socket.send('{"n": 1}')
            try:
                async with asyncio.timeout(DEADLINE):
                    answer = json.loads(await socket.recv())
            except ConnectionClosed as closed:
                assert expected is not None
                assert closed.rcvd is not None
                assert (closed.rcvd.code, closed.rcvd.reason) == shared.told(*expected)
            else:
                assert expected is None, "it was taken"
                assert answer == {"echo": {"n": 1}}


def test_c10_a_server_does_not_start_with_a_secret_that_could_be_guessed(serve):
    with pytest.raises(AssertionError, match="32 bytes"):
        serve(SECRET_KEY="a" * 31)
