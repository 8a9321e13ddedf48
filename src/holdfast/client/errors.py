"""What the client raises beside the errors that it shares with the server."""

from __future__ import annotations

from holdfast.errors import HoldfastError
from holdfast.protocol.endings import Action


class ClientError(HoldfastError):
    """A session or connection is over; `action` says what helps, `reason` why, for people.

    `action` is `relogin` (sign in again) or `stop` (the same would happen again). `close_code` is that of the close
    frame, or the HTTP status of a refused handshake, if one came.
    """

    code = "client"

    def __init__(self, action: Action, reason: str, *, close_code: int | None = None) -> None:
        super().__init__(f"{_WHAT[action]}: {reason}" if reason else _WHAT[action])
        self.action = action
        self.reason = reason
        self.close_code = close_code


class RequestError(HoldfastError):
    """The server says no to what was asked of a channel; it was not done.

    `refusal` is its code (`forbidden`, `revoked`, `try_later`, …), `retry_after` in seconds where it gave a time.
    """

    code = "request"

    def __init__(self, refusal: str, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(f"{refusal}: {message}" if message else refusal)
        self.refusal = refusal
        self.retry_after = retry_after


_WHAT = {
    Action.RELOGIN: "sign in again",
    Action.STOP: "the connection is over",
    Action.REFRESH: "a new token is needed",
    Action.RECONNECT: "the connection was lost",
}
