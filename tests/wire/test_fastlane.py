"""The fast lane in a real uvicorn: handshakes that cannot be taken, peers that do not read, and going down."""

from __future__ import annotations

import asyncio
import re
import runpy
import signal
import socket
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from holdfast.asgi.fastlane import new_event_loop

Open = Callable[..., Any]

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
PATHS = ["/app", "/lane", "/taken"]
KINDS = ["echo", "echo-uvloop", "echo-asyncio", "echo-h11"]
HANDSHAKE = (
    "GET /app HTTP/1.1",
    "Host: 127.0.0.1",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)


@pytest.fixture(scope="module", params=KINDS)
def echo(request: pytest.FixtureRequest, start: Callable[..., Any]) -> Any:
    """On our loop, uvloop and asyncio, and behind uvicorn's own HTTP protocol."""
    return start(request.param)


@pytest.fixture(scope="module")
def guarded(start: Callable[..., Any]) -> Any:
    """With our HTTP protocol too."""
    return start("echo")


def handshake(*changes: str) -> bytes:
    """A handshake with its first line or a header replaced, and headers added (`+`) or removed (`-`)."""
    first, *lines = HANDSHAKE
    for change in changes:
        if " HTTP/" in change:
            first = change
            continue
        name = change.lstrip("+-").partition(":")[0]
        if not change.startswith("+"):
            lines = [line for line in lines if not line.startswith(name + ":")]
        if not change.startswith("-"):
            lines.append(change.removeprefix("+"))
    return "\r\n".join((first, *lines, "", "")).encode("latin-1")


# Connections


@pytest.mark.parametrize("path", PATHS)
async def test_a_real_client_is_echoed(echo: Any, path: str) -> None:
    async with connect(echo.ws + path, proxy=None, max_size=None) as client:
        for message in ("", "grüße", "x" * 100_000, b"\x00\xff", b"y" * 3_000_000):
            await client.send(message)
            assert await client.recv() == message
        await client.send(["in ", "three ", "parts"])
        assert await client.recv() == "in three parts"
        await (await client.ping())
    assert client.close_code == 1000


@pytest.mark.parametrize("path", PATHS)
async def test_many_at_once(echo: Any, path: str) -> None:
    async def one(number: int) -> None:
        async with connect(echo.ws + path, proxy=None, compression=None) as client:
            for turn in range(5):
                await client.send(f"{number}/{turn}")
            assert [await client.recv() for _ in range(5)] == [f"{number}/{turn}" for turn in range(5)]

    await asyncio.gather(*(one(number) for number in range(100)))


@pytest.mark.parametrize("loop", [new_event_loop, asyncio.new_event_loop, uvloop.new_event_loop])
def test_over_tls(tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Where nothing can go past the transport, and the transport cannot half close."""
    certificate(tmp_path)

    async def scene() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            echo_app,
            ws="holdfast.asgi.fastlane:Protocol",
            http="holdfast.asgi.fastlane:HttpProtocol",
            ssl_certfile=tmp_path / "cert.pem",
            ssl_keyfile=str(tmp_path / "key.pem"),
            log_level="warning",
        )
        server = uvicorn.Server(config)
        serving = asyncio.ensure_future(server.serve([listener]))
        trusting = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        url = f"wss://127.0.0.1:{listener.getsockname()[1]}"
        for path in ("/app", "/lane"):
            async with connect(url + path, ssl=trusting, proxy=None, max_size=None) as client:
                for message in ("grüße", b"y" * 1_000_000):
                    await client.send(message)
                    assert await client.recv() == message
        async with connect(url + "/lane", ssl=trusting, proxy=None) as client:
            await client.send("x" * 17_000_000)
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
        server.should_exit = True
        await serving

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(asyncio.wait_for(scene(), 30))


def certificate(home: Path) -> None:
    """A certificate that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (home / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (home / "key.pem").write_bytes(secret)


async def echo_app(scope: dict, receive: Any, send: Any) -> None:
    """The app of the other tests, for a server in this process."""
    await runpy.run_path(str(Path(__file__).with_name("echo_app.py")))["app"](scope, receive, send)


async def test_messages_are_compressed_where_the_server_has_it_on(start: Callable[..., Any]) -> None:
    async with connect(start("echo-deflate").ws + "/app", proxy=None) as client:
        assert "permessage-deflate" in client.response.headers["sec-websocket-extensions"]
        for message in ("a" * 100_000, b"b" * 100_000, "c", ""):
            await client.send(message)
            assert await client.recv() == message


def test_a_message_that_comes_with_the_handshake_is_echoed(guarded: Any, raw: Open) -> None:
    client = raw(guarded)
    client.send(handshake() + client.masked(TEXT, b"impatient"))
    while b"impatient" not in client._left:
        assert client._more()


# Handshakes that cannot be taken

REFUSED = {
    "no key": (["-Sec-WebSocket-Key"], 400),
    "an empty key": (["Sec-WebSocket-Key:"], 400),
    "a short key": (["Sec-WebSocket-Key: c2hvcnQ="], 400),
    "a broken key": (["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!Q=="], 400),
    "two keys": (["+Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="], 400),
    "no version": (["-Sec-WebSocket-Version"], 400),
    "an old version": (["Sec-WebSocket-Version: 8"], 426),
    "two versions": (["+Sec-WebSocket-Version: 13"], 400),
    "no host": (["-Host"], 400),
    "two hosts": (["+Host: elsewhere"], 400),
    "HTTP/1.0": (["GET /app HTTP/1.0"], 400),
    "POST": (["POST /app HTTP/1.1"], 405),
    "a body": (["+Content-Length: 5"], 400),
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_a_handshake_that_cannot_be_taken_is_answered_and_closed(echo: Any, raw: Open, what: str) -> None:
    changes, status = REFUSED[what]
    client = raw(echo)
    client.send(handshake(*changes))
    answer = client.rest().decode()
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert re.search(r"(?im)^connection: close\r$", answer)
    assert (status != 426) or re.search(r"(?im)^sec-websocket-version: 13\r$", answer)


LARGE = {
    "target": (["GET /" + "a" * 20_000 + " HTTP/1.1"], 414),
    "header": (["+X: " + "a" * 70_000], 431),
    "headers": (["+X: a"] * 130, 431),
}


@pytest.mark.parametrize("what", list(LARGE))
def test_a_handshake_that_is_too_large_is_told_so(guarded: Any, raw: Open, what: str) -> None:
    changes, status = LARGE[what]
    client = raw(guarded)
    client.send(handshake(*changes))
    assert client.rest().startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("what", ["target", "header"])
def test_one_that_never_ends_is_told_so_while_it_is_still_sending(guarded: Any, raw: Open, what: str) -> None:
    client = raw(guarded)
    client.send(b"GET /" if what == "target" else b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
    try:
        for _ in range(100):
            client.send(b"a" * 10_000)
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert client.rest().startswith(b"HTTP/1.1 414 " if what == "target" else b"HTTP/1.1 431 ")


def test_an_unfinished_one_is_cut_after_a_few_seconds(guarded: Any, raw: Open) -> None:
    began = time.monotonic()
    clients = {sent: raw(guarded) for sent in (b"", b"GET /app HT", handshake()[:-2])}
    for sent, client in clients.items():
        client.send(sent)
    for sent, client in clients.items():
        answer = client.rest()
        assert 4 < time.monotonic() - began < 12
        assert answer.startswith(b"HTTP/1.1 408 ") if sent else answer == b""


def test_plain_http_is_served_beside(guarded: Any) -> None:
    assert guarded.http.get(guarded.url).status_code == 200


# Peers that do not read


def test_a_send_waits_for_a_peer_that_does_not_read(echo: Any, raw: Open) -> None:
    """Or the server would hold what an app sends as fast as it may."""
    client = raw(echo, receive_buffer=4_096).open("/flood")
    sent = until_it_stays(lambda: int(echo.http.get(echo.url).text.partition("flood=")[2]))
    assert 0 < sent < 2_000, "20 MB"
    client.frame(CLOSE, b"\x03\xe8")
    while (frame := client.next()) is not None and frame[0] != 0x88:
        assert frame == (0x82, b"x" * 10_000)


def test_a_peer_that_is_faster_than_the_app_is_held_back(echo: Any, raw: Open) -> None:
    client = raw(echo).open("/busy")
    frame = client.masked(BINARY, b"x" * 100_000)
    sent, left = 0, b""

    def fill() -> int:
        nonlocal sent, left
        try:
            while sent < 1_000:
                left = (left or frame)[client.socket.send(left or frame) :]
                sent += not left
        except BlockingIOError:
            return sent
        return sent

    client.socket.setblocking(False)
    assert 0 < until_it_stays(fill) < 200, "20 MB"
    client.socket.setblocking(True)
    client.socket.settimeout(20)
    assert echo.http.post(echo.url + "/go").status_code == 200
    client.send(left)
    for number in range(1, sent + bool(left) + 1):
        assert client.next() == (0x81, b"%d" % number)


def until_it_stays(look: Callable[[], int]) -> int:
    """What something comes to, once it has not moved for a while."""
    deadline = time.monotonic() + 20
    value, looks = look(), 0
    while looks < 5:
        assert time.monotonic() < deadline
        time.sleep(0.05)  # between two looks, under the deadline above
        now = look()
        value, looks = now, looks + 1 if now == value else 0
    return value


def test_a_peer_that_vanished_is_noticed_by_a_ping(start: Callable[..., Any], raw: Open) -> None:
    served = start("echo-pings")
    client = raw(served).open("/lane")
    first, payload = client.next()
    assert (first, len(payload)) == (0x89, 4)
    client.frame(PONG, payload)
    first, payload = client.next()
    assert first == 0x89
    assert client.next() == (0x88, b"\x03\xf3keepalive ping timeout")
    client.frame(CLOSE, b"\x03\xf3")
    assert client.next() is None
    assert "1011" in served.http.get(served.url).text


def test_a_broken_connection_is_a_1006(guarded: Any, raw: Open) -> None:
    client = raw(guarded).open("/lane")
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    client.socket.close()
    deadline = time.monotonic() + 20
    while "1006" not in guarded.http.get(guarded.url).text:
        assert time.monotonic() < deadline
        time.sleep(0.02)  # between two looks, under the deadline above


# Going down


@pytest.mark.parametrize("kind", ["echo", "echo-uvloop", "echo-asyncio"])
def test_sigterm_closes_every_connection_with_1012(serve: Any, raw: Open, kind: str) -> None:
    served = serve(kind)
    clients = [raw(served).open(path) for path in PATHS for _ in range(3)]
    silent = raw(served).open("/lane")
    served.process.send_signal(signal.SIGTERM)
    for client in clients:
        assert client.next() == (0x88, b"\x03\xf4")
        client.frame(CLOSE, b"\x03\xf4")
        assert client.next() is None
    served.process.wait(10)
    assert silent.next() == (0x88, b"\x03\xf4")
    assert "Traceback" not in served.log()
