"""Two people with one `sub`, one of ours and one of an outside issuer, both connected: never taken for each other."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
import pytest

from holdfast.testing.peer import Peer
from holdfast.testing.server import RunningHoldfast
from holdfast.tokens import algorithms

ISSUER = "https://id.example/"
KEY = algorithms.from_pem("ES256", algorithms.generate("ES256"))


class Keys(BaseHTTPRequestHandler):
    """The outside issuer's JWKS."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"keys": [KEY.public_jwk()]}).encode())

    def log_message(self, *_: Any) -> None: ...


def token(sub: str) -> str:
    """The outside issuer's access token for somebody."""
    now = int(time.time())
    said = {"iss": ISSUER, "aud": "api", "sub": sub, "iat": now, "exp": now + 600}
    return jwt.encode(said, KEY.private, algorithm="ES256", headers={"kid": KEY.kid})


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Any]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Keys) as provider:
        Thread(target=provider.serve_forever, daemon=True).start()
        yield partial(
            RunningHoldfast,
            data_dir=tmp_path,
            oidc_issuer=ISSUER,
            oidc_jwks_url=f"http://127.0.0.1:{provider.server_port}/jwks",
            oidc_audience="api",
        )
        provider.shutdown()


def connect(server: RunningHoldfast, given: str) -> Any:
    return Peer.connect(f"{server.ws_url}/ws", token=given)


@pytest.mark.parametrize("of", ["ours", "theirs"])
async def test_throwing_out_the_one_leaves_the_other_connected(serve: Any, of: str) -> None:
    with serve() as server:
        ann = server.sign_in("ann")
        async with (
            await connect(server, ann.access_token) as ours,
            await connect(server, token(ann.user.id)) as theirs,
        ):
            await ours.expect("welcome")
            await theirs.expect("welcome")
            issuer = None if of == "ours" else ISSUER
            server.run(server.hold.revoke(user=ann.user.id, issuer=issuer, reason="banned"))
            out, stays = (ours, theirs) if of == "ours" else (theirs, ours)
            assert (await out.closed()).reason == "Session ended: revoked (banned)."
            await stays.send({"type": "ping", "id": "still"})
            assert (await stays.expect("pong"))["id"] == "still"


async def test_the_session_that_is_kept_keeps_its_connections(serve: Any) -> None:
    with serve() as server:
        mine, other = server.sign_in("ann"), server.sign_in("ann")
        async with (
            await connect(server, mine.access_token) as kept,
            await connect(server, other.access_token) as ended,
        ):
            await kept.expect("welcome")
            await ended.expect("welcome")
            proof = server.run(server.hold.sessions.authenticate(mine.access_token))
            server.run(server.hold.sessions.log_out_everywhere(proof, keep_this=True))
            assert (await ended.closed()).reason == "Session ended: signed out."
            await kept.send({"type": "ping", "id": "still"})
            await kept.expect("pong")


async def test_one_of_them_does_not_use_up_the_connections_of_the_other(serve: Any) -> None:
    with serve(max_connections_per_user=1) as server:
        ann = server.sign_in("ann")
        async with (
            await connect(server, token(ann.user.id)) as theirs,
            await connect(server, ann.access_token) as ours,
            await connect(server, token(ann.user.id)) as one_too_many,
        ):
            await theirs.expect("welcome")
            await ours.expect("welcome")
            assert (await one_too_many.closed()).code == 4009
