"""Everything that Holdfast raises, in one tree.

    HoldfastError
    ├── ConfigurationError      a setting is missing, weak or contradictory: mend it and start again
    ├── MisuseError             the calling code did something that can never work
    │   └── ReservedFrameError  a message of the app borrows a frame type of holdfast.v1
    ├── RefusedError            the person or program at the other end may not do this (an HTTP status of 4xx)
    │   ├── TokenError
    │   │   ├── TokenExpired
    │   │   └── TokenInvalid
    │   ├── SessionEnded        logged out, revoked, idle or too old
    │   ├── TokenReused         a refresh token came back after its successor was in use
    │   ├── BadCredentials
    │   ├── Throttled
    │   ├── Forbidden
    │   ├── NotFound
    │   ├── Conflict
    │   ├── TooLarge
    │   └── BadInput
    ├── ConnectionEnded         the live connection is over; carries its ending
    └── Unavailable             something that Holdfast stands on cannot be reached just now

`code` is stable and for programs; `str(error)` is for people. Neither ever holds a token, cookie or password. `detail`
is for the server's log only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from holdfast.protocol.endings import Ending


class HoldfastError(Exception):
    """The root of every error that Holdfast raises on purpose."""

    code: ClassVar[str] = "error"


class ConfigurationError(HoldfastError):
    """A setting that Holdfast cannot start with; the text says which one and what to do."""

    code = "configuration"


class MisuseError(HoldfastError):
    """Calling code that can never work, as opposed to a peer that misbehaves."""

    code = "misuse"


class ReservedFrameError(MisuseError):
    """An app's message whose `type` belongs to holdfast.v1."""

    code = "reserved_frame"


class RefusedError(HoldfastError):
    """A refusal to tell the other side about, with the HTTP status that says it."""

    code = "refused"
    status: ClassVar[int] = 401
    sentence: ClassVar[str] = "This is not allowed."

    def __init__(self, sentence: str | None = None, *, detail: str = "") -> None:
        super().__init__(sentence or self.sentence)
        self.detail = detail


class TokenError(RefusedError):
    """An access token that proves nothing."""

    code = "invalid_token"


class TokenExpired(TokenError):
    """A token that was good and has run out (RFC 7519, section 4.1.4: on `exp` it is over)."""

    code = "token_expired"
    sentence = "Token expired. Please refresh the page to get a new token."


class TokenInvalid(TokenError):
    """A token that is not ours, is damaged, or was never meant for this."""

    sentence = "Invalid token. Please refresh the page to get a new token."


class SessionEnded(RefusedError):
    """A session that was logged out, revoked, or left alone too long; `reason` says which."""

    code = "session_ended"
    sentence = "Your session has ended. Please sign in again."

    def __init__(self, sentence: str | None = None, *, reason: str = "ended", detail: str = "") -> None:
        super().__init__(sentence, detail=detail)
        self.reason = reason


class TokenReused(RefusedError):
    """A refresh token from before its successor was in use: somebody else may hold it, so the session is over."""

    code = "token_reused"
    sentence = "This session was used from two places, so it was ended to protect you. Please sign in again."


class BadCredentials(RefusedError):
    """A user name and password that do not belong together; never says which of them is wrong."""

    code = "bad_credentials"
    sentence = "The user name or the password is not right."


class Throttled(RefusedError):
    """Too many tries; `retry_after` is in seconds."""

    code = "throttled"
    status = 429
    sentence = "Too many tries. Please wait and try again."

    def __init__(self, sentence: str | None = None, *, retry_after: float, detail: str = "") -> None:
        super().__init__(sentence, detail=detail)
        self.retry_after = retry_after


class Forbidden(RefusedError):
    """Known, but not allowed to do this."""

    code = "forbidden"
    status = 403
    sentence = "You are not allowed to do this."


class NotFound(RefusedError):
    """Nothing here by that name, or nothing that may be seen."""

    code = "not_found"
    status = 404
    sentence = "There is no such thing here."


class Conflict(RefusedError):
    """It exists already."""

    code = "conflict"
    status = 409
    sentence = "This exists already."


class TooLarge(RefusedError):
    """More than is carried at once; the text says how much is."""

    code = "too_large"
    status = 413
    sentence = "This is too large."


class BadInput(RefusedError):
    """Input that cannot mean anything; the text says what to send instead."""

    code = "bad_input"
    status = 422
    sentence = "The request cannot be understood."


class ConnectionEnded(HoldfastError):
    """The live connection is over: nothing more can be sent on it."""

    code = "connection_ended"

    def __init__(self, ending: Ending) -> None:
        super().__init__(f"the connection has ended: {ending.code} {ending.reason}")
        self.ending = ending


class Unavailable(HoldfastError):
    """Something that Holdfast stands on cannot be reached just now; trying again later may help."""

    code = "unavailable"
