"""Serves the built dashboard: its files, and its page at every address that a person may open or reload.

The page is sent anew each time, with a nonce of its own in place of `PLACEHOLDER`: the policy lets in the styles that
Ant Design writes while it runs, and nothing else that is inline. The files have a hash in their names and never change.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.asgi import proxy

STATIC = Path(__file__).parent / "static"
"""Where `npm run build` puts the dashboard."""
FILES = "/assets"
API = frozenset(
    {".well-known", "admin", "assets", "auth", "token", "ws"}
    | {"docs", "redoc", "openapi.json", "healthz", "readyz", "metrics"}
)
"""What addresses that are no page begin with."""
PLACEHOLDER = "__CSP_NONCE__"
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
ALWAYS_ASK = {"Cache-Control": "no-cache"}
POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; "
    "img-src 'self' data:; font-src 'self'; connect-src {connect}; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+")

# What machines' own tables say of these differs, and a browser runs no script that is called text/plain.
TYPES = {".css": "text/css", ".js": "text/javascript", ".map": "application/json", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class File:
    """One built file, and the same compressed if that is shorter."""

    path: Path
    media_type: str
    compressed: Path | None


class Dashboard:
    """The page and its files, as they were when the server started."""

    def __init__(self, folder: Path, *, trusted: Sequence[str] = ()) -> None:
        self._trusted = trusted
        self._page = (folder / "index.html").read_text(encoding="utf-8")
        # Looked up by name, so that no path from outside is ever joined to one of ours.
        self._files = {
            f"{FILES}/{path.name}": File(
                path, TYPES.get(path.suffix, "application/octet-stream"), _compressed(path)
            )
            for path in sorted((folder / FILES.lstrip("/")).iterdir())
            if path.suffix != ".gz"
        }

    @classmethod
    def built(cls, *, trusted: Sequence[str] = ()) -> Self | None:
        """The dashboard, or `None` where it has not been built."""
        return cls(STATIC, trusted=trusted) if (STATIC / "index.html").is_file() else None

    async def page(self, request: Request) -> Response:
        """The page; which of its own pages it shows, it finds in the address."""
        nonce = secrets.token_urlsafe(16)
        policy = POLICY.format(nonce=nonce, connect=self._connect(request.scope))
        headers = {**ALWAYS_ASK, "Content-Security-Policy": policy}
        return HTMLResponse(self._page.replace(PLACEHOLDER, nonce), headers=headers)

    async def file(self, request: Request) -> Response:
        """A file that the page names."""
        found = self._files.get(request.url.path)
        if found is None:
            body = {
                "code": "not_found",
                "message": "There is no such file; reload the page for its new names.",
            }
            return JSONResponse(body, 404, ALWAYS_ASK)
        headers = {**FOREVER, "Vary": "Accept-Encoding"}
        if found.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return FileResponse(found.compressed, media_type=found.media_type, headers=headers)
        return FileResponse(found.path, media_type=found.media_type, headers=headers)

    def add_to(self, app: Starlette) -> None:
        """Serve it from this app."""
        app.add_route("/", self.page, methods=["GET"], include_in_schema=False)
        app.add_route(f"{FILES}/{{name}}", self.file, methods=["GET"], include_in_schema=False)
        app.router.default = self._otherwise(app.router.default)

    def _otherwise(self, not_found: ASGIApp) -> ASGIApp:
        """For addresses that no route has: the page for people, `not_found` for programs and below the API."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and _from_a_person(scope):
                request = Request(scope)
                if request.url.path.split("/")[1] not in API:
                    await (await self.page(request))(scope, receive, send)
                    return
            await not_found(scope, receive, send)

        return answer

    def _connect(self, scope: Scope) -> str:
        """Older browsers do not take 'self' for the WebSocket of the same host."""
        host = proxy.host(scope, self._trusted)
        if host is None or _HOST.fullmatch(host) is None:
            return "'self'"
        scheme = "wss" if proxy.scheme(scope, self._trusted) == "https" else "ws"
        return f"'self' {scheme}://{host}"


def _compressed(path: Path) -> Path | None:
    other = path.with_name(f"{path.name}.gz")
    return other if other.is_file() else None


def _from_a_person(scope: Scope) -> bool:
    accept = Request(scope).headers.get("accept", "")
    return scope["method"] in ("GET", "HEAD") and "text/html" in accept
