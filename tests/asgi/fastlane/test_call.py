"""What an ASGI app sees and may do, by the ASGI specification."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

Receive = Callable[[], Awaitable[dict]]
Send = Callable[[dict], Awaitable[None]]
Connect = Callable[..., Any]
Masked = Callable[..., bytes]

ACCEPT = {"type": "websocket.accept"}


class Script:
    """An app whose every step is the test's."""

    def __init__(self) -> None:
        self.scope: dict = {}
        self.receive: Receive
        self.send: Send
        self.done: asyncio.Future[None]

    async def __call__(self, scope: dict, receive: Receive, send: Send) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        self.done = asyncio.get_running_loop().create_future()
        await self.done


@pytest.fixture
def app() -> Script:
    return Script()


async def accepted(app: Script, connect: Connect, **options: Any) -> Any:
    peer = await connect(app, **options)
    assert await app.receive() == {"type": "websocket.connect"}
    await app.send(ACCEPT)
    assert (await peer.answer()).startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    return peer


# The handshake


async def test_an_accept_may_choose_a_subprotocol_and_add_headers(app: Script, connect: Connect) -> None:
    peer = await connect(app, ("Sec-WebSocket-Protocol", "a, b"))
    peer.state.default_headers = [(b"date", b"today")]
    assert app.scope["subprotocols"] == ["a", "b"]
    await app.send({"type": "websocket.accept", "subprotocol": "b", "headers": [(b"X-Own", b"1")]})
    head = (await peer.answer()).lower()
    for line in (b"sec-websocket-protocol: b", b"x-own: 1", b"date: today", b"sec-websocket-accept: "):
        assert b"\r\n" + line in head


async def test_what_the_server_sends_along_is_always_the_newest(app: Script, connect: Connect) -> None:
    first = await connect(app)
    for day in (b"today", b"tomorrow"):
        first.state.default_headers = [(b"date", day)]
        peer = await connect(app, like=first)
        await app.receive()
        await app.send(ACCEPT)
        assert b"\r\ndate: " + day + b"\r\n" in await peer.answer() + b"\r\n"


async def test_a_close_before_the_accept_is_a_403(app: Script, connect: Connect) -> None:
    peer = await connect(app)
    await app.send({"type": "websocket.close", "code": 4003})
    assert (await peer.answer()).startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert peer.transport.closing
    assert await app.receive() == {"type": "websocket.connect"}
    assert (await app.receive())["type"] == "websocket.disconnect"
    with pytest.raises(RuntimeError):
        await app.send(ACCEPT)


async def test_a_denial_is_an_answer_of_the_apps_own(app: Script, connect: Connect) -> None:
    peer = await connect(app)
    assert "websocket.http.response" in app.scope["extensions"]
    await app.send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-why", b"so")]})
    assert await peer.answer() == b""
    await app.send({"type": "websocket.http.response.body", "body": b"no entry"})
    answer = await peer.answer()
    assert answer.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert b"\r\nx-why: so\r\n" in answer
    assert b"\r\ncontent-length: 8\r\n" in answer
    assert answer.endswith(b"\r\n\r\nno entry")
    assert peer.transport.closing


async def test_a_denial_in_parts_ends_with_the_connection(app: Script, connect: Connect) -> None:
    peer = await connect(app)
    await app.send({"type": "websocket.http.response.start", "status": 403})
    await app.send({"type": "websocket.http.response.body", "body": b"no ", "more_body": True})
    assert not peer.transport.closing
    await app.send({"type": "websocket.http.response.body", "body": b"entry"})
    answer = await peer.answer()
    assert answer.endswith(b"\r\n\r\nno entry")
    assert b"content-length" not in answer
    assert peer.transport.closing


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "websocket.send", "text": "x"},
        {"type": "websocket.http.response.body", "body": b""},
        {"type": "http.response.start", "status": 200},
    ],
)
async def test_what_cannot_come_first(app: Script, connect: Connect, wrong: dict) -> None:
    await connect(app)
    with pytest.raises(RuntimeError):
        await app.send(wrong)


async def test_what_cannot_follow_a_denials_start(app: Script, connect: Connect) -> None:
    await connect(app)
    await app.send({"type": "websocket.http.response.start", "status": 403})
    with pytest.raises(RuntimeError):
        await app.send(ACCEPT)


async def test_a_header_that_would_smuggle_another_is_the_apps_error(app: Script, connect: Connect) -> None:
    peer = await connect(app)
    with pytest.raises(ValueError, match="one line"):
        await app.send({"type": "websocket.accept", "headers": [(b"x", b"a\r\nb: c")]})
    assert await peer.answer() == b""


# Messages


async def test_messages_in_both_directions(app: Script, connect: Connect, masked: Masked) -> None:
    peer = await accepted(app, connect)
    peer.text("één")
    peer.send(masked(2, b"\x00\xff"))
    assert await app.receive() == {"type": "websocket.receive", "text": "één"}
    assert await app.receive() == {"type": "websocket.receive", "bytes": b"\x00\xff"}
    await app.send({"type": "websocket.send", "text": "één"})
    await app.send({"type": "websocket.send", "bytes": b"\x00", "text": None})
    assert await peer.frames() == [(0x81, "één".encode()), (0x82, b"\x00")]


async def test_a_receive_waits_for_a_message(app: Script, connect: Connect) -> None:
    peer = await accepted(app, connect)
    waiting = asyncio.ensure_future(app.receive())
    await peer.ticks()
    assert not waiting.done()
    peer.text("x")
    assert (await waiting)["text"] == "x"


async def test_two_that_receive_get_one_message_each(app: Script, connect: Connect) -> None:
    peer = await accepted(app, connect)
    both = [asyncio.ensure_future(app.receive()) for _ in range(2)]
    await peer.ticks()
    peer.text("1")
    peer.text("2")
    assert sorted([(await one)["text"] for one in both]) == ["1", "2"]


@pytest.mark.parametrize("before", [True, False])
async def test_a_receive_that_is_cancelled_loses_nothing(app: Script, connect: Connect, before: bool) -> None:
    peer = await accepted(app, connect)
    first, second = (asyncio.ensure_future(app.receive()) for _ in range(2))
    await peer.ticks()
    if before:
        first.cancel()
    peer.text("1")
    first.cancel()  # when its message is there already, but it has not run yet
    assert (await second)["text"] == "1"


async def test_early_messages_are_there_after_the_accept(app: Script, connect: Connect) -> None:
    peer = await connect(app)
    peer.text("impatient")
    await app.receive()
    waiting = asyncio.ensure_future(app.receive())
    await peer.ticks()
    assert not waiting.done()
    await app.send(ACCEPT)
    assert (await waiting)["text"] == "impatient"


async def test_a_send_of_nothing_is_an_error(app: Script, connect: Connect) -> None:
    await accepted(app, connect)
    with pytest.raises(KeyError):
        await app.send({"type": "websocket.send"})


async def test_a_second_accept_is_an_error(app: Script, connect: Connect) -> None:
    await accepted(app, connect)
    with pytest.raises(RuntimeError):
        await app.send(ACCEPT)


# Pace


async def test_reading_stops_while_the_app_is_behind(app: Script, connect: Connect) -> None:
    peer = await accepted(app, connect)
    for number in range(100):
        peer.text(str(number))
    assert not peer.transport.reading
    received = [(await app.receive())["text"] for _ in range(64)]
    await peer.ticks()
    assert peer.transport.reading
    received += [(await app.receive())["text"] for _ in range(36)]
    assert received == [str(number) for number in range(100)]


async def test_one_large_message_stops_it_too(app: Script, connect: Connect, masked: Masked) -> None:
    peer = await accepted(app, connect)
    peer.send(masked(2, b"x" * 100_000))
    assert not peer.transport.reading
    await app.receive()
    assert peer.transport.reading


async def test_what_was_read_together_is_not_taken_apart_before_its_time(
    app: Script, connect: Connect, masked: Masked
) -> None:
    """A read of many small messages would otherwise become many times its size in objects."""
    peer = await accepted(app, connect)
    peer.send(masked(1, b"x") * 10_000)
    assert len(peer.protocol.call._inbox) == 64
    assert [(await app.receive())["text"] for _ in range(10_000)] == ["x"] * 10_000


async def test_a_send_waits_while_the_peer_does_not_read(app: Script, connect: Connect) -> None:
    peer = await accepted(app, connect)
    peer.transport.stalled = True
    await app.send({"type": "websocket.send", "bytes": b"x" * 100_000})
    waiting = asyncio.ensure_future(app.send({"type": "websocket.send", "text": "later"}))
    await peer.ticks()
    assert not waiting.done()
    peer.transport.drain()
    await waiting
    assert (await peer.frames())[-1] == (0x81, b"later")


async def test_it_waits_also_within_one_tick(app: Script, connect: Connect) -> None:
    peer = await accepted(app, connect)
    peer.transport.stalled = True

    async def flood() -> None:
        while True:
            await app.send({"type": "websocket.send", "bytes": b"x" * 1_000})

    task = asyncio.ensure_future(flood())
    await peer.ticks()
    assert peer.transport.buffered < 200_000
    task.cancel()


async def test_a_send_that_waits_fails_when_the_peer_is_lost(app: Script, connect: Connect) -> None:
    peer = await accepted(app, connect)
    peer.transport.stalled = True
    await app.send({"type": "websocket.send", "bytes": b"x" * 100_000})
    waiting = asyncio.ensure_future(app.send({"type": "websocket.send", "text": "later"}))
    await peer.ticks()
    peer.lose()
    with pytest.raises(OSError):  # noqa: PT011  # ASGI asks for an OSError, whichever
        await waiting


# The end


async def test_the_peers_close_is_told_with_code_and_reason_again_and_again(
    app: Script, connect: Connect, masked: Masked
) -> None:
    peer = await accepted(app, connect)
    peer.text("last")
    peer.send(masked(8, b"\x0f\xa0bye"))
    assert (await app.receive())["text"] == "last"
    gone = {"type": "websocket.disconnect", "code": 4000, "reason": "bye"}
    assert await app.receive() == gone
    assert await app.receive() == gone
    for message in ({"type": "websocket.send", "text": "x"}, {"type": "websocket.close"}):
        with pytest.raises(OSError):  # noqa: PT011  # ASGI asks for an OSError, whichever
            await app.send(message)


@pytest.mark.parametrize("error", [None, ConnectionResetError()])
async def test_a_lost_peer_is_a_1006(app: Script, connect: Connect, error: Exception | None) -> None:
    peer = await accepted(app, connect)
    waiting = asyncio.ensure_future(app.receive())
    await peer.ticks()
    peer.lose(error)
    assert await waiting == {"type": "websocket.disconnect", "code": 1006, "reason": ""}


async def test_a_peer_that_is_lost_before_the_answer(app: Script, connect: Connect) -> None:
    peer = await connect(app)
    peer.lose()
    assert await app.receive() == {"type": "websocket.connect"}
    assert (await app.receive())["code"] == 1006
    with pytest.raises(OSError):  # noqa: PT011  # ASGI asks for an OSError, whichever
        await app.send(ACCEPT)
    app.done.set_result(None)
    await peer.ticks()
    assert peer.state.tasks == set()


async def test_the_apps_close(app: Script, connect: Connect) -> None:
    peer = await accepted(app, connect)
    await app.send({"type": "websocket.send", "text": "before"})
    await app.send({"type": "websocket.close", "code": 4001, "reason": "enough"})
    assert await peer.frames() == [(0x81, b"before"), (0x88, b"\x0f\xa1enough")]
    assert await app.receive() == {"type": "websocket.disconnect", "code": 4001, "reason": "enough"}
    with pytest.raises(RuntimeError):
        await app.send({"type": "websocket.send", "text": "after"})


@pytest.mark.parametrize("code", [0, 999, 1006, 1015, 5000])
async def test_a_close_with_a_code_that_may_not_be_sent_is_the_apps_error(
    app: Script, connect: Connect, code: int
) -> None:
    peer = await accepted(app, connect)
    with pytest.raises(ValueError, match=str(code)):
        await app.send({"type": "websocket.close", "code": code})
    assert await peer.frames() == []


async def test_an_app_that_returns_closes(app: Script, connect: Connect) -> None:
    peer = await accepted(app, connect)
    app.done.set_result(None)
    assert await peer.frames() == [(0x88, b"\x03\xe8")]
    assert peer.state.tasks == set()


async def test_an_app_that_fails_closes_with_1011_and_is_logged(
    app: Script, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await accepted(app, connect)
    app.done.set_exception(LookupError("on purpose"))
    assert await peer.frames() == [(0x88, b"\x03\xf3")]
    assert "on purpose" in caplog.text


async def test_an_app_that_leaves_with_its_peer_is_no_failure(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    async def sender(scope: dict, receive: Receive, send: Send) -> None:  # it never receives
        await send(ACCEPT)
        while True:
            await send({"type": "websocket.send", "text": "x"})
            await asyncio.sleep(0)

    peer = await connect(sender)
    peer.lose()
    await peer.ticks()
    assert peer.state.tasks == set()
    assert "Exception" not in caplog.text


async def test_an_app_that_is_cancelled_closes_with_1012(app: Script, connect: Connect) -> None:
    peer = await accepted(app, connect)
    (task,) = peer.state.tasks
    task.cancel()
    assert await peer.frames() == [(0x88, b"\x03\xf4")]


@pytest.mark.parametrize("fails", [True, False])
async def test_an_app_that_ends_without_an_answer_is_a_500(
    app: Script, connect: Connect, caplog: pytest.LogCaptureFixture, fails: bool
) -> None:
    peer = await connect(app)
    if fails:
        app.done.set_exception(LookupError("on purpose"))
    else:
        app.done.set_result(None)
    assert (await peer.answer()).startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert peer.transport.closing
    assert ("on purpose" if fails else "without completing handshake") in caplog.text


@pytest.mark.parametrize("parts", [0, 1])
async def test_an_app_that_ends_within_its_denial_leaves_nobody_hanging(
    app: Script, connect: Connect, parts: int
) -> None:
    peer = await connect(app)
    await app.send({"type": "websocket.http.response.start", "status": 401})
    for _ in range(parts):
        await app.send({"type": "websocket.http.response.body", "body": b"half", "more_body": True})
    app.done.set_result(None)
    assert (await peer.answer()).startswith(b"HTTP/1.1 401" if parts else b"HTTP/1.1 500")
    assert peer.transport.closing


async def test_an_app_that_returns_something_is_told(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    async def returns(scope: dict, receive: Receive, send: Send) -> str:  # it only answers
        await send(ACCEPT)
        return "something"

    await connect(returns)
    assert "should return None" in caplog.text


# The log


@pytest.mark.parametrize("access_log", [True, False])
async def test_handshakes_are_logged_as_by_uvicorn(
    app: Script, connect: Connect, caplog: pytest.LogCaptureFixture, access_log: bool
) -> None:
    caplog.set_level(logging.INFO, "uvicorn.error")
    await connect(app, path="/a%20b?x=1", access_log=access_log)
    await app.send(ACCEPT)
    await connect(app, path="/b", access_log=access_log)
    await app.send({"type": "websocket.close"})
    await connect(app, path="/c", access_log=access_log)
    await app.send({"type": "websocket.http.response.start", "status": 401})
    expected = ['"WebSocket /a%20b?x=1" [accepted]', '"WebSocket /b" 403', '"WebSocket /c" 401']
    found = [message.partition(" - ")[2] for message in caplog.messages]
    assert found == (expected if access_log else [])


async def test_the_log_shows_the_query_as_the_app_left_it(
    app: Script, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Holdfast takes tokens out of the scope before it accepts."""
    caplog.set_level(logging.INFO, "uvicorn.error")
    await connect(app, path="/?token=secret")
    app.scope["query_string"] = b"token=[redacted]"
    await app.send(ACCEPT)
    assert "secret" not in caplog.text
    assert "192.0.2.7:4711" in caplog.text
